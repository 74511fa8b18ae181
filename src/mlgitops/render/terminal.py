"""A report to the terminal: the same facts as the comment, in tables that fit the window."""

from __future__ import annotations

import os
import re
from collections import Counter
from itertools import zip_longest
from typing import TYPE_CHECKING

from mlgitops.model import StageState, Verdict
from mlgitops.render.changes import (
    COLUMN_HEAD,
    COST_HEAD,
    column_cells,
    cost_cells,
    describe_cluster,
    describe_table,
)
from mlgitops.render.escape import MAX_SHOWN, clean_text
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
from mlgitops.render.measurement import (
    UNMEASURED,
    advise_measuring,
    describe_measurement,
    measurement_notices,
)
from mlgitops.render.numbers import DASH, render_seconds
from mlgitops.render.power import describe_power
from mlgitops.render.promotion import describe_promotions, promotion_notices
from mlgitops.render.reference import describe_reference
from mlgitops.render.rescoring import describe_rescoring
from mlgitops.render.rows import (
    held_rows,
    interval_cells,
    moved_rows,
    other_rows,
    shared_confidence,
)
from mlgitops.render.slices import SLICE_HEAD, describe_gap, gap_rows, hidden_slices, slice_rows
from mlgitops.render.terminal_table import TerminalTable, lay_out, wrap_text
from mlgitops.render.trend import describe_slide

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from rich.console import Console as RichConsole

    from mlgitops.console import Console
    from mlgitops.model import Report
    from mlgitops.model.flips import Flips
    from mlgitops.render.rows import Row

_WIDTH = 120  # where there is no window, such as a log, and COLUMNS names none
_MOST_ROWS = 40
_MOST_CAUSES = 5
_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red"}
_OPEN = "yellow"  # neither
_QUIET = (StageState.UNCHANGED, StageState.SKIPPED)


def render_terminal(report: Report, console: Console, guide: str | None = None) -> None:
    """Print ``report`` to the console's results; ``guide``: where it is told how to read it.

    As wide as the window; where there is none, as wide as the variable COLUMNS says, else 120.
    """
    from rich.console import Console as RichConsole

    width = None if console.out.isatty() else find_width(os.environ)
    screen = RichConsole(file=console.out, width=width, highlight=False, markup=False, emoji=False)
    _print_answer(report, screen)
    _print_judged(held_rows(report), screen)
    _print_explained(report, screen, guide)
    _print_power(report, screen)
    _print_slices(report, screen)
    _print_others(report, screen)
    _print_params(report, screen)
    data = [
        [item.path, render_version(item.base), render_version(item.head)] for item in report.data
    ]
    _print_listed("Data", ["", "base", "head"], data, screen)
    _print_tables(report, screen)
    cost_head = ["", *map(str.lower, COST_HEAD[1:])]
    _print_listed("Cost", cost_head, cost_cells(report), screen, wraps={3, 4})
    _print_stages(report, screen)
    if report.measurement is None and report.judgement is not None and report.judgement.metrics:
        screen.print()
        _print_prose(f"{UNMEASURED[0]}. {_plain(UNMEASURED[1])}", screen, style="dim")


def render_flips(flips: Flips, console: Console) -> None:
    """Print the rows that flipped to the console's results, below a report or alone."""
    from rich.console import Console as RichConsole

    width = None if console.out.isatty() else find_width(os.environ)
    screen = RichConsole(file=console.out, width=width, highlight=False, markup=False, emoji=False)
    for table in flip_tables(flips):
        screen.print()
        _print_prose(_plain(table.title), screen, style="bold")
        if table.rows:
            _print_table(list(map(clean_text, table.head)), table.rows, screen)
        if table.hidden:
            screen.print(f"{table.hidden:,} more; --flips N lists N of each", style="dim")


def find_width(environ: Mapping[str, str]) -> int:
    """Find the columns to fill where there is no window."""
    text = environ.get("COLUMNS", "")
    is_number = text.isascii() and text.isdigit() and len(text) < 6  # noqa: PLR2004 - digits
    return (int(text) if is_number else 0) or _WIDTH


