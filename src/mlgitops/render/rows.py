"""Metrics as rows of a table: numbers rounded to texts, limits and results in words. Pure.

In: a report. Out: one row for each metric, judged or not; names still unescaped. The comment, the
terminal and the page show the same rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from mlgitops.judgement.claims import find_broken, find_claim
from mlgitops.judgement.judge import find_kind, find_margin
from mlgitops.judgement.moved import Joined
from mlgitops.judgement.promotion import name_in
from mlgitops.judgement.reference import name_since
from mlgitops.model import Kind, Verdict
from mlgitops.render.measurement import NOT_HELD, OWN_NUMBER
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

    from mlgitops.model import Interval, MetricChange, MetricVerdict, Report, Rule

#: What a change is called that passes though a loss above the margin is not ruled out.
NOT_PROVEN = "not proven safe"
#: How a value is marked that the pipeline did not make from what stands beside it.
OLDER_RUN = "of an older run"


class Row(Struct, frozen=True, kw_only=True):
    """One metric, ready to show."""

    name: str
    path: str | None
    base: str
    head: str
    delta: str
    interval: str | None  # such as "+0.021 to +0.039"
    confidence: str | None = None  # of the interval, such as "95%"
    limits: tuple[str, ...]
    kind: Kind
    verdict: Verdict
    reasons: tuple[str, ...]
    budget: bool = False
    stale: bool = False  # head's value is of an older run
    unproven: str | None = None  # why a loss above the margin is not ruled out
    is_claimed: bool = False  # head's value is its own run's word alone
    broken: str | None = None  # that its own run says another value than base's code
    more_rows: int | None = None  # test rows that would settle an inconclusive one
    remark: str | None = None  # what the statistics say of their ground
    chance: str | None = None  # of a metric that is not judged: may noise explain its change?

    @property
    def is_doubtful(self) -> bool:
        """Tell whether it passes though a loss above the margin is not ruled out."""
        return self.verdict is Verdict.PASS and self.unproven is not None

    @property
    def is_open(self) -> bool:
        """Tell whether it passes with something that is not proven: no loss, or its number."""
        return self.is_doubtful or (self.verdict is Verdict.PASS and self.is_claimed)

    @property
    def result(self) -> str:
        """Say in a few words how it went, and whose number it is where that is not base's."""
        own = [OWN_NUMBER] if self.is_claimed else []
        broken = [NOT_HELD] if self.broken else []
        return ", ".join([self._outcome, *broken, *own])

    @property
    def _outcome(self) -> str:
        """Say in one or two words how it went."""
        if self.stale:
            return f"stale, {OLDER_RUN}"
        if self.unproven is not None:
            return f"{self.kind.value}, {NOT_PROVEN}"
        if self.kind is Kind.WORSENED and self.verdict is Verdict.PASS and not self.budget:
            return "worsened, allowed"
        if not self.budget or self.kind in (Kind.REMOVED, Kind.INCOMPARABLE):
            return self.kind.value
        return "within budget" if self.verdict is Verdict.PASS else "over budget"


def find_row(report: Report, name: str) -> Row | None:
    """Find the row of a judged metric, whatever it is held against."""
    return next((row for row in held_rows(report) if row.name == name), None)


def held_rows(report: Report) -> list[Row]:
    """List the judged metrics against base, the reference, and what environments serve."""
    return [*judged_rows(report), *reference_rows(report), *promotion_rows(report)]


def reference_rows(report: Report) -> list[Row]:
    """List the judged metrics as held against the reference, with its value in base's place."""
    reference = report.reference
    if report.judgement is None or reference is None:
        return []
    joined = Joined(reference.metrics)
    rows = [
        _judged_row(verdict, _find_judged(verdict, joined, ()))
        for verdict in report.judgement.reference
    ]
    return [
        msgspec.structs.replace(row, name=name_since(row.name, reference.label)) for row in rows
    ]


