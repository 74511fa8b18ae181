"""A report against what git holds of its commits: contradictions, and what remains a claim. Pure.

Base's values are those of base's commit, the head's those of the commit that holds the run's
results. Where there is no such commit (a fork, a merge group, a storage without a writer), what
equals the head's own commit is confirmed, and the rest is named as a claim.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from mlgitops.dvc.metrics import MetricSet
from mlgitops.judgement.absence import Absences
from mlgitops.judgement.judge import find_margin, match_metric
from mlgitops.judgement.moved import Joined
from mlgitops.judgement.promotion import put_promotion, select_promotion_rules
from mlgitops.judgement.reference import put_in_place, select_rules
from mlgitops.judgement.slices import name_rule
from mlgitops.model import Sampling, TestData
from mlgitops.statistics.names import find_estimator
from mlgitops.verification.consistency import name_change
from mlgitops.verification.record import CLUSTER

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

_SIZE = "cost.model_size_mb"  # the one cost of head that its lock says
_MOST_NAMED = 3
_MAX_TEXT = 500


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
        return [f"what {_name(name)} shall serve could not be read from git" for name in stated]
    held = {promotion.target.environment: promotion for promotion in record.promotions}
    contradictions = [
        f"the report {'leaves out' if name in held else 'tells of'} another model for {_name(name)}"
        for name in sorted(stated.keys() ^ held.keys())
    ]
    for name in sorted(stated.keys() & held.keys()):
        contradictions += [
            f"in {_name(name)}: {text}"
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
    measured = _list_measured(report)
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
        _differ(f"what DVC keeps as {_name(path)}", stated.get(path), stored.get(path))
        for path in paths
        if stated.get(path) != stored.get(path)
    ]


def _list_objects(data: tuple[DataChange, ...]) -> dict[str, str | None]:
    return {change.path: change.head.hash if change.head else None for change in data}


def contradict_foreign(foreign: tuple[str, ...]) -> list[str]:
    """Name the files that the commit with the results changes and no run writes."""
    return [
        f"the commit with the results changes {_name(path)}, which no run writes"
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


def list_claims(report: Report, policy: Policy, record: Record) -> list[str]:
    """Name what of the judged values nobody but the run vouches for, in a few words each."""
    joined = Joined(report.metrics)
    judged = [
        change for name in (*policy.metrics, *policy.budgets) for change in joined.match(name)
    ]
    if joined.moved:
        places = ((change, f"{change.path}:{change.name}") for change in report.metrics)
        judged += [gone for gone, place in places if joined.moved.get(place) in judged]
    return [
        *(_claim_base(report, judged, record) if judged else ()),
        *(_claim_head(report, judged, record) if judged else ()),
        *_claim_noise(report, policy, record.base),
        *_claim_cost(report, policy),
        *_claim_reference(report, policy, record),
        *_claim_promotions(report, policy, record),
    ]


def correct_protected(report: Report, record: Record) -> Report:
    """Return ``report`` with the files that git says decide its judgement, not those it names."""
    if record.protected is not None:
        omitted = msgspec.structs.replace(report.omitted, protected=record.omitted_protected)
        return msgspec.structs.replace(
            report,
            protected=record.protected,
            policy_changed=record.policy_changed,
            omitted=omitted,
        )
    reason = next(iter(record.problems.values()), "git did not say")
    text = (
        "Whether this change edits what judges it is not known here, and what the report names is"
        f" its own word: {reason}."
    )
    return add_notice(report, text)


def correct_cluster(report: Report, record: Record) -> Report:
    """Return ``report`` with what git says of where tasks run after a merge, if it says it."""
    if record.cluster is None:
        return report
    others = [change for change in report.params if not change.name.startswith(CLUSTER)]
    params = sorted([*others, *record.cluster], key=lambda change: (change.path, change.name))
    return msgspec.structs.replace(report, params=tuple(params))


def correct_sampling(report: Report, record: Record) -> Report:
    """Return ``report`` with what git says of how head's test rows were chosen, if it says it."""
    sampling = record.head.sampling if record.head is not None else Sampling()
    return msgspec.structs.replace(report, sampling=sampling)


