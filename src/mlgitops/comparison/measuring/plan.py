"""Which stages of a revision measure a model, and what they need to do so. Pure.

The pipeline of that revision says it all: the stages that read the test data and write predictions
or metrics. They run again as it defines them, with nothing exchanged but what the caller gives:
the test data, and the model where it is another revision's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mlgitops.comparison.graph import Graph
from mlgitops.dvc.paths import join_path, name_input
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlgitops.dvc.pipeline import Pipeline, Stage
    from mlgitops.model import DataVersion, Files


class Plan(Struct, frozen=True, kw_only=True):
    """What to run, in this order, and what to lay out before; paths from the project."""

    stages: tuple[Stage, ...]
    objects: dict[str, DataVersion]  # of that revision, as DVC keeps them, but for the test data
    test_data: str
    model: str
    #: What was made with the model and is needed to use it: the model itself, and what earlier
    #: stages of its training wrote. Another revision's model comes with its own of these.
    of_model: frozenset[str]
    #: What was made with the test data and is needed to measure: the test data itself first.
    of_rows: frozenset[str]

    @property
    def outs(self) -> set[str]:
        """Return every path that the stages write."""
        return {out for stage in self.stages for out in stage.outs}

    @property
    def metrics(self) -> set[str]:
        """Return the metrics files that the stages write."""
        return {path for stage in self.stages for path in stage.metrics}


def plan_measuring(pipeline: Pipeline, files: Files, tracked: Collection[str]) -> Plan:
    """Plan how a model is measured by the stages of ``pipeline``, on test data that is given.

    ``tracked`` are the files that git has at the pipeline's revision. Raises
    :class:`MlgitopsError` with the reason when the pipeline cannot measure without training.
    """
    if files.test_data is None or files.model is None:
        raise MlgitopsError("the policy names no model below `files`")
    stages = _find_stages(pipeline, files.test_data, files.predictions)
    if not stages:
        raise MlgitopsError(f"no stage at base measures with `{files.test_data}`")
    for stage in stages:
        if files.model in stage.outs:
            raise MlgitopsError(f"stage `{stage.name}` trains and measures in one")
        if join_path(stage.folder, ".") is None:
            raise MlgitopsError(f"stage `{stage.name}` runs outside of the project")
    if not any(files.model in stage.deps for stage in stages):
        raise MlgitopsError(f"no stage that measures at base depends on `{files.model}`")
    needed = list_needed(stages)
    of_rows, of_model = _split_made(pipeline, files.test_data, files.model, needed)
    return Plan(
        stages=tuple(stages),
        objects=find_objects(needed - {files.test_data}, pipeline, tracked),
        test_data=files.test_data,
        model=files.model,
        of_model=of_model,
        of_rows=of_rows,
    )


def leave_out(plan: Plan, paths: Collection[str]) -> Plan:
    """Return the plan without the stages that need one of ``paths``, if only through another stage.

    Raises :class:`MlgitopsError` when none is left that measures the model.
    """
    kept, lost = [], set(paths)
    for stage in plan.stages:
        if lost.intersection(stage.deps):
            lost.update(stage.outs)
        else:
            kept.append(stage)
    if not any(plan.model in stage.deps for stage in kept):
        raise MlgitopsError(
            f"base's code would measure with base's `{min(paths)}`, and head's is another"
        )
    return replace(plan, stages=tuple(kept))


def _find_stages(pipeline: Pipeline, test_data: str, predictions: str | None) -> list[Stage]:
    """Find the measuring stages that the test data reaches, each after what it depends on."""
    waiting = [
        stage for stage in pipeline.stages.values() if stage.metrics or predictions in stage.outs
    ]
    ordered: list[Stage] = []
    reached = {test_data}
    while ready := [stage for stage in waiting if reached.intersection(stage.deps)]:
        outs = {out for stage in waiting for out in stage.outs}
        first = [stage for stage in ready if not outs.intersection(stage.deps)]
        for stage in first or ready[:1]:
            ordered.append(stage)
            waiting.remove(stage)
            reached.update(stage.outs)
    return ordered


def list_needed(stages: Collection[Stage]) -> set[str]:
    """List what the stages read and none of them writes."""
    outs = {out for stage in stages for out in stage.outs}
    return {dep for stage in stages for dep in stage.deps} - outs


def _split_made(
    pipeline: Pipeline, test_data: str, model: str, needed: set[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Tell what of ``needed`` was made with the test data, and what with the model alone."""
    graph = Graph(pipeline)
    makers = [set(graph.walk_back(*graph.list_makers(path))) for path in (test_data, model)]
    of_rows, of_model = (
        {dep for dep in needed if set(graph.list_makers(dep)) & names} for names in makers
    )
    return frozenset({test_data, *of_rows}), frozenset({model, *(of_model - of_rows)})


def find_objects(
    paths: Collection[str], pipeline: Pipeline, tracked: Collection[str]
) -> dict[str, DataVersion]:
    """Find those of ``paths`` that git does not have, as DVC keeps them."""
    objects = {}
    for path in sorted(paths):
        if name_input("", path) != join_path("", path):
            continue  # outside of the project: as it is beside it
        if path in tracked or any(name.startswith(f"{path}/") for name in tracked):
            continue
        version = pipeline.find_version(path)
        if version is None:
            raise MlgitopsError(f"`{path}` is neither in git nor in DVC at base")
        if version.hash.endswith(".dir"):
            raise MlgitopsError(f"`{path}` is a folder that DVC keeps")
        objects[path] = version
    return objects


def count_seen(training: bytes, test: bytes) -> int | None:
    r"""Count the rows of one CSV text that are also in another; None when columns differ.

    >>> count_seen(b"id,x\n1,a\n2,b\n", b"id,x\n2,b\n3,c\n")
    1
    """
    training_lines, test_lines = training.splitlines(), test.splitlines()
    if not training_lines or not test_lines or training_lines[0] != test_lines[0]:
        return None
    training_rows = set(training_lines[1:])
    return sum(row in training_rows for row in test_lines[1:])
