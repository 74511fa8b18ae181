"""Slices as plain text, for every form of a report: rules, groups, and which decides. Pure.

Names stand in backticks and are not escaped yet.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.judgement.slices import (
    find_slice_kind,
    judged_slices,
    lacks_interval,
    lost_too_much,
    may_exceed,
    name_group,
    name_rule,
)
from mlgitops.model import Kind, Statistic, Verdict
from mlgitops.render.measurement import OWN_NUMBER
from mlgitops.render.numbers import (
    DASH,
    choose_decimals,
    render_delta,
    render_ends,
    render_number,
    render_plain,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model import Interval, Report, SliceFacts, SliceResult, SliceRule, SliceVerdict

#: The head of the table that :func:`slice_cells` fills.
SLICE_HEAD = ("Slice", "Rows", "Base", "Head", "Change", "Interval", "")
#: Groups of one rule that the comment and the terminal show.
MOST_SHOWN = 25

_FEW_ROWS = "too few rows, not judged"


class GapRow(Struct, frozen=True, kw_only=True):
    """One slice rule, ready to show; numbers are of its statistic over the groups."""

    name: str  # "`accuracy` by `carrier`"
    statistic: str  # such as "largest difference"
    base: str
    head: str
    delta: str
    interval: str | None  # of head's value
    confidence: str | None
    limits: tuple[str, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    facts: SliceFacts | None
    rule: SliceRule
    unproven: int = 0  # judged groups that pass and may have lost more than they may
    is_claimed: bool = False  # the groups' values at head are its own run's word alone

    @property
    def is_open(self) -> bool:
        """Tell whether it is kept with something that is not proven: no loss, or its numbers."""
        return bool(self.unproven) or (self.verdict is Verdict.PASS and self.is_claimed)

    @property
    def result(self) -> str:
        """Say in a few words how it went, and whose numbers they are where they are not base's."""
        return ", ".join([self._outcome, *([OWN_NUMBER] if self.is_claimed else [])])

    @property
    def _outcome(self) -> str:
        """Say in a few words how it went."""
        if self.unproven:
            return f"within limits, {_count(self.unproven, 'slice')} not proven safe"
        if self.verdict is Verdict.PASS:
            return "within limits"
        return "cannot be judged" if self.facts is None or self.facts.reason else "beyond limits"


_STATISTICS = {
    Statistic.DIFFERENCE: "largest difference",
    Statistic.RATIO: "lowest to highest ratio",
    Statistic.MINIMUM: "lowest group",
    Statistic.MAXIMUM: "highest group",
}


def gap_rows(report: Report) -> list[GapRow]:
    """List the judged slice rules, what fails first, else in the policy's order."""
    if report.judgement is None:
        return []
    rows = [_gap_row(verdict, find_facts(report, verdict)) for verdict in report.judgement.slices]
    return sorted(rows, key=lambda row: row.verdict is not Verdict.FAIL)


def find_facts(report: Report, verdict: SliceVerdict) -> SliceFacts | None:
    """Find the facts that a rule was judged by."""
    rule = verdict.rule
    key = (rule.by, rule.metric, rule.statistic, rule.min_rows)
    return next(
        (
            facts
            for facts in report.slices
            if (facts.by, facts.metric, facts.statistic, facts.min_rows) == key
        ),
        None,
    )


def describe_deciding_slice(report: Report) -> tuple[str, str] | None:
    """Name the slice rule that decides and say how it went; None when a metric decides."""
    judgement = report.judgement
    if judgement is None or judgement.deciding is not None:
        return None
    failing = [verdict for verdict in judgement.slices if verdict.verdict is Verdict.FAIL]
    if not failing:
        return None
    verdict, facts = failing[0], find_facts(report, failing[0])
    row = _gap_row(verdict, facts)
    if facts is None or facts.reason:
        return row.name, f"cannot be judged{_after(facts.reason if facts else None)}"
    worst = next((result for result in facts.slices if result.group == verdict.group), None)
    if worst is not None and _is_loss(verdict):
        return f"{row.name}, {name_group(worst.group)}:", _describe_slice(worst, verdict.rule)
    named = f"; worst: {name_group(worst.group)}, {_describe_ends(worst)}" if worst else ""
    return f"{row.name},", f"{_describe_gap(row)}{named}"


