"""A report against itself and the policy: what no honest comparison would write. Pure.

The report comes from a job that ran the pull request's code, so its evidence is a claim. What
can be seen from the claim alone is refused here, before anything is judged: an interval that
leaves out its own change, a confidence that is not the policy's, a value without its change.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from mlgitops.comparison.cost.changes import COST_NAMES
from mlgitops.comparison.cost.record import COST_FILE
from mlgitops.comparison.diff import relate
from mlgitops.judgement.moved import Joined
from mlgitops.judgement.promotion import put_promotion, select_promotion_rules
from mlgitops.judgement.reference import put_in_place, select_rules
from mlgitops.judgement.slices import name_group, name_rule
from mlgitops.model import TestData
from mlgitops.model.slice_metrics import OF_EVERY_ROW, split_metric
from mlgitops.model.wire import FEWEST_SLICES
from mlgitops.statistics.intervals import ROUNDING, leaves_out_change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.model import (
        Interval,
        Measurement,
        MetricChange,
        Policy,
        Report,
        Rescoring,
        SliceFacts,
        SliceResult,
    )

#: Rows that any method needs to measure noise: one row has no spread.
FEWEST_ROWS = 2
#: How far two computations of one confidence may lie apart.
_ULPS = 1e-9
_MAX_NAME = 80


def find_contradictions(report: Report, policy: Policy) -> list[str]:
    """List what in ``report`` contradicts itself or ``policy``, one sentence each."""
    return [
        *_check_test_data(report, policy),
        *_check_rescoring(report),
        *_check_measurement(report),
        *_check_cost(report),
        *chain.from_iterable(map(_check_values, (*report.metrics, *report.cost))),
        *_check_evidence(report, policy),
        *_check_reference(report, policy),
        *_check_promotions(report, policy),
        *_check_rules(report),
        *chain.from_iterable(_check_slices(facts, report, policy) for facts in report.slices),
    ]


def name_change(change: MetricChange) -> str:
    """Name a metric in backticks that it cannot leave."""
    return quote(change.name, longest=_MAX_NAME)


def quote(text: str, *, longest: int = 200) -> str:
    """Put a text of the report, cut to ``longest`` characters, in backticks that it cannot leave.

    >>> quote("a`b")
    "`a'b`"
    """
    return f"`{text.replace('`', chr(39))[:longest]}`"


def list_measured(report: Report) -> frozenset[str]:
    """List the metrics files that base's code wrote for head; git holds what head's own did."""
    return frozenset(report.measurement.paths) if report.measurement else frozenset()


def _check_test_data(report: Report, policy: Policy) -> Iterator[str]:
    """Hold what is said of the test data against the hashes of both sides."""
    base, head = report.base.test_data, report.head.test_data
    if policy.files.test_data is None and (base or head):
        yield "it names the test data's content, and the policy names no test data"
    if base is None or head is None:
        # What base cannot tell, as its pointer is broken, may have changed: git says if it is.
        is_named = head is not None or policy.files.test_data is not None
        allowed = [TestData.UNKNOWN] if base is None else [TestData.CHANGED]
        allowed += [TestData.CHANGED] if base is None and is_named else []
        if report.test_data not in allowed:
            side = "base" if base is None else "head"
            yield f"it calls the test data {report.test_data}, and names none at {side}"
        return
    alike = base.partition(":")[0] == head.partition(":")[0]
    expected = TestData.SAME if base == head else TestData.CHANGED
    if report.test_data is TestData.UNKNOWN or (alike and report.test_data is not expected):
        yield (
            f"it calls the test data {report.test_data}, and its hashes"
            f" {'are equal' if base == head else 'differ'}"
        )


def _check_rescoring(report: Report) -> Iterator[str]:
    """Refuse a rescoring where nothing was to be rescored, or of which both is said."""
    rescoring = report.rescoring
    replaced = [change for change in report.metrics if change.base_stored is not None]
    yield from _check_anew(rescoring, replaced, side="base", word="stored")
    if rescoring is None:
        return
    if report.test_data is not TestData.CHANGED:
        yield from _check_renewal(report)
    if (rescoring.seen or 0) > (rescoring.rows if rescoring.rows is not None else 2**63):
        yield f"base's model was trained on {rescoring.seen:,} of {rescoring.rows:,} test rows"


def _check_renewal(report: Report) -> Iterator[str]:
    """Refuse a measurement of base on its own test data where base's code did not measure head."""
    measured = report.measurement.paths if report.measurement is not None else ()
    if report.test_data is not TestData.SAME or not measured:
        yield f"base was measured anew, and the test data is {report.test_data}"


def _check_measurement(report: Report) -> Iterator[str]:
    """Refuse a claim where nothing was measured, and a measurement with a reason for none."""
    replaced = [change for change in report.metrics if change.head_claimed is not None]
    yield from _check_anew(report.measurement, replaced, side="head", word="claimed")


