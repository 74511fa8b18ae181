"""Changes and a policy to a judgement: a kind and a verdict per judged metric. Pure.

The *kind* says how the metric moved, as far as noise lets us know. The *verdict* says
whether the policy allows it:

* bounds (`min_value`, `max_value`) hold for the head's value as it is;
* the margin (`max_worsening`, `max_relative_worsening`) is what may be lost against base.
  With an interval, a loss counts only when noise cannot explain it. An interval that does not
  rule out a loss above the margin makes the metric *unproven*, whatever the word for its change;
  whether that passes is the policy's `inconclusive`. Without an interval the plain numbers
  decide and the report says so; with `inconclusive: fail` they are no proof, and a metric that
  predictions could have given fails;
* a budget is what is spent, not an estimate from test rows: its plain numbers decide. A cost
  that base measured on another kind of machine is unproven against its margin;
* a metric that one file has at base and another at head moved, and is held to its margin;
* a judged metric with a margin that is in head alone passes as new only where base does not
  declare its file and has nothing that it could have been;
* a judged metric that is removed, missing, incomparable or stale (the pipeline did not make
  it from what is judged) fails; it is never skipped;
* who measured head's values is weighed in :mod:`mlgitops.judgement.claims`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.judgement.claims import find_broken, list_failures, weigh_metric, weigh_slices
from mlgitops.judgement.moved import Joined
from mlgitops.judgement.power import find_power
from mlgitops.judgement.promotion import (
    excuse,
    leave_promotion,
    list_deciding,
    list_promotion_failures,
    put_promotion,
    select_promotion_rules,
)
from mlgitops.judgement.reference import (
    NOT_READ,
    find_absence,
    leave_undecided,
    mark_undecided,
    name_since,
    put_in_place,
    say_failures,
    select_rules,
)
from mlgitops.judgement.slices import exceeds, judge_slices
from mlgitops.model import (
    Judgement,
    Kind,
    MetricChange,
    MetricVerdict,
    OnInconclusive,
    PromotionVerdict,
    StageState,
    TestData,
    Verdict,
)
from mlgitops.statistics.names import find_estimator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.model import (
        Interval,
        Policy,
        Power,
        Promotion,
        Reference,
        Report,
        Rule,
        SliceVerdict,
    )

OTHER_ROWS = "was measured on other test data than at base"
NO_METHOD = "is judged by its plain numbers: no method is known for its noise"
NO_PREDICTIONS = "there are no predictions of both sides"
_LOST = "lost more than"
_WITHOUT_MARGIN = (Kind.INCOMPARABLE, Kind.REMOVED)
_AT_REST = (StageState.SKIPPED, StageState.UNCHANGED)
_MAX_TEXT = 500


def judge_report(report: Report, policy: Policy) -> Report:
    """Return ``report`` with its judgement made from its facts and ``policy``."""
    verdicts = _judge_metrics(report, policy)
    slices = judge_slices(policy.slices, report.slices, policy.inconclusive)
    slices = weigh_slices(slices, report, policy.evidence)
    since = _judge_since(report.reference, report, policy)
    promotions = tuple(
        _judge_promotion(promotion, report, policy) for promotion in report.promotions
    )
    judgement = _sum_up(verdicts, slices, since, report.reference, promotions)
    return msgspec.structs.replace(report, judgement=judgement)


def _judge_metrics(report: Report, policy: Policy) -> tuple[MetricVerdict, ...]:
    gates = [(name, rule, False) for name, rule in policy.metrics.items()]
    gates += [(name, rule, True) for name, rule in policy.budgets.items()]
    joined = Joined(report.metrics)
    verdicts = []
    for name, rule, budget in gates:
        matches = [*joined.match(name), *match_metric(name, report.cost)]
        verdict = _judge_metric(
            name, rule, report, matches=matches, budget=budget, inconclusive=policy.inconclusive
        )
        is_single = len(matches) == 1
        verdicts.append(
            weigh_metric(verdict, matches[0], report, policy.evidence) if is_single else verdict
        )
    return tuple(verdicts)


def _judge_since(
    reference: Reference | None, report: Report, policy: Policy
) -> tuple[MetricVerdict, ...]:
    """Judge what was lost since the reference; what cannot be read there is undecided."""
    rules = select_rules(policy)
    problem = NOT_READ if reference is None else reference.reason
    if reference is None or problem is not None:
        return tuple(
            leave_undecided(name, rule, f"cannot be held against it: {problem}")
            for name, rule in rules.metrics.items()
        )
    verdicts = _judge_metrics(put_in_place(report, reference), rules)
    absences = [find_absence(reference, verdict) for verdict in verdicts]
    return tuple(
        mark_undecided(verdict, absence) if absence else verdict
        for verdict, absence in zip(verdicts, absences, strict=True)
    )


def _judge_promotion(promotion: Promotion, report: Report, policy: Policy) -> PromotionVerdict:
    """Judge what an environment shall serve against what it serves."""
    rules = select_promotion_rules(policy)
    verdicts = (
        leave_promotion(promotion, rules)
        if promotion.reason is not None
        else excuse(promotion, _judge_metrics(put_promotion(report, promotion), rules))
    )
    return PromotionVerdict(environment=promotion.environment, metrics=verdicts)


def find_kind(change: MetricChange, rule: Rule | None = None) -> Kind:
    """Say how a metric moved; without a ``rule`` no direction is known."""
    if change.reason is not None or (change.base is None and change.head is None):
        return Kind.INCOMPARABLE
    if change.base is None:
        return Kind.ADDED
    if change.head is None:
        return Kind.REMOVED
    if rule is None:
        return Kind.CHANGED if change.delta else Kind.UNCHANGED
    interval = _read_interval(change)
    if interval is None:
        return _sign_kind(change, rule)
    from mlgitops.judgement.kinds import decide_kind

    margin = find_margin(rule, change.base)
    return decide_kind(interval, greater_is_better=rule.greater_is_better, margin=margin)


def find_gain(change: MetricChange, rule: Rule) -> tuple[float, float] | None:
    """Return the interval of the gain (positive is better), or None when there is none."""
    interval = change.evidence.interval if change.evidence else None
    if interval is None:
        return None
    if rule.greater_is_better:
        return (interval.low, interval.high)
    return (-interval.high, -interval.low)


def find_margin(rule: Rule, base: float) -> float | None:
    """Return what may be lost against ``base``, in the metric's unit; the stricter of two."""
    margins = [rule.max_worsening] if rule.max_worsening is not None else []
    if rule.max_relative_worsening is not None:
        margins.append(rule.max_relative_worsening * abs(base))
    return min(margins, default=None)


