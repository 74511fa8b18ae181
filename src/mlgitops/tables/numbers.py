"""Cells to numbers and days: whole arrays of characters at once, and exactly. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgitops.tables.digits import parse_plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Chars = NDArray[np.uint8]
    Floats = NDArray[np.float64]

_ZERO, _PLUS, _MINUS = 48, 43, 45
_ALLOWED = np.isin(np.arange(256), np.frombuffer(b"\x000123456789+-.eE inf", dtype=np.uint8))

#: What may follow the day: a time, such as T06:30:00.5+02:00 or a blank and 06:30Z.
_TIME = np.isin(np.arange(256), np.frombuffer(b"\x000123456789:.+-Z T", dtype=np.uint8))


def parse_numbers(
    chars: Chars, lengths: NDArray[np.int64], missing: NDArray[np.bool_]
) -> Floats | None:
    """Return the cells as floats, NaN where missing; None when one is no number.

    ``chars`` is rows x width, a multiple of 8, and zero behind each cell's end. A number is what
    Python's `float` reads, without underscores; a leading zero as in a postcode makes a text.
    """
    if _has_leading_zero(chars, missing):
        return None
    values, plain = parse_plain(chars.view("<u8").astype(np.uint64, copy=False), lengths)
    rest = ~plain & ~missing
    if rest.any():
        odd = _parse_odd(chars[rest], lengths[rest])
        if odd is None:
            return None
        values[rest] = odd
    values[missing] = np.nan
    return values


def parse_days(
    chars: Chars, lengths: NDArray[np.int64], missing: NDArray[np.bool_]
) -> Floats | None:
    """Return days since 1970-01-01 of cells such as 2013-07-31, with or without a time.

    NaN where missing; None when one is no date or names a day that does not exist.
    """
    rest = ~missing
    days = np.full(len(lengths), np.nan)
    if chars.shape[1] < 10 or bool((lengths[rest] < 10).any()):  # noqa: PLR2004 - YYYY-MM-DD
        return None if rest.any() else days
    cells = np.ascontiguousarray(chars[rest, :10])
    digits = cells[:, [0, 1, 2, 3, 5, 6, 8, 9]] - np.uint8(_ZERO)
    if not (digits <= 9).all() or not (cells[:, [4, 7]] == _MINUS).all():  # noqa: PLR2004
        return None
    if not _TIME[chars[rest, 10:]].all() or bool((lengths[rest] > chars.shape[1]).any()):
        return None
    try:
        dates = cells.view("S10").ravel().astype("U10").astype("M8[D]")
    except ValueError:
        return None
    days[rest] = dates.astype(np.int64)
    return days


def _has_leading_zero(chars: Chars, missing: NDArray[np.bool_]) -> bool:
    """Tell whether a cell is written as 01 or -01."""
    first = chars[:, 0]
    signed = (first == _MINUS) | (first == _PLUS)
    lead = np.where(signed, chars[:, 1], first)
    after = np.where(signed, chars[:, 2], chars[:, 1]) - np.uint8(_ZERO)
    return bool(((lead == _ZERO) & (after <= 9) & ~missing).any())  # noqa: PLR2004


def _parse_odd(chars: Chars, lengths: NDArray[np.int64]) -> Floats | None:
    """Read cells in any other form of a number: exponents, many digits, blanks around."""
    if bool((lengths > chars.shape[1]).any()) or not _ALLOWED[chars].all():
        return None
    texts = np.ascontiguousarray(chars).view(f"S{chars.shape[1]}").ravel()
    try:
        return texts.astype(np.float64) + 0.0
    except ValueError:
        return None
