"""docs/reference/scale.md: each figure is counted and simulated again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.scale import arrivals
from benchmarks.scale.arrivals import Worst, simulate_days
from benchmarks.scale.jobs import Work, count_work, list_jobs
from benchmarks.scale.scenes import PASSES, Asked, count_scenes
from benchmarks.scale_study import (
    DIVISIONS,
    LIMITS,
    OUTPUT,
    Limit,
    add_merge,
    add_signature,
    find_reached,
    render_page,
    simulate_all,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_the_page_is_what_our_programs_ask_and_no_limit_is_reached(tmp_path: Path) -> None:
    """`make scale-study` writes it; where it differs, look at why a run asks for more."""
    counted = count_scenes(tmp_path)
    simulated = simulate_all(add_signature(counted, PASSES), add_merge(counted))
    assert find_reached(simulated) == []
    assert render_page(counted, simulated) == OUTPUT.read_text(encoding="utf-8")


def test_every_run_and_merge_of_a_day_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One repository, and all its pull requests in one hour, none pushed to again."""
    monkeypatch.setattr(arrivals, "REPOSITORIES", 1)
    monkeypatch.setattr(arrivals, "HOURS", np.array([1.0]))
    monkeypatch.setattr(arrivals, "FURTHER_PUSHES", 0.0)
    run, after = Asked(reads=3, writes=1), Asked(reads=2, writes=2)
    rng = np.random.default_rng(1)
    worst = simulate_days(rng, spread=0.0, days=2, run=run, after=after)
    assert worst.pull_requests == arrivals.PULL_REQUESTS
    assert worst.requests_an_hour == 8 * arrivals.PULL_REQUESTS
    assert worst.writes_an_hour == 3 * arrivals.PULL_REQUESTS
    assert worst.points_a_minute * 3 == worst.writes_a_minute * 20  # a read is 1, a write 5


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_limit_that_is_reached_is_named(limit: Limit) -> None:
    """To the very number."""
    fields = {
        "pull_requests": 1,
        "requests_an_hour": 999,
        "points_a_minute": 899,
        "writes_a_minute": 79,
        "writes_an_hour": 499,
    }
    names = [division.name for division in DIVISIONS if division.required]
    below = Worst(**fields)
    assert find_reached(dict.fromkeys(names, below)) == []
    reached = Worst(**{**fields, limit.field: fields[limit.field] + 1})
    assert find_reached({names[0]: below, names[1]: reached}) == [f"{names[1]}: {limit.name}"]


def test_every_job_of_a_pull_request_is_counted() -> None:
    """Four runs of the verdict's workflow, the release's, and the one that proposes."""
    verdict = ["compute", "evaluate", "publish", "report", "attest"]
    assert list_jobs("pull-request.yml") == verdict
    assert (list_jobs("release.yml"), list_jobs("promote.yml")) == (
        ["release", "attest"],
        ["promote"],
    )
    assert count_work() == Work(jobs=4 * 5 + 2 + 1, verdicts=4)
    assert count_work().at_once * 60 == pytest.approx(0.13 * 230_000, rel=0.05)
    assert count_work().kept_gigabytes == 560
