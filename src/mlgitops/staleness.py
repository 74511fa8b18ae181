"""Whether the numbers of a side belong to the code, parameters and data beside them.

In: one side, read, and its base. Out: the stages that DVC would run again, each with its
reason, and the files that are stale because of one. Reads git or disk through `stage_run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.contents import Contents, list_parents
from mlgitops.pipeline import Pipeline
from mlgitops.stage_run import compare_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlgitops.model import MetricChange
    from mlgitops.sides import SideFiles

_MAX_NAME = 150
_UNREAD = "could not be read, for its definition names the unknown"
_LEFT = "made a metrics file that no stage makes any more"


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
        places = (path, *list_parents(path)) if path else ()
        stage = next((self.outs[place] for place in places if place in self.outs), None)
        if stage is None:
            return None
        if self.reasons.get(stage) == _LEFT:
            return f"stage `{stage[:_MAX_NAME]}` made it, and no stage makes it any more"
        return f"stage `{stage[:_MAX_NAME]}` has to run again (`mlgitops train`)"

    def mark(
        self, changes: Iterable[MetricChange], *, made_with: str | None = None
    ) -> tuple[MetricChange, ...]:
        """Say of each metric whether its file is stale, or the one it was ``made_with``."""
        return tuple(
            msgspec.structs.replace(change, stale=self.explain(made_with or change.path))
            for change in changes
        )


def find_stale(
    side: SideFiles, base: SideFiles | None = None, *, doubted: bool = True
) -> Staleness:
    """Find what of ``side`` its pipeline did not make from what stands there now.

    Each stage is held against its run by what dvc.yaml declares: command, dependencies,
    parameters, outputs. An output in git that is not what its stage wrote counts, too.

    ``base``: the other side. Where it has a dvc.lock, a stage that this side's does not name was
    never run; where neither has one, nothing is known of any. What this side alone freezes, or
    takes out of the pipeline, is judged as base has it.

    ``doubted``: what data that is not here cannot confirm is stale; False where none is at hand.
    """
    pipeline = side.pipeline
    before = base.pipeline if base is not None else Pipeline()
    contents = Contents(side)
    reasons = dict(_find_reasons(side, base, contents, doubted=doubted))
    graph = _Graph(pipeline)
    first = {name: graph.find_first(name, reasons) for name in pipeline.stages}
    outs = {out: found for out, name in graph.makers.items() if (found := first[name]) is not None}
    unread = _list_unread(pipeline)
    left = {path: name for path, name in _find_left(side, before, graph) if name not in unread}
    reasons |= {name: f"{_UNREAD} `${{{ref}}}`" for name, ref in unread.items()}
    reasons |= dict.fromkeys(left.values(), _LEFT)
    hidden = {out: name for name in unread for out in pipeline.locks[name].outs}
    return Staleness(reasons=reasons, outs={**left, **hidden, **outs})


def _find_reasons(
    side: SideFiles, base: SideFiles | None, contents: Contents, *, doubted: bool
) -> Iterator[tuple[str, str]]:
    """Yield the stages to run again, each with its reason."""
    pipeline = side.pipeline
    before = base.pipeline if base is not None else Pipeline()
    for name, stage in pipeline.stages.items():
        lock = pipeline.locks.get(name)
        at_base = before.stages.get(name)
        frozen = stage.frozen and (at_base is None or at_base.frozen)
        if lock is not None:
            run = compare_run(side, base, stage, contents, frozen=frozen)
            if run.differs(doubted=doubted):
                yield name, run.write()
        elif (pipeline.locks or before.locks) and not frozen:
            yield name, "is not in dvc.lock, so it was not run"


def _list_unread(pipeline: Pipeline) -> dict[str, str]:
    """List the stages of dvc.lock whose definition could not be read, with the reference."""
    return {
        name: pipeline.unresolved[group]
        for name in pipeline.locks
        if name not in pipeline.stages
        and (group := name if name in pipeline.unresolved else name.rpartition("@")[0])
        in pipeline.unresolved
    }


def _find_left(side: SideFiles, before: Pipeline, graph: _Graph) -> Iterator[tuple[str, str]]:
    """Yield metrics that a stage made at base and no stage makes here, each with that stage."""
    makers = {out: name for name, stage in before.stages.items() for out in stage.outs}
    files = side.folder.list_files(side.sha)
    for path in side.pipeline.metrics:
        maker = next((makers[at] for at in (path, *list_parents(path)) if at in makers), None)
        if maker is not None and path in files and not graph.list_makers(path):
            yield path, maker


class _Graph:
    """Which stage makes what, a folder or what is in it, and which builds on which."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.stages = pipeline.stages
        self.makers = {out: name for name, stage in self.stages.items() for out in stage.outs}
        self._inside: dict[str, list[str]] = {}
        for out, name in self.makers.items():
            for folder in list_parents(out):
                self._inside.setdefault(folder, []).append(name)

    def list_makers(self, path: str) -> list[str]:
        """List the stages that make ``path``, a folder that holds it, or something in it."""
        above = [self.makers[at] for at in (path, *list_parents(path)) if at in self.makers]
        return above + self._inside.get(path, [])

    def find_first(self, name: str, reasons: dict[str, str]) -> str | None:
        """Find a stage with a reason among ``name`` and those it builds on, the deepest first."""
        seen: set[str] = set()
        waiting, found = [name], None
        while waiting:
            stage = waiting.pop()
            if stage in seen or stage not in self.stages:
                continue
            seen.add(stage)
            found = stage if stage in reasons else found
            for dep in (*self.stages[stage].deps, *self.stages[stage].params):
                waiting += self.list_makers(dep)
        return found
