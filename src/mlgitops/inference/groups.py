"""Columns to groups of rows: which group each row is in, and what the groups are called. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.inference.estimate import Undefined
from mlgitops.inference.labels import name_label
from mlgitops.inference.matching import hash_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mlgitops.predictions import Column

    Codes = NDArray[np.intp]

_SAMPLE = 2**14  # rows that show the usual values
_MAX_TEXT = 60


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """The groups that occur, by the value that each has in each column."""

    codes: Codes  # group of each row
    rows: NDArray[np.float64]  # in each group
    first: Codes  # a row of each group
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
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # the first row is written last
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
    keys = hash_texts(column) if column.dtype.kind == "S" else column
    known = np.unique(keys[:_SAMPLE])
    codes = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    strange = keys[known[codes] != keys]
    if len(strange):
        known, codes = np.unique(keys, return_inverse=True)
    if column.dtype.kind == "S":
        first = np.empty(len(known), dtype=np.intp)
        first[codes] = np.arange(len(codes))
        if not np.array_equal(column[first][codes], column):  # two texts of one hash
            codes = np.unique(column, return_inverse=True)[1]
    return codes.astype(np.intp, copy=False)
