"""Changes and a policy to a judgement: a kind and a verdict per judged metric. Pure.

The *kind* says how the metric moved, as far as noise lets us know. The *verdict* says
whether the policy allows it:

* bounds (`min_value`, `max_value`) hold for the head's value as it is;
* the margin (`max_worsening`, `max_relative_worsening`) is what may be lost against base.
  With an interval, a loss counts only when noise cannot explain it; whether a loss that
  noise may explain passes is the policy's `inconclusive`. Without one, the plain numbers
  decide and the report says so;
* a judged metric that is removed, missing, incomparable or stale (the pipeline did not make
  it from what is judged) fails; it is never skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.model import (
    Judgement,
    Kind,
    MetricChange,
    MetricVerdict,
    OnInconclusive,
    TestData,
    Verdict,
)
from mlgitops.slices.judge import exceeds, judge_slices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.model import Policy, Report, Rule, SliceVerdict

OTHER_ROWS = "was measured on other test data than at base"


def judge_report(report: Report, policy: Policy) -> Report:
    """Return ``report`` with its judgement made from its facts and ``policy``."""
    gates = [(name, rule, False) for name, rule in policy.metrics.items()]
    gates += [(name, rule, True) for name, rule in policy.budgets.items()]
    verdicts = tuple(
        _judge_metric(name, rule, report, budget=budget, inconclusive=policy.inconclusive)
        for name, rule, budget in gates
    )
    slices = judge_slices(policy.slices, report.slices, policy.inconclusive)
    return msgspec.structs.replace(report, judgement=_sum_up(verdicts, slices))


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
    interval = change.evidence.interval if change.evidence else None
    if interval is None:
        return _sign_kind(change, rule)
    from mlgitops.inference.decision import decide_kind

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


def match_metric(name: str, changes: Iterable[MetricChange]) -> list[MetricChange]:
    """Find the metrics that a policy's ``name`` (or `path:name`) stands for."""
    return [change for change in changes if name in (change.name, f"{change.path}:{change.name}")]


def _sign_kind(change: MetricChange, rule: Rule) -> Kind:
    """Judge by the sign of the plain difference."""
    if not change.delta:
        return Kind.UNCHANGED
    return Kind.IMPROVED if (change.delta > 0) == rule.greater_is_better else Kind.WORSENED


def _judge_metric(
    name: str, rule: Rule, report: Report, *, budget: bool, inconclusive: OnInconclusive
) -> MetricVerdict:
    """Judge the metric that the policy calls ``name``."""
    found = match_metric(name, (*report.metrics, *report.cost))
    path = found[0].path if len(found) == 1 else None
    if len(found) != 1:
        kind, reasons = Kind.INCOMPARABLE, [_not_one(found)]
    elif found[0].stale is not None:
        kind, reasons = Kind.INCOMPARABLE, [f"is stale: {found[0].stale}"[:500]]
    elif _on_other_rows(found[0], report, budget=budget):
        kind, reasons = Kind.INCOMPARABLE, [OTHER_ROWS, *_break_bounds(found[0], rule)]
    else:
        kind = find_kind(found[0], rule)
        reasons = _find_reasons(found[0], rule, kind, inconclusive)
    return MetricVerdict(
        name=name,
        path=path,
        kind=kind,
        verdict=Verdict.FAIL if reasons else Verdict.PASS,
        rule=rule,
        budget=budget,
        reasons=tuple(reasons),
    )


def _not_one(found: list[MetricChange]) -> str:
    if not found:
        return "is in no metrics file, neither at base nor at head"
    paths = " and ".join(f"`{change.path}`" for change in found[:3])
    return f"is in several files, {paths}: write it as `path:name` in the policy"[:500]


def _on_other_rows(change: MetricChange, report: Report, *, budget: bool) -> bool:
    """Tell whether base and head of a test metric cannot be set side by side."""
    both = change.base is not None and change.head is not None
    if change in report.cost:
        return False
    rescored = report.rescoring is not None and change.path in report.rescoring.paths
    return report.test_data is TestData.CHANGED and both and not budget and not rescored


def _find_reasons(
    change: MetricChange, rule: Rule, kind: Kind, inconclusive: OnInconclusive
) -> list[str]:
    """Say every way in which the change breaks the rule; nothing when it keeps it."""
    if kind is Kind.INCOMPARABLE:
        return [f"cannot be compared: {change.reason}"[:500]]
    if kind is Kind.REMOVED:
        return ["was removed: head has no value for it"]
    return [*_break_margin(change, rule, kind, inconclusive), *_break_bounds(change, rule)]


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


def _break_margin(
    change: MetricChange, rule: Rule, kind: Kind, inconclusive: OnInconclusive
) -> list[str]:
    if change.base is None or change.delta is None:
        return []
    margin = find_margin(rule, change.base)
    if margin is None:
        return []
    loss = -change.delta if rule.greater_is_better else change.delta
    if kind is Kind.WORSENED and exceeds(loss, margin, change.base, change.head):
        return [f"lost more than the {_margin_text(rule)} that it may lose"]
    gain = find_gain(change, rule)
    unsettled = kind is Kind.INCONCLUSIVE and gain is not None and gain[0] < -margin
    if unsettled and inconclusive is OnInconclusive.FAIL:
        return [f"may have lost more than {_margin_text(rule)}: noise hides it"]
    return []


def _margin_text(rule: Rule) -> str:
    texts = [f"{rule.max_worsening:.10g}"] if rule.max_worsening is not None else []
    if rule.max_relative_worsening is not None:
        texts.append(f"{rule.max_relative_worsening * 100:.10g}%")
    return " and ".join(texts)


def _sum_up(verdicts: tuple[MetricVerdict, ...], slices: tuple[SliceVerdict, ...]) -> Judgement:
    """Fail when any fails; a failing metric decides, then a slice, else the policy's first."""
    failing = [verdict for verdict in verdicts if verdict.verdict is Verdict.FAIL]
    unfair = [verdict for verdict in slices if verdict.verdict is Verdict.FAIL]
    if not verdicts and not slices:
        return Judgement(verdict=Verdict.SKIP)
    failures = [f"`{found.name}` {reason}"[:500] for found in failing for reason in found.reasons]
    failures += [reason for found in unfair for reason in found.reasons]
    deciding = failing or ([] if unfair else list(verdicts))
    return Judgement(
        verdict=Verdict.FAIL if failures else Verdict.PASS,
        deciding=deciding[0].name if deciding else None,
        metrics=verdicts,
        slices=slices,
        failures=tuple(failures),
    )
