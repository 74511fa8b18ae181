"""What a report says of its commits and git does not: contradictions, one sentence each. Pure.

Base's values are those of base's commit, the head's those of the commit that holds the run's
results. Where there is no such commit (a fork, a merge group, a storage without a writer), what
the run says of head is a claim: :mod:`~mlgitops.verification.claims` names it.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from mlgitops.dvc.metrics import MetricSet
from mlgitops.judgement.absence import Absences
from mlgitops.judgement.moved import Joined
from mlgitops.judgement.promotion import put_promotion, select_promotion_rules
from mlgitops.judgement.reference import put_in_place, select_rules
from mlgitops.judgement.slices import name_rule
from mlgitops.model import TestData
from mlgitops.verification.consistency import list_measured, name_change, quote
from mlgitops.verification.record import MODEL_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.model import (
        DataChange,
        MetricChange,
        Policy,
        Promotion,
        Report,
        WantedModel,
    )
    from mlgitops.verification.record import PromotionRecord, Record, SideRecord


def contradict_base(report: Report, policy: Policy, base: SideRecord) -> list[str]:
    """List what ``report`` says of base that base's commit does not."""
    anew = set(report.rescoring.paths) if report.rescoring else set()
    stated = {
        (change.path, change.name): change.base_stored if change.path in anew else change.base
        for change in report.metrics
    }
    return [
        *_compare_values(report, stated, base, "base"),
        *_find_left_out(report, policy, base, "base"),
        *_compare_test_data(report.base.test_data, base, "base"),
        *_compare_unread(report, base),
        *chain.from_iterable(_compare_cost(change, base) for change in report.cost),
        *_find_lost_base(report, base),
        *_find_not_new(report, base),
    ]


def contradict_reference(report: Report, policy: Policy, record: Record) -> list[str]:
    """List what ``report`` says of the reference that git does not.

    Nothing where the report has none, or could not hold head against it: that is undecided.
    """
    reference, rules = report.reference, select_rules(policy)
    if reference is None or reference.reason is not None or not rules.metrics:
        return []
    side = record.reference
    if side is None:
        problem = record.problems.get("reference", "git did not say")
        return [f"the reference could not be read: {problem}"]
    contradictions = [
        _differ(f"the {part} of the reference", stated, named)
        for part, stated, named in (
            ("commit", reference.sha, side.sha),
            ("name", reference.label, record.reference_label),
        )
        if stated != named
    ]
    inside = put_in_place(report, reference)
    return contradictions or [
        f"with the reference in base's place: {text}"
        for text in contradict_base(inside, rules, side)
    ]


def contradict_promotions(report: Report, policy: Policy, record: Record) -> list[str]:
    """List what ``report`` says of the models that environments shall serve, and git does not."""
    stated = {promotion.environment: promotion for promotion in report.promotions}
    if record.promotions is None:
        return [f"what {quote(name)} shall serve could not be read from git" for name in stated]
    held = {promotion.target.environment: promotion for promotion in record.promotions}
    contradictions = [
        f"the report {'leaves out' if name in held else 'tells of'} another model for {quote(name)}"
        for name in sorted(stated.keys() ^ held.keys())
    ]
    for name in sorted(stated.keys() & held.keys()):
        contradictions += [
            f"in {quote(name)}: {text}"
            for text in _contradict_promotion(report, policy, stated[name], held[name])
        ]
    return contradictions


def _contradict_promotion(
    report: Report, policy: Policy, promotion: Promotion, held: PromotionRecord
) -> list[str]:
    target = held.target
    contradictions = [
        _differ(part, _identify(stated), _identify(held_model))
        for part, stated, held_model in (
            ("the model that is wanted now", promotion.base, target.base),
            ("the model that is promoted", promotion.head, target.head),
        )
        if _identify(stated) != _identify(held_model)
    ]
    if promotion.is_return != target.is_return:
        contradictions.append("by git it is no way back" if promotion.is_return else "it is one")
    if target.reason is not None and promotion.reason is None:
        contradictions.append(f"the models were compared, and by git: {target.reason}")
    if contradictions or promotion.reason is not None:
        return contradictions
    return _contradict_models(put_promotion(report, promotion), policy, held)


