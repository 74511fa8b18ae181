"""Plain decimals such as -12.5, eight characters at a time in one 64-bit word. Pure.

A cell of up to sixteen characters is two words, its first character in the lowest byte of the
first. A few operations on words do for a whole column what a loop over characters would do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]
    Counts = NDArray[np.uint64]

#: A whole number of so many digits is exact in a float, and so is its quotient by 10^15:
#: the one rounding that is left is the division's, as in a correct decimal conversion.
#: Source: Clinger 1990, How to read floating point numbers accurately, section 3.
EXACT_DIGITS = 15

_LONGEST = 16
_PLUS, _MINUS = np.uint64(ord("+")), np.uint64(ord("-"))
_POWERS = 10.0 ** np.arange(_LONGEST + 1)
_ONE, _BYTE, _WORD = np.uint64(1), np.uint64(8), np.uint64(64)
_LOW_SEVEN = np.uint64(0x7F7F7F7F7F7F7F7F)  # of each byte
_TOP = np.uint64(0x8080808080808080)
_DOTS = np.uint64(0x2E2E2E2E2E2E2E2E)
_ZEROS = np.uint64(0x3030303030303030)
_TO_TOP = np.uint64(0x7676767676767676)  # what lifts 10, and not 9, to the top bit
_ALL = ~np.uint64(0)


def parse_plain(
    words: Words, lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read cells such as -12.5; return the values, and which cells are of that form.

    ``words`` is rows x words, zero behind each cell's end. The form: a sign or none, up to
    ``EXACT_DIGITS`` digits with a dot at most among them, sixteen characters in all. The values
    of other cells mean nothing.
    """
    low = words[:, 0].copy()
    # All cells fit into one word: one zero stands for the second of every row.
    high = words[:, 1].copy() if words.shape[1] > 1 else np.zeros(1, dtype=np.uint64)
    size = np.minimum(lengths, _LONGEST).astype(np.uint64)
    first = low & np.uint64(0xFF)
    negative = first == _MINUS
    low, high, size = _drop_sign(low, high, size, negative | (first == _PLUS))
    low, high, digits, decimals = _drop_dot(low, high, size)
    mantissa, odd = _read_digits(low, high, digits)
    odd |= (digits == 0) | (digits > EXACT_DIGITS) | (lengths > _LONGEST)
    values = mantissa / _POWERS[decimals.astype(np.intp)]
    np.negative(values, out=values, where=negative)
    return values + 0.0, ~odd  # no negative zero


def _drop_sign(
    low: Words, high: Words, size: Counts, signed: NDArray[np.bool_]
) -> tuple[Words, Words, Counts]:
    """Take the first character away where it is a sign."""
    if not signed.any():
        return low, high, size
    bits = signed * _BYTE
    carried = np.where(signed, high << np.uint64(56), np.uint64(0))
    return (low >> bits) | carried, high >> bits, size - signed


def _drop_dot(low: Words, high: Words, size: Counts) -> tuple[Words, Words, Counts, Counts]:
    """Take the first dot out; return the size that is left, and how much is behind it."""
    low_dots, high_dots = _mark_zero_bytes(low ^ _DOTS), _mark_zero_bytes(high ^ _DOTS)
    before_low = _mask_before(low_dots)
    before_high = np.where(low_dots == 0, _mask_before(high_dots), np.uint64(0))
    before = (np.bitwise_count(before_low) + np.bitwise_count(before_high)) >> 3
    carried = (high << np.uint64(56)) & ~before_low
    low = (low & before_low) | ((low >> _BYTE) & ~before_low) | carried
    high = (high & before_high) | ((high >> _BYTE) & ~before_high)
    digits = size - ((low_dots | high_dots) != 0)
    return low, high, digits, digits - np.minimum(before, digits)


def _mark_zero_bytes(words: Words) -> Words:
    """Set the top bit of each byte that is zero, and nothing else."""
    return np.asarray(~(((words & _LOW_SEVEN) + _LOW_SEVEN) | words | _LOW_SEVEN))


def _mask_before(marks: Words) -> Words:
    """Return ones in all bytes before the first mark; in all when there is none."""
    lowest = marks & (~marks + _ONE)
    return np.asarray((lowest >> np.uint64(7)) - _ONE)


def _read_digits(low: Words, high: Words, digits: Counts) -> tuple[Words, NDArray[np.bool_]]:
    """Return the numbers that so many digits say, and which cells hold anything but digits."""
    used = np.minimum(digits, _BYTE) * _BYTE
    low = (low ^ _ZEROS) & ~_shift_left(_ALL, used)
    high = (high ^ _ZEROS) & ~_shift_left(_ALL, digits * _BYTE - used)
    odd = (((low + _TO_TOP) | low | (high + _TO_TOP) | high) & _TOP) != 0
    more = (digits > _BYTE) & ~odd
    # The last digit moves to the top byte, and what falls out of the word is zero.
    last = _shift_left(low, _WORD - used)
    if not more.any():
        return _read_eight(last), odd
    bits = np.where(more, np.uint64(2) * _WORD - digits * _BYTE, np.uint64(0))
    joined = _shift_left(high, bits) | np.where(more, low >> (_WORD - bits), np.uint64(0))
    front = np.where(more, _shift_left(low, bits), np.uint64(0))
    last = np.where(more, joined, last)
    return _read_eight(front) * np.uint64(10**8) + _read_eight(last), odd


def _shift_left(words: Words | np.uint64, bits: Counts) -> Words:
    """Shift by 0 to 64 bits."""
    half = bits >> _ONE
    return np.asarray((words << half) << (bits - half))


def _read_eight(words: Words) -> Words:
    """Return the numbers of eight digits each, the first digit in the lowest byte.

    Neighbours are joined to numbers below 100, these to below 10^4, these to below 10^8.
    Source: Lemire 2021, Number parsing at a gigabyte per second, https://doi.org/10.1002/spe.2984.
    """
    pairs = (words * np.uint64(10) + (words >> _BYTE)) & np.uint64(0x00FF00FF00FF00FF)
    fours = (pairs * np.uint64(100) + (pairs >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    eight = fours * np.uint64(10_000) + (fours >> np.uint64(32))
    return np.asarray(eight & np.uint64(0xFFFFFFFF))
