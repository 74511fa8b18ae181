"""The compute job's side: a folder with what the run made and the storage lacks."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.dvc.reader import read_pipeline
from mlgitops.dvc.remote import find_cache, read_remote
from mlgitops.dvc.stored import locate, read_members, read_objects
from mlgitops.errors import MlgitopsError
from mlgitops.storage.handover.layout import LOCK, RESULTS, list_kept_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mlgitops.dvc.stored import StoredObject


@dataclass(frozen=True, kw_only=True)
class Exported:
    """How much was handed over."""

    objects: int
    results: int  # files that git keeps, dvc.lock among them
    bytes: int


def export_handover(project: Path, target: Path) -> Exported:
    """Write what the run made to the folder ``target``, which must be new or empty.

    `objects/` holds what the storage lacks, named by content; `results/` holds
    dvc.lock and the outputs that dvc.yaml declares with `cache: false`.
    """
    if target.exists() and any(target.iterdir()):
        raise MlgitopsError("the folder to hand over is not empty", where=str(target))
    if not (project / LOCK).is_file():
        raise MlgitopsError(
            "there is no dvc.lock to hand over", where=str(project), hint="run `mlgitops train`"
        )
    target.mkdir(parents=True, exist_ok=True)
    results = [project / LOCK, *_kept_results(project)]
    size = sum(
        _copy(file, target / RESULTS / file.relative_to(project).as_posix()) for file in results
    )
    objects = dict(_find_new(project))
    size += sum(_copy(file, target / location) for location, file in objects.items())
    return Exported(objects=len(objects), results=len(results), bytes=size)


def _kept_results(project: Path) -> Iterator[Path]:
    def read(path: str) -> bytes | None:
        file = project / path
        return file.read_bytes() if file.is_file() else None

    for stage in read_pipeline({"dvc.yaml": ""}, read).stages.values():
        for path in stage.kept:
            yield from list_kept_files(project / path)


def _find_new(project: Path) -> Iterator[tuple[str, Path]]:
    """Yield place and file of each cached object that the storage does not hold."""
    cache = find_cache(project)
    here = {stored.oid: cache / stored.location for stored in _expand(project, cache)}
    here = {oid: file for oid, file in here.items() if file.is_file()}
    kept = _find_stored(project, here)
    for oid in sorted(here.keys() - kept):
        yield locate(oid), here[oid]


def _find_stored(project: Path, names: Iterable[str]) -> set[str]:
    remote = read_remote(project)
    if remote is None:
        return set()
    if remote.path is not None:
        return {name for name in names if (remote.path / locate(name)).is_file()}
    from mlgitops.dvc.transport import list_stored

    return set(list_stored(project, names))


def _expand(project: Path, cache: Path) -> Iterator[StoredObject]:
    for stored in read_objects(project):
        yield stored
        if stored.oid.endswith(".dir") and (cache / stored.location).is_file():
            yield from read_members(cache / stored.location, stored)


def _copy(file: Path, target: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    return target.stat().st_size
