"""docs/reference/scale.md: each figure is counted and simulated again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.scale.arrivals import Worst, simulate_days
from benchmarks.scale.scenes import FAILS, Asked, count_scenes
from benchmarks.scale_study import (
    DIVISIONS,
    LIMITS,
    OUTPUT,
    Limit,
    add_merge,
    find_reached,
    render_page,
    simulate_all,
)

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = Asked(reads=0, writes=0)


@pytest.mark.slow
def test_the_page_is_what_our_programs_ask_and_no_limit_is_reached(tmp_path: Path) -> None:
    """`make scale-study` writes it; where it differs, look at why a run asks for more."""
    counted = count_scenes(tmp_path)
    simulated = simulate_all(counted[FAILS], add_merge(counted))
    assert find_reached(simulated) == []
    assert render_page(counted, simulated) == OUTPUT.read_text(encoding="utf-8")


def test_every_run_of_a_day_is_counted_once() -> None:
    """With one repository's worth of cost, the day's totals are those of its pull requests."""
    rng = np.random.default_rng(1)
    merges = Asked(reads=0, writes=1)
    worst = simulate_days(rng, spread=0.0, days=1, run=NOTHING, after=merges)
    assert worst.pull_requests >= worst.writes_an_hour >= worst.writes_a_minute >= 1
    assert worst.points_a_minute == 5 * worst.writes_a_minute
    assert worst.requests_an_hour == worst.writes_an_hour


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
