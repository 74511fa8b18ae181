"""Which changed files decide the judgement of a change. Pure.

Used by `compare`, which runs beside the pull request's code, and again by `report`, which does
not believe what `compare` says of them.
"""

from __future__ import annotations

import posixpath
from functools import partial
from typing import TYPE_CHECKING

from mlgitops.git.paths import is_below

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mlgitops.comparison.sides import SideFiles
    from mlgitops.dvc.pipeline import Pipeline, Stage
    from mlgitops.model import Policy

#: The most files that a report names.
MAX_PROTECTED = 100


def find_protected(
    changed: list[str], base: SideFiles, head: SideFiles, policy: Policy, policy_path: str
) -> list[str]:
    """List the changed files that decide the judgement: a reviewer must look at them.

    The policy, workflows and actions, DVC's configuration, and the code and definition of
    every stage that writes metrics or predictions. In this order, so that many files of
    no weight do not stand before one that decides.
    """
    prefix = base.folder.prefix
    named = {policy_path, ".dvc/config"}
    for side in (base, head):
        named |= _measuring_code(side.pipeline, policy)
    exact = find_traces((base, head), named)
    exact |= {prefix + path for path in _redefined(base.pipeline, head.pipeline, policy)}
    listed = [
        path
        for path in changed
        if path in exact
        or path.startswith(".github/")
        or any(path.startswith(f"{folder}/") for folder in exact)
    ]
    return sorted(listed, key=partial(_weigh, exact=exact))


def _weigh(path: str, exact: Collection[str]) -> int:
    """Order what is named by itself, then workflows and actions, then files of a folder."""
    if path in exact:
        return 0
    return 1 if path.startswith((".github/workflows/", ".github/actions/")) else 2


def find_traces(sides: Iterable[SideFiles], paths: Collection[str]) -> set[str]:
    """List what decides the content of ``paths`` on any side, from the repository's root.

    The files themselves, and where one is reached through links, these and what they lead to.
    """
    return {
        traced for side in sides for path in paths for traced in side.folder.trace(side.sha, path)
    }


def find_measuring(pipeline: Pipeline, policy: Policy) -> dict[str, Stage]:
    """Find the stages that write metrics or predictions, those of other seeds' models, too."""
    predictions, seeds = policy.files.predictions, policy.files.seeds
    return {
        name: stage
        for name, stage in pipeline.stages.items()
        if stage.metrics
        or (predictions and predictions in stage.outs)
        or (seeds and any(is_below(out, {seeds}) for out in stage.outs))
    }


def _measuring_code(pipeline: Pipeline, policy: Policy) -> set[str]:
    outs = {out for stage in pipeline.stages.values() for out in stage.outs}
    deps = {dep for stage in find_measuring(pipeline, policy).values() for dep in stage.deps}
    return deps - outs - set(pipeline.pointers)


def _redefined(base: Pipeline, head: Pipeline, policy: Policy) -> set[str]:
    """List the dvc.yaml files in which a measuring stage is not what it was at base."""
    before, after = find_measuring(base, policy), find_measuring(head, policy)
    return {
        posixpath.normpath((before.get(name) or after[name]).file)
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    }
