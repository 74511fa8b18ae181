"""Carry a plan out: base's files in a folder of their own, head's test data, base's commands.

Reads git, disk and DVC's cache; runs the commands of base's stages with the project's pipeline
environment and a time limit. What they write is read as strictly as what anyone else writes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.comparison.charts.plots import MAX_BYTES as MAX_PLOT_BYTES
from mlgitops.dvc.metrics import MetricSet, parse_metrics
from mlgitops.environments import FOLDERS, clean_environment
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_json
from mlgitops.process import stream_program
from mlgitops.writing import refuse_links, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.comparison.rescoring.plan import Plan
    from mlgitops.comparison.sides import SideFiles
    from mlgitops.dvc.pipeline import Stage
    from mlgitops.tables.predictions import Predictions

#: What each of base's measuring stages may take, in seconds.
TIMEOUT = 1800.0
_MAX_METRICS_BYTES = 2**26
_TAIL = 4000  # characters of the last line that a command printed


class RescoredSide(Struct, frozen=True, kw_only=True):
    """What base's model does on head's test data."""

    metrics: dict[str, MetricSet]
    predictions: Predictions | None
    plots: dict[str, bytes]


def run_plan(
    plan: Plan, base: SideFiles, test_data: bytes, predictions: str | None, *, timeout: float
) -> RescoredSide:
    """Measure base's model on ``test_data``.

    Raises :class:`MlgitopsError` with the reason when a file is missing or is not what git
    says, a command fails or takes over ``timeout`` seconds, or its results are unsound.
    """
    with tempfile.TemporaryDirectory(prefix="mlgitops-base-", ignore_cleanup_errors=True) as name:
        top = Path(name).resolve()
        base.folder.repository.export(base.sha or "", top / "tree")
        project = top / "tree" / base.folder.prefix
        _lay_out(plan, base, test_data, project)
        environment = _make_environment(base.folder.place, project)
        for stage in plan.stages:
            _run_stage(stage, project, environment, top, timeout)
        metrics = {path: _read_metrics(project, path) for path in sorted(plan.metrics)}
        return RescoredSide(
            metrics=metrics,
            predictions=_read_predictions(plan, project, predictions),
            plots=_read_plots(project, base.pipeline.plots),
        )


def _lay_out(plan: Plan, base: SideFiles, test_data: bytes, project: Path) -> None:
    """Put base's objects and head's test data in their places, and remove old results."""
    for path in plan.outs:
        _remove(project / path)
    for path, version in plan.objects.items():
        from mlgitops.dvc.objects import read_object

        data = read_object(base.folder.place, version)
        if data is None:
            raise MlgitopsError(f"`{path}` of base is not here: neither cache nor storage has it")
        if path == plan.model:
            _check_model(data, path, base)
        _write(project, path, data)
    _write(project, plan.test_data, test_data)


def _check_model(data: bytes, path: str, base: SideFiles) -> None:
    """Hold the model against the sha256 that git keeps beside it, if it keeps one."""
    name = PurePosixPath(path).with_suffix(".json").as_posix()
    text = base.read(name)
    facts = parse_json(text, name) if text is not None else None
    wanted = facts.get("sha256") if isinstance(facts, dict) else None
    if wanted is not None and wanted != hashlib.sha256(data).hexdigest():
        raise MlgitopsError(f"`{path}` of base is not the file that `{name}` describes")


def _make_environment(project: Path, copy: Path) -> dict[str, str]:
    """Return variables under which base's commands find the project's Python and base's code."""
    environment = clean_environment()
    folder = project / FOLDERS["pipeline"] / "bin"
    if folder.is_dir():
        path = environment.get("PATH", os.defpath)
        environment["PATH"] = os.pathsep.join([str(folder.absolute()), path])
    environment["PYTHONPATH"] = str(copy / "src")
    return environment


def _run_stage(
    stage: Stage, project: Path, environment: dict[str, str], top: Path, timeout: float
) -> None:
    """Run one stage's command as DVC does, in a shell; whatever it started ends with it."""
    folder = project / stage.folder
    folder.mkdir(parents=True, exist_ok=True)
    for out in stage.outs:
        (project / out).parent.mkdir(parents=True, exist_ok=True)
    command = ["/bin/sh", "-e", "-c", stage.command]
    last = ""
    try:
        with stream_program(command, cwd=folder, env=environment, timeout=timeout) as program:
            for line in program.read_lines():
                last = line.strip()[-_TAIL:] or last
            code = program.wait()
    except TimeoutError:
        raise MlgitopsError(f"stage `{stage.name}` took over {timeout:g} s") from None
    if code != 0:
        # Without the folder that it ran in, which is gone when this is read.
        last = last.replace(f"{top}/tree/", "") or "it printed nothing"
        raise MlgitopsError(f"stage `{stage.name}` failed: {last[:250]}")


def _read_metrics(project: Path, path: str) -> MetricSet:
    file = _find_result(project, path)
    if file.stat().st_size > _MAX_METRICS_BYTES:
        raise MlgitopsError(f"`{path}` is too large")
    return parse_metrics(file.read_bytes(), path)


def _read_predictions(plan: Plan, project: Path, path: str | None) -> Predictions | None:
    if path is None or path not in plan.outs:
        return None
    from mlgitops.tables.predictions import read_predictions

    return read_predictions(_find_result(project, path), where=f"{path} of base's model")


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
