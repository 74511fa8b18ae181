"""The seam between statistics and judge: predictions of both sides to evidence per metric.

Judged metrics share one error rate (Holm's correction). All others that the predictions give
are read alone: their intervals are shown, and are no part of the judgement.
Reads predictions (git, disk, DVC's cache, and dvc for what is missing). numpy is imported
here and only when both sides have predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from mlgitops.comparison.pairing import Pairing
from mlgitops.errors import MlgitopsError
from mlgitops.judgement.judge import find_gain, find_margin, is_untouched
from mlgitops.judgement.moved import Joined
from mlgitops.model import Evidence
from mlgitops.statistics.intervals import leaves_out_change
from mlgitops.statistics.names import find_estimator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlgitops.comparison.prediction_files import PredictionFiles
    from mlgitops.comparison.seed_files import SeedFiles
    from mlgitops.model import Chart, MetricChange, Policy, Report, Rule
    from mlgitops.statistics.estimate import Estimate, Undefined
    from mlgitops.statistics.matching import Pair
    from mlgitops.statistics.stored import Stored
    from mlgitops.tables.predictions import Predictions

_MAX_TEXT = 500


class _Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric that both sides have, and what the predictions say of it."""

    position: int  # in the report
    change: MetricChange
    rule: Rule | None  # None: no rule judges it, and it is read alone
    evidence: Evidence | None = None
    refusal: str | None = None  # why the predictions do not bear the metric out

    @property
    def stored(self) -> Stored:
        """Return what both metrics files state."""
        from mlgitops.statistics.stored import Stored

        base, head = self.change.base or 0.0, self.change.head or 0.0
        better = self.rule.greater_is_better if self.rule is not None else None
        return Stored(name=self.change.name, base=base, head=head, greater_is_better=better)

    @property
    def lacks_interval(self) -> bool:
        """Tell whether it is judged, not refused, and plain numbers would decide."""
        has_interval = self.evidence is not None and self.evidence.interval is not None
        return self.rule is not None and self.refusal is None and not has_interval

    def conclude(self, listed: MetricChange) -> MetricChange:
        """Return the metric as the report lists it, which has head's file alone where it moved."""
        if self.refusal is not None:
            return _refuse(listed, self.refusal)
        evidence = _attach(self.change, self.evidence).evidence
        return msgspec.structs.replace(listed, evidence=evidence)


def add_evidence(
    report: Report, policy: Policy, files: PredictionFiles, seeds: SeedFiles | None = None
) -> Report:
    """Return ``report`` with what predictions can tell: evidence, charts, and slices.

    ``seeds``: what models of other seeds predict; None: intervals are of the served models alone.
    """
    pairing = Pairing(files, seeds)
    report = _hold_new(_add_noise(report, policy, pairing), policy, files)
    if not policy.slices:
        return report
    from mlgitops.comparison.slices import measure_rules

    return replace(report, slices=measure_rules(report, policy, pairing))


