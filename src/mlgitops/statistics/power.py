"""What a test set can see: how large a true loss is stopped, and how often. Pure, `math` only.

Of a change only its interval is needed. The estimated loss is taken to be normal around the true
one, with the standard error that the interval was made from: this is what the next change of the
same kind meets on the next test set of this size. Whoever judges says from which estimated loss
on a change is stopped (the threshold); what is computed here is the true loss that is stopped with
a wanted probability, the power (Cohen 1988, Statistical Power Analysis, 2nd ed.; Chow, Shao & Wang
2008, Sample Size Calculations in Clinical Research, ch. 3).

A head that lost something is noisier than one that did not. With s^2 = v_base + v_head - 2 r sqrt(
v_base v_head), and r and v_base as they are, s grows as the square root of head's own error does,
to the first order; how that depends on a metric's value is known for shares, areas and errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.statistics.intervals import is_identical
from mlgitops.statistics.names import COUNTS, find_estimator, find_quantile
from mlgitops.statistics.quantiles import student_quantile
from mlgitops.statistics.shares import rule_of_three

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.model import Interval, SeedNoise

#: The customary probability with which a test is to see what it looks for (Cohen 1988).
POWER = 0.8
_LEAST_GROWTH = 0.5  # and twice at most: beyond, a first-order term says nothing
_DOUBLINGS, _HALVINGS = 60, 40  # to twelve digits
_MOST_ERRORS = 1e6  # that an interval reaches; beyond, what is said of rows and seeds is not of it


def _stay(loss: float) -> float:  # noqa: ARG001 - the same at any loss
    return 1.0


def _share_error(share: float) -> float:
    """Return the error of a share of rows, but for the number of rows."""
    return math.sqrt(max(share * (1 - share), 0.0))


def _area_error(area: float) -> float:
    """Return the error of a ROC AUC of as many positive as negative rows, but for their number.

    Hanley & McNeil 1982, Radiology 143:29.
    """
    if not 0 < area < 1:
        return 0.0
    positive, negative = area / (2 - area), 2 * area * area / (1 + area)
    return math.sqrt(max(positive + negative - 2 * area * area, 0.0))


class _Shape(NamedTuple):
    """How a metric's own error depends on its value."""

    worse: int  # the sign of a loss
    error: Callable[[float], float]


_SHARE = _Shape(-1, _share_error)
_SIZE = _Shape(1, abs)  # of errors: it grows with them
_SHAPES = {
    **dict.fromkeys(COUNTS - {"mcc", "cohen_kappa"}, _SHARE),
    "average_precision": _SHARE,
    "roc_auc": _Shape(-1, _area_error),
    **dict.fromkeys(("mae", "mse", "rmse", "median_absolute_error", "pinball"), _SIZE),
    "r2": _Shape(-1, lambda value: 1 - value),  # what a model leaves unexplained
}


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How an estimated loss scatters around the true one; in the metric's unit."""

    error: float  # standard error of the difference, where little is lost
    quantile: float  # of the interval's confidence: its half-width in errors, such as 1.96
    step: float = 0.0  # what a row that is answered wrong costs at least; 0: any amount
    growth: Callable[[float], float] = _stay  # true loss to a factor of the error

    def at(self, loss: float, count: float | None = None) -> float:
        """Return the standard error where the true loss is ``loss``.

        A metric that counts rows loses ``count``, by default all of ``loss``, only by that many
        rows that differ, and their number scatters as that of rare events does: however few
        rows differ now.
        """
        counted = max(loss if count is None else count, 0.0)
        return max(self.error * self.growth(loss), math.sqrt(counted * self.step))

    def find_beyond_zero(self, loss: float = 0.0) -> float:
        """Return the smallest estimate whose interval leaves out zero, at a true ``loss``."""
        return self.quantile * self.at(loss, self.quantile**2 * self.step)

    def find_within(self, margin: float, loss: float = 0.0) -> float:
        """Return the largest estimate that rules out a loss above ``margin``, at a true ``loss``.

        Negative where not even an estimate of no loss does.
        """
        return margin - self.quantile * self.at(loss, margin)

    def pass_chance(self, threshold: Callable[[float], float], loss: float = 0.0) -> float:
        """Return the chance that the estimate of a true ``loss`` does not exceed the threshold.

        ``threshold``: true loss to the largest estimate that passes.
        """
        error, room = self.at(loss), threshold(loss) - loss
        return NormalDist().cdf(room / error) if error > 0 else float(room >= 0)

    def stopped_loss(self, threshold: Callable[[float], float], power: float = POWER) -> float:
        """Return the least true loss that exceeds the ``threshold`` with probability ``power``.

        0 where even a change that loses nothing is stopped so often.
        """
        low, high = 0.0, max(self.error, self.step)
        for _ in range(_DOUBLINGS):
            if self.pass_chance(threshold, high) <= 1 - power:
                break
            low, high = high, 2 * high
        if self.pass_chance(threshold, low) <= 1 - power:
            return low
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if self.pass_chance(threshold, middle) <= 1 - power:
                high = middle
            else:
                low = middle
        return high


def read_noise(
    metric: str, value: float, interval: Interval, rows: int, seeds: SeedNoise | None = None
) -> Noise | None:
    """Read the noise of a metric's difference off its interval.

    ``value``: the metric at base; ``rows``: test rows, at least 1; ``seeds``: what the interval
    covers beside the rows, of which a few trainings tell, so that it reaches farther for the same
    error. None where nothing can be read: the interval has no width, there are no rows, or rows
    and seeds explain next to nothing of the width. Where both models answer alike, the interval is
    the rule of three of a change of one row: what differs is then taken to be no more than the
    loss itself.
    """
    half = (interval.high - interval.low) / 2
    if half <= 0 or rows < 1 or not math.isfinite(half):
        return None
    quantile = NormalDist().inv_cdf((1 + interval.confidence) / 2)
    if is_identical(interval):
        step = half / (rows * rule_of_three(rows, interval.confidence))
        return Noise(error=0.0, quantile=quantile, step=step)
    estimator = find_estimator(metric)
    error = half / quantile
    if seeds is not None and seeds.by_rows + seeds.by_seeds > 0:
        wider = student_quantile((1 + interval.confidence) / 2, seeds.seeds - 1)
        error = math.hypot(seeds.by_rows / quantile, seeds.by_seeds / wider)
    if not half <= _MOST_ERRORS * error < math.inf:
        return None
    return Noise(
        error=error,
        quantile=half / error,
        step=1 / rows if estimator in COUNTS else 0.0,
        growth=find_growth(estimator, value),
    )


def find_growth(estimator: str | None, value: float) -> Callable[[float], float]:
    """Return by what factor the error of a difference grows with the true loss from ``value``."""
    name = "pinball" if find_quantile(estimator or "") else estimator
    shape = _SHAPES.get(name or "")
    if shape is None or not shape.error(value) > 0:
        return _stay

    def grow(loss: float) -> float:
        ratio = shape.error(value + shape.worse * loss) / shape.error(value)
        return min(max(math.sqrt(max(ratio, 0.0)), _LEAST_GROWTH), 1 / _LEAST_GROWTH)

    return grow
