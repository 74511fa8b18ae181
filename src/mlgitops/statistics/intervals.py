"""What can be said of an interval, and of several at one error rate. Pure, and free of numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlgitops.model import Interval, MetricChange


_Key = TypeVar("_Key")


#: How the method of an interval ends that misses a limit, and begins where no row differs.
ROUGH = ", rough"


IDENTICAL = "identical"


#: How the reason of evidence says that models of other seeds are no part of an interval.
UNCOUNTED = "other seeds were not counted"


#: The coverage study starts here: below, an interval is rough.
FEWEST_ROWS = 200


def is_rough(interval: Interval) -> bool:
    """Tell whether a limit is missed from which the interval's method is shown to hold."""
    return interval.method.endswith(ROUGH)


def is_identical(interval: Interval) -> bool:
    """Tell whether the two models answer alike on every row that the interval is of."""
    return interval.low == interval.high == 0 or interval.method.startswith(IDENTICAL)


def holm_confidence(
    intervals: Mapping[_Key, Callable[[float], tuple[float, float]]], confidence: float
) -> dict[_Key, float]:
    """Return the confidence at which each metric's interval is to be read, by Holm's steps.

    ``intervals`` maps a name to a function from confidence to (low, high). With k metrics
    left, each is read at 1 - alpha / k; those whose interval leaves out zero are settled
    there, and the step repeats with the rest until none is. "The interval leaves out zero"
    then says exactly what Holm (1979, Scand. J. Stat. 6:65) rejects, so that the chance of
    calling any unchanged metric improved or worsened stays below alpha = 1 - confidence.
    Reading intervals at Holm's levels: Serlin 1993 (J. Exp. Educ. 61:350).
    """
    alpha = 1 - confidence
    left = dict(intervals)
    levels: dict[_Key, float] = {}
    while left:
        level = 1 - alpha / len(left)
        settled = [name for name, interval in left.items() if _leaves_out_zero(interval(level))]
        for name in settled or list(left):
            levels[name] = level
            del left[name]
    return levels


def _leaves_out_zero(bounds: tuple[float, float]) -> bool:
    low, high = bounds
    return low > 0 or high < 0


#: How far a stored metric may lie from what the predictions say, as a part of its size.
ROUNDING = 1e-6


def leaves_out_change(change: MetricChange, interval: Interval) -> bool:
    """Tell whether the interval of a change does not hold the change itself.

    Predictions may be rounded, so a millionth of the metric's size is allowed.
    """
    slack = ROUNDING * max(abs(change.base or 0), abs(change.head or 0))
    return not interval.low - slack <= (change.delta or 0.0) <= interval.high + slack
