"""A report to the comment: the answer in three lines, then the judged metrics, then the rest.

Pure. Everything that is not our own words goes through :mod:`mlgitops.render.escape`.
When the text is too long it is rendered again with less detail; it is never cut.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.model import Kind, StageState, Verdict
from mlgitops.render.changes import (
    COLUMN_HEAD,
    COST_HEAD,
    column_cells,
    cost_cells,
    describe_cost,
    describe_table,
    summarise_tables,
)
from mlgitops.render.escape import escape_address, escape_code, escape_prose
from mlgitops.render.facts import (
    headline,
    judged_rows,
    noise_notices,
    other_rows,
    passing_text,
    render_side,
    render_version,
    shared_confidence,
    test_data_text,
)
from mlgitops.render.numbers import DASH, render_seconds
from mlgitops.render.rescoring import describe_rescoring
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlgitops.model import DataVersion, Links, ParamChange, Report, Side, StageChange
    from mlgitops.render.facts import Row
    from mlgitops.render.slices import GapRow


class Detail(IntEnum):
    """How much a comment says; each level leaves out what the one before still had."""

    FULL = 0
    CHANGED = 1  # of the metrics that are not judged, only those that moved
    JUDGED = 2  # of the metrics, only the judged ones; of the rest, numbers of rows
    FAILING = 3  # only what fails
    VERDICT = 4  # the verdict and where to read more


_MARKS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.SKIP: ""}
_MOST_FAILURES = 5
_MOST_NOTICES = 10
_MOST_CAUSES = 5
_MOST_ROWS = 2_000


def render_comment(report: Report, *, marker: str, links: Links, limit: int = 60_000) -> str:
    """Render the comment: ``marker`` on a line of its own, then the report.

    ``marker`` is an HTML comment on one line. ``limit`` is in UTF-8 bytes; GitHub's own is
    262,144 and the text of its error says 65,536.
    Raises :class:`MlgitopsError` when not even the verdict fits.
    """
    for detail in Detail:
        text = f"{marker}\n{render_report(report, links=links, detail=detail)}"
        if len(text.encode()) <= limit:
            return text
    raise MlgitopsError(f"not even the verdict fits into {limit} bytes")


def render_report(report: Report, *, links: Links, detail: Detail = Detail.FULL) -> str:
    """Render the report at one level of detail, without a marker: the job summary's text."""
    blocks = [
        _verdict_line(report),
        _sides_line(report, links),
        *_why_lines(report, detail),
    ]
    if detail < Detail.VERDICT:
        blocks += _warnings(report)
        blocks += _judged_table(report, detail)
        blocks += _first_change(report)
    if detail < Detail.FAILING:
        blocks += _folded(report, detail)
    blocks += _footer(links, detail)
    return "\n\n".join(block for block in blocks if block) + "\n"


def _verdict_line(report: Report) -> str:
    """Line 1: the verdict and the metric that decides it."""
    title = f"**{headline(report)}**"
    sliced = describe_deciding_slice(report)
    if sliced:
        return f"{title}: {escape_prose(' '.join(sliced))}"
    if report.judgement is None or not (report.judgement.metrics or report.judgement.slices):
        return f"{title}: no policy names a metric to judge"
    row = find_deciding(report)
    sentence = f"{escape_code(row.name)} {escape_prose(describe_row(row))}" if row else ""
    return f"{title}: {sentence.strip()}" if row else title


def _sides_line(report: Report, links: Links) -> str:
    """Line 2: which revisions, and whether they were measured on the same rows."""
    base, head = _side(report.base, links), _side(report.head, links)
    return f"Base {base} → head {head} · {test_data_text(report)}"


def _side(side: Side, links: Links) -> str:
    text = escape_code(render_side(side)) if side.sha else render_side(side)
    address = escape_address(links.repository_url)
    linked = f"[{text}]({address}/commit/{side.sha})" if address and side.sha else text
    return f"{linked} ({escape_code(side.ref, limit=60)})" if side.ref else linked


def _why_lines(report: Report, detail: Detail) -> list[str]:
    """Line 3: every reason for a fail, or what passing rests on."""
    judgement = report.judgement
    if judgement is None or judgement.verdict is Verdict.SKIP:
        return []
    if judgement.verdict is Verdict.PASS:
        return [escape_prose(passing_text(report))]
    failures = [escape_prose(failure) for failure in judgement.failures]
    if len(failures) == 1:
        return [f"**Fails:** {failures[0]}."]
    shown = failures[: 1 if detail is Detail.VERDICT else _MOST_FAILURES]
    more = len(failures) - len(shown)
    lines = [f"- {failure}" for failure in shown]
    lines += [f"- and {more} more"] if more else []
    return ["**Fails:**\n\n" + "\n".join(lines)]


