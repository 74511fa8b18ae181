"""What of a side is of an older run, and the words for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.git.paths import list_parents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.model import MetricChange


MAX_NAME = 150


LEFT = "made a metrics file that no stage makes any more"


class Staleness(msgspec.Struct, frozen=True, kw_only=True):
    """Stages whose last run was not of what stands beside dvc.lock, and what they spoil."""

    reasons: dict[str, str] = {}  # stage → what is not as it was in its run
    outs: dict[str, str] = {}  # output → the first stage, from the top, that makes it stale

    @property
    def notices(self) -> list[str]:
        """Say of each stage why its numbers are old."""
        return [
            f"Stage `{name[:MAX_NAME]}` {reason}: its numbers are old. Run `mlgitops train`."
            for name, reason in self.reasons.items()
        ]

    def explain(self, path: str | None) -> str | None:
        """Say why the file at ``path`` is stale; None when it is not, as far as is known."""
        places = (path, *list_parents(path)) if path else ()
        stage = next(
            (self.outs[path_above] for path_above in places if path_above in self.outs), None
        )
        if stage is None:
            return None
        if self.reasons.get(stage) == LEFT:
            return f"stage `{stage[:MAX_NAME]}` made it, and no stage makes it any more"
        return f"stage `{stage[:MAX_NAME]}` has to run again (`mlgitops train`)"

    def mark(
        self, changes: Iterable[MetricChange], *, made_with: str | None = None
    ) -> tuple[MetricChange, ...]:
        """Say of each metric whether its file is stale, or the one it was ``made_with``."""
        changes = tuple(changes)
        paths = {made_with or change.path for change in changes}
        reasons = {path: self.explain(path) for path in paths}
        return tuple(
            change if reason == change.stale else msgspec.structs.replace(change, stale=reason)
            for change in changes
            for reason in (reasons[made_with or change.path],)
        )