def _contradict_models(inside: Report, policy: Policy, held: PromotionRecord) -> list[str]:
    """Hold the values of both models against their commits."""
    rules = select_promotion_rules(policy)
    if held.head is None or (held.base is None and held.target.base is not None):
        return ["a commit of the models could not be read"]
    contradictions = contradict_results(inside, rules, held.head)
    if held.base is not None:
        contradictions += contradict_base(inside, rules, held.base)
    return contradictions


def _identify(model: WantedModel | None) -> str | None:
    return None if model is None else f"{model.label} ({model.sha})"


def contradict_results(report: Report, policy: Policy, results: SideRecord) -> list[str]:
    """List what ``report`` says of the head that the commit with its results does not."""
    measured = list_measured(report)
    stated = {
        (change.path, change.name): change.head_claimed if change.path in measured else change.head
        for change in report.metrics
    }
    return [
        *_compare_values(report, stated, results, "head"),
        *_find_left_out(report, policy, results, "head"),
        *_compare_test_data(report.head.test_data, results, "head"),
        *_compare_size(report, results),
        *_compare_model(report, results),
        *_find_unmarked(report, results),
    ]


def contradict_objects(report: Report, data: tuple[DataChange, ...] | None) -> list[str]:
    """List the objects that the results name and base's code was not given when it measured.

    What was handed over may be another one by the time that it is published.
    """
    measurement = report.measurement
    if data is None or measurement is None or measurement.reason is not None:
        return []
    stated, stored = _list_objects(report.data), _list_objects(data)
    paths = sorted({*stated, *stored} if not report.omitted.data else stated)
    return [
        _differ(f"what DVC keeps as {quote(path)}", stated.get(path), stored.get(path))
        for path in paths
        if stated.get(path) != stored.get(path)
    ]


def _list_objects(data: tuple[DataChange, ...]) -> dict[str, str | None]:
    return {change.path: change.head.hash if change.head else None for change in data}


def contradict_foreign(foreign: tuple[str, ...]) -> list[str]:
    """Name the files that the commit with the results changes and no run writes."""
    return [
        f"the commit with the results changes {quote(path)}, which no run writes"
        for path in foreign
    ]


def contradict_head(report: Report, head: SideRecord, base: SideRecord | None) -> list[str]:
    """List what the report says of the head's test data that no run could have made.

    A run of a branch that is behind its base may have used base's.
    """
    stated = report.head.test_data
    allowed = {head.test_data, base.test_data if base else None}
    if head.has_made_test_data or head.has_hidden_test_data or stated in allowed:
        return []
    return [_differ("the test data at head", stated, head.test_data)]


def contradict_likeness(report: Report, base: SideRecord, head: SideRecord) -> list[str]:
    """Hold the test data of both sides against each other where their hashes are of two kinds."""
    sides = (report.base.test_data, report.head.test_data)
    named = (base.test_data, head.test_data)
    contents = (base.test_data_md5, head.test_data_md5)
    if sides != named or None in contents:
        return []
    expected = TestData.SAME if contents[0] == contents[1] else TestData.CHANGED
    if report.test_data is expected:
        return []
    return [_differ("the test data", report.test_data, expected)]


def _compare_values(
    report: Report, stated: dict[tuple[str, str], float | None], side: SideRecord, name: str
) -> Iterator[str]:
    for change in report.metrics:
        if change.path in side.elsewhere:
            continue
        stored = side.metrics.get(change.path, MetricSet()).values.get(change.name)
        value = stated[change.path, change.name]
        if value != stored:
            yield _differ(f"{name_change(change)} at {name}", value, stored)


