"""A report to the comment: the answer in three lines, then the judged metrics, then the rest.

Pure. Everything that is not our own words goes through :mod:`mlgitops.render.escape`.
When the text is too long it is rendered again with less detail; it is never cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.model import Verdict
from mlgitops.render.blocks import MARKS, UNPROVEN, Detail, count_hidden, render_table
from mlgitops.render.changes import describe_cluster, describe_table
from mlgitops.render.escape import escape_address, escape_code, escape_prose
from mlgitops.render.facts import (
    explain_judged,
    explain_skip,
    headline,
    noise_notices,
    passing_text,
    render_side,
    sampling_text,
    test_data_text,
)
from mlgitops.render.folded import render_folded
from mlgitops.render.measurement import advise_measuring, describe_measurement, measurement_notices
from mlgitops.render.numbers import DASH
from mlgitops.render.power import describe_power
from mlgitops.render.promotion import describe_promotions, promotion_notices
from mlgitops.render.reference import describe_reference
from mlgitops.render.rescoring import describe_rescoring
from mlgitops.render.rows import held_rows, interval_cells, shared_confidence
from mlgitops.render.sentence import describe_row, find_deciding
from mlgitops.render.slices import describe_deciding_slice, gap_rows
from mlgitops.render.trend import describe_slide
from mlgitops.render.waiver import describe_waiving, explain_waiving, title_waiver

if TYPE_CHECKING:
    from mlgitops.model import Links, Report, Side, Waiver, Waiving
    from mlgitops.render.rows import Row
    from mlgitops.render.slices import GapRow

_MOST_FAILURES = 5
_MOST_NOTICES = 10


def render_comment(
    report: Report,
    *,
    marker: str,
    links: Links,
    waiving: Waiving | None = None,
    limit: int = 60_000,
) -> str:
    """Render the comment: ``marker`` on a line of its own, then the report.

    ``marker`` is an HTML comment on one line. ``waiving`` is what was found of a waiver; None
    where there can be none. ``limit`` is in UTF-8 bytes; GitHub's own is
    262,144 and the text of its error says 65,536.
    Raises :class:`MlgitopsError` when not even the verdict fits.
    """
    for detail in Detail:
        body = render_report(report, links=links, detail=detail, waiving=waiving)
        text = f"{marker}\n{body}"
        if len(text.encode()) <= limit:
            return text
    raise MlgitopsError(f"not even the verdict fits into {limit} bytes")


def render_report(
    report: Report,
    *,
    links: Links,
    detail: Detail = Detail.FULL,
    waiving: Waiving | None = None,
) -> str:
    """Render the report at one level of detail, without a marker: the job summary's text."""
    blocks = [
        _verdict_line(report, waiving.waiver if waiving else None),
        _sides_line(report, links),
        escape_prose(sampling_text(report)) if detail < Detail.VERDICT else "",
        escape_prose(describe_measurement(report), limit=1_000),
        *(escape_prose(text, limit=1_000) for text in describe_promotions(report)),
        *describe_waiving(waiving),
        *_why_lines(report, detail),
        escape_prose(advise_measuring(report)),
    ]
    if detail < Detail.VERDICT:
        blocks += _warnings(report)
        blocks += _judged_table(report, detail)
        blocks += _explain_table(report, links) if detail < Detail.FAILING else []
        blocks.append(escape_prose(describe_power(report)))
        blocks += _first_change(report)
    if detail < Detail.FAILING:
        blocks += render_folded(report, detail)
    blocks += _how_to_waive(report, waiving, detail)
    blocks += _footer(links, detail)
    return "\n\n".join(block for block in blocks if block) + "\n"


def _verdict_line(report: Report, waiver: Waiver | None) -> str:
    """Line 1: the verdict and the metric that decides it."""
    title = f"**{title_waiver(waiver, code=True) if waiver else headline(report)}**"
    sliced = describe_deciding_slice(report)
    if sliced:
        return f"{title}: {escape_prose(' '.join(sliced))}"
    if report.judgement is not None and report.judgement.verdict is Verdict.UNDECIDED:
        return title
    if report.judgement is None or not (report.judgement.metrics or report.judgement.slices):
        return f"{title}: {explain_skip(report)}"
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
    title = "Fails" if judgement.verdict is Verdict.FAIL else "Undecided"
    if len(failures) == 1:
        return [f"**{title}:** {failures[0]}."]
    shown = failures[: 1 if detail is Detail.VERDICT else _MOST_FAILURES]
    more = len(failures) - len(shown)
    lines = [f"- {failure}" for failure in shown]
    lines += [f"- and {more} more"] if more else []
    return [f"**{title}:**\n\n" + "\n".join(lines)]


