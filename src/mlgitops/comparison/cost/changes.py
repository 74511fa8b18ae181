"""Both sides' cost to changes that the judge treats as it treats metrics.

Reads `reports/cost.json` from git or disk, and model sizes from DVC's pointers; measures
nothing. Names: `cost.training_seconds` (the stage that makes the model), `cost.peak_memory_mb`
(the largest of all stages), `cost.model_size_mb`, `cost.latency_ms` (one row) and
`cost.batch_latency_ms` (1,000 rows). A megabyte is 10^6 bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.comparison.cost.record import (
    COST_FILE,
    RUN_COST_FILE,
    CostRecord,
    fingerprint_outputs,
    parse_cost,
)
from mlgitops.comparison.diff import diff_metrics
from mlgitops.dvc.metrics import MetricSet
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from mlgitops.comparison.cost.record import StageCost
    from mlgitops.comparison.sides import SideFiles
    from mlgitops.model import MetricChange, Policy

#: Every name that a budget can use, with its unit.
COST_NAMES = {
    "cost.training_seconds": "s",
    "cost.peak_memory_mb": "MB",
    "cost.model_size_mb": "MB",
    "cost.latency_ms": "ms",
    "cost.batch_latency_ms": "ms",
}
NOT_MEASURED = "was not measured: run `mlgitops train --force` and commit `reports/cost.json`"
OTHER_MACHINE = (
    "Time and memory at base were measured on another kind of machine and are not compared."
)
BASE_APART = "base's was measured on another kind of machine"
_MAX_TEXT, _MAX_NAME = 500, 150
_MEGABYTE = 1e6


def compare_cost(base: SideFiles, head: SideFiles, policy: Policy) -> tuple[MetricChange, ...]:
    """Return one change for each cost that head knows, or that the policy judges."""
    before, after = measure_cost(base, policy), measure_cost(head, policy)
    both = [name for name in after if name in before]
    same = {name for name in both if before[name][1] == after[name][1]}
    if len(same) < len(both):
        head.notices.append(OTHER_MACHINE)
    judged = {*policy.metrics, *policy.budgets}
    missing = {name: NOT_MEASURED for name in COST_NAMES if name in judged and name not in after}
    changes = diff_metrics(
        {COST_FILE: MetricSet(values={name: before[name][0] for name in same})},
        {
            COST_FILE: MetricSet(
                values={name: value for name, (value, _) in after.items()}, unusable=missing
            )
        },
    )
    missing_at_base = {name: BASE_APART for name in both if name not in same}
    broken = next(iter(base.pipeline.broken), None)
    if broken is not None:
        reason = f"`{broken[:_MAX_NAME]}` could not be read at base"
        missing_at_base |= {name: reason for name in after if name not in before}
    return tuple(
        msgspec.structs.replace(change, base_missing=missing_at_base.get(change.name))
        for change in changes
    )


def measure_cost(side: SideFiles, policy: Policy) -> dict[str, tuple[float, str | None]]:
    """Return name → value, and the kind of machine it was measured on (None: it is no matter).

    Values are in the units of :data:`COST_NAMES`; what a side has no record of is left out.
    """
    record, model = _read_record(side), policy.files.model
    costs: dict[str, tuple[float, str | None]] = {}
    stages = _valid_stages(side, record)
    maker = _find_maker(side, model)
    trained = stages.get(maker) if maker else None
    if trained is not None:
        costs["cost.training_seconds"] = (trained.seconds, trained.machine)
        peaks = [stage.peak_memory_mb or 0.0 for stage in stages.values()]
        if trained.peak_memory_mb is not None:
            costs["cost.peak_memory_mb"] = (max(peaks), trained.machine)
    version = side.find_version(model) if model else None
    if version is not None and version.size is not None:
        costs["cost.model_size_mb"] = (version.size / _MEGABYTE, None)
    latency = record.latency
    if latency is not None and version is not None and latency.model == version.hash:
        costs["cost.latency_ms"] = (latency.row_ms, latency.machine)
        costs["cost.batch_latency_ms"] = (latency.thousand_rows_ms, latency.machine)
    return costs


def _valid_stages(side: SideFiles, record: CostRecord) -> dict[str, StageCost]:
    """Keep the entries that were measured with the outputs that this side has."""
    locks = side.pipeline.locks
    return {
        name: cost
        for name, cost in record.stages.items()
        if name in locks and fingerprint_outputs(locks[name]) == cost.outputs
    }


def _find_maker(side: SideFiles, model: str | None) -> str | None:
    """Find the stage that makes the model."""
    return next((name for name, lock in side.pipeline.locks.items() if model in lock.outs), None)


def _read_record(side: SideFiles) -> CostRecord:
    """Read a side's record; a run's own comes first, an odd one is told and not used."""
    places = [RUN_COST_FILE, COST_FILE] if side.sha is None else [COST_FILE]
    for path in places:
        data = side.read(path)
        if data is None:
            continue
        try:
            return parse_cost(data, path)
        except MlgitopsError as error:
            side.notices.append(f"`{path}` at {side.name} was not used: {error.what}"[:_MAX_TEXT])
    return CostRecord()
