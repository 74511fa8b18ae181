"""A day of pull requests over many repositories, and what its busiest hour asks of the API.

In: how pull requests are divided, and what one asks. Out: the worst of any repository in any
minute and any 60 minutes. Pure, and the same for the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.scale.scenes import Asked

REPOSITORIES, PULL_REQUESTS = 1_000, 10_000
#: Share of a day's pull requests in each hour: one time zone, at work from nine to six.
HOURS = np.array(
    [*[0.2] * 7, 2.0, 6.0, 12.0, 13.0, 11.0, 7.0, 11.0, 12.0, 10.0, 7.0, 4.0, *[0.6] * 6]
)
FURTHER_PUSHES = 2.0  # mean, of a Poisson distribution
_SPREAD = 120.0  # minutes, mean, until a further push
_MINUTES = 24 * 60


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The most that one repository asks of the API."""

    pull_requests: int  # of the busiest repository in its busiest day
    requests_an_hour: int
    points_a_minute: int
    writes_a_minute: int
    writes_an_hour: int


def simulate_days(
    rng: np.random.Generator, *, spread: float, days: int, run: Asked, after: Asked
) -> Worst:
    """Simulate ``days`` days; return the worst of any repository in any of them.

    ``spread`` is the deviation of the logarithm of the repositories' sizes: 0 where all are
    alike. ``run`` is what a run asks, in the minute in which it ends; ``after`` what follows a
    merge, in the same minute as the last run.
    """
    worst = [_find_worst(*_draw_day(rng, spread), run=run, after=after) for _ in range(days)]
    return Worst(
        **{name: max(getattr(day, name) for day in worst) for name in Worst.__dataclass_fields__}
    )


def _draw_day(
    rng: np.random.Generator, spread: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw runs and merges by repository and minute."""
    sizes = np.exp(spread * rng.standard_normal(REPOSITORIES))
    owner = rng.choice(REPOSITORIES, size=PULL_REQUESTS, p=sizes / sizes.sum())
    hour = rng.choice(len(HOURS), size=PULL_REQUESTS, p=HOURS / HOURS.sum())
    opened = hour * 60.0 + rng.uniform(0, 60, size=PULL_REQUESTS)
    pushes = rng.poisson(FURTHER_PUSHES, size=PULL_REQUESTS)
    again = np.repeat(np.arange(PULL_REQUESTS), pushes)
    later = opened[again] + rng.exponential(_SPREAD, size=again.size)
    last = opened.copy()
    np.maximum.at(last, again, later)
    runs = np.zeros((REPOSITORIES, _MINUTES), dtype=np.int64)
    merges = np.zeros_like(runs)
    np.add.at(runs, (owner, _as_minute(opened)), 1)
    np.add.at(runs, (owner[again], _as_minute(later)), 1)
    np.add.at(merges, (owner, _as_minute(last)), 1)
    return runs, merges


def _as_minute(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the minute of the day; what comes after midnight is counted in its last minute."""
    return np.minimum(times, _MINUTES - 1).astype(np.int64)


def _find_worst(
    runs: NDArray[np.int64], merges: NDArray[np.int64], *, run: Asked, after: Asked
) -> Worst:
    asked = {
        name: runs * getattr(run, name) + merges * getattr(after, name)
        for name in ("requests", "points", "writes")
    }
    return Worst(
        pull_requests=int(merges.sum(axis=1).max()),
        requests_an_hour=_sum_hours(asked["requests"]),
        points_a_minute=int(asked["points"].max()),
        writes_a_minute=int(asked["writes"].max()),
        writes_an_hour=_sum_hours(asked["writes"]),
    )


def _sum_hours(asked: NDArray[np.int64]) -> int:
    """Return the most in any 60 minutes in a row, of any repository."""
    total = np.cumsum(np.pad(asked, ((0, 0), (1, 0))), axis=1)
    return int((total[:, 60:] - total[:, :-60]).max())
