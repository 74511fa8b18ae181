"""What 1,000 repositories with 10,000 pull requests a day ask of GitHub's API: `make scale-study`.

Requests are counted from our own programs at the stand-in, arrivals are simulated by the minute,
and the sum is held against GitHub's limits. Writes docs/reference/scale.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.coverage.design import render_section
from benchmarks.scale.arrivals import (
    FURTHER_PUSHES,
    HOURS,
    PULL_REQUESTS,
    REPOSITORIES,
    Worst,
    simulate_days,
)
from benchmarks.scale.jobs import (
    KEPT,
    MINUTES_A_MONTH,
    MOST_AT_ONCE,
    STORAGE_GB,
    WORKDAYS,
    Work,
    count_work,
    list_jobs,
)
from benchmarks.scale.scenes import (
    FIRST_VERDICT,
    OTHERS,
    PASSES,
    PROPOSAL,
    RELEASE,
    SIGNED,
    Asked,
    count_scenes,
)

OUTPUT = Path(__file__).parents[1] / "docs" / "reference" / "scale.md"
DAYS = 5
_SEED = 20261128


class Division(NamedTuple):
    """How pull requests are divided among the repositories."""

    name: str
    spread: float  # deviation of the logarithm of a repository's size
    required: bool  # that no limit is reached


DIVISIONS = (
    Division("alike", 0.0, required=True),
    Division("unlike: one in twenty is more than twice the usual size", 0.5, required=True),
    Division(
        "very unlike: one in twenty is more than five times the usual size", 1.0, required=False
    ),
)


class Limit(NamedTuple):
    """One of GitHub's limits on a workflow's own token, which is one repository's."""

    name: str
    most: int
    field: str  # of Worst


LIMITS = (
    Limit("requests an hour", 1_000, "requests_an_hour"),
    Limit("points a minute", 900, "points_a_minute"),
    Limit("writes a minute", 80, "writes_a_minute"),
    Limit("writes an hour", 500, "writes_an_hour"),
)

_HEAD = """# What many repositories ask of GitHub

Written by `make scale-study`; do not edit. Every figure of the first table is a count: our own
programs run against the stand-in for GitHub that the tests use, and it says what it was asked.
A test counts again and simulates again, and holds this page to both."""
_COUNTED = f"""On a pull request with {OTHERS} comments of people; each further hundred is a
page more of every reading of the list. An edit counts as a write that creates content, and the
one question in GraphQL as a request, though GitHub counts it apart. Training, comparing and
measuring ask nothing; git, and artifacts within a run, are no requests of this interface. What
signing asks was read in the source of `actions/attest`. What other workflows of the same
repository ask with their token comes on top."""
_DAY = f"""{REPOSITORIES:,} repositories with {PULL_REQUESTS:,} pull requests a day, in one time
zone, at work from nine to six: 13 % of them in the busiest hour. Each has {FURTHER_PUSHES:g}
further pushes (mean of a Poisson distribution, two hours apart), every verdict passes and is
signed (the dearest but a waived one), and each pull request is merged, released and promoted by
another one with a verdict of its own. {DAYS} days are simulated by the minute; the table shows
the most that any repository asked in any minute or any 60 minutes. A run asks all in the minute
in which it ends."""
_WORK = """Requests are not what is scarce first. A verdict that passes and is signed runs {verdict}
jobs, a release {release}, a proposal one; a pull request and its promotion therefore {jobs}.
Each job is billed by the minute that it has begun. Deploying and retraining run on machines
of your own.

* **Jobs**: {day:,} a day. In the busiest hour {at_once} run at once for each minute that a
  job lasts. GitHub's standard runners are {most} at once: more of them wait. GitHub raises
  that when it is asked. Of a verdict's jobs the one that trains, mostly the longest, can run
  on larger runners (1,000 at once) or [your own][runner].
* **Minutes**: at least {day:,} a day, {month:,} in a month of {workdays} such days;
  Enterprise Cloud includes {minutes:,} a month for private repositories. Public ones pay
  nothing.
* **Artifacts** are kept for {days} days: {kept} GB for each megabyte that a verdict's run
  leaves (report, page, and the objects that are new: model and predictions); {storage} GB are
  included. Lower `retention-days` in `pull-request.yml`; a waiver can come no later than
  that.
* **The branch `dvc-storage`** of a repository takes about 1 GB. At ten merges a day, each
  with a megabyte that is new, it is full after 100 days: with so many, [use a
  bucket](../how-to/storage.md).

The limits are those of [GitHub's page](https://docs.github.com/en/actions/reference/limits)
in November 2026.

[runner]: ../how-to/compute.md#a-larger-machine-for-the-pull-requests-job"""
_TOKENS = """Every workflow of a generated project has its own repository's token
(`GITHUB_TOKEN`), and GitHub counts the requests of each by repository: 1,000 an hour on
github.com, 15,000 in an organisation of Enterprise Cloud. The other limits are those that
GitHub calls secondary; by whom it counts them it does not say. They are held here against one
repository, since the account behind all such tokens, `github-actions[bot]`, is everybody's.

**One token for all of them would not do.** An App's own token, in place of the workflow's, has
one limit for every repository it is installed in: {total:,} requests a day, {hour:,} of them in
the busiest hour, are more than the 12,500 that such a token can have (15,000 in Enterprise Cloud).

**Proposals by one App for all of them may be too many.** They start their checks by themselves,
and ask {proposal} requests each; but {proposals:,} of them in the busiest hour create content, and
if GitHub counts an App as one account, 500 an hour are allowed. Give the repositories of each
division an App of their own. `retrain.yml` starts at the same minute of Monday wherever it is used:
give its `cron` another minute in each repository.

**When a limit is reached all the same**, the client waits as GitHub asks, for two minutes in
all; then the verdict stands in the job's summary and its exit code, and the comment is what is
missing ([client.py](../../src/mlgitops/github/client.py))."""


