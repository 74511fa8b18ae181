"""What of a report's judged values nobody but the run vouches for. Pure.

A value is confirmed where a commit holds it, or base's code measured it; what is neither is a
claim, and the comment names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.dvc.metrics import MetricSet
from mlgitops.judgement.judge import find_margin, match_metric
from mlgitops.judgement.moved import Joined
from mlgitops.judgement.promotion import put_promotion, select_promotion_rules
from mlgitops.judgement.reference import put_in_place, select_rules
from mlgitops.model import TestData
from mlgitops.statistics.names import find_estimator
from mlgitops.verification.consistency import list_measured, name_change, quote
from mlgitops.verification.record import MODEL_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.model import MetricChange, Policy, Report
    from mlgitops.verification.record import Record, SideRecord

_MOST_NAMED = 3


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
    if report.rescoring is not None and not list_measured(report) and report.rescoring.paths:
        yield "values at base on the new test data, as the run measured them"


def _claim_head(report: Report, judged: list[MetricChange], record: Record) -> Iterator[str]:
    side = record.results or record.head
    if side is None:
        yield f"values at head ({record.problems.get('head', 'git did not say')})"
        return
    measured = list_measured(report)
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
        if change.name != MODEL_SIZE
    ]
    if names:
        more = " and others" if len(names) > _MOST_NAMED else ""
        yield f"{', '.join(names[:_MOST_NAMED])}{more} at head, as the run measured them"


def _claim_reference(report: Report, policy: Policy, record: Record) -> Iterator[str]:
    """Name what of the reference's values nobody but the run vouches for."""
    reference, side = report.reference, record.reference
    if reference is None or side is None or reference.reason is not None:
        return
    label = quote(reference.label)
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
        entry, label = held.get(promotion.environment), quote(promotion.environment)
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
    measured = list_measured(report)
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


def _join(paths: list[str]) -> str:
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(map(quote, paths[:_MOST_NAMED])) + more