def promotion_rows(report: Report, environment: str | None = None) -> list[Row]:
    """List the judged metrics of promotions, or of one; what is served now in base's place."""
    held = {promotion.environment: promotion for promotion in report.promotions}
    rows = []
    for judged in report.judgement.promotions if report.judgement else ():
        promotion = held.get(judged.environment)
        if promotion is None or environment not in (None, judged.environment):
            continue
        joined = Joined(promotion.metrics)
        for verdict in judged.metrics:
            row = _judged_row(verdict, _find_judged(verdict, joined, ()))
            name = name_in(row.name, judged.environment)
            limits = () if promotion.is_return else row.limits  # they do not count there
            rows.append(msgspec.structs.replace(row, name=name, limits=limits))
    return rows


def judged_rows(report: Report) -> list[Row]:
    """List the judged metrics, what fails first, else in the policy's order."""
    if report.judgement is None:
        return []
    joined = Joined(report.metrics)
    rows = [
        _judged_row(verdict, _find_judged(verdict, joined, report.cost))
        for verdict in report.judgement.metrics
    ]
    return sorted(rows, key=lambda row: row.verdict is not Verdict.FAIL)


def find_verdict(report: Report, row: Row) -> tuple[MetricVerdict | None, MetricChange | None]:
    """Find the verdict and the change that ``row`` shows, against base or the reference."""
    judgement, reference = report.judgement, report.reference
    for verdict in judgement.metrics if judgement else ():
        if verdict.name == row.name:
            return verdict, _find_judged(verdict, Joined(report.metrics), report.cost)
    for verdict in judgement.reference if judgement and reference else ():
        if reference and name_since(verdict.name, reference.label) == row.name:
            return verdict, _find_judged(verdict, Joined(reference.metrics), ())
    held = {promotion.environment: promotion for promotion in report.promotions}
    for judged in judgement.promotions if judgement else ():
        for verdict in judged.metrics:
            if name_in(verdict.name, judged.environment) == row.name:
                metrics = held[judged.environment].metrics
                return verdict, _find_judged(verdict, Joined(metrics), ())
    return None, None


def _find_judged(
    verdict: MetricVerdict, joined: Joined, cost: Sequence[MetricChange]
) -> MetricChange | None:
    """Find what a verdict is of; None where the policy's name stands for none, or several."""
    matches = [*joined.match(verdict.name), *cost]
    plain = verdict.name.removeprefix(f"{verdict.path}:")
    moved = joined.moved.get(verdict.name)
    return moved or next(
        (change for change in matches if (change.path, change.name) == (verdict.path, plain)), None
    )


def other_rows(report: Report) -> list[Row]:
    """List the metrics that the policy does not judge."""
    judged = report.judgement.metrics if report.judgement else ()
    joined = Joined(report.metrics)
    judged_changes = (_find_judged(verdict, joined, report.cost) for verdict in judged)
    taken = {(change.path, change.name) for change in judged_changes if change}
    measured = report.measurement
    is_mixed = measured is not None and measured.reason is None  # else whose they are is said once
    return [
        _plain_row(change, is_claimed=is_mixed and find_claim(change, measured) is not None)
        for change in joined.changes
        if (change.path, change.name) not in taken
    ]


def moved_rows(rows: list[Row]) -> list[Row]:
    """List the metrics that are not told to be unchanged: moved, or not comparable."""
    return [row for row in rows if row.kind is not Kind.UNCHANGED]


def shared_confidence(rows: list[Row]) -> str | None:
    """Find the confidence of the intervals when all have the same one.

    They differ where a correction for several metrics settles some of them first.
    """
    levels = {row.confidence for row in rows if row.confidence}
    return levels.pop() if len(levels) == 1 else None


def interval_cells(row: Row, *, with_interval: bool, level: str | None) -> list[str]:
    """Fill a table's column of intervals, if it has one; ``level``: the confidence they share."""
    own = "" if level or not row.confidence else f" ({row.confidence})"
    return [f"{row.interval}{own}" if row.interval else DASH] if with_interval else []


def unproven_rows(report: Report) -> list[Row]:
    """List the judged metrics that pass and may have lost more than they may, for all we know.

    Against base, then against the reference, then against what environments serve.
    """
    return [row for row in held_rows(report) if row.is_doubtful]


