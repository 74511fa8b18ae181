"""The cells of one column, block by block: identities, missing ones, numbers, days, levels.

Pure. Every step works on whole arrays; only long or unusual cells are looked at one by one. Most
columns say the same few things again and again, so what a text means is worked out once for each
that a block holds.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mlgitops.tables.blocks import PADDING
from mlgitops.tables.numbers import parse_days, parse_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Chars = NDArray[np.uint8]

_T = TypeVar("_T", bound=np.generic)

#: A column with more different texts than this is not one of categories.
MAX_LEVELS = 1_000
#: Written for a missing value by databases, spreadsheets, pandas and R.
MISSING = ("NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "NaT")

_SLOTS = 2**16
_SHIFTS = tuple(np.uint64(shift) for shift in (48, 32, 16, 0))
_MANY = MAX_LEVELS + len(MISSING) + 1  # different cells: more than a column of categories has
_FEW = 64  # cells that are enough to see that most columns hold no numbers
_WORD = 8
_MAX_SHOWN = 100
#: What is kept of a word whose first n bytes belong to the cell, n from 0 to 8.
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(_WORD + 1)], dtype="<u8")


class ColumnReader:
    """Collects one column; :meth:`add` takes the cells of the next block."""

    def __init__(self) -> None:
        self.identity: list[NDArray[np.uint64]] = []
        self.missing: list[NDArray[np.bool_]] = []
        self.numbers: list[NDArray[np.float64]] | None = []  # None: not all are numbers
        self.days: list[NDArray[np.float64]] | None = []  # None: not all are dates
        self.levels: dict[int, str] | None = {}  # None: too many
        self.is_empty = True
        self.repeats = True  # False: a block was seen in which most cells differ

    def add(self, buffer: Chars, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Take the cells that stand at ``starts`` in ``buffer``."""
        words = gather_words(buffer, starts, lengths)
        identity = identify(words, buffer, starts, lengths)
        self.identity.append(identity)
        distinct = find_distinct(identity) if self.repeats else None
        if distinct is None:
            self.repeats, self.levels, codes = False, None, None
        else:
            first, codes = distinct
            words, identity = words[first], identity[first]
            starts, lengths = starts[first], lengths[first]
        missing = (lengths == 0) | np.isin(identity, _missing_marks())
        self.missing.append(_spread(missing, codes))
        self.is_empty &= bool(missing.all())
        self._add_values(words.view(np.uint8), lengths, missing, codes)
        if self.levels is not None:
            self._add_levels(identity[~missing], buffer, starts[~missing], lengths[~missing])

    def _add_values(
        self,
        chars: Chars,
        lengths: NDArray[np.int64],
        missing: NDArray[np.bool_],
        codes: NDArray[np.intp] | None,
    ) -> None:
        """Keep the cells as numbers or as days, while all of the column are such."""
        if self.numbers is not None:
            numbers = _parse(parse_numbers, chars, lengths, missing)
            self.numbers = _extend(self.numbers, numbers, codes)
        if self.days is not None:
            dates = self.numbers is None or bool(missing.all())  # numbers are no dates
            days = _parse(parse_days, chars, lengths, missing) if dates else None
            self.days = _extend(self.days, days, codes)

    def _add_levels(
        self,
        identity: NDArray[np.uint64],
        buffer: Chars,
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
    ) -> None:
        """Keep one text for each identity not seen before; no two of these are equal."""
        levels = self.levels or {}
        if identity.size > MAX_LEVELS:
            self.levels = None
            return
        for at, key in enumerate(identity.tolist()):
            if key not in levels:
                cell = buffer[starts[at] : starts[at] + min(lengths[at], 4 * _MAX_SHOWN)]
                levels[key] = cell.tobytes().decode("utf-8", "replace")[:_MAX_SHOWN]
        self.levels = levels if len(levels) <= MAX_LEVELS else None