def summarise_slices(report: Report) -> str:
    """Say in one phrase how many slices were looked at and what became of the rules."""
    rows = gap_rows(report)
    if not rows:
        return ""
    groups = {
        (row.rule.by, result.group) for row in rows if row.facts for result in row.facts.slices
    }
    omitted = {row.rule.by: row.facts.omitted for row in rows if row.facts}
    count = len(groups) + sum(omitted.values())
    broken = sum(row.verdict is Verdict.FAIL for row in rows)
    state = f"{broken} of {_count(len(rows), 'rule')} broken" if broken else _all_kept(len(rows))
    unproven = count_unproven(report)
    state += f", {unproven:,} not proven safe" if unproven else ""
    return f"{_count(count, 'slice')}: {state}"


def passing_slices(report: Report) -> str:
    """Say in one sentence that the slice rules are kept; "" when there are none."""
    rows = gap_rows(report)
    if not rows:
        return ""
    hidden = count_unproven(report)
    more = f"; {_count(hidden, 'slice')} may have lost more, noise hides it" if hidden else ""
    return f"{_all_kept(len(rows)).capitalize()}{more}."


def count_unproven(report: Report) -> int:
    """Count the groups of kept rules of which a loss above the margin is not ruled out."""
    return sum(row.unproven for row in gap_rows(report))


def has_claimed_slices(report: Report) -> bool:
    """Tell whether groups that are judged were measured by the pull request alone."""
    return any(row.is_claimed for row in gap_rows(report))


def judged_groups(row: GapRow) -> list[SliceResult]:
    """List the groups of a rule that have enough rows and a value."""
    results = row.facts.slices if row.facts else ()
    return [
        result for result in results if result.rows >= row.rule.min_rows and result.head is not None
    ]


def describe_gap(row: GapRow) -> str:
    """Say how a rule went, after its name; what stands above the table of its groups."""
    if row.facts is None or row.facts.reason:
        return f"cannot be judged{_after(row.facts.reason if row.facts else None)}"
    if row.rule.statistic is None:
        return "; ".join(row.limits)
    remark = f" ({row.facts.remark})" if row.facts.remark else ""
    return f"{_describe_gap(row)}{remark}"


def slice_rows(row: GapRow) -> list[list[str]]:
    """Return the cells of a rule's groups under :data:`SLICE_HEAD`; the worst first."""
    if row.facts is None:
        return []
    from mlgitops.model.slice_metrics import find_worst

    sign = 1 if find_worst(row.rule) else -1
    shown = row.facts.slices[:MOST_SHOWN]
    ordered = sorted(
        shown,
        key=lambda result: (
            result.rows < row.rule.min_rows,
            result.head is None,
            sign * (result.head or 0.0),
        ),
    )
    return [_slice_cells(result, row.rule) for result in ordered]


def hidden_slices(row: GapRow) -> int:
    """Count the groups of a rule that :func:`slice_rows` does not show."""
    if row.facts is None:
        return 0
    return row.facts.omitted + max(0, len(row.facts.slices) - MOST_SHOWN)


def slice_limits(rule: SliceRule) -> tuple[str, ...]:
    """Say what the rule allows, one short phrase per limit."""
    texts = [f"at least {render_plain(rule.min_value)}"] if rule.min_value is not None else []
    texts += [f"at most {render_plain(rule.max_value)}"] if rule.max_value is not None else []
    if rule.max_worsening is not None:
        texts.append(f"a group may lose at most {render_plain(rule.max_worsening)}")
    return tuple(texts)


def _gap_row(verdict: SliceVerdict, facts: SliceFacts | None) -> GapRow:
    rule = verdict.rule
    base, head = (facts.base, facts.head) if facts else (None, None)
    interval = facts.interval if facts else None
    decimals = choose_decimals(
        base,
        head,
        half_width=(interval.high - interval.low) / 2 if interval else None,
        apart_from=tuple(bound for bound in (rule.min_value, rule.max_value) if bound is not None),
    )
    delta = head - base if base is not None and head is not None else None
    return GapRow(
        name=name_rule(rule),
        statistic=_STATISTICS[rule.statistic] if rule.statistic else "each group",
        base=render_number(base, decimals),
        head=render_number(head, decimals),
        delta=render_delta(delta, decimals),
        interval=(
            f"{render_number(interval.low, decimals)} to {render_number(interval.high, decimals)}"
            if interval
            else None
        ),
        confidence=_confidence(interval),
        limits=slice_limits(rule),
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        facts=facts,
        rule=rule,
        unproven=_count_doubts(verdict, facts),
        is_claimed=verdict.claimed is not None,
    )