def _print_answer(report: Report, screen: RichConsole) -> None:
    verdict = report.judgement.verdict if report.judgement else Verdict.SKIP
    base, head = render_side(report.base), render_side(report.head)
    is_doubtful = verdict is Verdict.PASS and not is_plain_pass(report)
    colour = _OPEN if is_doubtful else _COLOURS.get(verdict, _OPEN)
    screen.print(headline(report), style=f"bold {colour}")
    dirty = " with changes on disk" if report.head.dirty else ""
    _print_prose(f"base {base} → head {head}{dirty}, {test_data_text(report)}", screen, style="dim")
    _print_prose(_plain(sampling_text(report)), screen, style="dim")
    if report.measurement is not None:
        _print_prose(_plain(describe_measurement(report)), screen, style="dim")
    for text in describe_promotions(report):
        _print_prose(_plain(text), screen)
    failures = report.judgement.failures if report.judgement else ()
    for failure in failures:
        _print_prose(f"✗ {_plain(failure)}", screen, style="red", indent=2)
    if advise_measuring(report):
        _print_prose(_plain(advise_measuring(report)), screen, indent=2)
    if verdict is Verdict.PASS:
        _print_prose(_plain(passing_text(report)), screen, indent=2)
    if verdict is Verdict.SKIP:
        _print_prose(f"{explain_skip(report).capitalize()}.", screen, indent=2)
    if report.protected:
        files = ", ".join(clean_text(path) for path in report.protected[:5])
        rest = max(0, len(report.protected) - 5) + report.omitted.protected
        more = f" and {rest:,} more" if rest else ""
        text = f"! this change edits what judges it: {files}{more}"
        _print_prose(text, screen, style="yellow", indent=2)
    measured = [
        *describe_cluster(report),
        *measurement_notices(report),
        *describe_rescoring(report),
        *describe_reference(report),
        *promotion_notices(report),
        *describe_slide(report),
        *noise_notices(report),
    ]
    for notice in [*report.notices, *measured]:
        _print_prose(f"! {_plain(notice)}", screen, style="yellow", indent=2)


def _print_judged(rows: list[Row], screen: RichConsole) -> None:
    if not rows:
        return
    with_interval = any(row.interval for row in rows)
    level = shared_confidence(rows)
    head = ["judged", "base", "head", "change", *(["interval"] if with_interval else [])]
    cells = []
    for row in rows:
        interval = interval_cells(row, with_interval=with_interval, level=level)
        result = f"{_sign(row.verdict, is_proven=not row.is_open)} {row.result}"
        numbers = [row.base, row.head, row.delta, *interval]
        cells.append([row.name, *numbers, "; ".join(row.limits) or DASH, result])
    wraps = {len(head), len(head) + 1}
    screen.print()
    _print_table(
        [*head, "limit", "result"], cells, screen, wraps=wraps, styles=map(_row_style, rows)
    )


def _print_explained(report: Report, screen: RichConsole, guide: str | None) -> None:
    text = explain_judged(report)
    if text:
        _print_prose(_plain(text), screen, style="dim")
    if text and guide:
        screen.print(f"How to read it: {clean_text(guide)}", style="dim", soft_wrap=True)


def _print_power(report: Report, screen: RichConsole) -> None:
    text = describe_power(report)
    if text:
        _print_prose(_plain(text), screen, style="dim")


def _row_style(row: Row) -> str | None:
    if row.is_open:
        return _OPEN
    return "red" if row.verdict is Verdict.FAIL else None


def _sign(verdict: Verdict, *, is_proven: bool) -> str:
    if verdict is Verdict.FAIL:
        return "✗"
    return "✓" if is_proven and verdict is not Verdict.UNDECIDED else "!"


def _print_slices(report: Report, screen: RichConsole) -> None:
    """Print each slice rule, and the groups that it was judged by."""
    for row in gap_rows(report):
        sign = _sign(row.verdict, is_proven=not row.is_open)
        style = "red" if row.verdict is Verdict.FAIL else "bold"
        screen.print()
        _print_prose(f"{sign} {_plain(f'{row.name}: {describe_gap(row)}')}", screen, style=style)
        cells = slice_rows(row)
        if cells:
            shown = [list(map(_plain, row_cells)) for row_cells in cells]
            _print_table(list(map(str.lower, SLICE_HEAD)), shown, screen, wraps={6})
        if hidden_slices(row):
            screen.print(f"{hidden_slices(row)} more slices not shown", style="dim")


