"""Put base's model on head's test data, where the test data changed.

The facts that come out are base's values on head's rows, beside those it was stored with;
base's predictions and plots on head's rows; or the reason why there are none.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from mlgitops.comparison.diff import diff_metrics
from mlgitops.comparison.measuring.plan import count_seen, plan_measuring
from mlgitops.comparison.sides import fetch_missing
from mlgitops.dvc.metrics import MetricSet
from mlgitops.errors import MlgitopsError
from mlgitops.judgement.moved import Joined
from mlgitops.model import Rescoring, TestData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.comparison.measuring.plan import Plan
    from mlgitops.comparison.measuring.run import Measured
    from mlgitops.comparison.sides import SideFiles
    from mlgitops.console import Console
    from mlgitops.model import MetricChange, Policy, Report

_NO_VALUE = "has no value for it on head's test data"


def rescore(
    report: Report,
    policy: Policy,
    base: SideFiles,
    head: SideFiles,
    console: Console,
    *,
    rows: Mapping[str, bytes] | None = None,
    metrics: Mapping[str, MetricSet] | None = None,
) -> tuple[Report, Measured | None]:
    """Measure base on head's test data, if that is needed and can be.

    ``rows`` (path → contents, the test data among them) stand in for what head's run wrote, and
    ``metrics`` for its metrics files.
    Return ``report`` with its metrics, or the reason why there are none, and all that was
    measured: predictions and plots, too.
    """
    if report.test_data is not TestData.CHANGED or not _is_needed(report, policy):
        return report, None
    start = time.perf_counter()
    try:
        rescored, seen = _measure(policy, base, head, console, rows)
    except (MlgitopsError, ImportError) as error:
        from mlgitops.comparison.measuring.run import explain_failure

        reason = explain_failure(error)
        return msgspec.structs.replace(report, rescoring=Rescoring(reason=reason)), None
    facts = Rescoring(
        paths=tuple(sorted(rescored.metrics)),
        rows=None if rescored.predictions is None else rescored.predictions.rows,
        seen=seen,
        seconds=round(time.perf_counter() - start, 3),
    )
    head_metrics = head.metrics if metrics is None else metrics
    changes = set_metrics(base.metrics, rescored.metrics, head_metrics)
    return msgspec.structs.replace(report, metrics=changes, rescoring=facts), rescored


def _is_needed(report: Report, policy: Policy) -> bool:
    """Tell whether something that is judged has a value on both sides."""
    joined = Joined(report.metrics)
    changes = [change for name in policy.metrics for change in joined.match(name)]
    return bool(policy.slices) or any(change.delta is not None for change in changes)


def _measure(
    policy: Policy,
    base: SideFiles,
    head: SideFiles,
    console: Console,
    rows: Mapping[str, bytes] | None,
) -> tuple[Measured, int | None]:
    if policy.files.test_data and head.find_hash(policy.files.test_data) is None:
        raise MlgitopsError(f"neither git nor DVC has `{policy.files.test_data}` at head")
    plan = plan_measuring(base.pipeline, policy.files, base.folder.list_files(base.sha))
    training = _find_training(plan, base)
    wanted = {
        "base": {*plan.objects, *training},
        "head": {plan.test_data} if rows is None else set(),
    }
    fetch_missing(base, head, lambda side: wanted[side.name], console)
    data = head.read_anywhere(plan.test_data) if rows is None else rows.get(plan.test_data)
    if data is None:
        raise MlgitopsError(f"`{plan.test_data}` of head is not here: run `dvc pull`")
    from mlgitops.comparison.measuring.run import TIMEOUT, measure_model

    with console.step("measuring base's model on the new test data"):
        given = {plan.test_data: data, **(rows or {})}
        rescored = measure_model(plan, base, given, policy.files.predictions, timeout=TIMEOUT)
    return rescored, _count_seen(training, base, data)


def _find_training(plan: Plan, base: SideFiles) -> set[str]:
    """Find the tables that base's model was trained on: data that its stage depends on."""
    stages = [stage for stage in base.pipeline.stages.values() if plan.model in stage.outs]
    suffix = plan.test_data.rpartition(".")[2]
    return {
        dep
        for stage in stages
        for dep in stage.deps
        if dep.endswith(f".{suffix}") and base.find_version(dep) is not None
    }


def _count_seen(training: set[str], base: SideFiles, test: bytes) -> int | None:
    """Count head's test rows that base's model was trained on; None when that is not known."""
    counts = []
    for path in sorted(training):
        try:
            data = base.read_anywhere(path)
        except MlgitopsError:
            data = None
        counts.append(None if data is None else count_seen(data, test))
    counted = [count for count in counts if count is not None]
    return max(counted) if counted else None


def set_metrics(
    stored: dict[str, MetricSet], fresh: dict[str, MetricSet], head: Mapping[str, MetricSet]
) -> tuple[MetricChange, ...]:
    """Compare head with what base has on the same rows; what it had stored goes along."""
    stored_values = {path: stored.get(path, MetricSet()).values for path in fresh}
    base = {path: _tell_lost(metrics, stored_values[path]) for path, metrics in fresh.items()}
    return tuple(
        msgspec.structs.replace(
            change, base_stored=stored_values.get(change.path, {}).get(change.name)
        )
        for change in diff_metrics({**stored, **base}, head)
    )


def _tell_lost(fresh: MetricSet, stored: dict[str, float]) -> MetricSet:
    """Name the metrics that base had on its own rows and has not on head's."""
    lost = dict.fromkeys(stored.keys() - fresh.values.keys(), _NO_VALUE)
    return MetricSet(values=fresh.values, unusable={**lost, **fresh.unusable})
