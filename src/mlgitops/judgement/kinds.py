"""From intervals to words: improved, worsened, equivalent or inconclusive.

Pure, and free of numpy, so that `judge` can use it on a report alone.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from mlgitops.model import Interval, Kind
from mlgitops.statistics.intervals import FEWEST_ROWS, is_identical, is_rough
from mlgitops.statistics.power import POWER

#: Above this many rows we say that no test set will settle it.
_MOST_ROWS = 10**9
_HALVINGS = 60  # of an interval of floats: to their last digits


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
    """Return how many more test rows would settle an interval, or None.

    Settled means *improved*, *worsened* or *equivalent*, with probability ``power`` if the
    difference d stays where it is, while the half-width h shrinks with the square root of the
    rows. Zero is left out once h (1 + z_power / z) <= abs(d), where z belongs to the interval's
    confidence: n = (z + z_power)^2 s^2 / d^2 with s read off the interval. The interval lies within
    the margin m once both one-sided tests reject, of which either may fail: at d = 0 the same with
    m for d and z at (1 + power) / 2, and away from it m - abs(d) and z_power (Chow, Shao & Wang
    2008, Sample Size Calculations in Clinical Research, ch. 3.1). The cheaper way counts; where
    both are open their chances add up. No fewer are named than an interval needs not to be rough.

    None: it is settled already, or a billion rows would not do, or only a limit of the method is
    missed, of which the interval tells nothing. Where no row differs, nothing is left to chance:
    the width shrinks with the rows.
    """
    half = (interval.high - interval.low) / 2
    delta = abs(interval.high + interval.low) / 2
    kind = decide_kind(interval, greater_is_better=True, margin=margin)
    if rows < 1 or half <= 0 or kind not in (Kind.INCONCLUSIVE, Kind.UNCHANGED):
        return None
    if kind is Kind.UNCHANGED:
        return _count_more(rows, half / margin) if margin else None
    if is_rough(interval) and margin is not None and delta + half <= margin:
        return None
    normal = NormalDist()
    quantile = normal.inv_cdf((1 + interval.confidence) / 2)
    of_zero = delta / (1 + normal.inv_cdf(power) / quantile)
    of_margin = _find_reach(delta, margin, quantile, power) if margin else 0.0
    reach = max(of_zero, of_margin)
    if reach <= 0:
        return None
    more = _count_more(rows, (half / reach) ** 2)
    return max(more, FEWEST_ROWS - rows) if more is not None else None


def _count_more(rows: int, factor: float) -> int | None:
    """Return how many rows are missing from ``rows`` times ``factor``, at least one."""
    return max(1, math.ceil(rows * factor) - rows) if factor <= _MOST_ROWS / rows else None


def _find_reach(delta: float, margin: float, quantile: float, power: float) -> float:
    """Return the half-width at which the margin settles an interval with ``power``, by halving.

    The estimate is normal around ``delta``, with the error half-width / ``quantile``. At half of
    the margin nothing can be open; above, what leaves out zero on the true side counts too, less
    the part that would do so without a difference.
    """
    low, high = margin / 2, margin
    normal = NormalDist()
    false_calls = normal.cdf(-quantile)
    for _ in range(_HALVINGS):
        half = (low + high) / 2
        room, error = margin - half, half / quantile
        inside = normal.cdf((room - delta) / error) - normal.cdf((-room - delta) / error)
        beyond = max(0.0, normal.cdf((delta - half) / error) - false_calls)
        low, high = (half, high) if inside + beyond >= power else (low, half)
    return low
