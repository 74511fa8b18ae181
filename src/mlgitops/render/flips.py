"""The rows on which two models differ, as tables of texts: terminal and page agree. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.render.numbers import render_plain

if TYPE_CHECKING:
    from mlgitops.model.flips import Flip, Flips


class FlipTable(Struct, frozen=True, kw_only=True):
    """The rows that moved in one direction."""

    title: str
    head: list[str]
    rows: list[list[str]]
    hidden: int  # rows that are not listed


def flip_tables(flips: Flips) -> list[FlipTable]:
    """Return the rows that went wrong, then those that came right; neither where none did."""
    titles = ("right at base, wrong at head", "wrong at base, right at head")
    if not flips.of_classes:
        titles = ("rows whose error grew", "rows whose error shrank")
    sides = ((flips.worse, flips.worse_rows), (flips.better, flips.better_rows))
    return [
        _make_table(f"{count:,} of {flips.rows:,} test rows: {title}", flips, listed, count)
        for title, (listed, count) in zip(titles, sides, strict=True)
    ]


def _make_table(title: str, flips: Flips, listed: tuple[Flip, ...], count: int) -> FlipTable:
    loss = "loss" if flips.of_classes else "error"
    columns = list(listed[0].columns) if listed else []
    head = ["id", "target", "base", "head", f"{loss} at base", f"{loss} at head", *columns]
    rows = [
        [
            *(flip.id, flip.target, flip.base, flip.head),
            *(render_plain(float(f"{number:.3g}")) for number in (flip.base_loss, flip.head_loss)),
            *(flip.columns[name] for name in columns),
        ]
        for flip in listed
    ]
    return FlipTable(title=title, head=head, rows=rows, hidden=count - len(listed))
