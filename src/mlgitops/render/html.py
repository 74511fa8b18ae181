"""A report to one self-contained page: no script, no network, fit to print. Pure.

The same words and numbers as the comment, with the forest plot and the charts drawn. The
template escapes whatever it is given; what is passed as Markup was built by
:mod:`mlgitops.render.svg` and :mod:`mlgitops.render.forest`, which escape too. A strict
content security policy, with the hash of our own style, stands behind that.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import DictLoader, Environment, FileSystemBytecodeCache, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from mlgitops import __version__
from mlgitops.model import ChartKind, StageState, Verdict
from mlgitops.render.blocks import MARKS, UNPROVEN
from mlgitops.render.changes import (
    COLUMN_HEAD,
    COST_HEAD,
    column_cells,
    cost_cells,
    describe_cluster,
    describe_cost,
    describe_table,
    summarise_tables,
)
from mlgitops.render.escape import clean_text, escape_address
from mlgitops.render.facts import (
    count_moved,
    describe_other,
    explain_judged,
    explain_others,
    explain_skip,
    headline,
    is_plain_pass,
    noise_notices,
    passing_text,
    render_side,
    render_version,
    sampling_text,
    test_data_text,
)
from mlgitops.render.flips import flip_tables
from mlgitops.render.forest import draw_budget, draw_gain, find_row_gain
from mlgitops.render.measurement import (
    UNMEASURED,
    advise_measuring,
    describe_measurement,
    measurement_notices,
)
from mlgitops.render.numbers import DASH, render_plain, render_seconds
from mlgitops.render.power import describe_power
from mlgitops.render.promotion import describe_promotions, promotion_notices
from mlgitops.render.reference import describe_reference
from mlgitops.render.rescoring import describe_rescoring
from mlgitops.render.rows import find_verdict, held_rows, other_rows, shared_confidence
from mlgitops.render.sentence import describe_row, find_deciding
from mlgitops.render.slices import (
    SLICE_HEAD,
    describe_deciding_slice,
    describe_gap,
    gap_rows,
    hidden_slices,
    slice_levels,
    slice_rows,
    summarise_slices,
)
from mlgitops.render.svg import describe_chart, draw_chart
from mlgitops.render.trend import describe_slide, draw_trend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

    from mlgitops.model import Chart, Links, Report, Side
    from mlgitops.model.flips import Flips
    from mlgitops.render.rows import Row

#: Rows of one table; the rest is counted. A page stays below 1 MB.
MOST_ROWS = 1_000
_MOST_TEXT = 500
_SHADES = 9
_TEMPLATE = "report.html.jinja"
_QUIET = (StageState.UNCHANGED, StageState.SKIPPED)


class Judged(Struct, frozen=True, kw_only=True):
    """One judged metric: its row, its drawing, and the marks of its verdict."""

    row: Row
    interval: str | None  # its worse end first, as in the drawing
    drawing: Markup | None
    mark: str
    tone: str


class Drawn(Struct, frozen=True, kw_only=True):
    """One chart: an SVG, or the cells of a matrix."""

    chart: Chart
    svg: Markup | None
    cells: list[tuple[str, list[tuple[str, int]]]]  # label, then text and shade of each cell
    words: str


def render_html(report: Report, *, links: Links, flips: Flips | None = None) -> str:
    """Render the page: HTML in UTF-8, below 1 MB, that loads nothing.

    ``flips``: test rows that may be shown, as the data card says.
    """
    style, digest = read_style()
    rows = held_rows(report)
    gaps = gap_rows(report)
    return load_template().render(
        report=report,
        style=style,
        digest=digest,
        version=__version__,
        headline=headline(report),
        tone=_find_tone(report),
        deciding=_describe_deciding(report),
        why=_list_reasons(report),
        base=_describe_side(report.base, links),
        head=_describe_side(report.head, links),
        test_data=test_data_text(report),
        sampling=sampling_text(report),
        measured=describe_measurement(report),
        advice=advise_measuring(report),
        unmeasured=UNMEASURED,
        run_url=escape_address(links.run_url),
        judged=[_make_judged(row, report) for row in rows if not row.budget],
        budgets=[_make_judged(row, report) for row in rows if row.budget],
        confidence=shared_confidence(rows),
        explained=explain_judged(report),
        guide_url=escape_address(links.guide_url),
        power=describe_power(report),
        notices=_list_notices(report),
        flips=flip_tables(flips) if flips is not None else [],
        charts=[_draw(chart, at) for at, chart in enumerate((*report.charts, *draw_trend(report)))],
        gaps=[(row, describe_gap(row), slice_rows(row), hidden_slices(row)) for row in gaps],
        gap_levels=slice_levels(gaps),
        slice_head=SLICE_HEAD,
        slice_counts=summarise_slices(report),
        tables=[
            (describe_table(table), table, [column_cells(column) for column in table.columns])
            for table in report.tables
        ],
        table_counts=summarise_tables(report),
        column_head=COLUMN_HEAD,
        cost=describe_cost(report),
        cost_head=COST_HEAD,
        cost_rows=cost_cells(report),
        **_gather_others(report),
        params_in_files=len({param.path for param in report.params}) > 1,
        methods=_list_methods(report),
        most=MOST_ROWS,
        quiet=_QUIET,
    )


def _gather_others(report: Report) -> dict[str, Any]:
    """Gather what the page says of the metrics that the policy does not judge."""
    others = other_rows(report)
    return {
        "others": others[:MOST_ROWS],
        "others_note": explain_others(others[:MOST_ROWS]),
        "others_level": shared_confidence(others[:MOST_ROWS]),
        "others_in_files": len({row.path for row in others}) > 1,
        "others_total": len(others) + report.omitted.metrics,
        "others_moved": count_moved(others),
    }


def _list_notices(report: Report) -> list[str]:
    """List what a reader must know, as the comment does."""
    return [
        *describe_promotions(report),
        *report.notices,
        *describe_cluster(report),
        *measurement_notices(report),
        *describe_rescoring(report),
        *describe_reference(report),
        *promotion_notices(report),
        *describe_slide(report),
        *noise_notices(report),
    ]


def mark_code(text: str, *, limit: int = _MOST_TEXT) -> Markup:
    """Escape a sentence; what stands between single backticks becomes code.

    >>> mark_code("`a<b` is gone")
    Markup('<code>a&lt;b</code> is gone')
    """
    parts = clean_text(text, limit=limit).split("`")
    if len(parts) % 2 == 0:  # a backtick without a partner is only a character
        return Markup("{}").format("'".join(parts))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 else Markup("{}").format(part)
        for at, part in enumerate(parts)
    )


def mark_name(text: str) -> Markup:
    """Escape a name; it may break after a dot, slash or underscore, where it is too long.

    >>> mark_name("test.f1")
    Markup('test.<wbr>f1')
    """
    parts = re.split(r"(?<=[._/:])(?=.)", clean_text(text))
    return Markup("<wbr>").join(parts)


@cache
def load_template(name: str = _TEMPLATE) -> Template:
    """Compile a template once; every value is escaped, a missing one is an error."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=DictLoader({name: read_part(name)}),
        bytecode_cache=_find_byte_code(),
    )
    environment.filters |= {
        "clean": clean_text,
        "described": describe_other,
        "name": mark_name,
        "prose": mark_code,
        "seconds": render_seconds,
        "version": render_version,
    }
    environment.globals |= {"dash": DASH, "count": _count}
    return environment.get_template(name)


