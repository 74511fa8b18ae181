"""A ratio of daily sums, and how sure it is where neighbouring days resemble each other. Pure.

The figure of a period is sum(numerators) / sum(denominators) over its clusters: days, in their
order. Its variance is the long-run variance of what a cluster contributes, with Bartlett's
weights, which never make it negative (Newey & West 1987, Econometrica 55:703). Three lags are
4 (n / 100)^(2/9) for 28 clusters, rounded down (Newey & West 1994, Rev. Econ. Stud. 61:631).

28 clusters alone say little of how much clusters vary: the variance also learns from the periods
before, each around its own figure, so that a level that moves is no noise. As in a regression
with one mean a period there are n - periods degrees of freedom, for the variance and Student's t.
docs/reference/monitoring.md has what comes of it on days that depend on each other for weeks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.statistics.quantiles import student_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Clusters that a figure is of, and the neighbours of each that may resemble it.
CLUSTERS = 28
LAGS = 3
#: Periods of so many clusters that the variance learns from: the figure's own and those before.
PERIODS = 6
#: The chance that one look at a figure that is just at its limit calls it beyond, by design: so
#: that three figures together open less than one false issue a year, as the study shows.
ALPHA = 0.004


@dataclass(frozen=True, kw_only=True)
class LongRun:
    """The figure of the last period, with what each cluster contributes to its error.

    Both in the figure's unit. The contributions of each of the ``periods`` sum to zero.
    """

    value: float
    contributions: tuple[float, ...]  # in the order of the clusters
    periods: int

    @property
    def freedom(self) -> int:
        """Return the degrees of freedom of the variance."""
        return len(self.contributions) - self.periods

    @property
    def error(self) -> float:
        """Return the standard error; 0 where every cluster of a period says the same."""
        u = self.contributions
        total = math.fsum(value * value for value in u)
        for lag in range(1, min(LAGS, len(u) - 1) + 1):
            products = math.fsum(v * w for v, w in zip(u[lag:], u, strict=False))
            total += 2 * (1 - lag / (LAGS + 1)) * products
        clusters = len(u) / self.periods  # of the last period, as of each
        return math.sqrt(max(total, 0.0) * clusters / self.freedom)

    def reach(self, alpha: float = ALPHA) -> float:
        """Return how far the true figure may lie to one side, but with probability ``alpha``."""
        return student_quantile(1 - alpha, self.freedom) * self.error

    def minus(self, other: LongRun, factor: float = 1.0) -> LongRun:
        """Return this figure minus ``factor`` times another one of the same clusters."""
        pairs = zip(self.contributions, other.contributions, strict=True)
        return LongRun(
            value=self.value - factor * other.value,
            contributions=tuple(u - factor * v for u, v in pairs),
            periods=self.periods,
        )

    def take_root(self) -> LongRun:
        """Return the square root of this figure, with its error by the delta method.

        Of a figure that is 0 nothing varies, as far as the clusters say.

        >>> LongRun(value=4.0, contributions=(1.0, -1.0), periods=1).take_root()
        LongRun(value=2.0, contributions=(0.25, -0.25), periods=1)
        """
        root = math.sqrt(max(self.value, 0.0))
        slope = 1 / (2 * root) if root else 0.0
        contributions = tuple(slope * u for u in self.contributions)
        return LongRun(value=root, contributions=contributions, periods=self.periods)


def measure_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> LongRun:
    """Measure sum(numerators) / sum(denominators) over the last period of the clusters.

    The clusters, in their order, are cut into whole periods from the end; with fewer than two
    periods, all that there are make one, of at most :data:`CLUSTERS`. A cluster whose denominator
    is 0 contributes nothing; raises ValueError where all of a period are 0, or there is only one.

    >>> figure = measure_ratio([1, 2, 1, 2], [10, 10, 10, 10])
    >>> round(figure.value, 3), round(figure.error, 4), figure.freedom
    (0.15, 0.0144, 3)
    """
    size = min(CLUSTERS, len(denominators))
    periods = max(1, min(PERIODS, len(denominators) // CLUSTERS))
    if size < 2:  # noqa: PLR2004 - one cluster has no spread
        raise ValueError("a figure needs two clusters")
    starts = range(len(denominators) - periods * size, len(denominators), size)
    parts = [
        _contribute(numerators[start : start + size], denominators[start : start + size])
        for start in starts
    ]
    return LongRun(
        value=parts[-1][0],
        contributions=tuple(value for _, own in parts for value in own),
        periods=periods,
    )


def _contribute(
    numerators: Sequence[float], denominators: Sequence[float]
) -> tuple[float, list[float]]:
    """Return the figure of one period, and what each cluster contributes to its error."""
    total = math.fsum(denominators)
    if total <= 0:
        raise ValueError("a figure needs something to divide by")
    value = math.fsum(numerators) / total
    pairs = zip(numerators, denominators, strict=True)
    return value, [(a - value * b) / total for a, b in pairs]
