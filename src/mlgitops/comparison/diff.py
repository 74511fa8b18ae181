"""Base and head to changes: metrics, parameters, data pointers and stages. Pure.

Every metric found on either side gets exactly one change; nothing is dropped. Results are
sorted, so equal input gives equal output.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlgitops.dvc.metrics import MetricSet
from mlgitops.git.paths import is_below
from mlgitops.model import DataChange, MetricChange, ParamChange, StageChange, StageState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mlgitops.dvc.pipeline import LockEntry, Pipeline, Stage
    from mlgitops.model import DataVersion

_MAX_TEXT = 500
_MAX_NAME = 200
_MAX_CAUSES = 20
_EMPTY = MetricSet()


def diff_metrics(
    base: Mapping[str, MetricSet], head: Mapping[str, MetricSet]
) -> tuple[MetricChange, ...]:
    """Compare the metrics files of two sides, given as path → metrics.

    >>> base, head = MetricSet(values={"auc": 0.5}), MetricSet(values={"auc": 0.75})
    >>> diff_metrics({"m.json": base}, {"m.json": head})[0].delta
    0.25
    """
    changes = []
    for path in sorted({*base, *head}):
        base_set, head_set = base.get(path, _EMPTY), head.get(path, _EMPTY)
        names = {*base_set.values, *base_set.unusable, *head_set.values, *head_set.unusable}
        changes += [_diff_metric(name, path, base_set, head_set) for name in sorted(names)]
    return tuple(changes)


def _diff_metric(name: str, path: str, base: MetricSet, head: MetricSet) -> MetricChange:
    base_value, head_value = base.values.get(name), head.values.get(name)
    reason = _find_reason(name, base, head)
    delta = (
        head_value - base_value
        if base_value is not None and head_value is not None and reason is None
        else None
    )
    if delta is not None and not math.isfinite(delta):
        delta, reason = None, "the difference is too large a number"
    return MetricChange(
        name=name,
        path=path,
        base=base_value,
        head=head_value,
        delta=delta,
        relative_delta=relate(delta, base_value),
        reason=reason,
    )


def _find_reason(name: str, base: MetricSet, head: MetricSet) -> str | None:
    """Say why the two values cannot be compared, if so."""
    reasons = []
    for side, metrics in (("base", base), ("head", head)):
        if name in metrics.unusable:
            reasons.append(f"{side} {metrics.unusable[name]}")
        elif metrics.problem and name not in metrics.values:
            reasons.append(f"{side} {metrics.problem}")
    return " and ".join(reasons)[:_MAX_TEXT] or None


def relate(delta: float | None, base: float | None) -> float | None:
    """Return ``delta`` as a fraction of abs(base); None when that is no number."""
    if delta is None or not base:
        return None
    relative = delta / abs(base)
    return relative if math.isfinite(relative) else None


def diff_params(
    base: Mapping[str, Mapping[str, str]], head: Mapping[str, Mapping[str, str]]
) -> tuple[ParamChange, ...]:
    """List the parameters that differ, given as path → name → JSON text."""
    changes = []
    for path in sorted({*base, *head}):
        base_params, head_params = base.get(path, {}), head.get(path, {})
        changes += [
            ParamChange(
                path=path,
                name=_cut(name, _MAX_NAME),
                base=_text(base_params, name),
                head=_text(head_params, name),
            )
            for name in sorted({*base_params, *head_params})
            if base_params.get(name) != head_params.get(name)
        ]
    return tuple(changes)


def diff_data(base: Pipeline, head: Pipeline, tracked: set[str]) -> tuple[DataChange, ...]:
    """List the DVC-tracked paths whose pointers differ; ``tracked`` by git are left out."""
    base_versions, head_versions = _versions(base, tracked), _versions(head, tracked)
    return tuple(
        DataChange(path=path, base=base_versions.get(path), head=head_versions.get(path))
        for path in sorted({*base_versions, *head_versions})
        if _hash(base_versions.get(path)) != _hash(head_versions.get(path))
    )


def diff_stages(
    base: Pipeline,
    head: Pipeline,
    observed: Mapping[str, tuple[StageState, float | None]],
    edited: Collection[str] = (),
) -> tuple[StageChange, ...]:
    """List every stage with what happened to it.

    ``observed`` is what this run recorded; ``edited`` are the files that differ in git, as paths
    from the project: all that tells of a stage which no lock tells of.
    """
    changes = []
    order = [*head.stages, *sorted({*base.stages, *head.locks, *base.locks} - set(head.stages))]
    for name in dict.fromkeys(order):
        causes = find_causes(base.locks.get(name), head.locks.get(name))
        if name not in base.locks and name not in head.locks:
            causes = _find_edits(base.stages.get(name), head.stages.get(name), edited)
        state, seconds = observed.get(name, (_lock_state(name, base, head, causes), None))
        changes.append(
            StageChange(
                name=_cut(name, _MAX_NAME),
                state=state,
                seconds=seconds,
                causes=tuple(_cut(cause, _MAX_TEXT) for cause in causes[:_MAX_CAUSES]),
            )
        )
    return tuple(changes)


def find_causes(base: LockEntry | None, head: LockEntry | None) -> list[str]:
    """Say which inputs of a stage differ between two lock entries."""
    if base is None or head is None:
        return []
    causes = ["its command"] if base.command != head.command else []
    causes += [f"`{path}`" for path in _differing(base.deps, head.deps)]
    causes += [
        f"parameter `{name.rpartition(':')[2]}`" for name in _differing(base.params, head.params)
    ]
    outs = {path: version.hash for path, version in base.outs.items()}
    makes = {path: version.hash for path, version in head.outs.items()}
    if not causes and outs != makes:
        causes = ["other outputs from the same inputs"]
    return causes


def _find_edits(base: Stage | None, head: Stage | None, edited: Collection[str]) -> list[str]:
    """Say what differs of a stage that neither side's lock knows: its definition, its files."""
    if base is None or head is None:
        return []
    causes = ["its definition"] if base != head else []
    inputs = [*head.deps, *head.params]
    return causes + [
        f"`{path}`" for path in inputs if any(is_below(name, {path}) for name in edited)
    ]


def _lock_state(name: str, base: Pipeline, head: Pipeline, causes: list[str]) -> StageState:
    """Tell from the definitions and lock entries what happened to a stage."""
    before = name in base.stages or name in base.locks
    after = name in head.stages or name in head.locks
    if not before:
        return StageState.ADDED
    if not after:
        return StageState.REMOVED
    locked = (name in base.locks) == (name in head.locks)
    return StageState.CHANGED if causes or not locked else StageState.UNCHANGED


def _differing(base: Mapping[str, str], head: Mapping[str, str]) -> list[str]:
    return sorted(key for key in {*base, *head} if base.get(key) != head.get(key))


def _versions(pipeline: Pipeline, tracked: set[str]) -> dict[str, DataVersion]:
    versions = dict(pipeline.pointers)
    for lock in pipeline.locks.values():
        versions.update(lock.outs)
    return {path: version for path, version in versions.items() if path not in tracked}


def _hash(version: DataVersion | None) -> str | None:
    return version.hash if version else None


def _text(values: Mapping[str, str], name: str) -> str | None:
    return _cut(values[name], _MAX_TEXT) if name in values else None


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