def find_doubt(change: MetricChange, rule: Rule) -> str | None:
    """Say why the interval does not rule out a loss above the margin.

    The end of a sentence about the metric. None when the loss is ruled out, and where there is
    no margin, nothing to compare or no interval.
    """
    interval = _read_interval(change)
    margin = find_margin(rule, change.base) if change.base is not None else None
    if interval is None or margin is None or change.delta is None:
        return None
    from mlgitops.judgement.kinds import is_within, reaches_beyond

    if is_within(interval, greater_is_better=rule.greater_is_better, margin=margin):
        return None
    text = f"may have lost more than {_margin_text(rule)}"
    if reaches_beyond(interval, greater_is_better=rule.greater_is_better, margin=margin):
        return f"{text}: noise hides it"
    ground = change.evidence.reason if change.evidence else None
    few = f"{change.evidence.rows:,} test rows" if change.evidence else interval.method
    return f"{text}: the interval is rough ({ground or few})"[:_MAX_TEXT]


def _read_interval(change: MetricChange) -> Interval | None:
    """Return the interval of a change; one of few rows is rough, whatever its method is called."""
    evidence = change.evidence
    if evidence is None or evidence.interval is None:
        return None
    from mlgitops.statistics.intervals import FEWEST_ROWS, ROUGH, is_identical, is_rough

    interval = evidence.interval
    if evidence.rows >= FEWEST_ROWS or is_identical(interval) or is_rough(interval):
        return interval
    return msgspec.structs.replace(interval, method=f"{interval.method[:150]}{ROUGH}")


def is_untouched(report: Report) -> bool:
    """Tell whether nothing that a model is made of differs between the sides, as far as is known.

    No stage of the pipeline ran or differs, no parameter, and no data.
    """
    moved = [stage for stage in report.stages if stage.state not in _AT_REST]
    omitted = report.omitted.params + report.omitted.data + report.omitted.stages
    return not (moved or report.params or report.data or omitted)


def match_metric(name: str, changes: Iterable[MetricChange]) -> list[MetricChange]:
    """Find the metrics that a policy's ``name`` (or `path:name`) stands for."""
    return [change for change in changes if name in (change.name, f"{change.path}:{change.name}")]


