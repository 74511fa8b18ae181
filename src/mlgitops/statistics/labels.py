"""Class labels to small whole numbers, the same on both sides. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.cells import align_columns
from mlgitops.statistics.estimate import Undefined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlgitops.tables.predictions import Column

    Codes = NDArray[np.uint8 | np.uint16]

#: More distinct labels than this are numbers, not classes.
MOST_CLASSES = 1_000
_FEW = 20  # up to so many, comparing with each label is quickest
_TABLE = 2**16  # labels within this range are looked up in a table


@dataclass(frozen=True, kw_only=True, eq=False)
class Coded:
    """Target, base and head as positions in ``labels`` (sorted)."""

    labels: Column
    target: Codes
    base: Codes
    head: Codes

    @cached_property
    def names(self) -> list[str]:
        """Return the labels as text, as they stand in `score_<class>`."""
        return [name_label(label) for label in self.labels.tolist()]


def name_label(label: object) -> str:
    """Return a label as text; a float that is whole reads as a whole number."""
    if isinstance(label, bytes):
        return label.decode("utf-8", "replace")
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def code_labels(target: Column, base: Column, head: Column) -> Coded:
    """Code the classes of target and predictions. Raises Undefined when these are no classes."""
    if not len(target):
        raise Undefined("no row of one side is matched with a row of the other")
    columns = align_columns((target, base, head))
    for column, role in zip(columns, ("target", "base's prediction", "head's prediction"),
                            strict=True):  # fmt: skip
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            row = int(np.flatnonzero(~np.isfinite(column))[0]) + 1
            raise Undefined(f"{role} is not a finite number in matched row {row:,}")
    labels = _find_labels(columns)
    if len(labels) > MOST_CLASSES:
        raise Undefined(f"{len(labels):,} distinct values are numbers rather than classes")
    codes = [_code(column, labels) for column in columns]
    return Coded(labels=labels, target=codes[0], base=codes[1], head=codes[2])


def _find_labels(columns: list[Column]) -> Column:
    """Return the distinct values of all columns, sorted."""
    if all(column.dtype.kind in "iu" for column in columns):
        low = min(int(column.min()) for column in columns)
        high = max(int(column.max()) for column in columns)
        if high - low < _FEW:
            values = range(low, high + 1)
            return np.array([v for v in values if any((c == v).any() for c in columns)])
        if high - low < _TABLE:
            seen = np.zeros(high - low + 1, dtype=bool)
            for column in columns:
                seen[column.astype(np.intp) - low] = True
            return np.flatnonzero(seen) + low
    return np.unique(np.concatenate([_distinct(column) for column in columns]))


def _distinct(column: Column) -> Column:
    """Return the distinct values: peel off one after the other while they are few."""
    values: list[object] = []
    rest = column
    while len(rest) and len(values) < _FEW:
        values.append(rest[0])
        rest = rest[rest != rest[0]]
    return np.unique(np.concatenate([np.asarray(values, dtype=column.dtype), rest]))


def _code(column: Column, labels: Column) -> Codes:
    """Return the position of each value in ``labels``, in the smallest type that holds it."""
    kind: type[np.uint8 | np.uint16] = np.uint8 if len(labels) <= 2**8 else np.uint16
    if labels.dtype.kind in "iu" and int(labels[-1]) - int(labels[0]) < _TABLE:
        low = int(labels[0])
        if len(labels) == int(labels[-1]) - low + 1:
            return np.asarray(column - column.dtype.type(low), dtype=kind)
        table = np.zeros(int(labels[-1]) - low + 1, dtype=kind)
        table[labels - low] = np.arange(len(labels), dtype=kind)
        return np.asarray(table[column.astype(np.intp) - low], dtype=kind)
    return np.asarray(np.searchsorted(labels, column), dtype=kind)
