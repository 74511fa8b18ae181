"""Metrics of per-row losses: means, roots of means, R² and the median. Pure, closed form.

A mean's difference is the mean of paired differences: Student's t. RMSE and R² are smooth
functions of sums, jackknifed exactly; the median absolute error is linearised with the density
that the order statistics around it show (Woodruff 1952, J. Am. Stat. Assoc. 47:635).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.estimate import Undefined

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Values = tuple[float, float]  # of the metric, at base and at head

#: Probabilities are kept this far from 0 and 1, as scikit-learn's `log_loss` does.
_SMALLEST = float(np.finfo(np.float64).eps)


def compare_means(base: Floats, head: Floats) -> tuple[Values, float, Floats]:
    """Return two means over the same rows, their difference, and contributions."""
    difference = head - base
    rows = len(difference)
    delta = float(difference.mean())
    values = float(base.mean()), float(head.mean())
    difference -= delta
    # What is left of equal differences is rounding, not spread.
    scale = 16 * np.finfo(np.float64).eps * (_find_largest(base) + abs(delta))
    if _find_largest(difference) <= scale:
        difference[:] = 0
    difference /= math.sqrt(rows * (rows - 1))
    return values, delta, difference


def _find_largest(values: Floats) -> float:
    """Return the largest absolute value; NaN when there is one."""
    return float(np.maximum(-values.min(), values.max()))


def compare_roots(base: Floats, head: Floats) -> tuple[Values, Floats]:
    """Compare the roots of two mean squares (RMSE), by the jackknife of squared errors."""
    rows = len(base)

    def without(squares: Floats) -> tuple[float, Floats]:
        total = float(squares.sum())
        return math.sqrt(total / rows), np.sqrt(np.maximum(total - squares, 0) / (rows - 1))

    return _jackknife(without(base), without(head))


def compare_r2(target: Floats, base: Floats, head: Floats) -> tuple[Values, Floats]:
    """Compare the coefficients of determination, given squared errors.

    Raises Undefined when the target is constant, which R² divides by.
    """
    rows = len(target)
    centred = target - target.mean()
    centred *= centred
    spread = float(centred.sum())
    if float(target.min()) == float(target.max()) or spread <= 0:
        raise Undefined("the target is constant on the test rows, so R² is undefined")
    left = spread - centred * (rows / (rows - 1))  # sum of squares without each row
    if float(left.min()) <= 1e-12 * spread:
        raise Undefined("one test row holds all the spread of the target: R² rests on it alone")

    def without(squares: Floats) -> tuple[float, Floats]:
        total = float(squares.sum())
        return 1 - total / spread, 1 - (total - squares) / left

    return _jackknife(without(base), without(head))


def compare_medians(base: Floats, head: Floats) -> tuple[Values, Floats]:
    """Compare the medians of two losses over the same rows."""
    middle_base, rows_base = _linearise_median(base)
    middle_head, rows_head = _linearise_median(head)
    return (middle_base, middle_head), rows_head - rows_base


def _linearise_median(values: Floats) -> tuple[float, Floats]:
    """Return the median and contributions (1/2 - [value <= median]) / (n * density).

    The density at the median is the share of rows between the order statistics that bound
    its 95 % interval, over their distance.
    """
    rows = len(values)
    reach = max(1.0, 1.96 * math.sqrt(rows) / 2)
    low = max(0, math.floor(rows / 2 - reach))
    high = min(rows - 1, math.ceil(rows / 2 + reach) - 1)
    middle = {rows // 2, (rows - 1) // 2}
    ordered = np.partition(values, sorted({low, high, *middle}))
    median = float(np.mean([ordered[index] for index in sorted(middle)]))
    width = float(ordered[high] - ordered[low]) * rows / max(high - low, 1)  # 1 / density
    return median, np.where(values <= median, -0.5, 0.5) * (width / rows)


def _jackknife(base: tuple[float, Floats], head: tuple[float, Floats]) -> tuple[Values, Floats]:
    """Return both values, and contributions from those without each row."""
    without = head[1] - base[1]
    rows = len(without)
    return (base[0], head[0]), (without.mean() - without) * math.sqrt((rows - 1) / rows)


def absolute(target: Floats, prediction: Floats) -> Floats:
    """Return the absolute error of each row."""
    return np.abs(prediction - target)


def squared(target: Floats, prediction: Floats) -> Floats:
    """Return the squared error of each row."""
    error = prediction - target
    error *= error
    return error


def pinball(quantile: float) -> Callable[[Floats, Floats], Floats]:
    """Return the pinball loss for a quantile between 0 and 1 (Koenker & Bassett 1978)."""

    def loss(target: Floats, prediction: Floats) -> Floats:
        error = target - prediction
        return np.maximum(quantile * error, (quantile - 1) * error)

    return loss


def log_loss(probability: Floats) -> Floats:
    """Return the log loss of each row, given the probability of its own class."""
    loss = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    np.log(loss, out=loss)
    return np.negative(loss, out=loss)