def _sign_kind(change: MetricChange, rule: Rule) -> Kind:
    """Judge by the sign of the plain difference."""
    if not change.delta:
        return Kind.UNCHANGED
    return Kind.IMPROVED if (change.delta > 0) == rule.greater_is_better else Kind.WORSENED


def _judge_metric(
    name: str,
    rule: Rule,
    report: Report,
    *,
    matches: list[MetricChange],
    budget: bool,
    inconclusive: OnInconclusive,
) -> MetricVerdict:
    """Judge the metric that the policy calls ``name``; ``matches``: what has that name."""
    path = matches[0].path if len(matches) == 1 else None
    unproven = power = None
    if len(matches) != 1:
        kind, reasons = Kind.INCOMPARABLE, [_not_one(matches)]
    elif matches[0].stale is not None:
        broken = _break_limits(matches[0], rule, report, budget=budget)
        kind, reasons = Kind.INCOMPARABLE, [f"is stale: {matches[0].stale}"[:500], *broken]
    elif _on_other_rows(matches[0], report, budget=budget):
        kind, reasons = Kind.INCOMPARABLE, [OTHER_ROWS, *_break_bounds(matches[0], rule)]
    else:
        is_strict = inconclusive is OnInconclusive.FAIL
        change = msgspec.structs.replace(matches[0], evidence=None) if budget else matches[0]
        if change in report.cost:
            unproven = _doubt_cost(change, rule)
            change = msgspec.structs.replace(change, base_missing=None)
        kind = find_kind(change, rule)
        reasons = _find_reasons(change, rule, kind)
        power = _find_power(change, rule, kind, inconclusive)
        is_lost = any(reason.startswith(_LOST) for reason in reasons)
        if not (budget or is_lost or kind in _WITHOUT_MARGIN or unproven):
            unproven = _find_unproven(change, rule, report, is_strict=is_strict)
        # No rows and no predictions could prove a metric that has no method.
        reasons += [unproven] if is_strict and unproven not in (None, NO_METHOD) else []
    return MetricVerdict(
        name=name,
        path=path,
        kind=kind,
        verdict=Verdict.FAIL if reasons else Verdict.PASS,
        rule=rule,
        budget=budget,
        reasons=tuple(reasons),
        unproven=unproven,
        power=power,
    )


def _find_power(
    change: MetricChange, rule: Rule, kind: Kind, inconclusive: OnInconclusive
) -> Power | None:
    """Say what these test rows stop by the rule's margin; None where a change was not compared."""
    if change.base is None or kind in _WITHOUT_MARGIN:
        return None
    return find_power(change, _read_interval(change), find_margin(rule, change.base), inconclusive)


def _break_limits(change: MetricChange, rule: Rule, report: Report, *, budget: bool) -> list[str]:
    """Say every limit that the stored values break, though they are of an older run."""
    if _on_other_rows(change, report, budget=budget):
        return [OTHER_ROWS, *_break_bounds(change, rule)]
    return [*_break_margin(change, rule, _sign_kind(change, rule)), *_break_bounds(change, rule)]


def _find_unproven(
    change: MetricChange, rule: Rule, report: Report, *, is_strict: bool
) -> str | None:
    """Say why a loss above the margin is not ruled out; where there is no interval, if strict.

    The sentence that ends a refusal, or None. A value that did not move is proof of itself only
    where nothing that makes it moved either: two models may tie on the rows at hand.
    """
    doubt = find_doubt(change, rule)
    if doubt is not None or not is_strict or change.base is None or change.delta is None:
        return doubt
    has_interval = change.evidence is not None and change.evidence.interval is not None
    is_same = change.delta == 0 and is_untouched(report)
    if has_interval or is_same or find_margin(rule, change.base) is None:
        return None
    if find_estimator(change.name) is None:
        return NO_METHOD
    ground = change.evidence.reason if change.evidence else None
    text = f"is not shown to have lost at most {_margin_text(rule)}: noise was not estimated"
    return f"{text} ({ground or NO_PREDICTIONS})"[:_MAX_TEXT]


def _not_one(matches: list[MetricChange]) -> str:
    if not matches:
        return "is in no metrics file, neither at base nor at head"
    paths = " and ".join(f"`{change.path}`" for change in matches[:3])
    return f"is in several files, {paths}: write it as `path:name` in the policy"[:500]


def _on_other_rows(change: MetricChange, report: Report, *, budget: bool) -> bool:
    """Tell whether base and head of a test metric cannot be set side by side."""
    both = change.base is not None and change.head is not None
    if report.test_data is not TestData.CHANGED or budget or not both or change in report.cost:
        return False
    paths = report.rescoring.paths if report.rescoring is not None else ()
    return Joined(report.metrics).find_origin(change) not in paths


