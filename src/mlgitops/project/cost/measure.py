"""After a run: what each stage took, and how fast the model is, into the record of costs.

In: the project and what its run was seen to take. Out: `.mlgitops/cost.json`, and
`reports/cost.json` for git unless the run judges a pull request. Reads disk and git.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from mlgitops.comparison.cost.record import (
    COST_FILE,
    RUN_COST_FILE,
    CostRecord,
    Latency,
    StageCost,
    fingerprint_outputs,
    name_machine,
    parse_cost,
    write_cost,
)
from mlgitops.dvc.command import project_environment
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.dvc.pipeline import Pipeline
    from mlgitops.model import DataVersion, Files

_MEGABYTE = 1e6


def record_cost(
    project: Path,
    observed: Mapping[str, tuple[float, int | None]],
    console: Console,
    *,
    base: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> CostRecord:
    """Update the record with what this run measured, and return it.

    ``observed`` holds, for each stage that ran, wall seconds and peak bytes. With ``base``,
    a revision, the record of that revision is the start and git's file stays as it is.
    ``environment``: the stages' variables, in which the model is timed (default: the project's).
    """
    pipeline = _read_pipeline(project)
    before = _read_before(project, base)
    machine = name_machine()
    stages = {
        name: cost
        for name, cost in before.stages.items()
        if name in pipeline.locks and fingerprint_outputs(pipeline.locks[name]) == cost.outputs
    }
    for name, (seconds, peak) in observed.items():
        if name in pipeline.locks:
            stages[name] = StageCost(
                seconds=round(seconds, 3),
                peak_memory_mb=None if peak is None else round(peak / _MEGABYTE, 1),
                machine=machine,
                outputs=fingerprint_outputs(pipeline.locks[name]),
            )
    measure = partial(_measure, project, console, environment or project_environment(project))
    latency = _renew_latency(project, pipeline, before.latency, set(observed), measure)
    record = CostRecord(stages=stages, latency=latency)
    write_cost(record, project, RUN_COST_FILE)
    # A stage that was restored did not run here: its costs in git, measured where it ran, stay.
    measured = observed or not (project / COST_FILE).is_file()
    if base is None and measured and record != before:
        write_cost(record, project, COST_FILE)
    return record


def _read_pipeline(project: Path) -> Pipeline:
    """Read the pipeline as it stands on disk, by the rules of `compare`."""
    names = [name for name in ("dvc.yaml", "dvc.lock") if (project / name).is_file()]
    return read_pipeline(dict.fromkeys(names, ""), lambda path: _read_disk(project, path))


def _read_disk(project: Path, path: str) -> bytes | None:
    file = project / path
    return file.read_bytes() if file.is_file() else None


def _read_before(project: Path, base: str | None) -> CostRecord:
    """Read the record that this run goes on from; what is no record is none."""
    data = _read_disk(project, COST_FILE) if base is None else _read_base(project, base)
    try:
        return CostRecord() if data is None else parse_cost(data, COST_FILE)
    except MlgitopsError:
        return CostRecord()


def _read_base(project: Path, base: str) -> bytes | None:
    from mlgitops.git.repository import Folder, Repository

    with Repository(project) as repository:
        folder = Folder(repository, project.resolve())
        return folder.read(repository.resolve(base), COST_FILE)


def _renew_latency(
    project: Path,
    pipeline: Pipeline,
    before: Latency | None,
    ran: set[str],
    measure: Callable[[Files, DataVersion], Latency | None],
) -> Latency | None:
    """Measure the model's latency, unless it is known and no stage made the model anew."""
    files = _read_files(project)
    version = pipeline.find_version(files.model) if files and files.model else None
    if files is None or version is None:
        return None
    measured = before if before and before.model == version.hash else None
    if measured and not any(
        files.model in pipeline.locks[name].outs for name in ran if name in pipeline.locks
    ):
        return measured
    return measure(files, version) or measured


def _measure(
    project: Path,
    console: Console,
    environment: Mapping[str, str],
    files: Files,
    version: DataVersion,
) -> Latency | None:
    """Ask the project for the model's times; without an answer there are none."""
    from mlgitops.project.cost.latency import find_scoring, measure_latency

    module = find_scoring(project, files)
    if module is None:
        return None
    try:
        with console.step("timing the model's predictions"):
            timing = measure_latency(project, module, files, environment)
    except MlgitopsError as error:
        console.warn(f"latency was not measured: {error.what}")
        return None
    return Latency(**msgspec.structs.asdict(timing), machine=name_machine(), model=version.hash)


def _read_files(project: Path) -> Files | None:
    """Read from the policy which file is the model; None without a sound policy."""
    from mlgitops.judgement.policy import parse_policy

    data = _read_disk(project, "policy.yaml")
    try:
        return parse_policy(data, where="policy.yaml").files if data else None
    except MlgitopsError:
        return None  # `mlgitops validate` says what is wrong with it
