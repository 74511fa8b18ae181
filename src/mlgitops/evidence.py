"""The seam between statistics and judge: predictions of both sides to evidence per metric.

Judged metrics share one error rate (Holm's correction). All others that the predictions give
are read alone: their intervals are shown, and are no part of the judgement.
Reads predictions (git, disk, DVC's cache, and dvc for what is missing). numpy is imported
here and only when both sides have predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.judge import is_untouched, match_metric
from mlgitops.model import Evidence, TestData
from mlgitops.sides import fetch_missing
from mlgitops.verification.consistency import leaves_out_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.console import Console
    from mlgitops.inference.estimate import Estimate, Undefined
    from mlgitops.inference.matching import Pair
    from mlgitops.model import Chart, MetricChange, Policy, Report
    from mlgitops.predictions import Predictions
    from mlgitops.sides import SideFiles

    Place = tuple[str, str]  # a metric's file and name

_MAX_TEXT = 500


def add_evidence(
    report: Report, policy: Policy, base: SideFiles, head: SideFiles, console: Console
) -> Report:
    """Return ``report`` with what predictions can tell: evidence, charts, and slices."""
    found = PredictionFiles(policy.files.predictions, base, head, console)
    report = _add_noise(report, policy, found)
    if not policy.slices:
        return report
    from mlgitops.slices.measure import measure_rules

    return msgspec.structs.replace(report, slices=measure_rules(report, policy, found))


class PredictionFiles:
    """Both sides' predictions, fetched and read when they are first asked for."""

    def __init__(
        self, path: str | None, base: SideFiles, head: SideFiles, console: Console
    ) -> None:
        self.path = path
        self.base, self.head = base, head
        self._console = console
        self._fetched = False
        self._read: dict[str, Predictions | None] = {}
        self._pair: Pair | None = None

    @property
    def same(self) -> bool:
        """Tell whether both sides have the very same file."""
        path = self.path or ""
        if self.base.rescored is not None:
            return False
        return self.base.find_hash(path) == self.head.find_hash(path)

    def read(self, side: SideFiles) -> Predictions | None:
        """Read one side's; None when it has none. Raises MlgitopsError when it is damaged."""
        path = self.path or ""
        if side.rescored is not None:
            return side.rescored
        stale = side.stale.explain(path)
        if stale:
            raise MlgitopsError(f"`{path}` is stale: {stale}")
        if not self._fetched:
            fetch_missing(self.base, self.head, lambda _: {path}, self._console)
            self._fetched = True
        key = self.base.name if self.same and self.base.find_hash(path) else side.name
        if key not in self._read:
            self._read[key] = _read(side, path)
        return self._read[key]

    def find(self, side: SideFiles) -> Predictions | None:
        """Read one side's; None when it has none, or none that can be read."""
        try:
            return self.read(side)
        except MlgitopsError:
            return None

    def on_same_rows(self, report: Report) -> bool:
        """Tell whether both sides' predictions are of the same test data, as far as is known."""
        return report.test_data is not TestData.CHANGED or self.base.rescored is not None

    def exists(self, side: SideFiles) -> bool:
        """Tell whether a side has predictions at all, whether or not they are here."""
        path = self.path or ""
        return side.find_version(path) is not None or side.read(path) is not None

    def pair(self) -> Pair:
        """Match both sides' rows. Raises MlgitopsError when a side is not available."""
        if self._pair is None:
            one, two = self.read(self.base), self.read(self.head)
            if one is None or two is None:
                side = "base" if one is None else "head"
                raise MlgitopsError(f"`{self.path}` is not available at {side}.")
            from mlgitops.inference.matching import match_predictions

            self._pair = match_predictions(one, two)
        return self._pair


def _add_noise(report: Report, policy: Policy, files: PredictionFiles) -> Report:
    """Add evidence for the metrics that both sides have, and charts."""
    judged = _find_judged(report, policy)
    others = _find_others(report, policy)
    if files.path is None or not (judged or others) or not files.on_same_rows(report):
        return report
    is_still = files.same and is_untouched(report)
    if is_still and all(change.delta == 0 for change in judged.values()):
        return report
    found: dict[Place, Evidence] = {}
    refused: dict[Place, str] = {}
    charts: tuple[Chart, ...] = ()
    problem = None
    try:
        found, refused, charts = _compare(files, judged, others, policy)
    except MlgitopsError as error:
        problem = error.what
        report = _with_notice(report, f"Noise was not estimated: {problem}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "numpy":
            raise
        hint = "the package numpy is not installed (`mlgitops[statistics]`)"
        return _with_notice(report, f"Noise was not estimated: {hint}.")
    without = {place: problem or found[place].reason for place in judged
               if place not in refused and (problem or not found[place].interval)}  # fmt: skip
    refused |= _find_lost(without, policy, files)
    metrics = tuple(
        _refuse(change, refused[change.path, change.name])
        if (change.path, change.name) in refused
        else _attach(change, found.get((change.path, change.name)))
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
    from mlgitops.inference.compare import find_lost

    names = {name for _, name in without}
    lost = find_lost(base, files.find(files.head), names, policy.cluster)
    return {
        place: f"base's predictions give it and head's do not: {reason or ''}"
        for place, reason in without.items()
        if place[1] in lost
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
    from mlgitops.charts.draw import draw_charts
    from mlgitops.inference.compare import (
        Contradiction,
        estimate_metrics,
        read_alone,
        read_together,
    )
    from mlgitops.inference.names import find_estimator

    named = {place: place[1] for place in others if find_estimator(place[1])}
    gated = {change.name for change in judged.values()}
    results = estimate_metrics(pair, {*named.values(), *gated}, policy.cluster)
    checked = _check_judged(files, judged, results)
    found = read_together(pair, checked, policy.confidence)
    for place, name in named.items():
        alone = read_alone(pair, results[name], others[place], policy.confidence)
        if alone is not None:
            found[place] = alone
    refused = {place: str(one) for place, one in checked.items() if isinstance(one, Contradiction)}
    return found, refused, draw_charts(pair)


def _check_judged(
    files: PredictionFiles,
    judged: Mapping[Place, MetricChange],
    results: Mapping[str, Estimate | Undefined],
) -> dict[Place, Estimate | Undefined]:
    """Keep the estimates of judged metrics that are of what the metrics files state."""
    from mlgitops.inference.compare import check_stored, estimate_metrics
    from mlgitops.inference.matching import match_predictions

    pair, base, whole = files.pair(), files.read(files.base), results
    if pair.lost and base is not None:
        names = {change.name for change in judged.values()}
        whole = estimate_metrics(match_predictions(base, base), names, None)
    return {
        place: check_stored(
            pair, results[change.name], whole[change.name], (change.base or 0.0, change.head or 0.0)
        )
        for place, change in sorted(judged.items())
    }


def _read(side: SideFiles, path: str) -> Predictions | None:
    data, version = side.read(path), side.find_version(path)
    if data is None and version is None:
        return None
    from mlgitops.objects import find_object
    from mlgitops.predictions import read_predictions

    where = f"{path} at {side.name}"
    if data is not None or version is None:
        return read_predictions(data or b"", where=where)

    place = find_object(side.folder.place, version)
    return read_predictions(place, where=where) if place else None


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
