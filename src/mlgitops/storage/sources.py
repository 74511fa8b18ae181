"""Data that stands beside its .dvc file but was never put into DVC's cache."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlgitops.dvc.command import run_dvc
from mlgitops.dvc.remote import find_cache
from mlgitops.dvc.stored import hash_file, name_object, read_work_tree
from mlgitops.git.program import run_git

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.dvc.stored import StoredObject

_VERSIONS = 100  # of a pointer that are looked at
_NAMED = re.compile(r"^[-+][ -]*md5: ([0-9a-f]{32})$", re.MULTILINE)  # in a patch


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


def refresh_sources(project: Path) -> list[str]:
    """Check out tracked data whose file is what another commit's pointer names; return the paths.

    A pull, or a switch of branches, brings the pointer alone. `dvc repro` takes the file for an
    edit once the cache has what the pointer names: it would train on the other rows, and write the
    pointer back. What the cache lacks it fetches by itself; a file that no commit named is an edit.
    """
    cache, refreshed = find_cache(project), list[str]()
    for output in read_work_tree(project).outputs:
        if not output.sent or not output.file.endswith(".dvc"):
            continue
        stored = name_object(output)
        is_cached = (cache / stored.location).exists()
        if is_cached and _is_of_another_commit(project, output.file, stored):
            run_dvc(project, ["checkout", "--quiet", "--force", output.file])
            refreshed.append(stored.path)
    return refreshed


def _is_of_another_commit(project: Path, pointer: str, stored: StoredObject) -> bool:
    """Tell whether the file is what an unedited pointer names at another commit of the clone."""
    file, path = project / stored.path, f"./{pointer}"
    if not file.is_file() or run_git(project, "status", "--porcelain", "--", path):
        return False
    words = ("log", "--all", f"-{_VERSIONS}", "--format=", "--patch", "--", path)
    others = set(_NAMED.findall(run_git(project, *words))) - {stored.oid}
    return bool(others) and hash_file(file) in others


def _is_unchanged(project: Path, stored: StoredObject) -> bool:
    """Tell whether the work tree still holds what the pointer names; False for a directory."""
    file = project / stored.path
    return file.is_file() and hash_file(file) == stored.oid
