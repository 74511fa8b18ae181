"""The seam between statistics and judge: predictions of both sides to evidence per metric.

Judged metrics share one error rate (Holm's correction). All others that the predictions give
are read alone: their intervals are shown, and are no part of the judgement.
Reads predictions (git, disk, DVC's cache, and dvc for what is missing). numpy is imported
here and only when both sides have predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.comparison.prediction_files import PredictionFiles
from mlgitops.errors import MlgitopsError
from mlgitops.judgement.judge import find_gain, find_margin, is_untouched, match_metric
from mlgitops.model import Evidence
from mlgitops.statistics.intervals import leaves_out_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.comparison.sides import SideFiles
    from mlgitops.console import Console
    from mlgitops.model import Chart, MetricChange, Policy, Report
    from mlgitops.statistics.estimate import Estimate, Undefined

    Place = tuple[str, str]  # a metric's file and name

_MAX_TEXT = 500


def add_evidence(
    report: Report, policy: Policy, base: SideFiles, head: SideFiles, console: Console
) -> Report:
    """Return ``report`` with what predictions can tell: evidence, charts, and slices."""
    files = PredictionFiles(policy.files.predictions, base, head, console)
    report = _add_noise(report, policy, files)
    if not policy.slices:
        return report
    from mlgitops.comparison.slices import measure_rules

    return msgspec.structs.replace(report, slices=measure_rules(report, policy, files))


def _add_noise(report: Report, policy: Policy, files: PredictionFiles) -> Report:
    """Add evidence for the metrics that both sides have, and charts."""
    judged = _find_judged(report, policy)
    others = _find_others(report, policy)
    if files.path is None or not (judged or others) or not files.on_same_rows(report):
        return report
    is_still = files.same and is_untouched(report)
    if is_still and all(change.delta == 0 for change in judged.values()):
        return report
    evidence: dict[Place, Evidence] = {}
    refused: dict[Place, str] = {}
    charts: tuple[Chart, ...] = ()
    problem = None
    try:
        evidence, refused, charts = _compare(files, judged, others, policy)
    except MlgitopsError as error:
        problem = error.what
        report = _with_notice(report, f"Noise was not estimated: {problem}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "numpy":
            raise
        hint = "the package numpy is not installed (`mlgitops[statistics]`)"
        return _with_notice(report, f"Noise was not estimated: {hint}.")
    without = {metric: problem or evidence[metric].reason for metric in judged
               if metric not in refused and (problem or not evidence[metric].interval)}  # fmt: skip
    refused |= _find_lost(without, policy, files)
    metrics = tuple(
        _refuse(change, refused[change.path, change.name])
        if (change.path, change.name) in refused
        else _attach(change, evidence.get((change.path, change.name)))
        for change in report.metrics
    )
    return msgspec.structs.replace(report, metrics=metrics, charts=charts)


def _find_lost(
    without: Mapping[Place, str | None], policy: Policy, files: PredictionFiles
) -> dict[Place, str]:
    """Find the judged metrics whose interval the change took away, with the reason.

    Base's predictions give them and head's do not: broken, gone, or of other rows. Plain numbers
    must not decide then, or leaving predictions out would loosen the judgement.
    """
    base = files.find(files.base) if without else None
    if base is None:
        return {}
    from mlgitops.statistics.compare import find_lost

    names = {name for _, name in without}
    lost = find_lost(base, files.find(files.head), names, policy.cluster)
    return {
        metric: f"base's predictions give it and head's do not: {reason or ''}"
        for metric, reason in without.items()
        if metric[1] in lost
    }


def _find_judged(report: Report, policy: Policy) -> dict[Place, MetricChange]:
    """Find the judged metrics that have a value on both sides."""
    judged = {}
    for name in policy.metrics:
        changes = match_metric(name, report.metrics)
        if len(changes) == 1 and changes[0].delta is not None and not changes[0].stale:
            judged[changes[0].path, changes[0].name] = changes[0]
    return judged


def _find_others(report: Report, policy: Policy) -> dict[Place, tuple[float, float]]:
    """Find the values at base and head of all metrics that are not judged, and both have."""
    judged = {*policy.metrics, *policy.budgets}
    return {
        (change.path, change.name): (change.base, change.head)
        for change in report.metrics
        if change.base is not None
        and change.head is not None
        and not change.stale
        and not judged & {change.name, f"{change.path}:{change.name}"}
    }


def _compare(
    files: PredictionFiles,
    judged: Mapping[Place, MetricChange],
    others: Mapping[Place, tuple[float, float]],
    policy: Policy,
) -> tuple[dict[Place, Evidence], dict[Place, str], tuple[Chart, ...]]:
    """Return evidence, the judged metrics that head's predictions contradict, and charts."""
    pair = files.pair()  # before numpy is loaded, which is of no use without predictions
    from mlgitops.comparison.charts.draw import draw_charts
    from mlgitops.statistics.compare import (
        Contradiction,
        estimate_metrics,
        read_alone,
        read_together,
    )
    from mlgitops.statistics.names import find_estimator

    named = {metric: metric[1] for metric in others if find_estimator(metric[1])}
    gated = {change.name for change in judged.values()}
    results = estimate_metrics(pair, {*named.values(), *gated}, policy.cluster)
    checked = _check_judged(files, judged, results)
    evidence = read_together(pair, checked, policy.confidence)
    for metric, name in named.items():
        alone = read_alone(pair, results[name], others[metric], policy.confidence)
        if alone is not None:
            evidence[metric] = alone
    refused = _find_hidden(judged, evidence, policy)
    refused |= {
        metric: str(result)
        for metric, result in checked.items()
        if isinstance(result, Contradiction)
    }
    return evidence, refused, draw_charts(pair)