def simulate_all(run: Asked, after: Asked) -> dict[str, Worst]:
    """Simulate each division: its name → the worst of its days."""
    rng = np.random.default_rng(_SEED)
    return {
        division.name: simulate_days(rng, spread=division.spread, days=DAYS, run=run, after=after)
        for division in DIVISIONS
    }


def add_signature(counted: dict[str, Asked], *names: str) -> Asked:
    """Add up what some scenes ask, and what signing asks for the last of them."""
    parts = [counted[name] for name in (*names, SIGNED)]
    return Asked(reads=sum(part.reads for part in parts), writes=sum(part.writes for part in parts))


def add_merge(counted: dict[str, Asked]) -> Asked:
    """Add what follows a merge: the release, the promotion's pull request, and its verdict."""
    return add_signature(counted, RELEASE, SIGNED, PROPOSAL, FIRST_VERDICT)


def render_page(counted: dict[str, Asked], simulated: dict[str, Worst]) -> str:
    """Render the page from what was counted and simulated."""
    run, after = add_signature(counted, PASSES), add_merge(counted)
    runs = 1 + FURTHER_PUSHES
    each = runs * run.requests + after.requests
    total = round(each * PULL_REQUESTS)
    asked = [
        [name, str(scene.reads), str(scene.writes), str(scene.requests)]
        for name, scene in counted.items()
    ]
    head = ["what is done", "reads", "writes", "requests"]
    lines = [_HEAD, "", *render_section("Counted", _COUNTED, head, asked, texts=1), ""]
    lines += [
        f"A pull request: {runs:g} runs of {run.requests} requests, and {after.requests} after the",
        f"merge: **{each:g}**. A day: {total:,}, which is {total / REPOSITORIES:,.0f} for each",
        "repository.",
        "",
    ]
    head = ["repositories", "busiest: pull requests a day", *(limit.name for limit in LIMITS)]
    rows = [["GitHub's limit", "", *(f"{limit.most:,}" for limit in LIMITS)]]
    rows += [
        [name, str(worst.pull_requests), *(_show(worst, limit) for limit in LIMITS)]
        for name, worst in simulated.items()
    ]
    rows.append(["one repository alone can have, in verdicts", "", *_list_room(run)])
    lines += [*render_section("A day, simulated", _DAY, head, rows, texts=1), ""]
    hour = round(float(HOURS.max() / HOURS.sum()) * total)
    proposals = round(float(HOURS.max() / HOURS.sum()) * PULL_REQUESTS)
    text = _TOKENS.format(
        total=total, hour=hour, proposal=counted[PROPOSAL].requests, proposals=proposals
    )
    lines += ["## Jobs, minutes and storage", "", render_work(count_work()), ""]
    return "\n".join([*lines, "## Whose limit it is", "", text, ""])


def render_work(work: Work) -> str:
    """Say what a day's jobs are of GitHub's limits."""
    return _WORK.format(
        verdict=len(list_jobs("pull-request.yml")),
        release=len(list_jobs("release.yml")),
        jobs=work.jobs,
        day=work.jobs_a_day,
        month=work.jobs_a_day * WORKDAYS,
        at_once=work.at_once,
        most=", ".join(f"{most} ({plan})" for plan, most in MOST_AT_ONCE.items()),
        kept=work.kept_gigabytes,
        workdays=WORKDAYS,
        minutes=MINUTES_A_MONTH,
        days=KEPT,
        storage=STORAGE_GB,
    )


def find_reached(simulated: dict[str, Worst]) -> list[str]:
    """List the limits that are reached where none may be."""
    return [
        f"{division.name}: {limit.name}"
        for division in DIVISIONS
        for limit in LIMITS
        if division.required and getattr(simulated[division.name], limit.field) >= limit.most
    ]


def _show(worst: Worst, limit: Limit) -> str:
    value = getattr(worst, limit.field)
    return f"{value:,}" if value < limit.most else f"**{value:,}, reached**"


def _list_room(run: Asked) -> list[str]:
    """Say how many verdicts each limit has room for."""
    costs = (run.requests, run.points, run.writes, run.writes)
    return [f"{limit.most // cost:,}" for limit, cost in zip(LIMITS, costs, strict=True)]


def main() -> int:
    """Count, simulate, write the page, and return 1 where a limit is reached that may not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counted = count_scenes(Path(folder))
    simulated = simulate_all(add_signature(counted, PASSES), add_merge(counted))
    arguments.output.write_text(render_page(counted, simulated), encoding="utf-8")
    reached = find_reached(simulated)
    for line in reached:
        print(f"reached: {line}")
    return int(bool(reached))


if __name__ == "__main__":
    sys.exit(main())
