"""A retraining in words: the pull request's text, and what the terminal says. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.proposals.result import BY_HAND, JUDGED
from mlgitops.render.blocks import render_count
from mlgitops.render.escape import escape_code, escape_prose
from mlgitops.render.numbers import choose_decimals, render_ends, render_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlgitops.retraining.report import DayRows, MetricPair, RetrainingReport

_MOST_DAYS = 40  # in the pull request's table; the report has all
_MOST_REFUSALS = 10
_COLUMNS = {
    "appended": "learned from",
    "held_out": "held out",
    "taken": "there before",
    "refused": "refused by the contract",
    "over_day": "over the day's cap",
    "over_client": "over a client's cap",
}


def write_title(report: RetrainingReport) -> str:
    """Write the title of the pull request."""
    rows = report.count("appended")
    return f"Retrain on {rows:,} rows of {report.champion.environment}"


def write_body(report: RetrainingReport) -> str:
    """Write the text of the pull request, in Markdown."""
    parts = [
        f"Why: {escape_prose(report.why)} ({escape_code(report.reason)}, {report.day}).",
        _describe_rows(report),
        *_describe_comparison(report),
        *_describe_days(report.days),
        *_describe_refusals(report),
        JUDGED,
        BY_HAND,
    ]
    return "\n\n".join(parts)


def _describe_rows(report: RetrainingReport) -> str:
    share = "" if report.agreeing is None else f" {report.agreeing:.1%} of the labels are what the"
    share += " model answered." if share else ""
    return (
        f"Rows with a label from {escape_code(report.log)}, labels from"
        f" {escape_code(report.labels)}: {report.count('appended'):,} were appended to"
        f" {report.rows_before:,}, {report.count('held_out'):,} of the newest days are held"
        f" out.{share}"
    )


def _describe_comparison(report: RetrainingReport) -> Iterator[str]:
    """Say how champion and challenger compare on the rows that were held out."""
    champion = report.champion
    name = champion.version or champion.revision[:12]
    rows, days = report.count("held_out"), sum(bool(day.held_out) for day in report.days)
    yield "### Champion and challenger"
    yield (
        f"{escape_code(name)} of {escape_code(champion.environment)} beside the new model, on"
        f" {render_count(rows, 'row')} of {render_count(days, 'day')} that neither learned from;"
        " paired, a day counts as one observation."
    )
    lines = [
        "| metric | champion | challenger | difference | |",
        "|---|--:|--:|:-:|---|",
    ]
    yield "\n".join([*lines, *map(_describe_pair, report.metrics)])
    worse = [pair.name for pair in report.metrics if pair.gain == "worse"]
    if worse:
        names = ", ".join(map(escape_code, worse))
        yield f"**The new model is worse there in {names}, beyond noise.**"


def _describe_pair(pair: MetricPair) -> str:
    said = {"better": "better", "worse": "**worse**", None: "not told apart"}[pair.gain]
    if pair.low is None or pair.high is None or pair.confidence is None:
        decimals = choose_decimals(pair.champion, pair.challenger)
        said, interval = "not measured", ""
    else:
        half = (pair.high - pair.low) / 2
        decimals = choose_decimals(pair.champion, pair.challenger, half_width=half)
        ends = render_ends(pair.low, pair.high, decimals)
        interval = f"{ends} ({100 * pair.confidence:.3g}%)"
    values = (
        "" if value is None else render_number(value, decimals)
        for value in (pair.champion, pair.challenger)
    )
    note = f"{said}; {escape_prose(pair.reason, cell=True)}" if pair.reason else said
    return f"| {escape_code(pair.name, cell=True)} | {' | '.join(values)} | {interval} | {note} |"


def _describe_days(days: Iterable[DayRows]) -> Iterator[str]:
    """List the rows of each day, the newest last."""
    listed = list(days)
    shown = listed[-_MOST_DAYS:]
    used = [name for name in _COLUMNS if any(getattr(day, name) for day in listed)]
    lines = [
        f"| day | {' | '.join(_COLUMNS[name] for name in used)} |",
        f"|---|{'--:|' * len(used)}",
        *(f"| {day.day} | {' | '.join(f'{getattr(day, it):,}' for it in used)} |" for day in shown),
    ]
    yield f"<details><summary>Rows of each day ({len(listed):,})</summary>"
    yield "\n".join(lines)
    if len(listed) > len(shown):
        yield f"{len(listed) - len(shown):,} earlier days stand in reports/retraining.json."
    yield "</details>"


def _describe_refusals(report: RetrainingReport) -> Iterator[str]:
    refusals = sorted(report.refusals.items(), key=lambda item: (-item[1], item[0]))
    if refusals:
        lines = [f"* {escape_code(check)}: {count:,}" for check, count in refusals[:_MOST_REFUSALS]]
        yield "\n".join(["Refused by the contract:", "", *lines])


def describe_counts(report: RetrainingReport) -> list[str]:
    """Say in plain lines what became of the rows, and how the two models compare."""
    counts = [f"{report.count(name):,} {word}" for name, word in _COLUMNS.items()]
    lines = [f"rows with a label: {', '.join(counts)}"]
    for pair in report.metrics:
        if pair.champion is None or pair.challenger is None:
            lines.append(f"{pair.name}: {pair.reason}")
        else:
            said = pair.gain or "not told apart"
            lines.append(f"{pair.name}: {pair.champion:.4g} → {pair.challenger:.4g}, {said}")
    return lines
