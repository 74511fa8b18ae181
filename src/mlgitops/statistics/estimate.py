"""An estimated difference and its error: what every method hands over. Pure.

Each method reduces to one contribution per row (or per cell of equal rows), scaled so that
the squares of the contributions sum to the variance of the difference. The standard error,
the interval and the cluster-robust form follow from there, the same for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.clusters import size_clusters
from mlgitops.statistics.quantiles import student_quantile
from mlgitops.statistics.shares import PairedShare, bound_shares, rule_of_three

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: When fewer rows (or clusters) than this make up the spread, the interval is too narrow too often.
FEWEST_DECISIVE = 5
#: The same of errors of numbers: none is the largest, and the next rows may hold a larger one.
FEWEST_DECISIVE_ERRORS = 15
#: Log odds beyond which a share is 0 or 1.
_FARTHEST = 500.0
#: Clusters that amount to fewer than this make the cluster-robust error too small too often.
FEWEST_CLUSTERS = 20


class Undefined(Exception):  # noqa: N818 - it is a situation, told to the reader, not a failure
    """There is no interval; the message says why, as one sentence."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """Both sides' own errors, of a metric between 0 and 1 whose error shrinks towards its ends."""

    errors: tuple[float, float]  # standard errors at base and head
    correlation: float

    def reach(self, values: tuple[float, float], quantile: float) -> tuple[float, float]:
        """Return how far the interval of the difference reaches down and up.

        Each side's interval is symmetric on the logit scale; the two are joined by the method
        of variance estimates recovery (MOVER: Zou & Donner 2008, Stat. Med. 27:1693).
        """
        base, head = (
            _reach_on_logits(value, error, quantile)
            for value, error in zip(values, self.errors, strict=True)
        )
        return (
            _join(head[0], base[1], self.correlation),
            _join(head[1], base[0], self.correlation),
        )


def _reach_on_logits(value: float, error: float, quantile: float) -> tuple[float, float]:
    """Return how far a share's interval reaches down and up."""
    if not 0 < value < 1:
        return quantile * error, quantile * error
    log_odds = math.log(value / (1 - value))
    step = min(quantile * error / (value * (1 - value)), _FARTHEST)
    low, high = (1 / (1 + math.exp(-(log_odds + sign * step))) for sign in (-1, 1))
    return value - low, high - value


