"""Slice facts and rules to verdicts: is the gap within its bounds, did a group lose too much? Pure.

Bounds hold for head's statistic as it is. A group's loss against base counts, as a metric's
does, when noise cannot explain it (its interval leaves out zero) and it is above the margin.
A group in which too little is counted for an interval has a reason instead, and is not judged;
where base's rows give one and head's predictions took it away, the plain numbers decide. Groups
with fewer than `min_rows` rows are not judged. A rule that cannot be evaluated fails; it is
never skipped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlgitops.model import Kind, OnInconclusive, SliceVerdict, Statistic, Verdict
from mlgitops.model.slice_metrics import find_worst, is_greater_better

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.model import SliceFacts, SliceResult, SliceRule

_MOST_NAMED = 3
#: Losses of this many margins that rather pass make a group hopeless.
_HOPELESS = 2.0
_MAX_NAME = 60


def judge_slices(
    rules: Iterable[SliceRule], facts: Iterable[SliceFacts], inconclusive: OnInconclusive
) -> tuple[SliceVerdict, ...]:
    """Judge every rule by the facts that were measured for it."""
    facts_by_rule = {(fact.by, fact.metric, fact.statistic, fact.min_rows): fact for fact in facts}
    return tuple(
        _judge_rule(
            rule,
            facts_by_rule.get((rule.by, rule.metric, rule.statistic, rule.min_rows)),
            inconclusive,
        )
        for rule in rules
    )


def judged_slices(rule: SliceRule, fact: SliceFacts) -> list[SliceResult]:
    """List the groups that are judged: with enough rows, and a value."""
    return [
        result for result in fact.slices if result.rows >= rule.min_rows and result.head is not None
    ]


def find_slice_kind(result: SliceResult, rule: SliceRule) -> Kind:
    """Say how a group's metric moved; without a better way, only whether it did."""
    better = is_greater_better(rule.metric)
    if result.head is None or lacks_interval(result):
        return Kind.INCOMPARABLE
    if result.delta is None:
        return Kind.ADDED
    if better is None or (result.interval is None and not result.delta):
        return Kind.CHANGED if result.delta else Kind.UNCHANGED
    if result.interval is None:
        return Kind.IMPROVED if (result.delta > 0) == better else Kind.WORSENED
    from mlgitops.judgement.kinds import decide_kind

    return decide_kind(result.interval, greater_is_better=better, margin=rule.max_worsening)


def lacks_interval(result: SliceResult) -> bool:
    """Tell whether a group has values, and too little is counted to tell a loss from noise."""
    return result.head is not None and result.interval is None and result.reason is not None


def find_extremes(rule: SliceRule, fact: SliceFacts) -> tuple[SliceResult, SliceResult] | None:
    """Return the judged group worth naming first, and the one at the other end."""
    groups = judged_slices(rule, fact)
    if not groups:
        return None
    low = min(groups, key=lambda result: result.head or 0.0)
    high = max(groups, key=lambda result: result.head or 0.0)
    return (low, high) if find_worst(rule) else (high, low)


def name_group(group: tuple[str, ...]) -> str:
    """Render a group's name in backticks that it cannot leave.

    >>> name_group(("Black", "F"))
    '`Black, F`'
    """
    values = [value.replace("`", "'").strip()[:_MAX_NAME] or "(empty)" for value in group]
    return f"`{', '.join(values)}`"


def name_rule(rule: SliceRule | SliceFacts) -> str:
    """Name a rule by its metric and columns, in backticks."""
    by = " and ".join(f"`{name.replace('`', chr(39))}`" for name in rule.by)
    metric = rule.metric.replace("`", "'")
    return f"`{metric}` by {by}"


def _judge_rule(
    rule: SliceRule, fact: SliceFacts | None, inconclusive: OnInconclusive
) -> SliceVerdict:
    if fact is None or fact.reason or not judged_slices(rule, fact):
        reason = fact.reason if fact and fact.reason else "the report holds no numbers for it"
        text = f"{name_rule(rule)} cannot be judged: {reason}"
        return SliceVerdict(rule=rule, verdict=Verdict.FAIL, reasons=(text[:500],))
    bounds, losses = _break_bounds(rule, fact), _break_margin(rule, fact, inconclusive)
    reasons = [*bounds, *(text for _, text in losses)]
    worst = find_extremes(rule, fact)
    group = worst[0].group if worst else None
    if losses and not bounds:
        group = losses[0][0]
    return SliceVerdict(
        rule=rule,
        verdict=Verdict.FAIL if reasons else Verdict.PASS,
        group=group,
        reasons=tuple(text[:500] for text in reasons),
        hopeless=() if inconclusive is OnInconclusive.FAIL else _list_hopeless(rule, fact),
    )


def _list_hopeless(rule: SliceRule, fact: SliceFacts) -> tuple[tuple[str, ...], ...]:
    """List the judged groups in which a loss of twice the margin passes more often than it fails.

    A group's loss counts only beyond noise, and its few rows may hide more than the margin.
    """
    from mlgitops.statistics.power import read_noise

    margin, hidden = rule.max_worsening, []
    for result in judged_slices(rule, fact) if margin is not None else ():
        interval, base = result.interval, result.base
        if interval is None or base is None or margin is None:
            continue
        noise = read_noise(rule.metric, base, interval, result.rows)
        if noise is not None and noise.find_beyond_zero() > _HOPELESS * margin:
            hidden.append(result.group)
    return tuple(hidden)