def _check_anew(
    facts: Rescoring | Measurement | None,
    replaced: list[MetricChange],
    *,
    side: str,
    word: str,
) -> Iterator[str]:
    """Hold what was measured anew against the values that it replaced, and its own reason."""
    paths = set(facts.paths) if facts else set()
    for change in replaced:
        if change.path not in paths:
            yield f"{name_change(change)} has a {word} value at {side}, and was not measured anew"
    if facts is None or facts.reason is None:
        return
    if paths or facts.rows is not None:
        yield f"{side} was measured anew, and the report says why that was not possible"


def _check_cost(report: Report) -> Iterator[str]:
    """Refuse a metric among the costs, where other test data does not count."""
    for change in report.cost:
        if change.name not in COST_NAMES or change.path != COST_FILE:
            yield f"{name_change(change)} stands among the costs and is none"
        if change.evidence is not None:
            yield f"{name_change(change)} has an interval, and no method measures a cost's noise"
    for change in report.metrics:
        if change.path == COST_FILE and change.name in COST_NAMES:
            yield f"{name_change(change)} is a cost and stands among the metrics"


def _check_values(change: MetricChange) -> Iterator[str]:
    """Hold both differences against the two values."""
    is_whole = change.base is not None and change.head is not None
    if is_whole and change.reason is None and change.delta is None:
        yield f"{name_change(change)} has a value at base and at head, and no change"
    if change.delta is not None and change.reason is not None:
        yield f"{name_change(change)} has a change, and a reason why it cannot be compared"
    relative = change.relative_delta
    if relative is not None and relative != relate(change.delta, change.base):
        yield f"{name_change(change)} has a relative change that its values do not give"


def _check_evidence(report: Report, policy: Policy) -> Iterator[str]:
    """Check every interval of a metric, and the rows that all of them share."""
    joined = Joined(report.metrics)
    budgets = [change for name in policy.budgets for change in joined.match(name)]
    judged = [change for name in policy.metrics for change in joined.match(name)]
    for change in budgets:
        if change.evidence is not None and change not in judged:
            yield f"{name_change(change)} is a budget, which has no interval"
    counts = {change.evidence.rows for change in report.metrics if change.evidence}
    if len(counts) > 1:
        rows = " and ".join(f"{count:,}" for count in sorted(counts)[:3])
        yield f"its intervals are of {rows} test rows, and there is one set of predictions"
    if _has_intervals(report) and not _is_on_same_rows(report):
        yield "it has intervals, and base has no predictions on head's test data"
    for change in joined.changes:
        interval = change.evidence.interval if change.evidence else None
        if change.evidence and interval:
            yield from _check_interval(
                interval, name_change(change), change.delta, rows=change.evidence.rows
            )
            yield from _check_confidence(
                interval, name_change(change), policy, among=max(1, len(policy.metrics))
            )
            if change.delta is not None and leaves_out_change(change, interval):
                yield (
                    f"the interval of {name_change(change)}, {_render(interval)}, leaves out its"
                    f" own change of {change.delta:.6g}"
                )


def _has_intervals(report: Report) -> bool:
    return any(change.evidence and change.evidence.interval for change in report.metrics)


def _is_on_same_rows(report: Report) -> bool:
    """Tell whether both sides' predictions may be of the same test rows."""
    rescored = report.rescoring is not None and report.rescoring.rows is not None
    return report.test_data is not TestData.CHANGED or rescored


def _check_interval(
    interval: Interval, label: str, delta: float | None, *, rows: int
) -> Iterator[str]:
    """Refuse what no method gives: an interval of nothing, of one row, or without width."""
    if delta is None:
        yield f"{label} has an interval, and no change"
    if interval.low > interval.high:
        yield f"the interval of {label} ends before it begins"
    is_certain = interval.low == interval.high
    if is_certain and interval.low != 0:
        yield f"the interval of {label} has no width, as if nothing were uncertain"
    if rows < FEWEST_ROWS and not (is_certain and rows):
        yield f"{label} has an interval of {rows} test row(s), and noise needs {FEWEST_ROWS}"


def _check_confidence(
    interval: Interval, label: str, policy: Policy, *, among: int
) -> Iterator[str]:
    """Refuse a confidence that Holm's correction of the policy's among so many cannot give."""
    lowest, highest = policy.confidence, 1 - (1 - policy.confidence) / among
    if not lowest - _ULPS <= interval.confidence <= highest + _ULPS:
        allowed = f"{lowest:.6g}" if among == 1 else f"{lowest:.6g} to {highest:.6g}"
        yield (
            f"the interval of {label} is read at a confidence of {interval.confidence:.6g}, and"
            f" the policy's gives {allowed}"
        )


