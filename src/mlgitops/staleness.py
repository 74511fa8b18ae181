"""Whether the numbers of a side belong to the code, parameters and data beside them.

In: one side, read. Out: the stages that DVC would run again, each with its reason, and the
files that are stale because of one. Reads git or disk, only files that git can see: data is
known by its hash in dvc.lock and in .dvc files. Folders and frozen stages are not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlgitops.model import MetricChange
    from mlgitops.pipeline import LockEntry, Pipeline, Stage
    from mlgitops.sides import SideFiles

_MOST = 3
_MAX_TEXT = 500
_MAX_REASON = 250
_MAX_NAME = 150


class Staleness(msgspec.Struct, frozen=True, kw_only=True):
    """Stages whose last run was not of what stands beside dvc.lock, and what they spoil."""

    reasons: dict[str, str] = {}  # stage → what is not as it was in its run
    outs: dict[str, str] = {}  # output → the first stage, from the top, that makes it stale

    @property
    def notices(self) -> list[str]:
        """Say of each stage why its numbers are old."""
        return [
            f"Stage `{name[:_MAX_NAME]}` {reason}: its numbers are old. Run `mlgitops train`."
            for name, reason in self.reasons.items()
        ]

    def explain(self, path: str | None) -> str | None:
        """Say why the file at ``path`` is stale; None when it is not, as far as is known."""
        stage = self.outs.get(path or "")
        return f"stage `{stage[:_MAX_NAME]}` has to run again (`mlgitops train`)" if stage else None

    def mark(
        self, changes: Iterable[MetricChange], *, made_with: str | None = None
    ) -> tuple[MetricChange, ...]:
        """Say of each metric whether its file is stale, or the one it was ``made_with``."""
        return tuple(
            msgspec.structs.replace(change, stale=self.explain(made_with or change.path))
            for change in changes
        )


def find_stale(side: SideFiles, *, locked: bool = False) -> Staleness:
    """Find what of ``side`` its pipeline did not make from what stands there now.

    A metrics file that is not what its stage wrote counts, too.

    ``locked``: the other side has a dvc.lock, so a stage that this side's does not name was
    never run; where neither has one, nothing is known of any.
    """
    pipeline = side.pipeline
    makers = {out: name for name, stage in pipeline.stages.items() for out in stage.outs}
    reasons = {}
    for name, stage in pipeline.stages.items():
        lock = pipeline.locks.get(name)
        if stage.frozen:
            continue
        if lock is not None:
            other = list(_differences(side, stage, lock, makers))
            if other:
                reasons[name] = _write_reason(other)
        elif locked or pipeline.locks:
            reasons[name] = "is not in dvc.lock, so it was not run"
    first = {name: _find_first(name, pipeline, makers, reasons) for name in pipeline.stages}
    outs = {out: found for out, name in makers.items() if (found := first[name]) is not None}
    return Staleness(reasons=reasons, outs=outs)


def _write_reason(other: list[str]) -> str:
    inputs = ", ".join(other[:_MOST])
    more = f" and {len(other) - _MOST} more" if len(other) > _MOST else ""
    return f"was last run with another {inputs[:_MAX_REASON]}{more}"


def _find_first(
    name: str, pipeline: Pipeline, makers: dict[str, str], reasons: dict[str, str]
) -> str | None:
    """Find a stage with a reason among ``name`` and those it builds on, the deepest first."""
    seen: set[str] = set()
    waiting, found = [name], None
    while waiting:
        stage = waiting.pop()
        if stage in seen or stage not in pipeline.stages:
            continue
        seen.add(stage)
        found = stage if stage in reasons else found
        waiting += [makers[dep] for dep in pipeline.stages[stage].deps if dep in makers]
    return found


def _differences(
    side: SideFiles, stage: Stage, lock: LockEntry, makers: dict[str, str]
) -> Iterator[str]:
    """Name what is not as it was when the stage ran."""
    if not stage.templated and stage.command != lock.command:
        yield "command"
    yield from _other_params(side, lock)
    if lock.exact:
        yield from _other_files(side, lock.deps)
        made = {path: lock.outs[path].hash for path in stage.metrics if path in lock.outs}
        yield from _other_files(side, made)
        yield from _other_data(side.pipeline, lock, makers)


def _other_data(pipeline: Pipeline, lock: LockEntry, makers: dict[str, str]) -> Iterator[str]:
    """Name data that is not what it was in the run."""
    for path, expected in lock.deps.items():
        now = _find_made(pipeline, path, makers)
        if now is not None and now != expected:
            yield f"`{path}`"


def _find_made(pipeline: Pipeline, path: str, makers: dict[str, str]) -> str | None:
    """Find the hash of data: of what another stage made last, or of what a .dvc file names."""
    maker = pipeline.locks.get(makers.get(path, ""))
    if maker is not None and path in maker.outs:
        return maker.outs[path].hash
    return pipeline.pointers[path].hash if path in pipeline.pointers else None


def _other_params(side: SideFiles, lock: LockEntry) -> Iterator[str]:
    """Name parameters whose value is not the one of the run."""
    for key, text in lock.params.items():
        path, _, name = key.partition(":")
        if path in side.params and side.params[path].get(name) != text:
            yield f"parameter `{name}`"


def _is_file(entry: str | None) -> bool:
    """Tell a file that git has from none, and from a link that leads out."""
    return entry is not None and ":" not in entry


def _other_files(side: SideFiles, hashes: dict[str, str]) -> Iterator[str]:
    """Name files that are not what they were in the run."""
    import hashlib

    files = side.folder.list_files(side.sha)
    for path, expected in hashes.items():
        data = side.read(path) if _is_file(files.get(path)) else None
        if data is not None and expected.startswith("md5:") and not expected.endswith(".dir"):
            digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            if expected != f"md5:{digest}":
                yield f"`{path}`"