def _break_bounds(rule: SliceRule, fact: SliceFacts) -> list[str]:
    """Say which bounds head's statistic breaks, and which groups make it."""
    if rule.statistic is None:
        return []
    if fact.head is None:
        return [f"{name_rule(rule)} cannot be judged: the report holds no {rule.statistic} for it"]
    broken = []
    if rule.min_value is not None and fact.head < rule.min_value:
        broken.append(f"below its minimum of {rule.min_value:.10g}")
    if rule.max_value is not None and fact.head > rule.max_value:
        broken.append(f"above its maximum of {rule.max_value:.10g}")
    return [
        f"{name_rule(rule)}: the {rule.statistic} is {text}; {_name_extremes(rule, fact)}"
        for text in broken
    ]


def _name_extremes(rule: SliceRule, fact: SliceFacts) -> str:
    """Name the groups that make the statistic, the worst first.

    Their values stand in the report's table, with the digits that the intervals support.
    """
    extremes = find_extremes(rule, fact)
    if extremes is None:
        return ""
    worst, best = extremes
    if rule.statistic in (Statistic.MINIMUM, Statistic.MAXIMUM):
        return f"the worst is {name_group(worst.group)}"
    ends = ("lowest", "highest") if find_worst(rule) else ("highest", "lowest")
    return f"{ends[0]} for {name_group(worst.group)}, {ends[1]} for {name_group(best.group)}"


def _break_margin(
    rule: SliceRule, fact: SliceFacts, inconclusive: OnInconclusive
) -> list[tuple[tuple[str, ...], str]]:
    """Say which groups lost more than they may, worst first, with their names."""
    margin, better = rule.max_worsening, is_greater_better(rule.metric)
    if margin is None or better is None:
        return []
    if fact.base_reason:
        nowhere: tuple[str, ...] = ("",)
        text = f"{name_rule(rule)} cannot be compared with base: {fact.base_reason}"
        return [(fact.slices[0].group if fact.slices else nowhere, text)]
    is_strict = inconclusive is OnInconclusive.FAIL
    lost = _find_withheld(rule, fact)
    for result in judged_slices(rule, fact):
        if result.delta is None:
            continue  # base has no predictions yet, or no value of this group
        loss = -result.delta if better else result.delta
        if lost_too_much(result, rule):
            text = f"{name_rule(rule)}: {name_group(result.group)} lost more than the {margin:.10g}"
            lost.append((loss, result.group, f"{text} that a group may lose"))
        elif is_strict and may_exceed(result, rule):
            text = f"{name_rule(rule)}: {name_group(result.group)} may have lost more than"
            why = result.reason if lacks_interval(result) else "noise hides it"
            lost.append((loss, result.group, f"{text} {margin:.10g}: {why}"))
    lost.sort(key=lambda item: -item[0])
    return [(group, text) for _, group, text in lost[:_MOST_NAMED]]


def _find_withheld(rule: SliceRule, fact: SliceFacts) -> list[tuple[float, tuple[str, ...], str]]:
    """Say which groups have a value at base, and none at head: head's predictions took it away."""
    why = "has a value at base and none at head"
    return [
        (
            math.inf,
            result.group,
            f"{name_rule(rule)}: {name_group(result.group)} {why}: {result.reason or 'not said'}",
        )
        for result in fact.slices
        if result.rows >= rule.min_rows and result.head is None and result.base is not None
    ]


def exceeds(loss: float, margin: float, base: float | None, head: float | None) -> bool:
    """Tell whether a loss is above its margin, by more than rounding in ``head - base`` can be.

    >>> 0.805 - 0.8 > 0.005, exceeds(0.805 - 0.8, 0.005, 0.805, 0.8)
    (True, False)
    """
    return loss > margin + 4 * math.ulp(max(abs(base or 0.0), abs(head or 0.0)))


def lost_too_much(result: SliceResult, rule: SliceRule) -> bool:
    """Tell whether a group lost more than it may, beyond noise where that was estimated."""
    margin, delta = rule.max_worsening, result.delta
    if margin is None or delta is None:
        return False
    loss = -delta if is_greater_better(rule.metric) else delta
    is_worse = find_slice_kind(result, rule) is Kind.WORSENED
    return is_worse and exceeds(loss, margin, result.base, result.head)


def may_exceed(result: SliceResult, rule: SliceRule) -> bool:
    """Tell whether a group may have lost more than it may, for all the interval says.

    Whatever the word for its change: a loss that is certain, and within the margin by the plain
    numbers, may be above it all the same; so may one of a group that has too little to judge.
    """
    better = is_greater_better(rule.metric)
    if rule.max_worsening is None or better is None:
        return False
    if result.interval is None:
        return lacks_interval(result)
    from mlgitops.judgement.kinds import is_within

    return not is_within(result.interval, greater_is_better=better, margin=rule.max_worsening)
