"""Columns to groups of rows: which group each row is in, and what the groups are called. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.numeric import sort_distinct
from mlgitops.statistics.estimate import Undefined
from mlgitops.statistics.labels import name_label
from mlgitops.statistics.matching import hash_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mlgitops.tables.predictions import Column

    Codes = NDArray[np.intp]

_SAMPLE = 2**14  # rows that show the usual values
_BLOCK = 2**16  # rows whose intermediate values stay in the processor's cache
_PLACES = 16  # bits of the table that known values are looked up in
_FAITHFUL = 8  # bytes: the hashes of longer texts may be equal though the texts are not
_MAX_TEXT = 60


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """The groups that occur, by the value that each has in each column."""

    codes: Codes  # group of each row
    rows: NDArray[np.float64]  # in each group
    first: Codes  # one row of each group
    columns: tuple[Column, ...]

    def name(self, group: int) -> tuple[str, ...]:
        """Return the group's value in each column, as text."""
        row = int(self.first[group])
        return tuple(name_label(column[row].item())[:_MAX_TEXT] for column in self.columns)


def group_rows(columns: Mapping[str, Column], by: Sequence[str]) -> Groups:
    """Group rows by the values of the columns ``by``. Raises Undefined when one is not there."""
    missing = [name for name in by if name not in columns]
    if missing:
        raise Undefined(f"the predictions have no column `{missing[0][:80]}`")
    codes = code_values(columns[by[0]])
    for name in by[1:]:
        more = code_values(columns[name])
        codes = code_values(codes * (int(more.max()) + 1) + more)
    count = int(codes.max()) + 1
    first = np.empty(count, dtype=np.intp)
    first[codes] = np.arange(len(codes))
    return Groups(
        codes=codes,
        rows=np.bincount(codes, minlength=count).astype(np.float64),
        first=first,
        columns=tuple(columns[name] for name in by),
    )


def code_values(column: Column) -> Codes:
    """Return the number of each row's value, distinct values counted from 0.

    A table of the values that a sample shows serves most rows; others are added to it.
    """
    if column.dtype.kind == "f":
        return np.unique(column, return_inverse=True)[1]
    keys = hash_texts(column if column.dtype.kind == "S" else column.astype(np.int64).view("S8"))
    distinct = sort_distinct(keys[:_SAMPLE])
    codes = _look_up(keys, distinct)
    if codes is None:
        distinct, codes = np.unique(keys, return_inverse=True)
    if column.dtype.kind == "S" and column.itemsize > _FAITHFUL:
        first = np.empty(len(distinct), dtype=np.intp)
        first[codes] = np.arange(len(codes))
        if not np.array_equal(column[first][codes], column):  # two texts of one hash
            codes = np.unique(column, return_inverse=True)[1]
    return codes.astype(np.intp, copy=False)


def _look_up(keys: NDArray[np.int64], distinct: NDArray[np.int64]) -> Codes | None:
    """Return the place of each key in ``distinct``; None when there are others.

    The upper bits of a hash are its place in a table, unless two known ones share them.
    """
    places = _find_places(distinct)
    table = np.zeros(2**_PLACES, dtype=np.intp)
    table[places] = np.arange(len(distinct))
    spread = len(sort_distinct(places)) == len(distinct)
    codes = np.empty(len(keys), dtype=np.intp)
    for start in range(0, len(keys), _BLOCK):
        own = keys[start : start + _BLOCK]
        ranks = table[_find_places(own)] if spread else np.searchsorted(distinct, own)
        np.minimum(ranks, len(distinct) - 1, out=ranks)
        if (distinct[ranks] != own).any():
            return None
        codes[start : start + _BLOCK] = ranks
    return codes


def _find_places(keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    return keys.view(np.uint64) >> np.uint64(64 - _PLACES)