def _find_byte_code() -> FileSystemBytecodeCache | None:
    """Keep the compiled template beside Python's own byte code, where that is kept."""
    folder = Path(__file__).parent / "__pycache__"
    if sys.dont_write_bytecode or not os.access(folder, os.W_OK):
        return None
    return FileSystemBytecodeCache(str(folder), "%s.jinja.cache")


def read_style() -> tuple[Markup, str]:
    """Return the style of our pages, and the hash by which the page allows it and no other."""
    style = read_part("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return Markup(style), digest  # noqa: S704 - our own file


def read_part(name: str) -> str:
    """Read one of the files that pages are made of."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _find_tone(report: Report) -> str:
    verdict = report.judgement.verdict if report.judgement else Verdict.SKIP
    is_doubtful = verdict is Verdict.PASS and not is_plain_pass(report)
    return "warn" if is_doubtful or verdict is Verdict.UNDECIDED else verdict.value


def _describe_deciding(report: Report) -> tuple[str, str] | None:
    """Return the name of the metric that decides, and how it went."""
    sliced = describe_deciding_slice(report)
    if sliced:
        return "", " ".join(sliced)
    row = find_deciding(report)
    return (row.name, describe_row(row)) if row else None


def _list_reasons(report: Report) -> list[str]:
    judgement = report.judgement
    if judgement is None or judgement.verdict is Verdict.SKIP:
        return [explain_skip(report).capitalize() + "."]
    if judgement.verdict is Verdict.PASS:
        return [passing_text(report)]
    return list(judgement.failures)


def _describe_side(side: Side, links: Links) -> dict[str, Any]:
    """Return what the page says of one side; the address only when it is safe."""
    address = escape_address(links.repository_url)
    return {
        "name": render_side(side),
        "sha": side.sha,
        "ref": side.ref,
        "dirty": side.dirty,
        "test_data": side.test_data,
        "url": f"{address}/commit/{side.sha}" if address and side.sha else None,
    }


def _make_judged(row: Row, report: Report) -> Judged:
    return Judged(
        row=row,
        interval=_order_interval(row, report),
        drawing=_draw_row(row, report),
        mark=UNPROVEN if row.is_open else MARKS[row.verdict],
        tone="warn" if row.is_open else row.verdict.value,
    )


def _order_interval(row: Row, report: Report) -> str | None:
    """Return the interval with its worse end first: right is better in the drawing beside it."""
    verdict, _ = find_verdict(report, row)
    if row.interval is None or verdict is None or verdict.rule.greater_is_better:
        return row.interval
    return " to ".join(reversed(row.interval.split(" to ")))


def _draw_row(row: Row, report: Report) -> Markup | None:
    verdict, change = find_verdict(report, row)
    if verdict is None:
        return None
    limit = verdict.rule.max_value
    if row.budget and change and change.head is not None and limit is not None:
        failed = row.verdict is Verdict.FAIL
        return draw_budget(change.base, change.head, limit, failed=failed)
    gain = find_row_gain(row, verdict, change)
    label = f"{clean_text(row.name)} {describe_row(row)}"
    return draw_gain(gain, label=clean_text(label, limit=_MOST_TEXT)) if gain else None


def _draw(chart: Chart, at: int) -> Drawn:
    if chart.kind is not ChartKind.MATRIX:
        return Drawn(chart=chart, svg=draw_chart(chart, f"chart-{at}"), cells=[], words="")
    size = len(chart.labels)
    rows = [slice(row * size, (row + 1) * size) for row in range(size)]
    return Drawn(
        chart=chart,
        svg=None,
        cells=[
            (clean_text(label), _shade_row([series.y[part] for series in chart.series]))
            for label, part in zip(chart.labels, rows, strict=True)
        ],
        words=describe_chart(chart),
    )


def _shade_row(columns: Sequence[Sequence[float]]) -> list[tuple[str, int]]:
    """Return text and shade of each cell: one number where the sides agree, else both."""
    total = sum(columns[-1]) or 1.0
    return [
        (
            " → ".join(dict.fromkeys(render_plain(value) for value in values)),
            max(0, min(_SHADES, round(_SHADES * values[-1] / total))),
        )
        for values in zip(*columns, strict=True)
    ]


def _list_methods(report: Report) -> list[tuple[str, str, str, int]]:
    """Return metric, method, confidence and matched rows of every interval."""
    return [
        (
            change.name,
            change.evidence.interval.method,
            f"{change.evidence.interval.confidence * 100:.4g}%",
            change.evidence.rows,
        )
        for change in report.metrics
        if change.evidence and change.evidence.interval
    ][:MOST_ROWS]
