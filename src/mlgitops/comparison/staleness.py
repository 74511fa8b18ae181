"""Whether the numbers of a side belong to the code, parameters and data beside them.

In: one side, read, and its base. Out: the stages that DVC would run again, each with its
reason, and the files that are stale because of one. Reads git or disk through `stage_run`.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from mlgitops.comparison.contents import Contents
from mlgitops.comparison.diff import diff_metrics
from mlgitops.comparison.graph import Graph
from mlgitops.comparison.stage_run import compare_run
from mlgitops.comparison.stale import LEFT, Staleness
from mlgitops.dvc.pipeline import Pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.git.paths import list_parents
from mlgitops.judgement.moved import Joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.comparison.sides import SideFiles

_UNREAD = "could not be read, for its definition names the unknown"


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
    contents = Contents(side)
    reasons = dict(_find_reasons(side, base, contents, doubted=doubted))
    graph = Graph(pipeline)
    first = {name: graph.find_first(name, reasons) for name in pipeline.stages}
    outs = {
        out: reason for out, name in graph.makers.items() if (reason := first[name]) is not None
    }
    unread = _list_unread(pipeline)
    left = {path: name for path, name in _find_left(side, base, graph) if name not in unread}
    reasons |= {name: f"{_UNREAD} `${{{ref}}}`" for name, ref in unread.items()}
    reasons |= dict.fromkeys(left.values(), LEFT)
    hidden = {out: name for name in unread for out in pipeline.locks[name].outs}
    return Staleness(reasons=reasons, outs={**left, **hidden, **outs})


def _find_reasons(
    side: SideFiles, base: SideFiles | None, contents: Contents, *, doubted: bool
) -> Iterator[tuple[str, str]]:
    """Yield the stages to run again, each with its reason."""
    pipeline = side.pipeline
    before = base.pipeline if base is not None else Pipeline()
    has_run = base is not None and _has_run(base)
    for name, stage in pipeline.stages.items():
        lock = pipeline.locks.get(name)
        at_base = before.stages.get(name)
        is_new = at_base is None and stage.file not in before.broken
        frozen = stage.frozen and (is_new or (at_base is not None and at_base.frozen))
        if lock is not None:
            run = compare_run(side, base, stage, contents, frozen=frozen)
            if run.differs(doubted=doubted):
                yield name, run.write()
        elif (pipeline.locks or has_run) and not frozen:
            yield name, "is not in dvc.lock, so it was not run"


def _has_run(base: SideFiles) -> bool:
    """Tell whether base records a run; a record that cannot be read may, unless it is bare.

    Every run in a lock, or in a .dvc file of DVC before 1.0, has its command, as `cmd`.
    """
    if base.pipeline.locks:
        return True
    for path in base.pipeline.broken:
        if posixpath.basename(path) != "dvc.yaml":
            try:
                data = base.read(path) or b""
            except MlgitopsError:
                return True
            if b"cmd" in data:
                return True
    return False


def _list_unread(pipeline: Pipeline) -> dict[str, str]:
    """List the stages of dvc.lock whose definition could not be read, with the reference."""
    return {
        name: pipeline.unresolved[group]
        for name in pipeline.locks
        if name not in pipeline.stages
        and (group := name if name in pipeline.unresolved else name.rpartition("@")[0])
        in pipeline.unresolved
    }


def _find_left(side: SideFiles, base: SideFiles | None, graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield metrics that a stage made at base and no stage makes here, each with that stage.

    Those that dvc.yaml does not declare any more count too, and those that moved to another file.
    """
    if base is None:
        return
    before = base.pipeline
    makers = {out: name for name, stage in before.stages.items() for out in stage.outs}
    if any(posixpath.basename(path) == "dvc.yaml" for path in before.broken):
        # What made them is not known from their definition: the lock says what did.
        makers |= {out: name for name, lock in before.locks.items() for out in lock.outs}
    files = side.folder.list_files(side.sha)
    origins = Joined(diff_metrics(base.metrics, side.metrics)).list_origins()
    for path in sorted({*side.pipeline.metrics, *side.metrics}):
        places = [at for old in (path, *origins.get(path, ())) for at in (old, *list_parents(old))]
        maker = next((makers[at] for at in places if at in makers), None)
        stands = path in files or side.folder.has_folder(side.sha, path)
        if maker is not None and stands and not graph.list_makers(path):
            yield path, maker