def _warnings(report: Report) -> list[str]:
    """Say first what a reviewer must look at with their own eyes."""
    lines = []
    if report.protected or report.policy_changed:
        files = (
            ", ".join(escape_code(path) for path in report.protected[:_MOST_NOTICES])
            or "the policy"
        )
        rest = max(0, len(report.protected) - _MOST_NOTICES) + report.omitted.protected
        more = f" and {rest:,} more" if rest else ""
        lines.append(f"> [!WARNING]\n> This change edits what judges it: {files}{more}.")
        if report.policy_changed:
            lines[-1] += " The policy at base was applied."
    notices = [escape_prose(notice) for notice in report.notices[:_MOST_NOTICES]]
    if len(report.notices) > _MOST_NOTICES:
        notices.append(f"{len(report.notices) - _MOST_NOTICES} more notices are in the report.")
    measured = [
        *describe_cluster(report),
        *measurement_notices(report),
        *describe_rescoring(report),
        *describe_reference(report),
        *promotion_notices(report),
        *describe_slide(report),
        *noise_notices(report),
    ]
    notices += [escape_prose(notice) for notice in measured]
    if notices:
        lines.append("> [!NOTE]\n" + "\n>\n".join(f"> {notice}" for notice in notices))
    return lines


def _judged_table(report: Report, detail: Detail) -> list[str]:
    rows = held_rows(report)
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
    return [render_table(head, cells, right=(1, 2, 3)), count_hidden(hidden, "judged metric")]


def _gap_cells(gap: GapRow, *, with_interval: bool) -> list[str]:
    """Put a slice rule under the columns of the judged metrics."""
    name = escape_prose(f"{gap.name}, {gap.statistic}", cell=True)
    interval = [DASH] if with_interval else []
    limits = "; ".join(gap.limits) or DASH
    return [
        name,
        *(gap.base, gap.head, gap.delta, *interval, limits),
        f"{UNPROVEN if gap.is_open else MARKS[gap.verdict]} {gap.result}",
    ]


def _judged_cells(row: Row, *, with_interval: bool, level: str | None) -> list[str]:
    interval = interval_cells(row, with_interval=with_interval, level=level)
    result = f"{UNPROVEN if row.is_open else MARKS[row.verdict]} {row.result}".strip()
    limits = "; ".join(row.limits) or DASH
    name = escape_code(row.name, cell=True)
    return [name, row.base, row.head, row.delta, *interval, limits, result]


def _explain_table(report: Report, links: Links) -> list[str]:
    """Say what the table's intervals and words mean, and where more of it is written."""
    text, address = escape_prose(explain_judged(report)), escape_address(links.guide_url)
    return [f"{text} [How to read it]({address})." if text and address else text]


def _first_change(report: Report) -> list[str]:
    """Say what changed inside the first table that changed: where results often come from."""
    return [f"**Data:** {escape_prose(describe_table(table))}." for table in report.tables[:1]]


def _how_to_waive(report: Report, waiving: Waiving | None, detail: Detail) -> list[str]:
    """Say below a failing report how it may merge all the same, where that is possible."""
    failing = report.judgement is not None and report.judgement.verdict is Verdict.FAIL
    possible = waiving is not None and waiving.allowed and waiving.waiver is None
    if not (possible and failing) or detail is Detail.VERDICT:
        return []
    return [explain_waiving(report.head.sha)] if report.head.sha else []


def _footer(links: Links, detail: Detail) -> list[str]:
    address = escape_address(links.run_url)
    less = "This is the short form: the whole report was too long for a comment. "
    text = less if detail > Detail.FULL else ""
    text += f"[Workflow run and full report]({address})" if address else ""
    return [f"<sub>{text.strip()}</sub>"] if text else []
