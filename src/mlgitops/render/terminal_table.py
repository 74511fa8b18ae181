"""A table as lines of a terminal, in whichever form fits its window. Pure.

Names and numbers are broken only where one alone is wider than the window. Widths are in columns
of the terminal: a Chinese character takes two.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = "  "
_LEAST_WINDOW = 20
_LEAST_TEXT = 16  # narrower, a sentence becomes a column of single words


@dataclass(frozen=True, kw_only=True)
class TerminalTable:
    """Cells of one visible line each; the first ``labels`` columns say what a row is about."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int = 1
    wraps: frozenset[int] = frozenset()  # columns that may be broken between words


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The lines of a table's head, and those of each row; none ends in a space."""

    head: list[str]
    rows: list[list[str]]


def lay_out(table: TerminalTable, window: int) -> Layout:
    """Lay ``table`` out within ``window`` columns: in the first of three forms that fits.

    One line a row; else its labels above its values; else each value on a line of its own,
    beside the name of its column. Where the window has under 20 columns, 20 are used.
    """
    window = max(window, _LEAST_WINDOW)
    columns = list(range(len(table.head)))
    widths = _find_widths(table, columns, window)
    if widths is not None:
        head, *rows = (_join(row, widths) for row in (table.head, *table.rows))
        return Layout(head=head, rows=rows)
    values = columns[table.labels :]
    widths = _find_widths(table, values, window - len(_GAP))
    if widths is not None:
        head, *rows = (
            _label(table, row, window) + _indent(_join(row[table.labels :], widths))
            for row in (table.head, *table.rows)
        )
        return Layout(head=head, rows=rows)
    rows = [_list_values(table, row, window) for row in table.rows]
    return Layout(head=_label(table, table.head, window), rows=rows)


def _find_widths(table: TerminalTable, columns: Sequence[int], window: int) -> list[int] | None:
    """Share ``window`` out among ``columns``; None when it has no place for them all."""
    cells = [[row[column] for row in (table.head, *table.rows)] for column in columns]
    whole = [max(map(cell_len, texts)) for texts in cells]
    widths = [
        min(width, max(_LEAST_TEXT, _find_longest_word(texts))) if column in table.wraps else width
        for column, texts, width in zip(columns, cells, whole, strict=True)
    ]
    free = window - sum(widths) - len(_GAP) * (len(columns) - 1)
    if free < 0:
        return None
    lacking = sorted(range(len(widths)), key=lambda at: whole[at] - widths[at])
    for count, at in enumerate(lacking):  # what lacks least first: it leaves more to the others
        extra = min(whole[at] - widths[at], free // (len(lacking) - count))
        widths[at] += extra
        free -= extra
    return widths


def _find_longest_word(texts: Sequence[str]) -> int:
    return max(cell_len(word) for text in texts for word in text.split(" "))


def _join(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Set cells side by side; one that is wider than its column goes on below."""
    columns = [wrap_text(cell, width) for cell, width in zip(cells, widths, strict=True)]
    return [
        _GAP.join(
            part + " " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True)
        ).rstrip()
        for parts in zip_longest(*columns, fillvalue="")
    ]


def _label(table: TerminalTable, row: Sequence[str], window: int) -> list[str]:
    """Write what a row is about above its values; nothing for a head without names."""
    return wrap_text(_GAP.join(row[: table.labels]), window) if row[0] else []


def _list_values(table: TerminalTable, row: Sequence[str], window: int) -> list[str]:
    """Write a row's values below each other, each beside the name of its column."""
    names = table.head[table.labels :]
    name_width = max(map(cell_len, names))
    widths = [name_width, max(window - name_width - 2 * len(_GAP), 1)]
    lines = _label(table, row, window)
    for name, value in zip(names, row[table.labels :], strict=True):
        if value:
            lines += _indent(_join([name, value], widths))
    return lines


def _indent(lines: Sequence[str]) -> list[str]:
    return [_GAP + line for line in lines]


def wrap_text(text: str, width: int) -> list[str]:
    """Break ``text`` between words, and a word only where it alone is wider than ``width``."""
    lines = [""]
    for word in text.split(" "):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(line) <= width:
            lines[-1] = line
        else:
            lines += chop_cells(word, width)
    return [line.rstrip() for line in lines if line] or [""]