def correct_looks(report: Report, record: Record) -> Report:
    """Return ``report`` with what git says of how often the test rows were measured on before.

    Where the run made other test rows than a commit has, git says nothing of them.
    """
    side = record.results or record.head
    is_same = side is not None and side.test_data == report.head.test_data
    return msgspec.structs.replace(report, looks=record.looks if is_same else None)


def correct_trend(report: Report, record: Record) -> Report:
    """Return ``report`` with what git says of the judged metric over the last merges."""
    return msgspec.structs.replace(report, trend=record.trend)


def add_notice(report: Report, text: str) -> Report:
    """Put a sentence before the report's own notices."""
    return msgspec.structs.replace(report, notices=(text[:_MAX_TEXT], *report.notices))


def _list_measured(report: Report) -> frozenset[str]:
    """List the metrics files that base's code wrote for head; git holds what head's own did."""
    return frozenset(report.measurement.paths) if report.measurement else frozenset()


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
                yield f"{_name(metric)} is in {_name(path)} at {name}, and the report leaves it out"


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
    for change in report.cost:
        if change.name == _SIZE and change.head != results.cost.get(_SIZE, (None, None))[0]:
            stored = results.cost.get(_SIZE, (None, None))[0]
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
            broken = _name(next(iter(base.pipeline.broken)))
            yield f"{name_change(change)} is new by the report, and base's {broken} is not read"


def _find_unmarked(report: Report, results: SideRecord) -> Iterator[str]:
    """Find metrics of an older run that are told as if they were of this one."""
    measured = _list_measured(report)
    for change in report.metrics:
        if change.path in measured:
            continue
        reason = results.stale.explain(change.path)
        if reason is not None and change.stale is None:
            yield f"{name_change(change)} is stale where the results stand, and not by the report"


def _claim_base(report: Report, judged: list[MetricChange], record: Record) -> Iterator[str]:
    base = record.base
    if base is None:
        yield f"values at base ({record.problems.get('base', 'git did not say')})"
        return
    paths = {change.path for change in judged}
    if any(change.base is None and change.head is not None for change in judged):
        paths.update(base.metrics)  # that none of them had it is the run's word
    away = sorted(paths & base.elsewhere)
    if away:
        yield f"values at base in {_join(away)}, which DVC keeps"
    if base.has_hidden_test_data:
        yield "the test data at base, in a folder that DVC keeps"
    if report.rescoring is not None and not _list_measured(report) and report.rescoring.paths:
        yield "values at base on the new test data, as the run measured them"


def _claim_head(report: Report, judged: list[MetricChange], record: Record) -> Iterator[str]:
    side = record.results or record.head
    if side is None:
        yield f"values at head ({record.problems.get('head', 'git did not say')})"
        return
    measured = _list_measured(report)
    paths = {change.path for change in judged} - measured
    away = sorted(paths & side.elsewhere)
    if away:
        yield f"values at head in {_join(away)}, which DVC keeps"
    if side.has_hidden_test_data:
        yield "the test data at head, in a folder that DVC keeps"
    if record.results is not None:
        return
    other = [name_change(change) for change in judged if not _is_at(change, side, measured)]
    if other:
        names = ", ".join(other[:_MOST_NAMED]) + (" and others" if len(other) > _MOST_NAMED else "")
        yield f"{names} at head, as no commit holds the run's results"
    model = report.measurement.model if report.measurement else None
    if model is not None and model != side.model:  # what is merged is the commit's own
        yield "the model at head, as its commit does not name the one that was measured"
    if side.has_made_test_data and report.head.test_data not in (None, side.test_data):
        yield "the test data at head, which the run made"