def gather_words(
    buffer: Chars, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return the first bytes of each cell (at most 64), zero-filled: rows x 8-byte words."""
    longest = min(int(lengths.max(initial=0)), PADDING)
    count = max(1, -(-longest // _WORD))
    windows = np.ndarray(
        (buffer.size - count * _WORD + 1,), dtype=f"V{count * _WORD}", buffer=buffer, strides=(1,)
    )
    words = windows[starts].view("<u8").reshape(-1, count)
    for at in range(count):
        words[:, at] &= _MASKS[np.clip(lengths - at * _WORD, 0, _WORD)]
    return words.astype(np.uint64, copy=False)


def identify(
    words: NDArray[np.uint64],
    buffer: Chars,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> NDArray[np.uint64]:
    """Return 64 bits for each cell, equal for equal text.

    They are keyed with a secret of this process, so nobody can prepare two texts that look
    the same to us; by chance two of a million cells do with a probability of 3e-8.
    """
    keys = np.zeros(len(lengths), dtype=np.uint64)
    for at in range(words.shape[1]):
        word = words[:, at]
        keys += np.where(word != 0, mix(word ^ _secret()[at]), np.uint64(0))
    for at in np.flatnonzero(lengths > PADDING).tolist():
        keys[at] = _digest(buffer[starts[at] : starts[at] + lengths[at]].tobytes())
    return keys


def find_distinct(
    identity: NDArray[np.uint64],
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Return a row of each different identity, and for every row which of these it equals.

    None when more than half of the rows, and more than a column of categories has, differ.
    """
    all_rows = np.arange(identity.size)
    equal_row = all_rows.copy()
    most = max(_MANY, min(identity.size, _SLOTS) // 2)
    unsettled = all_rows
    for shift in _SHIFTS:
        unsettled = _claim_slots(identity, equal_row, unsettled, shift)
        if np.count_nonzero(equal_row == all_rows) > most:
            return None
        if not unsettled.size:
            break
    else:
        _, first, inverse = np.unique(identity[unsettled], return_index=True, return_inverse=True)
        equal_row[unsettled] = unsettled[first][inverse]
    chosen = np.flatnonzero(equal_row == all_rows)
    codes = np.empty(identity.size, dtype=np.intp)
    codes[chosen] = np.arange(chosen.size)
    return chosen, codes[equal_row]


def _claim_slots(
    identity: NDArray[np.uint64],
    equal_row: NDArray[np.intp],
    rows: NDArray[np.intp],
    shift: np.uint64,
) -> NDArray[np.intp]:
    """Set the row that each of ``rows`` equals; return those to try by other bits.

    Each row claims the slot that 16 bits of its identity name. Rows of the identity that holds
    the slot in the end are settled. This takes a few passes, where sorting takes twenty.
    """
    values = identity[rows]
    slots = ((values >> shift) & np.uint64(_SLOTS - 1)).astype(np.intp)
    holders = np.zeros(_SLOTS, dtype=np.intp)
    holders[slots] = rows
    equal_row[rows] = holders[slots]
    return np.asarray(rows[identity[equal_row[rows]] != values])


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit words, one to one.

    Source: the finalizer of SplitMix64, Steele, Lea & Flood 2014,
    https://doi.org/10.1145/2660193.2660195 (constants: https://prng.di.unimi.it/splitmix64.c).
    """
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def salt(at: int) -> np.uint64:
    """Return a word that is secret and the same for every table of this process."""
    return np.uint64(_secret()[at % 4096])


@cache
def _secret() -> NDArray[np.uint64]:
    return np.frombuffer(os.urandom(8 * 4096), dtype=np.uint64)


def _digest(text: bytes) -> int:
    import hashlib

    key = _secret()[:4].tobytes()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=key).digest(), "little")


@cache
def _missing_marks() -> NDArray[np.uint64]:
    buffer = np.frombuffer("".join(MISSING).encode() + bytes(PADDING), dtype=np.uint8)
    lengths = np.array([len(mark) for mark in MISSING], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    return identify(gather_words(buffer, starts, lengths), buffer, starts, lengths)


def _parse(
    parse: Callable[[Chars, NDArray[np.int64], NDArray[np.bool_]], NDArray[np.float64] | None],
    chars: Chars,
    lengths: NDArray[np.int64],
    missing: NDArray[np.bool_],
) -> NDArray[np.float64] | None:
    """Parse all cells; when the first few are of another kind, the others are not looked at."""
    if parse(chars[:_FEW], lengths[:_FEW], missing[:_FEW]) is None:
        return None
    return parse(chars, lengths, missing)


def _extend(
    parts: list[NDArray[np.float64]],
    part: NDArray[np.float64] | None,
    codes: NDArray[np.intp] | None,
) -> list[NDArray[np.float64]] | None:
    return None if part is None else [*parts, _spread(part, codes)]


def _spread(values: NDArray[_T], codes: NDArray[np.intp] | None) -> NDArray[_T]:
    """Return a value for every row, from those of the distinct cells."""
    return values if codes is None else values[codes]