def _add_noise(report: Report, policy: Policy, pairing: Pairing) -> Report:
    """Add evidence for the metrics that both sides have, and charts."""
    files = pairing.files
    metrics = list(_list_metrics(report, policy)) if files.path is not None else []
    if not metrics or not files.on_same_rows(report):
        return report
    is_still = files.same and is_untouched(report)
    if is_still and all(metric.change.delta == 0 for metric in metrics if metric.rule):
        return report
    charts: tuple[Chart, ...] = ()
    problem = None
    try:
        metrics, charts, warning = _measure(pairing, metrics, policy)
        report = _with_notice(report, warning) if warning else report
    except MlgitopsError as error:
        problem = error.what
        report = _with_notice(report, f"Noise was not estimated: {problem}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "numpy":
            raise
        hint = "the package numpy is not installed (`mlgitops[statistics]`)"
        return _with_notice(report, f"Noise was not estimated: {hint}.")
    changes = list(report.metrics)
    for metric in _refuse_lost(metrics, problem, policy, files):
        changes[metric.position] = metric.conclude(changes[metric.position])
    return replace(report, metrics=tuple(changes), charts=charts)


def _list_metrics(report: Report, policy: Policy) -> Iterator[_Metric]:
    """List the metrics that both sides have: those that are judged, and all that have a method."""
    joined = Joined(report.metrics)
    positions = {
        (change.path, change.name): position for position, change in enumerate(report.metrics)
    }
    gated = {
        (change.path, change.name): None
        for name in (*policy.metrics, *policy.budgets)
        for change in joined.match(name)
    }
    rules = _find_rules(joined, policy)
    for change in joined.changes:
        if change.base is None or change.head is None or change.stale:
            continue
        place = change.path, change.name
        rule = rules.get(place)
        if (rule and change.delta is not None) or place not in gated:
            yield _Metric(position=positions[place], change=change, rule=rule)


def _find_rules(joined: Joined, policy: Policy) -> dict[tuple[str, str], Rule]:
    """Return the rule of each metric that one judges alone, by its path and name."""
    matches = ((joined.match(name), rule) for name, rule in policy.metrics.items())
    return {
        (changes[0].path, changes[0].name): rule for changes, rule in matches if len(changes) == 1
    }


def _hold_new(report: Report, policy: Policy, files: PredictionFiles) -> Report:
    """Refuse the judged metrics of head alone that head's own predictions deny."""
    joined = Joined(report.metrics)
    rules = _find_rules(joined, policy)
    new = {
        (change.path, change.name)
        for change in joined.changes
        if change.base is None and not (change.reason or change.stale)
        if (change.path, change.name) in rules and find_estimator(change.name)
    }
    head = _find_head(files) if new and files.path is not None else None
    if head is None:
        return report
    from mlgitops.statistics.stored import contradict_new

    changes = list(report.metrics)
    for position, change in enumerate(changes):
        if (change.path, change.name) in new and change.head is not None:
            reason = contradict_new(head, change.name, change.head)
            changes[position] = change if reason is None else _refuse(change, reason)
    return replace(report, metrics=tuple(changes))


def _find_head(files: PredictionFiles) -> Predictions | None:
    """Read head's predictions; None where there are none, or no numpy to read them with."""
    try:
        return files.find(files.head)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "numpy":
            raise
        return None


def _measure(
    pairing: Pairing, metrics: Sequence[_Metric], policy: Policy
) -> tuple[list[_Metric], tuple[Chart, ...], str | None]:
    """Return the metrics with their evidence or refusal, charts, and a warning of the rows."""
    pair = pairing.pair  # before numpy is loaded, which is of no use without predictions
    from mlgitops.comparison.charts.draw import draw_charts
    from mlgitops.statistics.stored import Predicted

    base, _ = pairing.files.read_both()
    predicted = Predicted(pair, base, policy.cluster, pairing.seeds)
    judged = [metric for metric in metrics if metric.rule]
    results = [predicted.check(metric.stored) for metric in judged]
    measured = [
        *_measure_judged(judged, results, pair, policy),
        *(
            msgspec.structs.replace(
                metric, evidence=predicted.read_alone(metric.stored, policy.confidence)
            )
            for metric in metrics
            if not metric.rule and find_estimator(metric.change.name)
        ),
    ]
    return measured, draw_charts(pair), _warn_of_dependence(judged, results, pairing)


def _warn_of_dependence(
    metrics: Sequence[_Metric], results: Sequence[Estimate | Undefined], pairing: Pairing
) -> str | None:
    """Say that test rows depend on their neighbours, where that shows in a judged metric."""
    from mlgitops.statistics.dependence import find_dependence
    from mlgitops.statistics.estimate import Estimate

    estimates = {
        metric.change.name: result
        for metric, result in zip(metrics, results, strict=True)
        if isinstance(result, Estimate)
    }
    dependence = find_dependence(pairing.pair, estimates, pairing.moment)
    return str(dependence) if dependence else None


def _measure_judged(
    metrics: Sequence[_Metric],
    results: Sequence[Estimate | Undefined],
    pair: Pair,
    policy: Policy,
) -> Iterator[_Metric]:
    """Measure the judged metrics, whose intervals share one error rate."""
    from mlgitops.statistics.compare import read_together
    from mlgitops.statistics.stored import Contradiction

    evidence = read_together(pair, dict(enumerate(results)), policy.confidence)
    for at, (metric, result) in enumerate(zip(metrics, results, strict=True)):
        measured = msgspec.structs.replace(metric, evidence=evidence[at])
        refusal = str(result) if isinstance(result, Contradiction) else _find_hidden(measured)
        yield msgspec.structs.replace(measured, refusal=refusal)


def _find_hidden(metric: _Metric) -> str | None:
    """Find the loss that rounding hides: the predictions are sure of one above the margin."""
    rule, interval = metric.rule, metric.evidence.interval if metric.evidence else None
    if rule is None or interval is None:
        return None
    change = replace(metric.change, evidence=metric.evidence)
    gain = find_gain(change, rule)
    margin = find_margin(rule, change.base or 0.0)
    is_left_out = leaves_out_change(change, interval)
    if is_left_out and gain is not None and margin is not None and gain[1] < -margin:
        return (
            f"the predictions show a loss of at least {-gain[1]:.4g}, which the metrics files"
            " do not: write them with more digits"
        )
    return None


def _refuse_lost(
    metrics: Sequence[_Metric], problem: str | None, policy: Policy, files: PredictionFiles
) -> Iterator[_Metric]:
    """Refuse the judged metrics whose interval the change took away, with the reason.

    Base's predictions give them and head's do not: broken, gone, or of other rows. Plain numbers
    must not decide then, or leaving predictions out would loosen the judgement. ``problem``: why
    nothing was measured, if so.
    """
    without = [metric for metric in metrics if metric.lacks_interval]
    lost: set[str] = set()
    base = files.find(files.base) if without else None
    if base is not None:
        from mlgitops.statistics.stored import find_lost

        stored = [metric.stored for metric in without]
        lost = find_lost(base, files.find(files.head), stored, policy.cluster)
    for metric in metrics:
        if metric.lacks_interval and metric.change.name in lost:
            reason = problem or (metric.evidence.reason if metric.evidence else None) or ""
            text = f"base's predictions give it and head's do not: {reason}"
            yield msgspec.structs.replace(metric, refusal=text)
        else:
            yield metric


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
    return replace(change, evidence=evidence)


def _refuse(change: MetricChange, reason: str) -> MetricChange:
    """Make a metric incomparable that head's predictions do not bear out."""
    text = reason[:_MAX_TEXT]
    return replace(change, reason=text, delta=None, relative_delta=None)


def _with_notice(report: Report, text: str) -> Report:
    return replace(report, notices=(*report.notices, text[:_MAX_TEXT]))
