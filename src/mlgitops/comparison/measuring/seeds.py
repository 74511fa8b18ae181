"""Models that other seeds made, scored anew wherever the served models are.

Base's stages that write below the policy's `files.seeds` run on the rows that the served model was
measured on, with the models of one side by their hashes: base's own on head's test data, or head's
by base's code. No stage that trains runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.comparison.measuring.kinds import refuse_code
from mlgitops.comparison.measuring.plan import find_objects, list_needed
from mlgitops.comparison.measuring.run import explain_failure, remake_files
from mlgitops.comparison.sides import fetch_missing
from mlgitops.errors import MlgitopsError
from mlgitops.git.paths import is_below

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.comparison.sides import SideFiles
    from mlgitops.console import Console
    from mlgitops.dvc.pipeline import Stage
    from mlgitops.model import Files
    from mlgitops.tables.predictions import Predictions


def measure_seeds(
    files: Files,
    base: SideFiles,
    head: SideFiles,
    side: SideFiles,
    rows: Mapping[str, bytes],
    *,
    console: Console,
    timeout: float,
) -> dict[str, Predictions] | MlgitopsError:
    """Return what the models of ``side`` predict on ``rows`` by base's code, or why nothing.

    By the file that base's stage writes it to. ``rows`` (path → contents) hold the test data and
    what else was made with it. A seed that only base or only ``side`` has is left out.
    """
    stages = _find_stages(files, base)
    try:
        models = {
            stage.name: _read_models(stage, base, head, side, rows, console=console)
            for stage in stages
        }
        stages = [stage for stage in stages if models[stage.name]]
        return _score(
            stages,
            {path: data for own in models.values() for path, data in own.items()},
            rows,
            base=base,
            head=head,
            folder=files.seeds or "",
            console=console,
            timeout=timeout,
        )
    except (MlgitopsError, ImportError) as error:
        reason = f"models of other seeds were not measured: {explain_failure(error)}"
        return MlgitopsError(reason)


def _find_stages(files: Files, base: SideFiles) -> list[Stage]:
    """Find base's stages that score a model of another seed on the test data."""
    return [
        stage
        for stage in base.pipeline.stages.values()
        if files.seeds
        and files.test_data in stage.deps
        and any(is_below(out, {files.seeds}) for out in stage.outs)
    ]


def _read_models(
    stage: Stage,
    base: SideFiles,
    head: SideFiles,
    side: SideFiles,
    rows: Mapping[str, bytes],
    *,
    console: Console,
) -> dict[str, bytes]:
    """Read what a stage needs that training made, of one side; empty where the side lacks it."""
    outputs = {out for other in base.pipeline.stages.values() for out in other.outs}
    paths = {dep for dep in stage.deps if dep in outputs} - rows.keys()
    if any(side.find_hash(path) is None for path in paths):
        return {}
    fetch_missing(base, head, lambda at: paths if at.name == side.name else set(), console)
    contents = {}
    for path in sorted(paths):
        data = side.read_kept(path)
        if data is None:
            raise MlgitopsError(f"`{path}` of {side.name} is not here")
        if base.find_hash(path) != side.find_hash(path):
            refuse_code(path, data)
        contents[path] = data
    return contents


def _score(
    stages: list[Stage],
    models: Mapping[str, bytes],
    rows: Mapping[str, bytes],
    *,
    base: SideFiles,
    head: SideFiles,
    folder: str,
    console: Console,
    timeout: float,
) -> dict[str, Predictions]:
    """Run the stages and read what they write below ``folder``."""
    from mlgitops.tables.predictions import read_predictions

    if not stages:
        return {}
    given = {**rows, **models}
    needed = list_needed(stages) - given.keys()
    objects = find_objects(needed, base.pipeline, base.folder.list_files(base.sha))
    fetch_missing(
        base, head, lambda side: set(objects) if side.name == base.name else set(), console
    )
    wanted = {out for stage in stages for out in stage.outs if is_below(out, {folder})}
    with console.step(f"measuring {len(wanted)} model(s) of other seeds"):
        written = remake_files(stages, objects, base, given, wanted, timeout=timeout)
    return {
        path: read_predictions(data, where=f"{path} by base's code")
        for path, data in written.items()
    }
