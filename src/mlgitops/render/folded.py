"""The parts of the comment that are folded: each a table with a title that sums it up. Pure.

Everything that is not our own words goes through :mod:`mlgitops.render.escape`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.model import StageState, Verdict
from mlgitops.render.blocks import (
    MARKS,
    UNPROVEN,
    Detail,
    count_hidden,
    fold,
    render_count,
    render_table,
)
from mlgitops.render.changes import (
    COLUMN_HEAD,
    COST_HEAD,
    column_cells,
    cost_cells,
    describe_cost,
    describe_table,
    summarise_tables,
)
from mlgitops.render.escape import escape_code, escape_prose
from mlgitops.render.facts import count_moved, describe_other, explain_others, render_version
from mlgitops.render.measurement import UNMEASURED
from mlgitops.render.numbers import DASH, render_seconds
from mlgitops.render.rows import interval_cells, moved_rows, other_rows, shared_confidence
from mlgitops.render.slices import (
    SLICE_HEAD,
    describe_gap,
    gap_rows,
    hidden_slices,
    slice_levels,
    slice_rows,
    summarise_slices,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.model import DataVersion, ParamChange, Report, StageChange

_MOST_CAUSES = 5
_MOST_ROWS = 2_000


def render_folded(report: Report, detail: Detail) -> list[str]:
    """Render everything below the judged metrics, in the order a reviewer asks for it."""
    return [
        *_slices(report, detail),
        *_trend(report, detail),
        *_charts(report, detail),
        *_other_metrics(report, detail),
        *_params(report, detail),
        *_data(report, detail),
        *_cost(report, detail),
        *_stages(report, detail),
        *_unmeasured(report, detail),
    ]


def _slices(report: Report, detail: Detail) -> list[str]:
    """Show each slice rule, and the groups that it was judged by."""
    title = summarise_slices(report)
    if not title:
        return []
    if detail >= Detail.JUDGED:
        return [f"{title}."]
    rows = gap_rows(report)
    blocks = []
    for row in rows:
        mark = UNPROVEN if row.is_open else MARKS[row.verdict]
        blocks.append(f"{mark} **{escape_prose(row.name)}**: {escape_prose(describe_gap(row))}.")
        cells = [
            [escape_prose(name, cell=True), *numbers, escape_prose(result, cell=True)]
            for name, *numbers, result in slice_rows(row)
        ]
        if detail is not Detail.FULL and row.verdict is Verdict.PASS:
            cells = []
        blocks += [render_table(SLICE_HEAD, cells, right=(1, 2, 3, 4))] if cells else []
        blocks.append(count_hidden(hidden_slices(row) if cells else 0, "slice"))
    blocks.append(slice_levels(rows))
    body = "\n\n".join(block for block in blocks if block)
    return [fold(title, body, 0, "slice")]


def _trend(report: Report, detail: Detail) -> list[str]:
    """Draw the judged metric over the last merges."""
    if report.trend is None or detail >= Detail.JUDGED:
        return []
    from mlgitops.render.trend import render_trend

    body = render_trend(report)
    merges = render_count(len(report.trend.points) - 1, "merge")
    return [fold(f"The last {merges} before this change", body, 0, "merge")] if body else []


def _charts(report: Report, detail: Detail) -> list[str]:
    if not report.charts or detail >= Detail.JUDGED:
        return []
    from mlgitops.render.mermaid import list_charts, render_charts

    title = f"{render_count(len(report.charts), 'chart')}: {list_charts(report.charts)}"
    return [fold(title, render_charts(report.charts), 0, "chart")]


def _other_metrics(report: Report, detail: Detail) -> list[str]:
    rows = other_rows(report)
    moved = moved_rows(rows)
    shown = (rows if detail is Detail.FULL else moved)[:_MOST_ROWS]
    total = len(rows) + report.omitted.metrics
    title = f"{render_count(total, 'other metric')}, {count_moved(rows)}"
    if not total:
        return []
    if detail >= Detail.JUDGED or not shown:
        return [f"{title}."]
    several = len({row.path for row in rows}) > 1
    with_interval = any(row.interval for row in shown)
    level = shared_confidence(shown)
    head = ["Metric", *(["File"] if several else []), "Base", "Head", "Change"]
    head += [f"{level or 'Confidence'} interval", ""] if with_interval else [""]
    cells = [
        [
            escape_code(row.name, cell=True),
            *([escape_code(row.path or "", cell=True)] if several else []),
            *(row.base, row.head, row.delta),
            *interval_cells(row, with_interval=with_interval, level=level),
            escape_prose(describe_other(row), cell=True),
        ]
        for row in shown
    ]
    table = render_table(head, cells, right=(2, 3, 4) if several else (1, 2, 3))
    note = explain_others(shown)
    body = f"{table}\n\n{note}" if note else table
    return [fold(title, body, total - len(shown), "metric")]


def _params(report: Report, detail: Detail) -> list[str]:
    total = len(report.params) + report.omitted.params
    title = render_count(total, "parameter") + " changed"
    if not total:
        return []
    if detail >= Detail.JUDGED:
        return [f"{title}."]
    several = len({param.path for param in report.params}) > 1
    head = ["Parameter", *(["File"] if several else []), "Base", "Head"]
    cells = [_param_cells(param, several=several) for param in report.params[:_MOST_ROWS]]
    return [fold(title, render_table(head, cells), total - len(cells), "parameter")]


def _param_cells(param: ParamChange, *, several: bool) -> list[str]:
    values = [
        DASH if value is None else escape_code(value, limit=80, cell=True)
        for value in (param.base, param.head)
    ]
    path = [escape_code(param.path, cell=True)] if several else []
    return [escape_code(param.name, cell=True), *path, *values]


def _data(report: Report, detail: Detail) -> list[str]:
    total = max(len(report.data) + report.omitted.data, len(report.tables))
    counts = f"{render_count(total, 'data file')} changed"
    title = ": ".join(part for part in (counts, summarise_tables(report)) if part)
    if not total:
        return []
    if detail >= Detail.JUDGED:
        return [f"{title}."]
    cells = [
        [escape_code(item.path, cell=True), *map(_version, (item.base, item.head))]
        for item in report.data[:_MOST_ROWS]
    ]
    versions = [render_table(["Path", "Base", "Head"], cells)] if cells else []
    hidden = total - max(len(cells), len(report.tables))
    return [fold(title, "\n\n".join([*_tables(report), *versions]), hidden, "data file")]


def _tables(report: Report) -> list[str]:
    """Say what changed inside each table, what that rests on, and show its columns."""
    blocks = []
    for change in report.tables:
        remark = f" ({escape_prose(change.remark)})" if change.remark else ""
        blocks.append(f"{escape_prose(describe_table(change))}{remark}.")
        if change.columns:
            rows = [
                [escape_prose(cell, cell=True) for cell in column_cells(column)]
                for column in change.columns
            ]
            blocks.append(render_table(COLUMN_HEAD, rows, right=(3, 4, 5)))
        blocks.append(count_hidden(change.omitted_columns, "column"))
    return [block for block in blocks if block]


def _cost(report: Report, detail: Detail) -> list[str]:
    title = escape_prose(describe_cost(report))
    if not title:
        return []
    if detail >= Detail.JUDGED:
        return [f"Cost: {title}."]
    rows = [[escape_prose(cell, cell=True) for cell in cells] for cells in cost_cells(report)]
    return [fold(f"Cost: {title}", render_table(COST_HEAD, rows, right=(1, 2, 3)), 0, "cost")]


def _version(version: DataVersion | None) -> str:
    text = render_version(version)
    return text if text == DASH else escape_code(text, cell=True)


_QUIET = (StageState.UNCHANGED, StageState.SKIPPED)


def _stages(report: Report, detail: Detail) -> list[str]:
    total = len(report.stages) + report.omitted.stages
    busy = sum(stage.state not in _QUIET for stage in report.stages)
    if not total:
        return []
    title = f"{render_count(total, 'stage')}, {_stage_counts(report.stages)}"
    if detail >= Detail.JUDGED:
        return [f"{title}."]
    shown = [stage for stage in report.stages if detail is Detail.FULL or stage.state not in _QUIET]
    if not busy and not any(stage.seconds for stage in report.stages):
        return [f"{title}."]
    timed = any(stage.seconds is not None for stage in shown)
    head = ["Stage", "State", *(["Time"] if timed else []), "Because of"]
    cells = [_stage_cells(stage, timed=timed) for stage in shown[:_MOST_ROWS]]
    return [fold(title, render_table(head, cells), total - len(cells), "stage")]


def _stage_counts(stages: Iterable[StageChange]) -> str:
    states = [stage.state for stage in stages]
    return ", ".join(
        f"{states.count(state)} {state.value}" for state in StageState if state in states
    )


def _stage_cells(stage: StageChange, *, timed: bool) -> list[str]:
    causes = ", ".join(escape_prose(cause, cell=True) for cause in stage.causes[:_MOST_CAUSES])
    more = (
        f" and {len(stage.causes) - _MOST_CAUSES} more" if len(stage.causes) > _MOST_CAUSES else ""
    )
    took = DASH if stage.seconds is None else render_seconds(stage.seconds)
    name = escape_code(stage.name, cell=True)
    return [name, stage.state.value, *([took] if timed else []), causes + more]


def _unmeasured(report: Report, detail: Detail) -> list[str]:
    """Say below a comparison of numbers that nobody measured again what a pull request adds."""
    judged = report.judgement.metrics if report.judgement else ()
    if report.measurement is not None or not judged or detail is not Detail.FULL:
        return []
    title, text = UNMEASURED
    return [fold(title, escape_prose(text), 0, "line")]