def _find_reasons(change: MetricChange, rule: Rule, kind: Kind) -> list[str]:
    """Say every way in which the change breaks the rule; nothing when it keeps it."""
    if kind is Kind.INCOMPARABLE:
        return [f"cannot be compared: {change.reason or 'neither side has a value'}"[:500]]
    if kind is Kind.REMOVED:
        return ["was removed: head has no value for it"]
    return [
        *_doubt_newness(change, rule),
        *_break_margin(change, rule, kind),
        *_break_bounds(change, rule),
    ]


def _doubt_newness(change: MetricChange, rule: Rule) -> list[str]:
    """Refuse a metric that base should have, or has by another name: its loss is not known.

    Where the rule sets no margin, head's value alone is judged, and base's is not missed.
    """
    if change.base is not None or change.base_missing is None or not _margin_text(rule):
        return []
    return [f"is new, and {change.base_missing}: what it lost is not known"[:500]]


def _doubt_cost(change: MetricChange, rule: Rule) -> str | None:
    """Say why a cost is not held against base's, which was measured elsewhere; None if it is."""
    if change.base is not None or not (change.base_missing and _margin_text(rule)):
        return None
    return f"is not held to its margin of {_margin_text(rule)}: {change.base_missing}"[:_MAX_TEXT]


def _break_bounds(change: MetricChange, rule: Rule) -> list[str]:
    head = change.head
    if head is None:
        return []
    reasons = []
    if rule.min_value is not None and head < rule.min_value:
        reasons.append(f"is below its minimum of {rule.min_value:.10g}")
    if rule.max_value is not None and head > rule.max_value:
        reasons.append(f"is above its maximum of {rule.max_value:.10g}")
    return reasons


def _break_margin(change: MetricChange, rule: Rule, kind: Kind) -> list[str]:
    if change.base is None or change.delta is None:
        return []
    margin = find_margin(rule, change.base)
    if margin is None:
        return []
    loss = -change.delta if rule.greater_is_better else change.delta
    if kind is Kind.WORSENED and exceeds(loss, margin, change.base, change.head):
        return [f"{_LOST} the {_margin_text(rule)} that it may lose"]
    return []


def _margin_text(rule: Rule) -> str:
    texts = [f"{rule.max_worsening:.10g}"] if rule.max_worsening is not None else []
    if rule.max_relative_worsening is not None:
        texts.append(f"{rule.max_relative_worsening * 100:.10g}%")
    return " and ".join(texts)


def _sum_up(
    verdicts: tuple[MetricVerdict, ...],
    slices: tuple[SliceVerdict, ...],
    since: tuple[MetricVerdict, ...],
    reference: Reference | None,
    promotions: tuple[PromotionVerdict, ...],
) -> Judgement:
    """Fail when any fails; a failing metric decides, then a slice, else the policy's first."""
    failing = [verdict for verdict in verdicts if verdict.verdict is Verdict.FAIL]
    unfair = [verdict for verdict in slices if verdict.verdict is Verdict.FAIL]
    if not verdicts and not slices:
        return Judgement(verdict=Verdict.SKIP)
    label = reference.label if reference else "reference"
    lost = [verdict for verdict in since if verdict.verdict is Verdict.FAIL]
    unread = [verdict for verdict in since if verdict.verdict is Verdict.UNDECIDED]
    failures = list_failures(failing, unfair)
    failures += [line for row in lost for line in say_failures(label, row)]
    failures += list_promotion_failures(promotions, Verdict.FAIL)
    unknown = [line for row in unread for line in say_failures(label, row)]
    unknown += list_promotion_failures(promotions, Verdict.UNDECIDED)
    outcome = Verdict.FAIL if failures else Verdict.UNDECIDED if unknown else Verdict.PASS
    # What is told first is the first metric whose claim does not hold, else the policy's first.
    failing.sort(key=lambda row: find_broken(row) is None)
    deciding = [verdict.name for verdict in failing]
    deciding += [name_since(verdict.name, label) for verdict in lost]
    deciding += list_deciding(promotions, has_failed=bool(deciding or unfair))
    deciding += [] if deciding or unfair else [verdict.name for verdict in verdicts]
    return Judgement(
        verdict=outcome,
        deciding=deciding[0] if deciding else None,
        metrics=verdicts,
        slices=slices,
        reference=since,
        promotions=promotions,
        failures=(*failures, *unknown),
    )