def _check_reference(report: Report, policy: Policy) -> Iterator[str]:
    """Hold what is said of the reference against the policy, head's values and itself."""
    reference, rules = report.reference, select_rules(policy)
    if reference is None:
        return  # where the policy has one, nothing is decided
    if not rules.metrics or reference.name != policy.reference:
        yield f"it holds head against `{reference.name[:_MAX_NAME]}`, and the policy names no such"
        return
    if reference.reason is not None and (reference.metrics or reference.rescoring):
        yield "head was held against the reference, and the report says why that was not possible"
    stated = {(change.path, change.name): change for change in report.metrics}
    for change in reference.metrics:
        own = stated.get((change.path, change.name))
        if change.head != (own.head if own else None):
            yield f"{name_change(change)} at head is another one against the reference"
        if change.head is not None and own is not None and change.stale != own.stale:
            yield f"{name_change(change)} is stale against one of base and the reference alone"
    if reference.reason is None:
        inside = put_in_place(report, reference)
        for text in find_contradictions(inside, rules):
            yield f"against the reference in base's place: {text}"


def _check_promotions(report: Report, policy: Policy) -> Iterator[str]:
    """Hold what is said of each promotion against itself."""
    environments = [promotion.environment for promotion in report.promotions]
    if len(set(environments)) < len(environments):
        yield "an environment's model is compared twice"
    rules = select_promotion_rules(policy)
    for promotion in report.promotions:
        label = f"`{promotion.environment.replace('`', chr(39))[:_MAX_NAME]}`"
        facts = (promotion.metrics, promotion.rescoring, promotion.answers)
        if promotion.reason is not None and any(facts):
            yield f"the model for {label} was compared, and the report says why that cannot be"
        if promotion.reason is None and promotion.head is None:
            yield f"it does not say which model {label} shall serve"
        if (promotion.changed_answers or 0) > (promotion.answers or 0):
            yield f"more answers change for {label} than there are"
        if promotion.reason is None:
            for text in find_contradictions(put_promotion(report, promotion), rules):
                yield f"in {label}: {text}"


def _check_rules(report: Report) -> Iterator[str]:
    """Refuse two answers to one slice rule: only one of them would be judged."""
    rules = [(facts.by, facts.metric, facts.statistic, facts.min_rows) for facts in report.slices]
    for at, facts in enumerate(report.slices):
        if rules[at] in rules[:at]:
            yield f"{name_rule(facts)} stands there twice"


def _check_slices(facts: SliceFacts, report: Report, policy: Policy) -> Iterator[str]:
    """Check the groups of one slice rule, and the interval of its statistic."""
    label = name_rule(facts)
    groups = [result.group for result in facts.slices]
    for at, group in enumerate(groups):
        if group in groups[:at]:
            yield f"{label}: {name_group(group)} stands there twice"
    among = sum(len(other.slices) + other.omitted for other in report.slices)
    metric = (split_metric(facts.metric) or ("", None))[0]
    for result in facts.slices:
        yield from _check_group(result, f"{label}: {name_group(result.group)}", policy, among)
        if metric in OF_EVERY_ROW and policy.cluster is None and _withholds_interval(result):
            yield (
                f"{label}: {name_group(result.group)} has {result.rows:,} rows that count, and is"
                " said to have too few to judge"
            )
    if facts.interval is not None:
        yield from _check_confidence(facts.interval, label, policy, among=1)
    has_base = any(result.base is not None for result in facts.slices)
    if has_base and not _is_on_same_rows(report):
        yield f"{label} has values at base, which has no predictions on head's test data"
    rows = max((change.evidence.rows for change in report.metrics if change.evidence), default=None)
    if has_base and rows is not None:
        yield from _check_sum(facts, label, rows)


def _check_sum(facts: SliceFacts, label: str, rows: int) -> Iterator[str]:
    """Refuse groups that do not make up the test rows: each row is in one of them."""
    listed = sum(result.rows for result in facts.slices)
    if listed + facts.omitted > rows:
        yield f"{label} has {listed:,} rows in its groups, and there are {rows:,} test rows"
    elif listed < rows and not facts.omitted:
        yield f"{label} has {listed:,} rows in all its groups, and there are {rows:,} test rows"
    if facts.omitted and len(facts.slices) < FEWEST_SLICES:
        yield f"{label} lists {len(facts.slices)} groups, and leaves out {facts.omitted:,} others"


def _withholds_interval(result: SliceResult) -> bool:
    """Tell whether a group with a change and rows enough has a reason in place of an interval."""
    is_open = result.interval is None and result.reason is not None
    return is_open and result.delta is not None and result.rows >= FEWEST_ROWS


def _check_group(result: SliceResult, label: str, policy: Policy, among: int) -> Iterator[str]:
    if result.base is not None and result.head is not None and result.delta is None:
        yield f"{label} has a value at base and at head, and no change"
    if result.interval is None:
        return
    yield from _check_interval(result.interval, label, result.delta, rows=result.rows)
    yield from _check_confidence(result.interval, label, policy, among=max(1, among))
    delta, interval = result.delta or 0.0, result.interval
    slack = ROUNDING * max(abs(result.base or 0), abs(result.head or 0))
    if not interval.low - slack <= delta <= interval.high + slack:
        yield f"the interval of {label}, {_render(interval)}, leaves out its own change"


def _render(interval: Interval) -> str:
    return f"{interval.low:.6g} to {interval.high:.6g}"