def _find_left_out(report: Report, policy: Policy, side: SideRecord, name: str) -> Iterator[str]:
    """Find judged metrics that the report leaves out of a file: a second one would be refused."""
    judged = {*policy.metrics, *policy.budgets}
    # Of one that moved, a second file on a side would make it unknown which one it is.
    judged |= {
        change.name
        for place, change in Joined(report.metrics).moved.items()
        if judged & {place, f"{change.path}:{change.name}"}
    }
    present = {(change.path, change.name) for change in report.metrics}
    for path, stored in side.metrics.items():
        for metric in sorted({*stored.values, *stored.unusable}):
            if judged & {metric, f"{path}:{metric}"} and (path, metric) not in present:
                yield f"{quote(metric)} is in {quote(path)} at {name}, and the report leaves it out"


def _compare_test_data(stated: str | None, side: SideRecord, name: str) -> Iterator[str]:
    if stated != side.test_data and not side.has_hidden_test_data:
        yield _differ(f"the test data at {name}", stated, side.test_data)


def _compare_unread(report: Report, base: SideRecord) -> Iterator[str]:
    """Hold what is said of the test data against whether base's could be read at all."""
    if report.base.test_data is not None or base.has_hidden_test_data:
        return
    expected = TestData.CHANGED if base.has_unread_test_data else TestData.UNKNOWN
    if report.test_data is not expected:
        yield (
            f"it calls the test data {report.test_data}, and by git it is {expected}: what base"
            f" had {'cannot be read' if base.has_unread_test_data else 'is nowhere'}"
        )


def _compare_cost(change: MetricChange, base: SideRecord) -> Iterator[str]:
    """Hold a cost at base against base's own record; one of another machine may be left out."""
    stored, machine = base.cost.get(change.name, (None, None))
    is_left_out = change.base is None and machine is not None
    if change.base != stored and not is_left_out:
        yield _differ(f"{name_change(change)} at base", change.base, stored)


def _compare_size(report: Report, results: SideRecord) -> Iterator[str]:
    stored, _ = results.cost.get(MODEL_SIZE, (None, None))
    for change in report.cost:
        if change.name == MODEL_SIZE and change.head != stored:
            yield _differ(f"{name_change(change)} at head", change.head, stored)


def _compare_model(report: Report, results: SideRecord) -> Iterator[str]:
    """Refuse results with another model than the one that base's code measured."""
    measured = report.measurement.model if report.measurement else None
    if measured is not None and measured != results.model:
        yield _differ("the model that was measured", measured, results.model)


def _find_lost_base(report: Report, base: SideRecord) -> Iterator[str]:
    """Find slice rules that are told as if base had no predictions to lose against."""
    if not base.has_predictions:
        return
    for facts in report.slices:
        first = any(
            group.head is not None and group.base is None and group.reason is None
            for group in facts.slices
        )
        if first and facts.base_reason is None:
            yield f"{name_rule(facts)} has no values at base, which has predictions"


def _find_not_new(report: Report, base: SideRecord) -> Iterator[str]:
    """Find metrics that are told as new, and that base should have: what they lost is hidden."""
    absences = Absences(report.metrics, base.pipeline, base.metrics)
    for change in report.metrics:
        reason = absences.explain(change)
        if reason is not None and change.reason is None and change.base_missing is None:
            yield f"{name_change(change)} is new by the report, and {reason}"
    for change in report.cost:
        is_new = change.base is None and change.base_missing is None and change.head is not None
        if is_new and change.name in base.cost:
            yield f"{name_change(change)} is new by the report, and base has it"
        elif is_new and base.pipeline.broken:
            broken = quote(next(iter(base.pipeline.broken)))
            yield f"{name_change(change)} is new by the report, and base's {broken} is not read"


def _find_unmarked(report: Report, results: SideRecord) -> Iterator[str]:
    """Find metrics of an older run that are told as if they were of this one."""
    measured = list_measured(report)
    for change in report.metrics:
        if change.path in measured:
            continue
        reason = results.stale.explain(change.path)
        if reason is not None and change.stale is None:
            yield f"{name_change(change)} is stale where the results stand, and not by the report"


def _differ(subject: str, stated: object, stored: object) -> str:
    texts = ["absent" if value is None else f"{value}" for value in (stated, stored)]
    return f"{subject} is {texts[0]} by the report and {texts[1]} in git"