def _warnings(report: Report) -> list[str]:
    """Say first what a reviewer must look at with their own eyes."""
    lines = []
    if report.protected or report.policy_changed:
        files = (
            ", ".join(escape_code(path) for path in report.protected[:_MOST_NOTICES])
            or "the policy"
        )
        more = (
            f" and {len(report.protected) - _MOST_NOTICES} more"
            if len(report.protected) > _MOST_NOTICES
            else ""
        )
        lines.append(f"> [!WARNING]\n> This change edits what judges it: {files}{more}.")
        if report.policy_changed:
            lines[-1] += " The policy at base was applied."
    notices = [escape_prose(notice) for notice in report.notices[:_MOST_NOTICES]]
    if len(report.notices) > _MOST_NOTICES:
        notices.append(f"{len(report.notices) - _MOST_NOTICES} more notices are in the report.")
    measured = [*describe_rescoring(report), *noise_notices(report)]
    notices += [escape_prose(notice) for notice in measured]
    if notices:
        lines.append("> [!NOTE]\n" + "\n>\n".join(f"> {notice}" for notice in notices))
    return lines


def _judged_table(report: Report, detail: Detail) -> list[str]:
    rows = judged_rows(report)
    hidden = 0
    if detail is Detail.FAILING:
        failing = [row for row in rows if row.verdict is Verdict.FAIL][:_MOST_FAILURES]
        rows, hidden = failing, len(rows) - len(failing)
    gaps = [
        gap
        for gap in gap_rows(report)
        if gap.verdict is Verdict.FAIL or detail is not Detail.FAILING
    ]
    if not (rows or gaps):
        return []
    with_interval = any(row.interval for row in rows)
    head = ["Metric", "Base", "Head", "Change"]
    level = shared_confidence(rows)
    head += [f"{level or 'Confidence'} interval"] if with_interval else []
    head += ["Limit", "Result"]
    cells = [_judged_cells(row, with_interval=with_interval, level=level) for row in rows]
    cells += [_gap_cells(gap, with_interval=with_interval) for gap in gaps]
    return [_table(head, cells, right=(1, 2, 3)), _hidden(hidden, "judged metric")]


def _gap_cells(gap: GapRow, *, with_interval: bool) -> list[str]:
    """Put a slice rule under the columns of the judged metrics."""
    name = escape_prose(f"{gap.name}, {gap.statistic}", cell=True)
    interval = [DASH] if with_interval else []
    limits = "; ".join(gap.limits) or DASH
    return [
        name,
        *(gap.base, gap.head, gap.delta, *interval, limits),
        f"{_MARKS[gap.verdict]} {gap.result}",
    ]


def _judged_cells(row: Row, *, with_interval: bool, level: str | None) -> list[str]:
    own = "" if level or not row.confidence else f" ({row.confidence})"
    interval = [f"{row.interval}{own}" if row.interval else DASH] if with_interval else []
    result = f"{'⚠️' if row.unsettled else _MARKS[row.verdict]} {row.result}"
    limits = "; ".join(row.limits) or DASH
    name = escape_code(row.name, cell=True)
    return [name, row.base, row.head, row.delta, *interval, limits, result]


def _first_change(report: Report) -> list[str]:
    """Say what changed inside the first table that changed: where results often come from."""
    return [f"**Data:** {escape_prose(describe_table(table))}." for table in report.tables[:1]]