def _claim_cost(report: Report, policy: Policy) -> Iterator[str]:
    """Name the judged costs that only whoever measured them can tell: time and memory."""
    names = [
        name_change(change)
        for name in (*policy.budgets, *policy.metrics)
        for change in match_metric(name, report.cost)
        if change.name != _SIZE
    ]
    if names:
        more = " and others" if len(names) > _MOST_NAMED else ""
        yield f"{', '.join(names[:_MOST_NAMED])}{more} at head, as the run measured them"


def _claim_reference(report: Report, policy: Policy, record: Record) -> Iterator[str]:
    """Name what of the reference's values nobody but the run vouches for."""
    reference, side = report.reference, record.reference
    if reference is None or side is None or reference.reason is not None:
        return
    label = _name(reference.label)
    away = sorted({change.path for change in reference.metrics} & side.elsewhere)
    if away:
        yield f"values at the reference {label} in {_join(away)}, which DVC keeps"
    if side.has_hidden_test_data:
        yield f"the test data at the reference {label}, in a folder that DVC keeps"
    if reference.rescoring is not None:
        yield f"values at the reference {label} on head's test data, as the run measured them"
    inside = put_in_place(report, reference)
    for text in _claim_noise(inside, select_rules(policy), side):
        yield f"{text} against the reference {label}"


def _claim_promotions(report: Report, policy: Policy, record: Record) -> Iterator[str]:
    """Name what of the environments' models nobody but the run vouches for."""
    held = {entry.target.environment: entry for entry in record.promotions or ()}
    for promotion in report.promotions:
        entry, label = held.get(promotion.environment), _name(promotion.environment)
        if entry is None or promotion.reason is not None or promotion.is_return:
            continue
        sides = [side for side in (entry.base, entry.head) if side is not None]
        paths = {change.path for change in promotion.metrics}
        away = sorted(paths & {path for side in sides for path in side.elsewhere})
        if away:
            yield f"values for {label} in {_join(away)}, which DVC keeps"
        if promotion.rescoring is not None:
            yield f"values of what {label} wants now on other test data, as the run measured them"
        inside = put_promotion(report, promotion)
        for text in _claim_noise(inside, select_promotion_rules(policy), entry.base):
            yield f"{text} in {label}"


def _claim_noise(report: Report, policy: Policy, base: SideRecord | None) -> Iterator[str]:
    """Name the judged metrics that the run tells no interval of, and base's predictions could give.

    A change within noise, which would be *not proven safe*, looks like a plain one then.
    """
    if base is None or not base.has_predictions or report.test_data is TestData.CHANGED:
        return
    measured = _list_measured(report)
    joined = Joined(report.metrics)
    names = [
        name_change(change)
        for name, rule in policy.metrics.items()
        for change in joined.match(name)
        if change.delta
        and change.path not in measured
        and change.evidence is None
        and find_margin(rule, change.base or 0.0) is not None
        and find_estimator(change.name) is not None
    ]
    if names:
        more = " and others" if len(names) > _MOST_NAMED else ""
        yield f"that noise could not be estimated for {', '.join(names[:_MOST_NAMED])}{more}"


def _is_at(change: MetricChange, side: SideRecord, measured: frozenset[str]) -> bool:
    """Tell whether what the run says of the head is what git holds, or is named elsewhere."""
    stored = side.metrics.get(change.path, MetricSet()).values.get(change.name)
    stated = change.head_claimed if change.path in measured else change.head
    return change.path in side.elsewhere or stated == stored


def _differ(subject: str, stated: object, stored: object) -> str:
    texts = ["absent" if value is None else f"{value}" for value in (stated, stored)]
    return f"{subject} is {texts[0]} by the report and {texts[1]} in git"


def _join(paths: list[str]) -> str:
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(map(_name, paths[:_MOST_NAMED])) + more


def _name(text: str) -> str:
    return f"`{text.replace('`', chr(39))[:200]}`"
