"""When two cells are the same id or label, one read as a number and the other as text. Pure.

The rule stands in docs/reference/predictions.md: numbers are equal by value, and a text is a
number where it is written as the number is, with or without `.0`: `7`, `7.0` and 7 are one, `07`
is a text. `True` and `False` are 1 and 0 where what they are compared with is 0 and 1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.tables.predictions import Column

_WHOLE = re.compile(rb"(0|-?[1-9][0-9]*)\.0")
_NUMBER = "S24"  # the longest text of a number
_TRUE, _FALSE = (b"True", b"true"), (b"False", b"false")
_DOT = ord(".")
_BLOCK = 2**16  # rows that are looked through at once


def align_columns(columns: Sequence[Column]) -> list[Column]:
    """Return the columns so that their cells are equal exactly where the rule says they are."""
    columns = [_shorten(column) if column.dtype.kind == "S" else column for column in columns]
    texts = [column for column in columns if column.dtype.kind == "S"]
    numbers = [column for column in columns if column.dtype.kind != "S"]
    if not texts or not numbers:
        return columns
    if all(map(_are_bits, numbers)) and all(map(_are_booleans, texts)):
        return [
            np.isin(column, _TRUE).astype(np.int8) if column.dtype.kind == "S" else column
            for column in columns
        ]
    return [
        column if column.dtype.kind == "S" else _shorten(column.astype(_NUMBER))
        for column in columns
    ]


def _are_bits(column: Column) -> bool:
    return bool(((column == 0) | (column == 1)).all())


def _are_booleans(column: Column) -> bool:
    return bool(np.isin(column, _TRUE + _FALSE).all())


def _has_dot(texts: Column) -> bool:
    return bool((np.ascontiguousarray(texts).view(np.uint8) == _DOT).any())


def _shorten(texts: Column) -> Column:
    """Take `.0` from whole numbers; other texts stay as they are."""
    if not any(_has_dot(texts[at : at + _BLOCK]) for at in range(0, len(texts), _BLOCK)):
        return texts
    rows = np.flatnonzero(np.strings.endswith(texts, b".0"))
    rows = rows[[bool(_WHOLE.fullmatch(text)) for text in texts[rows].tolist()]]
    if not len(rows):
        return texts
    shorter = texts.copy()
    shorter[rows] = [text[:-2] for text in texts[rows].tolist()]
    return shorter