def _find_hidden(
    judged: Mapping[Place, MetricChange], evidence: Mapping[Place, Evidence], policy: Policy
) -> dict[Place, str]:
    """Find the losses that rounding hides: the predictions are sure of one above the margin."""
    rules = {
        (change.path, change.name): rule
        for name, rule in policy.metrics.items()
        for change in match_metric(name, judged.values())
    }
    hidden = {}
    for metric, change in judged.items():
        with_evidence = msgspec.structs.replace(change, evidence=evidence.get(metric))
        gain = find_gain(with_evidence, rules[metric])
        margin = find_margin(rules[metric], change.base or 0.0)
        interval = with_evidence.evidence.interval if with_evidence.evidence else None
        is_left_out = interval is not None and leaves_out_change(change, interval)
        if is_left_out and gain is not None and margin is not None and gain[1] < -margin:
            hidden[metric] = (
                f"the predictions show a loss of at least {-gain[1]:.4g}, which the metrics files"
                " do not: write them with more digits"
            )
    return hidden


def _check_judged(
    files: PredictionFiles,
    judged: Mapping[Place, MetricChange],
    results: Mapping[str, Estimate | Undefined],
) -> dict[Place, Estimate | Undefined]:
    """Keep the estimates of judged metrics that are of what the metrics files state."""
    from mlgitops.statistics.compare import check_stored, estimate_metrics
    from mlgitops.statistics.matching import match_predictions
    from mlgitops.statistics.names import names_other_rows

    pair, base, whole = files.pair(), files.read(files.base), results
    if pair.lost and base is not None:
        names = {change.name for change in judged.values()}
        whole = estimate_metrics(match_predictions(base, base), names, None)
    return {
        metric: check_stored(
            pair,
            results[change.name],
            whole[change.name],
            (change.base or 0.0, change.head or 0.0),
            on_other_rows=names_other_rows(change.name),
        )
        for metric, change in sorted(judged.items())
    }


def _attach(change: MetricChange, evidence: Evidence | None) -> MetricChange:
    """Attach evidence; an interval that does not fit the stored metric is not believed."""
    if evidence is None:
        return change
    interval = evidence.interval
    if interval and leaves_out_change(change, interval):
        reason = (
            f"its change lies outside of what the predictions say ({interval.low:.4g} to "
            f"{interval.high:.4g}): the two may not be of the same run"
        )
        evidence = Evidence(rows=evidence.rows, reason=reason)
    return msgspec.structs.replace(change, evidence=evidence)


def _refuse(change: MetricChange, reason: str) -> MetricChange:
    """Make a metric incomparable that head's predictions do not bear out."""
    text = reason[:_MAX_TEXT]
    return msgspec.structs.replace(change, reason=text, delta=None, relative_delta=None)


def _with_notice(report: Report, text: str) -> Report:
    return msgspec.structs.replace(report, notices=(*report.notices, text[:_MAX_TEXT]))
