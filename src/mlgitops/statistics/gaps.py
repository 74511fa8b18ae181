"""A statistic over groups (difference, ratio, extremes) to an interval that holds for it. Pure.

The highest and lowest group are chosen by the data, so an interval of "this group minus that
one" would be too hopeful. Here all pairs of groups are held at once, each at the confidence
that Bonferroni's inequality asks for (Dunn 1961, J. Am. Stat. Assoc. 56:52): when all of
those intervals hold, the true largest difference lies between the largest of their lower and
the largest of their upper ends. The result is wide, and its coverage at least what it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgitops.model import Statistic
from mlgitops.statistics.quantiles import student_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: With more groups all pairs are no longer compared.
MOST_COMPARED = 200


def bound_statistic(
    statistic: Statistic,
    values: Floats,
    covariance: Floats,
    *,
    freedom: float,
    confidence: float,
) -> tuple[float, float] | None:
    """Return (low, high) of the statistic of the true ``values``; None when there is none.

    ``covariance``: of the values, groups by groups.
    """
    count = len(values)
    if statistic in (Statistic.MINIMUM, Statistic.MAXIMUM):
        reach = _quantile(confidence, count, freedom) * np.sqrt(np.diag(covariance))
        pick = np.min if statistic is Statistic.MINIMUM else np.max
        return _finite(float(pick(values - reach)), float(pick(values + reach)))
    if statistic is Statistic.RATIO:
        if float(values.min()) <= 0:
            return None
        covariance = covariance / np.outer(values, values)
        values = np.log(values)
    low, high = _bound_difference(values, covariance, freedom, confidence)
    if statistic is Statistic.RATIO:
        low, high = float(np.exp(-high)), float(np.exp(-low))
    return _finite(low, high)


def _bound_difference(
    values: Floats, covariance: Floats, freedom: float, confidence: float
) -> tuple[float, float]:
    """Bound the largest difference over all pairs."""
    count = len(values)
    variance = np.diag(covariance)
    errors = np.sqrt(np.maximum(variance[:, None] + variance - 2 * covariance, 0))
    reach = errors * _quantile(confidence, count * (count - 1) // 2, freedom)
    apart = values[:, None] - values
    return max(0.0, float((apart - reach).max())), float((apart + reach).max())


def _quantile(confidence: float, intervals: int, freedom: float) -> float:
    """Return the two-sided quantile at which so many intervals hold at once."""
    return student_quantile(1 - (1 - confidence) / (2 * max(intervals, 1)), freedom)


def _finite(low: float, high: float) -> tuple[float, float] | None:
    return (low, high) if np.isfinite(low) and np.isfinite(high) else None