def _print_others(report: Report, screen: RichConsole) -> None:
    rows = other_rows(report)
    moved = moved_rows(rows)
    total = len(rows) + report.omitted.metrics
    if not total:
        return
    with_interval = any(row.interval for row in moved[:_MOST_ROWS])
    cells = [
        [
            *(row.name, row.path or "", row.base, row.head, row.delta),
            *([row.interval or DASH] if with_interval else []),
            describe_other(row),
        ]
        for row in moved
    ]
    title = f"Other metrics, {count_moved(rows, of=total)}"
    head = ["", "file", "base", "head", "change", *(["interval"] if with_interval else []), ""]
    _print_filed(title, head, cells, screen, wraps={len(head) - 1})
    if with_interval:
        _print_prose(explain_others(moved[:_MOST_ROWS]), screen, style="dim")


def _print_params(report: Report, screen: RichConsole) -> None:
    rows = [
        [param.name, param.path, param.base or DASH, param.head or DASH] for param in report.params
    ]
    _print_filed("Parameters", ["", "file", "base", "head"], rows, screen, wraps={2, 3})


def _print_tables(report: Report, screen: RichConsole) -> None:
    """Say what changed inside each table, then show its columns."""
    for change in report.tables:
        remark = f" ({change.remark})" if change.remark else ""
        rows = [list(map(_plain, column_cells(column))) for column in change.columns]
        screen.print()
        _print_prose(_plain(describe_table(change) + remark), screen, style="bold")
        if rows:
            head = list(map(str.lower, COLUMN_HEAD))
            _print_table(head, rows[:_MOST_ROWS], screen, wraps={1, 6})
            _print_hidden(len(rows) - _MOST_ROWS, screen)


def _print_stages(report: Report, screen: RichConsole) -> None:
    rows = [
        [
            stage.name,
            stage.state.value,
            "" if stage.seconds is None else render_seconds(stage.seconds),
            _plain(_list_causes(stage.causes)),
        ]
        for stage in report.stages
        if stage.state not in _QUIET
    ]
    _print_listed("Stages", ["", "state", "time", "because of"], rows, screen, wraps={3})


def _list_causes(causes: Sequence[str]) -> str:
    more = len(causes) - _MOST_CAUSES
    return ", ".join(causes[:_MOST_CAUSES]) + (f" and {more} more" if more > 0 else "")


def _print_filed(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    screen: RichConsole,
    *,
    wraps: Collection[int] = (),
) -> None:
    """Print rows whose second column is the file of the name: shown where a name repeats."""
    names = Counter(row[0] for row in rows)
    if any(count > 1 for count in names.values()):
        _print_listed(title, head, rows, screen, wraps=wraps, labels=2)
        return
    head, *rows = ([row[0], *row[2:]] for row in (head, *rows))
    _print_listed(title, head, rows, screen, wraps={column - 1 for column in wraps})


def _print_listed(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    screen: RichConsole,
    *,
    wraps: Collection[int] = (),
    labels: int = 1,
) -> None:
    """Print the first rows of a table under a title; nothing when it has none."""
    if not rows:
        return
    screen.print()
    _print_prose(title, screen, style="bold")
    _print_table(head, rows[:_MOST_ROWS], screen, wraps=wraps, labels=labels)
    _print_hidden(len(rows) - _MOST_ROWS, screen)


def _print_hidden(count: int, screen: RichConsole) -> None:
    if count > 0:
        screen.print(f"{count} more; all of them: --json", style="dim")


def _print_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    screen: RichConsole,
    *,
    wraps: Collection[int] = (),
    labels: int = 1,
    styles: Iterable[str | None] = (),
) -> None:
    """Print a table in the form that fits; ``styles`` are those of the rows, in their order."""
    cleaned = [
        [clean_text(cell, limit=MAX_SHOWN if at < labels else 100) for at, cell in enumerate(row)]
        for row in rows
    ]
    table = TerminalTable(head=head, rows=cleaned, labels=labels, wraps=frozenset(wraps))
    layout = lay_out(table, screen.width)
    blocks = [(layout.head, "dim"), *zip_longest(layout.rows, styles)]
    for lines, style in blocks:
        for line in lines:
            screen.print(line, style=style, soft_wrap=True)


def _print_prose(
    text: str, screen: RichConsole, *, style: str | None = None, indent: int = 0
) -> None:
    """Print a sentence; the lines on which it goes on stand two columns further in."""
    first, *others = wrap_text(text, max(screen.width - indent - 2, 1))
    for line in [first, *(f"  {line}" for line in others)]:
        screen.print(" " * indent + line, style=style, soft_wrap=True)


def _plain(text: str) -> str:
    """Drop the backticks around names, and what could steer a terminal."""
    return re.sub(r"`([^`]*)`", r"\1", clean_text(text, limit=500))
