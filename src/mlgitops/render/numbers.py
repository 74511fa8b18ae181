"""Numbers to text with no more digits than they deserve. Pure; for every form of a report."""

from __future__ import annotations

import math

#: What stands where there is no number.
DASH = "\u2013"
_MINUS = "\u2212"
_LARGE = 1e9
_MOST_DECIMALS = 8


def choose_decimals(
    base: float | None,
    head: float | None,
    *,
    half_width: float | None = None,
    apart_from: tuple[float, ...] = (),
) -> int:
    """Choose how many decimals to show of two values and their difference.

    Two digits of an interval's half width; without one, none of whole numbers, and otherwise
    two of the difference and four of the values. More where head would otherwise look equal
    to a number in ``apart_from`` (a limit) that it differs from.
    """
    delta = head - base if base is not None and head is not None else 0.0
    largest = max(abs(base or 0.0), abs(head or 0.0))
    if half_width:
        decimals = _decimals(half_width, 2)
    elif _are_counts(base, head):
        decimals = 0
    elif delta:
        decimals = max(_decimals(delta, 2), _decimals(largest, 4))
    else:
        decimals = _decimals(largest, 4)
    for limit in apart_from:
        while head is not None and _look_alike(head, limit, decimals):
            decimals += 1
    return min(max(decimals, 0), _MOST_DECIMALS)


def render_number(value: float | None, decimals: int) -> str:
    """Render a value; a dash when there is none.

    >>> render_number(10157.66, 1), render_number(None, 2) == DASH
    ('10,157.7', True)
    """
    if value is None:
        return DASH
    if value and (abs(value) >= _LARGE or abs(value) < 10.0**-_MOST_DECIMALS):
        text = f"{value:.4g}"
    else:
        text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", _MINUS)


def render_delta(value: float | None, decimals: int) -> str:
    """Render a difference with its sign.

    >>> render_delta(0.0299, 4), render_delta(0.0, 2)
    ('+0.0299', '0.00')
    """
    text = render_number(value, decimals)
    return f"+{text}" if value is not None and value > 0 and not _is_zero(text) else text


def render_ends(low: float, high: float, decimals: int) -> str:
    """Render an interval's ends with their signs.

    An end that would be rounded to zero gets the digits that tell its side: whether the
    interval leaves out zero must show.

    >>> render_ends(-0.0561, -0.0003, 3), render_ends(-0.02, 0.0, 3)
    ('\u22120.056 to \u22120.0003', '\u22120.020 to 0.000')
    """
    return " to ".join(render_delta(end, _tell_side(end, decimals)) for end in (low, high))


def render_plain(value: float) -> str:
    """Render a number that a person wrote, such as a limit, as they wrote it.

    >>> render_plain(0.005), render_plain(50.0)
    ('0.005', '50')
    """
    return f"{value:.10g}".replace("-", _MINUS)


def render_size(size: int) -> str:
    """Render a number of bytes.

    >>> render_size(1_234_567)
    '1.23 MB'
    """
    amount, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:  # noqa: PLR2004 - the next unit's 1.0
        amount, units = amount / 1000, units[1:]
    return f"{amount:.0f} {units[0]}" if units[0] == "B" else f"{amount:.3g} {units[0]}"


def render_seconds(seconds: float) -> str:
    """Render a time as a person would say it."""
    minute = 60
    if seconds < minute:
        return f"{seconds:.1f} s"
    return f"{int(seconds // minute)} min {int(seconds % minute)} s"


def _tell_side(end: float, decimals: int) -> int:
    """Return the decimals that keep ``end`` apart from zero."""
    if end and float(f"{end:.{decimals}f}") == 0:
        return min(_decimals(end, 1), _MOST_DECIMALS)
    return decimals


def _decimals(value: float, digits: int) -> int:
    """Return the decimals that show ``digits`` significant digits of ``value``."""
    if not value or not math.isfinite(value):
        return 2
    # By way of text: a difference such as 0.0121 - 0.0120 is a hair below 0.0001.
    exponent = int(f"{abs(value):.{digits - 1}e}".partition("e")[2])
    return max(0, digits - 1 - exponent)


def _are_counts(*values: float | None) -> bool:
    """Tell whether the values are whole numbers, and not shares that happen to be 0 or 1."""
    numbers = [value for value in values if value is not None]
    whole = all(float(value).is_integer() for value in numbers)
    return whole and any(abs(value) > 1 for value in numbers)


def _look_alike(value: float, limit: float, decimals: int) -> bool:
    same = f"{value:.{decimals}f}" == f"{limit:.{decimals}f}"
    return same and value != limit and decimals < _MOST_DECIMALS


def _is_zero(text: str) -> bool:
    return not text.strip("0.,")
