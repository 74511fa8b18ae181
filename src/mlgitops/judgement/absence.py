"""Why base has no value of a metric that head has: it is new, or was only called otherwise. Pure.

In: all changes of a comparison, and what base declares and holds. Out: for each metric that is
in head alone, why that is no proof of a new one. Used by `compare`, and by `report` with what
git holds of base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.dvc.metrics import MetricSet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mlgitops.dvc.pipeline import Pipeline
    from mlgitops.model import MetricChange

_MAX_PATH = 150


class Absences:
    """What base should have of the metrics that are in head alone."""

    def __init__(
        self,
        changes: Collection[MetricChange],
        pipeline: Pipeline,
        metrics: Mapping[str, MetricSet],
    ) -> None:
        """Take all ``changes``, base's ``pipeline``, and its ``metrics``: path → values."""
        self._pipeline = pipeline
        self._metrics = metrics
        self._gone = [change for change in changes if is_gone(change)]
        self._moved = {change.name: change.path for change in self._gone}
        # A file of which a value at base is told was read, if only where the run had it.
        read = {change.path for change in changes if change.base is not None}
        hidden = (path for path, stored in metrics.items() if stored.problem and path not in read)
        self._hidden = next(hidden, None)

    def mark(self, changes: Collection[MetricChange]) -> tuple[MetricChange, ...]:
        """Say of each metric that is in head alone why base's value is missing."""
        return tuple(
            change
            if reason == change.base_missing
            else msgspec.structs.replace(change, base_missing=reason)
            for change in changes
            for reason in (self.explain(change),)
        )

    def explain(self, change: MetricChange) -> str | None:
        """Say why base's value is missing, as the end of "is new, and …".

        None when base has a value, when head has none, and when the metric is new indeed: base
        declares no such file, holds none, and nothing of base is gone or unread that it could
        have been.
        """
        if change.base is not None or change.head is None:
            return None
        if change.name in self._moved:
            moved = _quote(self._moved[change.name])
            return f"base has it in {moved}, which this change takes away"
        if self._gone:
            return f"{_quote(self._gone[0].name)} is gone, which may be what base calls it"
        return self._explain_base(change)

    def _explain_base(self, change: MetricChange) -> str | None:
        stored = self._metrics.get(change.path, MetricSet())
        if stored != MetricSet():
            return f"base's {_quote(change.path)} does not have it"
        if self._pipeline.broken:
            return f"{_quote(next(iter(self._pipeline.broken)))} could not be read at base"
        if self._is_declared(change.path):
            never = "" if self._pipeline.locks else ", perhaps as its pipeline never ran"
            return f"base declares {_quote(change.path)} and does not hold it{never}"
        if self._pipeline.unread:
            return f"{self._pipeline.unread[0]} could not be read at base"
        if self._hidden is not None:
            return f"{_quote(self._hidden)} could not be read at base, and may have had it"
        return None

    def _is_declared(self, path: str) -> bool:
        pipeline = self._pipeline
        if path in pipeline.metrics or pipeline.find_version(path) or pipeline.find_folder(path):
            return True
        outs = {out for stage in pipeline.stages.values() for out in stage.outs}
        return any(path == out or path.startswith(f"{out}/") for out in outs | pipeline.metrics)


def is_gone(change: MetricChange) -> bool:
    """Tell whether base has a metric and head does not."""
    return change.base is not None and change.head is None


def _quote(text: str) -> str:
    return f"`{text.replace('`', chr(39))[:_MAX_PATH]}`"
