"""How many jobs a day of pull requests runs, and what they and their files are of GitHub's limits.

Jobs are counted in the workflows of the template. Limits: GitHub's page "Actions limits".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.arrivals import FURTHER_PUSHES, HOURS, PULL_REQUESTS

WORKFLOWS = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}" / ".github" / "workflows"
#: Jobs that run at once on GitHub's standard runners, by plan; minutes and storage of the largest.
MOST_AT_ONCE = {"Free": 20, "Team": 60, "Enterprise": 500}
MINUTES_A_MONTH, STORAGE_GB = 50_000, 50
#: Days that a run's artifacts are kept, and days of work in a month.
KEPT, WORKDAYS = 14, 21

_JOB = re.compile(r"^  ([a-z][a-z-]*):$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one pull request has GitHub's machines do, its promotion's own included."""

    jobs: int
    verdicts: int

    @property
    def jobs_a_day(self) -> int:
        """Return the jobs of all pull requests of a day."""
        return self.jobs * PULL_REQUESTS

    @property
    def jobs_in_the_busiest_hour(self) -> int:
        """Return those of them that begin in the hour in which most do."""
        return round(float(HOURS.max() / HOURS.sum()) * self.jobs_a_day)

    @property
    def at_once(self) -> int:
        """Return how many run at once in that hour, for each minute that a job lasts."""
        return round(self.jobs_in_the_busiest_hour / 60)

    @property
    def kept_gigabytes(self) -> int:
        """Return what GitHub keeps, for each megabyte that a verdict's run leaves."""
        return round(self.verdicts * PULL_REQUESTS * KEPT / 1_000)


def count_work() -> Work:
    """Count the jobs of a pull request that passes, is signed, merged, released and promoted."""
    verdicts = round(1 + FURTHER_PUSHES) + 1  # the last one is the promotion's
    names = ("release.yml", "promote.yml")
    after = sum(len(list_jobs(name)) for name in names)
    return Work(jobs=verdicts * len(list_jobs("pull-request.yml")) + after, verdicts=verdicts)


def list_jobs(name: str) -> list[str]:
    """List the jobs of a workflow of the template."""
    text = (WORKFLOWS / name).read_text(encoding="utf-8")
    return _JOB.findall(text.partition("\njobs:\n")[2])
