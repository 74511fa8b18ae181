"""Tables below headings, to a terminal or a page: what audit and history show. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from mlgitops import __version__
from mlgitops.model import Chart  # noqa: TC001 - msgspec reads it while running
from mlgitops.render.escape import clean_text
from mlgitops.render.html import load_template, read_style
from mlgitops.render.svg import draw_chart

_TEMPLATE = "sections.html.jinja"
_LONGEST = 500  # characters of one cell


class Section(Struct, frozen=True, kw_only=True):
    """One table; its texts may be anybody's, and what stands between backticks is code."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    head: tuple[str, ...] = ()
    note: str | None = None


class Page(Struct, frozen=True, kw_only=True):
    """A headline with its answer, and the tables below it."""

    key: str
    headline: str
    tone: Literal["pass", "fail", "warn"]
    deciding: str
    sections: tuple[Section, ...]
    charts: tuple[Chart, ...] = ()
    legend: str | None = None  # of the charts


def render_page(page: Page) -> str:
    """Render HTML that loads nothing and runs nothing."""
    style, digest = read_style()
    template = load_template(_TEMPLATE)
    drawn = [(chart, draw_chart(chart, f"c{at}")) for at, chart in enumerate(page.charts)]
    return template.render(page=page, drawn=drawn, style=style, digest=digest, version=__version__)


def render_text(page: Page) -> str:
    """Render lines for a terminal or a log: no control character of anybody's reaches it."""
    lines = [_clean(page.headline), _clean(page.deciding)]
    for section in page.sections:
        if not section.rows:
            continue
        lines += ["", _clean(section.title)]
        rows = [section.head, *section.rows] if section.head else [*section.rows]
        lines += [f"  {line}" for line in _align([[_clean(cell) for cell in row] for row in rows])]
        lines += [f"  {_clean(section.note)}"] if section.note else []
    return "\n".join(lines) + "\n"


def _align(rows: list[list[str]]) -> list[str]:
    """Pad every cell but the last of a row to the width of its column."""
    columns = max(map(len, rows), default=0)
    widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(columns)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]


def _clean(text: str) -> str:
    return clean_text(text, limit=_LONGEST)
