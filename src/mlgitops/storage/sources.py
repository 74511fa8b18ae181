"""Data that stands beside its .dvc file but was never put into DVC's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.dvc.command import run_dvc
from mlgitops.dvc.remote import find_cache
from mlgitops.dvc.stored import hash_file, name_object, read_work_tree

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.dvc.stored import StoredObject


def cache_sources(project: Path) -> None:
    """Bring tracked data into the cache, from where DVC sends it and restores it.

    A generated project starts with a pointer and the file beside it, and no cache; a plain
    `dvc push` then leaves the file out and still ends with 0.
    """
    cache = find_cache(project)
    recorded: dict[str, list[StoredObject]] = {}
    pipeline = read_work_tree(project)
    for output in pipeline.outputs:
        if output.path in pipeline.imports:  # DVC itself brings it into the cache
            continue
        if output.sent and output.file.endswith(".dvc"):
            recorded.setdefault(output.file, []).append(name_object(output))
    for pointer, objects in sorted(recorded.items()):
        absent = any(not (cache / stored.location).exists() for stored in objects)
        if absent and all(_is_unchanged(project, stored) for stored in objects):
            run_dvc(project, ["commit", "--quiet", pointer])


def _is_unchanged(project: Path, stored: StoredObject) -> bool:
    """Tell whether the work tree still holds what the pointer names; False for a directory."""
    file = project / stored.path
    return file.is_file() and hash_file(file) == stored.oid
