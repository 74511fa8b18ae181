"""From intervals to words: improved, worsened, equivalent or inconclusive.

Pure, and free of numpy, so that `judge` can use it on a report alone.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeVar

from mlgitops.model import Interval, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Key = TypeVar("_Key")

#: Chance that a test set of the size we name settles the question, if the difference is
#: what it seems now: the customary 80 % (Cohen 1988, Statistical Power Analysis, 2nd ed.).
POWER = 0.8

#: How the method of an interval ends that misses a limit, and begins where no row differs.
ROUGH = ", rough"
IDENTICAL = "identical"

#: Above this many rows we say that no test set will settle it.
_MOST_ROWS = 10**9


def decide_kind(interval: Interval, *, greater_is_better: bool, margin: float | None) -> Kind:
    """Return the one kind that the interval of a delta (head minus base) supports.

    Improved or worsened: the interval leaves out zero. Equivalent: it does not, and lies
    within plus and minus ``margin``, in the metric's unit (the interval form of the two
    one-sided tests, Schuirmann 1987), and is not rough: a method that is not shown to hold
    proves nothing. Unchanged: the two models answer alike on every row, and the margin is not
    shown to be kept. Inconclusive: anything else.

    >>> interval = Interval(low=0.001, high=0.009, confidence=0.95, method="paired DeLong")
    >>> decide_kind(interval, greater_is_better=True, margin=0.005)
    <Kind.IMPROVED: 'improved'>
    """
    if interval.low > 0:
        return Kind.IMPROVED if greater_is_better else Kind.WORSENED
    if interval.high < 0:
        return Kind.WORSENED if greater_is_better else Kind.IMPROVED
    is_shown = margin is not None and not is_rough(interval)
    if is_shown and -margin <= interval.low and interval.high <= margin:  # type: ignore[operator]
        return Kind.EQUIVALENT
    return Kind.UNCHANGED if is_identical(interval) else Kind.INCONCLUSIVE


def is_rough(interval: Interval) -> bool:
    """Tell whether a limit is missed from which the interval's method is shown to hold."""
    return interval.method.endswith(ROUGH)


def is_identical(interval: Interval) -> bool:
    """Tell whether the two models answer alike on every row that the interval is of."""
    return interval.low == interval.high == 0 or interval.method.startswith(IDENTICAL)


def reaches_beyond(interval: Interval, *, greater_is_better: bool, margin: float) -> bool:
    """Tell whether the worse end of a delta's interval is a loss above ``margin``.

    The unit of ``margin`` is the metric's; a loss of exactly the margin is within it.
    """
    return (interval.low if greater_is_better else -interval.high) < -margin


def is_within(interval: Interval, *, greater_is_better: bool, margin: float) -> bool:
    """Tell whether a loss above ``margin`` is ruled out: non-inferiority is shown.

    The worse end of the two-sided interval stays within the margin, so that a true loss of the
    margin passes in at most (1 - confidence) / 2 of cases (the confidence-interval form of the
    non-inferiority test: ICH E9 1998, 3.3.2; Piaggio et al. 2012, JAMA 308:2594). A rough
    interval shows it only where it leaves out any loss at all.

    >>> interval = Interval(low=-0.009, high=-0.001, confidence=0.95, method="paired DeLong")
    >>> is_within(interval, greater_is_better=True, margin=0.005)
    False
    """
    if is_rough(interval):
        return interval.low > 0 if greater_is_better else interval.high < 0
    return not reaches_beyond(interval, greater_is_better=greater_is_better, margin=margin)


def required_rows(
    interval: Interval, rows: int, margin: float | None, *, power: float = POWER
) -> int | None:
    """Return how many more test rows would settle an inconclusive interval, or None.

    The half-width h of an interval shrinks with the square root of the rows. With the delta d
    staying where it is, zero is left out with probability ``power`` once
    h * (1 + z_power / z_confidence) <= abs(d), and the interval lies within the margin m once
    the same holds for m - abs(d): the usual sample-size formula n = (z_a + z_b)^2 s^2 / d^2
    (Chow, Shao & Wang 2008, Sample Size Calculations in Clinical Research, ch. 3), solved for
    the rows from the interval at hand. The cheaper of the two ways counts. None: it is
    settled already, or a billion rows would not do.
    """
    half = (interval.high - interval.low) / 2
    delta = (interval.high + interval.low) / 2
    kind = decide_kind(interval, greater_is_better=True, margin=margin)
    if rows < 1 or half <= 0 or kind is not Kind.INCONCLUSIVE:
        return None
    room = max(abs(delta), (margin or 0) - abs(delta))
    normal = NormalDist()
    reach = half * (1 + normal.inv_cdf(power) / normal.inv_cdf((1 + interval.confidence) / 2))
    if room <= reach * math.sqrt(rows / _MOST_ROWS):
        return None
    return max(1, math.ceil(rows * (reach / room) ** 2) - rows)


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
