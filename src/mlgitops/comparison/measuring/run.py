"""Carry a plan out: a revision's files in a folder of their own, what is given, its commands.

Reads git, disk and DVC's cache; runs the commands of the revision's stages with the project's
pipeline environment and a time limit. What they write is read as strictly as what anyone else
writes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.comparison.charts.plots import MAX_BYTES as MAX_PLOT_BYTES
from mlgitops.dvc.metrics import MetricSet, parse_metrics
from mlgitops.environments import FOLDERS, NO_CLUSTER, clean_environment, drop_credentials
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_json
from mlgitops.process import stream_program
from mlgitops.writing import refuse_links, replace_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from mlgitops.comparison.measuring.plan import Plan
    from mlgitops.comparison.sides import SideFiles
    from mlgitops.dvc.pipeline import Stage
    from mlgitops.model import DataVersion
    from mlgitops.tables.predictions import Predictions

#: What each of the measuring stages may take, in seconds.
TIMEOUT = 1800.0
_MAX_METRICS_BYTES = 2**26
_MAX_TEXT = 500
_TAIL = 4000  # characters of a line that a command printed
_LINES = 12  # of what it printed last
_MARK = "error:"


class Measured(Struct, frozen=True, kw_only=True):
    """What a model does on test data, by the measuring stages of one revision."""

    metrics: dict[str, MetricSet]
    predictions: Predictions | None
    plots: dict[str, bytes]


def measure_model(
    plan: Plan,
    code: SideFiles,
    given: Mapping[str, bytes],
    predictions: str | None,
    *,
    timeout: float,
    without: Collection[str] = (),
) -> Measured:
    """Measure a model by the stages of ``code``, of which ``plan`` was made.

    ``given`` are the contents (path from the project → bytes) that stand in place of the
    revision's own: the test data, and the model where it is another one's. The paths ``without``
    which it must do are not laid out. Raises :class:`MlgitopsError` with the reason when a file is
    missing or is not what git says, a command fails or takes over ``timeout`` seconds, or its
    results are unsound.
    """
    with _open_copy(code, plan.stages, plan.objects, given) as project:
        for path in without:
            _remove(project / path)
        _check_model(project, plan, code, given)
        _run_stages(plan.stages, code, project, timeout)
        return Measured(
            metrics={path: _read_metrics(project, path) for path in sorted(plan.metrics)},
            predictions=_read_predictions(plan, project, predictions),
            plots=_read_plots(project, code.pipeline.plots),
        )


def explain_failure(error: MlgitopsError | ImportError) -> str:
    """Say in one line why a model could not be measured; raise what only a bug of ours explains."""
    if isinstance(error, ImportError):
        if (error.name or "").partition(".")[0] != "numpy":
            raise error
        return "the package numpy is not installed (`mlgitops[statistics]`)"
    where = f"{error.where}: " if error.where else ""
    return f"{where}{error.what}".splitlines()[0].rstrip(".")[:_MAX_TEXT]


def remake_files(
    stages: Sequence[Stage],
    objects: Mapping[str, DataVersion],
    code: SideFiles,
    given: Mapping[str, bytes],
    wanted: Collection[str],
    *,
    timeout: float,
) -> dict[str, bytes]:
    """Run ``stages`` of ``code`` on what is ``given`` and return the files ``wanted``.

    ``objects`` are what the stages need besides. Raises as :func:`measure_model` does.
    """
    with _open_copy(code, stages, objects, given) as project:
        _run_stages(stages, code, project, timeout)
        return {path: _find_result(project, path).read_bytes() for path in sorted(wanted)}


@contextmanager
def _open_copy(
    code: SideFiles,
    stages: Sequence[Stage],
    objects: Mapping[str, DataVersion],
    given: Mapping[str, bytes],
) -> Iterator[Path]:
    """Lay out the revision's files, its objects and what is given, without old results."""
    with tempfile.TemporaryDirectory(prefix="mlgitops-base-", ignore_cleanup_errors=True) as name:
        tree = Path(name).resolve() / "tree"
        code.folder.repository.export(code.sha or "", tree)
        project = tree / code.folder.prefix
        for stage in stages:
            for path in stage.outs:
                _remove(project / path)
        for path in sorted(objects.keys() - given.keys()):
            _write(project, path, _read_object(code, path, objects[path]))
        for path, data in given.items():
            _write(project, path, data)
        yield project


def _read_object(code: SideFiles, path: str, version: DataVersion) -> bytes:
    from mlgitops.dvc.objects import read_object

    data = read_object(code.folder.place, version)
    if data is None:
        raise MlgitopsError(
            f"`{path}` of {code.name} is not here: neither cache nor storage has it"
        )
    return data