def _count_doubts(verdict: SliceVerdict, facts: SliceFacts | None) -> int:
    """Count the judged groups that may have lost more than a kept rule allows."""
    if facts is None or verdict.verdict is not Verdict.PASS:
        return 0
    return sum(may_exceed(result, verdict.rule) for result in judged_slices(verdict.rule, facts))


def _describe_gap(row: GapRow) -> str:
    moved = f"{row.base} → {row.head}" if row.base != DASH else row.head
    parts = [f"{row.confidence} interval of head {row.interval}"] if row.interval else []
    return f"{row.statistic} {moved} ({'; '.join([*parts, *row.limits])})"


def _describe_slice(result: SliceResult, rule: SliceRule) -> str:
    cells = _slice_cells(result, rule)
    parts = [f"{_confidence(result.interval)} interval {cells[5]}"] if result.interval else []
    margin = render_plain(rule.max_worsening or 0.0)
    inside = "; ".join([", ".join([cells[4], *parts]), f"may lose at most {margin}"])
    return f"{cells[2]} → {cells[3]} ({inside})"


def _slice_cells(result: SliceResult, rule: SliceRule) -> list[str]:
    decimals = _slice_decimals(result)
    interval = DASH
    if result.interval:
        interval = render_ends(result.interval.low, result.interval.high, decimals)
    return [
        name_group(result.group),
        f"{result.rows:,}",
        render_number(result.base, decimals),
        render_number(result.head, decimals),
        render_delta(result.delta, decimals),
        interval,
        _slice_result(result, rule),
    ]


def _slice_decimals(result: SliceResult) -> int:
    """Choose the decimals of a group: by its interval, else by what its few rows can tell."""
    if result.interval:
        half = (result.interval.high - result.interval.low) / 2
    else:
        half = max(abs(result.base or 0.0), abs(result.head or 0.0)) / math.sqrt(
            max(result.rows, 1)
        )
    return choose_decimals(result.base, result.head, half_width=half)


def _slice_result(result: SliceResult, rule: SliceRule) -> str:
    if result.rows < rule.min_rows:
        return _FEW_ROWS
    if result.head is None or lacks_interval(result):
        return f"not judged: {result.reason}"
    kind = find_slice_kind(result, rule)
    word = "" if kind in (Kind.UNCHANGED, Kind.CHANGED, Kind.ADDED) else kind.value
    is_open = may_exceed(result, rule) and not lost_too_much(result, rule)
    doubt = "not proven safe" if is_open else ""
    return ", ".join(part for part in (word, doubt) if part)


def _describe_ends(result: SliceResult) -> str:
    decimals = _slice_decimals(result)
    ends = [render_number(end, decimals) for end in (result.base, result.head) if end is not None]
    return " → ".join(ends)


def _is_loss(verdict: SliceVerdict) -> bool:
    """Tell whether a group's loss broke the rule, rather than a bound."""
    return all("lost more than" in reason for reason in verdict.reasons)


def _confidence(interval: Interval | None) -> str | None:
    return f"{interval.confidence * 100:.4g}%" if interval else None


def _after(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _all_kept(count: int) -> str:
    return "the slice rule is kept" if count == 1 else f"all {count} slice rules are kept"


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def slice_levels(rows: Sequence[GapRow]) -> str:
    """Say at which confidences the groups' intervals stand; "" when there are none."""
    levels = sorted(
        {
            result.interval.confidence
            for row in rows
            for result in judged_groups(row)
            if result.interval is not None
        }
    )
    if not levels:
        return ""
    ends = list(dict.fromkeys(f"{level * 100:.4g}%" for level in (levels[0], levels[-1])))
    return (
        "Intervals of changes hold the true changes of all groups at once, as often as the policy "
        f"asks: each is at {' to '.join(ends)}, corrected for the number of slices."
    )