def limit_texts(rule: Rule) -> tuple[str, ...]:
    """Say what the policy allows, one short phrase per limit."""
    texts = []
    if rule.max_worsening is not None:
        texts.append(f"may lose at most {render_plain(rule.max_worsening)}")
    if rule.max_relative_worsening is not None:
        texts.append(f"may lose at most {render_plain(rule.max_relative_worsening * 100)}%")
    if rule.min_value is not None:
        texts.append(f"at least {render_plain(rule.min_value)}")
    if rule.max_value is not None:
        texts.append(f"at most {render_plain(rule.max_value)}")
    return tuple(texts)


def _judged_row(verdict: MetricVerdict, change: MetricChange | None) -> Row:
    """Make the row of one judged metric; it may be in no file."""
    rule = verdict.rule
    base = change.base if change else None
    head = change.head if change else None
    interval = change.evidence.interval if change and change.evidence else None
    decimals = choose_decimals(
        base,
        head,
        half_width=(interval.high - interval.low) / 2 if interval else None,
        apart_from=_thresholds(rule, base),
    )
    return Row(
        name=verdict.name,
        path=verdict.path,
        base=render_number(base, decimals),
        head=render_number(head, decimals),
        delta=render_delta(change.delta if change else None, decimals),
        interval=_render_interval(interval, decimals) if interval else None,
        confidence=_render_confidence(interval) if interval else None,
        limits=limit_texts(rule),
        kind=verdict.kind,
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        budget=verdict.budget,
        stale=change is not None and change.stale is not None,
        unproven=verdict.unproven,
        is_claimed=verdict.claimed is not None,
        broken=find_broken(verdict),
        more_rows=_find_more_rows(verdict, change),
        remark=change.evidence.reason if change and change.evidence else None,
    )


def _find_more_rows(verdict: MetricVerdict, change: MetricChange | None) -> int | None:
    evidence = change.evidence if change else None
    is_open = verdict.kind is Kind.INCONCLUSIVE or verdict.unproven is not None
    if not is_open or evidence is None or evidence.interval is None:
        return None
    from mlgitops.judgement.kinds import required_rows

    margin = find_margin(verdict.rule, change.base or 0.0) if change else None
    return required_rows(evidence.interval, evidence.rows, margin)


def _plain_row(change: MetricChange, *, is_claimed: bool) -> Row:
    interval = change.evidence.interval if change.evidence else None
    decimals = choose_decimals(
        change.base,
        change.head,
        half_width=(interval.high - interval.low) / 2 if interval else None,
    )
    reasons = (change.reason,) if change.reason else ()
    return Row(
        name=change.name,
        path=change.path,
        base=render_number(change.base, decimals),
        head=render_number(change.head, decimals),
        delta=render_delta(change.delta, decimals),
        interval=_render_interval(interval, decimals) if interval else None,
        confidence=_render_confidence(interval) if interval else None,
        limits=(),
        kind=find_kind(change),
        verdict=Verdict.SKIP,
        stale=change.stale is not None,
        is_claimed=is_claimed,
        reasons=reasons,
        chance=_describe_chance(interval) if interval else None,
    )


def _describe_chance(interval: Interval) -> str:
    """Say whether noise may explain a change, by an interval that no correction widened."""
    from mlgitops.statistics.intervals import is_rough

    text = "may be noise" if interval.low <= 0 <= interval.high else "beyond noise, taken alone"
    return f"{text} (rough)" if is_rough(interval) else text


def _thresholds(rule: Rule, base: float | None) -> tuple[float, ...]:
    """List the head values at which the rule turns: none may look like head."""
    limits = [value for value in (rule.min_value, rule.max_value) if value is not None]
    if base is not None and rule.max_worsening is not None:
        sign = -1 if rule.greater_is_better else 1
        limits.append(base + sign * rule.max_worsening)
    return tuple(limits)


def _render_confidence(interval: Interval) -> str:
    return f"{interval.confidence * 100:.4g}%"


def _render_interval(interval: Interval, decimals: int) -> str:
    return render_ends(interval.low, interval.high, decimals)