def _check_model(project: Path, plan: Plan, code: SideFiles, given: Mapping[str, bytes]) -> None:
    """Hold the revision's own model against the sha256 that git keeps beside it, if it does."""
    if plan.model in given or plan.model not in plan.objects:
        return
    name = PurePosixPath(plan.model).with_suffix(".json").as_posix()
    text = code.read(name)
    facts = parse_json(text, name) if text is not None else None
    wanted = facts.get("sha256") if isinstance(facts, dict) else None
    data = (project / plan.model).read_bytes()
    if wanted is not None and wanted != hashlib.sha256(data).hexdigest():
        raise MlgitopsError(
            f"`{plan.model}` of {code.name} is not the file that `{name}` describes"
        )


def _make_environment(project: Path, copy: Path) -> dict[str, str]:
    """Return variables under which the commands find the project's Python and the copy's code."""
    environment = drop_credentials(clean_environment())
    folder = project / FOLDERS["pipeline"] / "bin"
    if folder.is_dir():
        path = environment.get("PATH", os.defpath)
        environment["PATH"] = os.pathsep.join([str(folder.absolute()), path])
    environment["PYTHONPATH"] = str(copy / "src")
    return environment | NO_CLUSTER  # head's params.yaml could name one that answers as head likes


def _run_stages(stages: Iterable[Stage], code: SideFiles, project: Path, timeout: float) -> None:
    environment = _make_environment(code.folder.place, project)
    tree = f"{project}/".removesuffix(code.folder.prefix)
    for stage in stages:
        exit_code, last = _run_stage(stage, project, environment, timeout)
        if exit_code != 0:
            # Without the folder that it ran in, which is gone when this is read.
            last = last.replace(tree, "") or "it printed nothing"
            raise MlgitopsError(f"stage `{stage.name}` failed: {last[:250]}")


def _run_stage(
    stage: Stage, project: Path, environment: Mapping[str, str], timeout: float
) -> tuple[int, str]:
    """Run one stage's command as DVC does, in a shell; whatever it started ends with it.

    Return its exit code, and the line that tells most of what it printed last.
    """
    folder = project / stage.folder
    folder.mkdir(parents=True, exist_ok=True)
    for out in stage.outs:
        (project / out).parent.mkdir(parents=True, exist_ok=True)
    command = ["/bin/sh", "-e", "-c", stage.command]
    said: deque[str] = deque(maxlen=_LINES)
    try:
        with stream_program(command, cwd=folder, env=environment, timeout=timeout) as program:
            for line in program.read_lines():
                said.extend([line.strip()[-_TAIL:]] if line.strip() else [])
            return program.wait(), _choose_line(said)
    except TimeoutError:
        raise MlgitopsError(f"stage `{stage.name}` took over {timeout:g} s") from None


def _choose_line(said: Sequence[str]) -> str:
    """Choose what tells most of a failure: the line that says it is an error, else the last."""
    errors = [line[len(_MARK) :].strip() for line in said if line.lower().startswith(_MARK)]
    return [*said, *errors][-1] if said else ""


def _read_metrics(project: Path, path: str) -> MetricSet:
    file = _find_result(project, path)
    if file.stat().st_size > _MAX_METRICS_BYTES:
        raise MlgitopsError(f"`{path}` is too large")
    return parse_metrics(file.read_bytes(), path)


def _read_predictions(plan: Plan, project: Path, path: str | None) -> Predictions | None:
    if path is None or path not in plan.outs:
        return None
    from mlgitops.tables.predictions import read_predictions

    return read_predictions(_find_result(project, path), where=f"{path} of the model")


def _read_plots(project: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """Read the plot files that the stages wrote; one that they did not is left out."""
    plots = {}
    for path in paths:
        file = project / path
        if file.is_file() and file.stat().st_size <= MAX_PLOT_BYTES:
            with suppress(MlgitopsError):
                plots[path] = _find_result(project, path).read_bytes()
    return plots


def _find_result(project: Path, path: str) -> Path:
    """Find a file that a stage was to write; a link is none."""
    file = project / path
    if file.is_symlink() or not file.is_file() or not file.resolve().is_relative_to(project):
        raise MlgitopsError(f"base's stages did not write `{path}`")
    return file


def _write(project: Path, path: str, data: bytes) -> None:
    refuse_links(project, (project / path).parent)
    _remove(project / path)
    replace_file(project / path, data)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