def _join(error: float, other: float, correlation: float) -> float:
    return math.sqrt(max(error * error + other * other - 2 * correlation * error * other, 0.0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """The difference head minus base, with its standard error."""

    values: tuple[float, float]  # the metric at base and at head
    delta: float  # head minus base, less its bias where the method knows it
    error: float  # standard error, in the metric's unit; 0 only when identical
    freedom: float  # degrees of freedom of Student's t
    method: str
    warnings: tuple[str, ...] = ()  # why the interval may be too narrow, one sentence each
    sides: Sides | None = None  # where the interval is not symmetric
    acceleration: float = 0.0  # of the contributions: sum of c^3 / (6 (sum of c^2)^1.5)
    shares: tuple[PairedShare, ...] = ()  # what the metric is a weighted sum of, if it is one
    #: By class: what one row more that differs moves the metric by, and how many rows differ.
    classes: tuple[tuple[float, float], ...] = ()
    unseen: Unseen | None = None  # no row differs: what rows that were not seen may do
    #: The contribution of each row, where rows count singly.
    by_row: Callable[[], NDArray[np.float64]] | None = None

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return (low, high) at a confidence such as 0.95."""
        if self.unseen is not None:
            reach = self.unseen.bound(confidence)
            return self.delta - reach, self.delta + reach
        if self.shares:
            return bound_shares(self.shares, confidence)
        quantile = student_quantile((1 + confidence) / 2, self.freedom)
        error = self._widen(quantile)
        below, above = lean(quantile, self.acceleration * (self.error / error) ** 3)
        down, up = error * quantile, error * quantile
        if self.sides is not None:
            down, up = self.sides.reach(self.values, quantile)
        return self.delta - down * below / quantile, self.delta + up * above / quantile

    def _widen(self, quantile: float) -> float:
        """Return the error with which each class has at least quantile^2 rows that differ.

        Where none was seen, quantile^2 / rows is about the share that the rows do not exclude.
        """
        least = quantile * quantile
        missing = sum(step * step * max(0.0, least - rows) for step, rows in self.classes)
        return math.sqrt(self.error * self.error + missing)


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """Units (rows or clusters) that all answer alike, and what a unit that does not may cost."""

    units: float
    size: float  # what the metric moves by if all of them differ by as much as one of them can

    def bound(self, confidence: float) -> float:
        """Return by how much the metric may differ at a confidence such as 0.95."""
        return self.size * rule_of_three(self.units, confidence)


def lean(quantile: float, acceleration: float) -> tuple[float, float]:
    """Return how many errors an interval reaches below and above its estimate.

    A few contributions of one sign make the estimate's error depend on the truth. With a variance
    that changes with the mean as that of rare events of one size does, the score interval of the
    mean is the estimate + error * (3 a q^2 ± q sqrt(1 + 9 a^2 q^2)): for counts of events it is
    Wilson's and Rao's, and for small ``acceleration`` a (Efron 1987, J. Am. Stat. Assoc. 82:171)
    it lies a little outside of his. Neither end comes nearer than ``quantile`` q.
    """
    shift = 3 * acceleration * quantile * quantile
    half = quantile * math.sqrt(1 + 9 * acceleration**2 * quantile**2)
    return max(quantile, half - shift), max(quantile, half + shift)


def estimate(
    values: tuple[float, float],
    contributions: NDArray[np.float64],
    *,
    delta: float | None = None,
    method: str,
    weights: NDArray[np.float64] | None = None,
    freedom: float | None = None,
    warnings: tuple[str, ...] = (),
    sides: Sides | None = None,
) -> Estimate:
    """Sum contributions up to an :class:`Estimate`.

    ``values``: the metric at base and at head. ``delta`` defaults to their difference.
    ``weights``: how many rows share each contribution. ``freedom`` defaults to rows - 1.
    Raises Undefined when the error is zero or not finite.
    """
    delta = values[1] - values[0] if delta is None else delta
    rows = int(weights.sum()) if weights is not None else len(contributions)
    if weights is None:
        error = _root(sum_squares(contributions), delta)
        parts = contributions / error
        acceleration = float(parts * parts @ parts) / 6
    else:
        error = _root(float(contributions * contributions @ weights), delta)
        acceleration = float((contributions / error) ** 3 @ weights) / 6
    return Estimate(
        values=values,
        delta=delta,
        error=error,
        freedom=rows - 1 if freedom is None else freedom,
        method=method,
        warnings=warnings,
        sides=sides,
        acceleration=acceleration,
    )


def find_sides(
    base: NDArray[np.float64],
    head: NDArray[np.float64],
    clusters: NDArray[np.intp] | None,
) -> Sides:
    """Return both sides' errors, from what each row (or cluster) contributes to their values."""
    if clusters is not None:
        sizes = size_clusters(clusters)
        scale = np.sqrt(np.maximum(1 - sizes.share, 1e-300))
        base, head = (np.bincount(clusters, weights=side) / scale for side in (base, head))
    errors = math.sqrt(sum_squares(base)), math.sqrt(sum_squares(head))
    both = float(np.einsum("i,i->", base, head)) / max(errors[0] * errors[1], 1e-300)
    return Sides(errors=errors, correlation=min(max(both, -1.0), 1.0))


def sum_squares(values: NDArray[np.float64]) -> float:
    """Return the sum of squares, on one core and without a copy."""
    return float(np.einsum("i,i->", values, values))


def warn_of_few(
    contributions: NDArray[np.float64], fewest: int = FEWEST_DECISIVE, unit: str = "test row"
) -> tuple[str, ...]:
    """Warn when fewer than ``fewest`` make up the spread: (sum of c^2)^2 / sum of c^4."""
    parts = contributions / math.sqrt(sum_squares(contributions))
    decisive = 1 / sum_squares(parts * parts)
    if decisive >= fewest:
        return ()
    return (f"about {decisive:.0f} {unit}(s) make up most of the spread",)


def estimate_by_cluster(
    plain: Estimate, contributions: NDArray[np.float64], clusters: NDArray[np.intp]
) -> Estimate:
    """Return ``plain`` with the error that holds when the rows of a cluster belong together.

    Contributions are summed within each cluster before they are squared (linearisation with
    clusters as the sampled units: Liang & Zeger 1986, Biometrika 73:13; Cameron & Miller 2015,
    J. Human Resources 50:317; for the ROC AUC, Obuchowski 1997, Biometrics 53:567), as
    :mod:`mlgitops.statistics.clusters` says.
    """
    sums = np.bincount(clusters, weights=contributions).astype(np.float64, copy=False)
    count = len(sums)
    if count < 2:  # noqa: PLR2004 - one cluster says nothing of the next
        raise Undefined("all test rows belong to one cluster")
    sizes = size_clusters(clusters)
    spread = sizes.find_spread(sums, np.array([sum_squares(contributions)]))
    error = _root(float(sizes.sum_squares(sums)[0]), plain.delta)
    few = _warn_of_clusters(count, sizes.count_effective(spread))
    few = few or warn_of_few(sums, unit="cluster")
    return replace(
        plain,
        error=error,
        acceleration=float(((sums / error) ** 3).sum()) / 6,
        shares=(),
        by_row=None,
        freedom=min(plain.freedom, float(sizes.find_freedom(spread)[0])),
        method=f"{plain.method}, by cluster",
        warnings=(*plain.warnings, *few),
    )


def _warn_of_clusters(count: int, effective: NDArray[np.float64]) -> tuple[str, ...]:
    """Warn when there are few clusters, or a few large ones count for most."""
    amount = math.floor(float(effective[0]))
    if amount >= FEWEST_CLUSTERS:
        return ()
    needed = f"{FEWEST_CLUSTERS} or more are needed to trust the interval"
    if count < FEWEST_CLUSTERS and amount >= count - 1:  # of equal size
        return (f"only {count} clusters; {needed}",)
    return (f"the {count} clusters are so unequal that they amount to {amount}; {needed}",)


def _root(variance: float, delta: float) -> float:
    error = math.sqrt(max(variance, 0))
    if not (math.isfinite(error) and math.isfinite(delta)):
        raise Undefined("the values are too large to compute with")
    if error <= 1e-13 * max(abs(delta), 1e-300):
        raise Undefined("the difference has no spread over the test rows, so noise has no measure")
    return error
