"""A report to the terminal: the same facts as the comment, in tables that fit the window."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlgitops.model import Kind, StageState, Verdict
from mlgitops.render.changes import COLUMN_HEAD, COST_HEAD, column_cells, cost_cells, describe_table
from mlgitops.render.escape import clean_text
from mlgitops.render.facts import (
    describe_other,
    explain_others,
    headline,
    is_plain_pass,
    judged_rows,
    noise_notices,
    other_rows,
    passing_text,
    render_side,
    render_version,
    test_data_text,
)
from mlgitops.render.numbers import DASH, render_seconds
from mlgitops.render.rescoring import describe_rescoring
from mlgitops.render.slices import SLICE_HEAD, describe_gap, gap_rows, hidden_slices, slice_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console as RichConsole
    from rich.table import Table

    from mlgitops.console import Console
    from mlgitops.model import Report
    from mlgitops.render.facts import Row

_WIDTH = 120  # where there is no window, such as a log
_MOST_ROWS = 40
_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.SKIP: "yellow"}
_QUIET = (StageState.UNCHANGED, StageState.SKIPPED)


def render_terminal(report: Report, console: Console) -> None:
    """Print ``report`` to the console's results."""
    from rich.console import Console as RichConsole

    width = None if console.out.isatty() else _WIDTH
    screen = RichConsole(file=console.out, width=width, highlight=False, markup=False, emoji=False)
    _print_answer(report, screen)
    _print_judged(judged_rows(report), screen)
    _print_slices(report, screen)
    _print_others(report, screen)
    _print_table(
        "Parameters",
        ["", "base", "head"],
        [[param.name, param.base or DASH, param.head or DASH] for param in report.params],
        screen,
    )
    _print_table(
        "Data",
        ["", "base", "head"],
        [[item.path, render_version(item.base), render_version(item.head)] for item in report.data],
        screen,
    )
    _print_tables(report, screen)
    _print_table("Cost", ["", *map(str.lower, COST_HEAD[1:])], cost_cells(report), screen)
    _print_stages(report, screen)


def _print_answer(report: Report, screen: RichConsole) -> None:
    verdict = report.judgement.verdict if report.judgement else Verdict.SKIP
    base, head = render_side(report.base), render_side(report.head)
    is_doubtful = verdict is Verdict.PASS and not is_plain_pass(report)
    colour = _COLOURS[Verdict.SKIP if is_doubtful else verdict]
    screen.print(headline(report), style=f"bold {colour}")
    dirty = " with changes on disk" if report.head.dirty else ""
    screen.print(f"base {base} → head {head}{dirty}, {test_data_text(report)}", style="dim")
    failures = report.judgement.failures if report.judgement else ()
    for failure in failures:
        screen.print(f"  ✗ {_plain(failure)}", style="red")
    if verdict is Verdict.PASS:
        screen.print(f"  {_plain(passing_text(report))}")
    if report.protected:
        files = ", ".join(clean_text(path) for path in report.protected[:5])
        rest = max(0, len(report.protected) - 5) + report.omitted.protected
        more = f" and {rest:,} more" if rest else ""
        screen.print(f"  ! this change edits what judges it: {files}{more}", style="yellow")
    for notice in [*report.notices, *describe_rescoring(report), *noise_notices(report)]:
        screen.print(f"  ! {_plain(notice)}", style="yellow")


def _print_judged(rows: Sequence[Row], screen: RichConsole) -> None:
    if not rows:
        return
    with_interval = any(row.interval for row in rows)
    head = ["judged", "base", "head", "change", *(["interval"] if with_interval else [])]
    table = _table([*head, "limit", "result"])
    for row in rows:
        interval = [row.interval or DASH] if with_interval else []
        result = f"{_sign(row.verdict, is_proven=not row.is_doubtful)} {row.result}"
        cells = [row.base, row.head, row.delta, *interval, "; ".join(row.limits) or DASH, result]
        table.add_row(*_cells([row.name, *cells]), style=_row_style(row))
    screen.print()
    screen.print(table)


