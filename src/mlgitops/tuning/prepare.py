"""The training rows as the pipeline cuts them today: fetched, or cut again. Runs DVC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.dvc.command import run_dvc
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.storage import prepare_storage
from mlgitops.tuning.inputs import TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console

_FILE = "dvc.yaml"


def cut_rows(project: Path, console: Console) -> None:
    """Bring the stage that cuts the training rows up to date, with what it needs.

    Raises :class:`MlgitopsError` when no stage does, or it fails.
    """
    path = project / _FILE
    if not path.is_file():
        hint = "run it in the project's folder, or name that with --directory"
        raise MlgitopsError("there is no such file", where=str(path), hint=hint)
    pipeline = read_pipeline({_FILE: ""}, {_FILE: path.read_bytes()}.get, lenient=True)
    makers = [
        stage.name for stage in pipeline.stages.values() if not set(TRAIN).isdisjoint(stage.outs)
    ]
    if not makers:
        raise MlgitopsError(f"no stage makes {' or '.join(TRAIN)}", where=_FILE)
    prepare_storage(project, console)
    with console.step("the training rows"):
        run_dvc(project, ["repro", "--pull", "--no-run-cache", *makers])
