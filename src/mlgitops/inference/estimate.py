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

from mlgitops.inference.quantiles import student_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The coverage study starts here: below, an interval is shown with a warning.
FEWEST_ROWS = 200
#: When fewer rows than this make up the spread, the interval is too narrow too often.
FEWEST_DECISIVE = 5
#: Fewer clusters than this make the cluster-robust error too small too often.
FEWEST_CLUSTERS = 50


class Undefined(Exception):  # noqa: N818 - it is a situation, told to the reader, not a failure
    """There is no interval; the message says why, as one sentence."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """The difference head minus base, with its standard error."""

    values: tuple[float, float]  # the metric at base and at head
    delta: float  # head minus base, less its bias where the method knows it
    error: float  # standard error, in the metric's unit; 0 only when identical
    freedom: float  # degrees of freedom of Student's t
    method: str
    warnings: tuple[str, ...] = ()  # why the interval may be too narrow, one sentence each

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return (low, high) at a confidence such as 0.95."""
        reach = self.error * student_quantile((1 + confidence) / 2, self.freedom)
        return self.delta - reach, self.delta + reach


def estimate(
    values: tuple[float, float],
    contributions: NDArray[np.float64],
    *,
    delta: float | None = None,
    method: str,
    weights: NDArray[np.float64] | None = None,
    freedom: float | None = None,
    warnings: tuple[str, ...] = (),
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
        shares = contributions / error
        shares *= shares
        warnings = (*warnings, *_warn_of_few(1 / sum_squares(shares)))
    else:
        error = _root(float(contributions * contributions @ weights), delta)
    return Estimate(
        values=values,
        delta=delta,
        error=error,
        freedom=rows - 1 if freedom is None else freedom,
        method=method,
        warnings=warnings,
    )


def sum_squares(values: NDArray[np.float64]) -> float:
    """Return the sum of squares, on one core and without a copy."""
    return float(np.einsum("i,i->", values, values))


def _warn_of_few(decisive: float) -> tuple[str, ...]:
    """Warn when a few rows make up the spread; ``decisive``: (sum of c^2)^2 / sum of c^4."""
    if decisive >= FEWEST_DECISIVE:
        return ()
    return (f"about {decisive:.0f} test row(s) make up most of the spread",)


def estimate_by_cluster(
    plain: Estimate, contributions: NDArray[np.float64], clusters: NDArray[np.intp]
) -> Estimate:
    """Return ``plain`` with the error that holds when the rows of a cluster belong together.

    Contributions are summed within each cluster before they are squared, with the factor
    G / (G - 1) and G - 1 degrees of freedom for G clusters (linearisation with clusters as
    the sampled units: Liang & Zeger 1986, Biometrika 73:13; Cameron & Miller 2015, J. Human
    Resources 50:317; for the ROC AUC, Obuchowski 1997, Biometrics 53:567).
    """
    sums = np.bincount(clusters, weights=contributions)
    count = len(sums)
    if count < 2:  # noqa: PLR2004 - one cluster says nothing of the next
        raise Undefined("all test rows belong to one cluster")
    few = f"only {count} clusters; {FEWEST_CLUSTERS} or more are needed to trust the interval"
    return replace(
        plain,
        error=_root(float(sums @ sums) * count / (count - 1), plain.delta),
        freedom=min(plain.freedom, count - 1),
        method=f"{plain.method}, by cluster",
        warnings=(*plain.warnings, few) if count < FEWEST_CLUSTERS else plain.warnings,
    )


def _root(variance: float, delta: float) -> float:
    error = math.sqrt(max(variance, 0))
    if not (math.isfinite(error) and math.isfinite(delta)):
        raise Undefined("the values are too large to compute with")
    if error <= 1e-13 * max(abs(delta), 1e-300):
        raise Undefined("the difference has no spread over the test rows, so noise has no measure")
    return error