def _row_style(row: Row) -> str | None:
    if row.is_doubtful:
        return _COLOURS[Verdict.SKIP]
    return "red" if row.verdict is Verdict.FAIL else None


def _sign(verdict: Verdict, *, is_proven: bool) -> str:
    if verdict is Verdict.FAIL:
        return "✗"
    return "✓" if is_proven else "!"


def _print_slices(report: Report, screen: RichConsole) -> None:
    """Print each slice rule, and the groups that it was judged by."""
    for row in gap_rows(report):
        sign = _sign(row.verdict, is_proven=not row.unproven)
        style = "red" if row.verdict is Verdict.FAIL else "bold"
        screen.print(f"\n{sign} {_plain(f'{row.name}: {describe_gap(row)}')}", style=style)
        cells = slice_rows(row)
        if cells:
            table = _table([name.lower() for name in SLICE_HEAD])
            for row_cells in cells:
                table.add_row(*_cells(map(_plain, row_cells)))
            screen.print(table)
        if hidden_slices(row):
            screen.print(f"{hidden_slices(row)} more slices not shown", style="dim")


def _print_others(report: Report, screen: RichConsole) -> None:
    rows = other_rows(report)
    moved = [row for row in rows if row.kind is not Kind.UNCHANGED]
    total = len(rows) + report.omitted.metrics
    with_interval = any(row.interval for row in moved[:_MOST_ROWS])
    cells = [
        [
            *(row.name, row.base, row.head, row.delta),
            *([row.interval or DASH] if with_interval else []),
            describe_other(row),
        ]
        for row in moved
    ]
    if total:
        title = f"Other metrics, {len(moved)} of {total} changed"
        head = ["", "base", "head", "change", *(["interval"] if with_interval else []), ""]
        _print_table(title, head, cells, screen)
        if with_interval:
            screen.print(explain_others(moved[:_MOST_ROWS]), style="dim")


def _print_tables(report: Report, screen: RichConsole) -> None:
    """Say what changed inside each table, then show its columns."""
    for change in report.tables:
        remark = f" ({change.remark})" if change.remark else ""
        rows = [list(map(_plain, column_cells(column))) for column in change.columns]
        screen.print(f"\n{_plain(describe_table(change) + remark)}", style="bold")
        if rows:
            table = _table([name.lower() for name in COLUMN_HEAD])
            for row in rows[:_MOST_ROWS]:
                table.add_row(*_cells(row))
            screen.print(table)


def _print_stages(report: Report, screen: RichConsole) -> None:
    rows = [
        [
            stage.name,
            stage.state.value,
            "" if stage.seconds is None else render_seconds(stage.seconds),
            _plain(", ".join(stage.causes[:5])),
        ]
        for stage in report.stages
        if stage.state not in _QUIET
    ]
    _print_table("Stages", ["", "state", "time", "because of"], rows, screen)


def _print_table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], screen: RichConsole
) -> None:
    """Print a table under a title; nothing when it has no rows."""
    if not rows:
        return
    table = _table(head)
    for row in rows[:_MOST_ROWS]:
        table.add_row(*_cells(row))
    screen.print(f"\n{title}", style="bold")
    screen.print(table)
    if len(rows) > _MOST_ROWS:
        screen.print(f"{len(rows) - _MOST_ROWS} more; all of them: --json", style="dim")


def _table(head: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for at, name in enumerate(head):
        table.add_column(name, overflow="fold", no_wrap=0 < at < 4)  # noqa: PLR2004 - numbers
    return table


def _cells(row: Iterable[str]) -> list[str]:
    return [clean_text(cell, limit=100) for cell in row]


def _plain(text: str) -> str:
    """Drop the backticks around names, and what could steer a terminal."""
    return re.sub(r"`([^`]*)`", r"\1", clean_text(text, limit=500))