def _folded(report: Report, detail: Detail) -> list[str]:
    """Everything else, folded."""
    return [
        *_slices(report, detail),
        *_charts(report, detail),
        *_other_metrics(report, detail),
        *_params(report, detail),
        *_data(report, detail),
        *_cost(report, detail),
        *_stages(report, detail),
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
        mark = _MARKS[row.verdict]
        blocks.append(f"{mark} **{escape_prose(row.name)}**: {escape_prose(describe_gap(row))}.")
        cells = [
            [escape_prose(name, cell=True), *numbers, escape_prose(result, cell=True)]
            for name, *numbers, result in slice_rows(row)
        ]
        if detail is not Detail.FULL and row.verdict is Verdict.PASS:
            cells = []
        blocks += [_table(SLICE_HEAD, cells, right=(1, 2, 3, 4))] if cells else []
        blocks.append(_hidden(hidden_slices(row) if cells else 0, "slice"))
    blocks.append(slice_levels(rows))
    body = "\n\n".join(block for block in blocks if block)
    return [_details(title, body, 0, "slice")]


def _charts(report: Report, detail: Detail) -> list[str]:
    if not report.charts or detail >= Detail.JUDGED:
        return []
    from mlgitops.render.mermaid import list_charts, render_charts

    title = f"{_count(len(report.charts), 'chart')}: {list_charts(report.charts)}"
    return [_details(title, render_charts(report.charts), 0, "chart")]


def _other_metrics(report: Report, detail: Detail) -> list[str]:
    rows = other_rows(report)
    moved = [row for row in rows if row.kind is not Kind.UNCHANGED]
    shown = (rows if detail is Detail.FULL else moved)[:_MOST_ROWS]
    total = len(rows) + report.omitted.metrics
    title = f"{_count(total, 'other metric')}, {len(moved)} changed"
    if not total:
        return []
    if detail >= Detail.JUDGED or not shown:
        return [f"{title}."]
    several = len({row.path for row in rows}) > 1
    head = ["Metric", *(["File"] if several else []), "Base", "Head", "Change", ""]
    cells = [
        [
            escape_code(row.name, cell=True),
            *([escape_code(row.path or "", cell=True)] if several else []),
            row.base,
            row.head,
            row.delta,
            _other_result(row),
        ]
        for row in shown
    ]
    right = (2, 3, 4) if several else (1, 2, 3)
    return [_details(title, _table(head, cells, right=right), total - len(shown), "metric")]


def _other_result(row: Row) -> str:
    if row.reasons:
        return escape_prose(f"{row.kind.value}: {row.reasons[0]}", cell=True)
    return "" if row.kind is Kind.UNCHANGED else row.kind.value


def _params(report: Report, detail: Detail) -> list[str]:
    total = len(report.params) + report.omitted.params
    title = _count(total, "parameter") + " changed"
    if not total:
        return []
    if detail >= Detail.JUDGED:
        return [f"{title}."]
    several = len({param.path for param in report.params}) > 1
    head = ["Parameter", *(["File"] if several else []), "Base", "Head"]
    cells = [_param_cells(param, several=several) for param in report.params[:_MOST_ROWS]]
    return [_details(title, _table(head, cells), total - len(cells), "parameter")]


def _param_cells(param: ParamChange, *, several: bool) -> list[str]:
    values = [
        DASH if value is None else escape_code(value, limit=80, cell=True)
        for value in (param.base, param.head)
    ]
    path = [escape_code(param.path, cell=True)] if several else []
    return [escape_code(param.name, cell=True), *path, *values]


def _data(report: Report, detail: Detail) -> list[str]:
    total = max(len(report.data) + report.omitted.data, len(report.tables))
    counts = f"{_count(total, 'data file')} changed"
    title = ": ".join(part for part in (counts, summarise_tables(report)) if part)
    if not total:
        return []
    if detail >= Detail.JUDGED:
        return [f"{title}."]
    cells = [
        [escape_code(item.path, cell=True), *map(_version, (item.base, item.head))]
        for item in report.data[:_MOST_ROWS]
    ]
    versions = [_table(["Path", "Base", "Head"], cells)] if cells else []
    hidden = total - max(len(cells), len(report.tables))
    return [_details(title, "\n\n".join([*_tables(report), *versions]), hidden, "data file")]


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
            blocks.append(_table(COLUMN_HEAD, rows, right=(3, 4, 5)))
        blocks.append(_hidden(change.omitted_columns, "column"))
    return [block for block in blocks if block]


def _cost(report: Report, detail: Detail) -> list[str]:
    title = escape_prose(describe_cost(report))
    if not title:
        return []
    if detail >= Detail.JUDGED:
        return [f"Cost: {title}."]
    rows = [[escape_prose(cell, cell=True) for cell in cells] for cells in cost_cells(report)]
    return [_details(f"Cost: {title}", _table(COST_HEAD, rows, right=(1, 2, 3)), 0, "cost")]


def _version(version: DataVersion | None) -> str:
    text = render_version(version)
    return text if text == DASH else escape_code(text, cell=True)


_QUIET = (StageState.UNCHANGED, StageState.SKIPPED)


def _stages(report: Report, detail: Detail) -> list[str]:
    total = len(report.stages) + report.omitted.stages
    busy = sum(stage.state not in _QUIET for stage in report.stages)
    if not total:
        return []
    title = f"{_count(total, 'stage')}, {_stage_counts(report.stages)}"
    if detail >= Detail.JUDGED:
        return [f"{title}."]
    shown = [stage for stage in report.stages if detail is Detail.FULL or stage.state not in _QUIET]
    if not busy and not any(stage.seconds for stage in report.stages):
        return [f"{title}."]
    timed = any(stage.seconds is not None for stage in shown)
    head = ["Stage", "State", *(["Time"] if timed else []), "Because of"]
    cells = [_stage_cells(stage, timed=timed) for stage in shown[:_MOST_ROWS]]
    return [_details(title, _table(head, cells), total - len(cells), "stage")]


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


def _footer(links: Links, detail: Detail) -> list[str]:
    address = escape_address(links.run_url)
    less = "This is the short form: the whole report was too long for a comment. "
    text = less if detail > Detail.FULL else ""
    text += f"[Workflow run and full report]({address})" if address else ""
    return [f"<sub>{text.strip()}</sub>"] if text else []


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Lay out a table whose cells are already escaped."""
    rule = ["--:" if at in right else "---" for at in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def _details(title: str, body: str, hidden: int, word: str) -> str:
    more = f"\n\n{_hidden(hidden, word)}" if hidden else ""
    return f"<details><summary>{title}</summary>\n\n{body}{more}\n\n</details>"


def _hidden(count: int, word: str) -> str:
    return f"{_count(count, word)} not shown." if count else ""


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
