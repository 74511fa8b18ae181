"""Which files a commit of results may change: those that a run of the pipeline writes for git.

Anybody who may push can name the author and the subject that such commits have. What one of
them may hold is therefore read from dvc.yaml as it was judged, and from nothing else.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.git.paths import is_below
from mlgitops.git.program import run_git
from mlgitops.git.repository import Repository
from mlgitops.storage.handover.claims import check_result_path
from mlgitops.storage.handover.layout import LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FILE, _GONE = "100644", "000000"  # git's modes; links, programs and submodules are no results
_DEFINITION = "dvc.yaml"


def refuse_foreign(project: Path, head: str, tip: str) -> None:
    """Raise :class:`MlgitopsError` when a file differs at ``tip`` that no run writes.

    ``head`` is the commit that was judged, ``tip`` one that only adds results to it: dvc.lock
    and the outputs that git keeps, of any project of the repository.
    """
    foreign = list_foreign(project, head, tip)
    if foreign:
        more = f", and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise MlgitopsError(
            f"a commit that calls itself results changes what no run writes{more}",
            where=f"{foreign[0][:300]} at {tip[:12]}",
            hint="take it off the branch, or commit it under a subject of its own, and push",
        )


def list_foreign(project: Path, head: str, tip: str) -> list[str]:
    """List the files that differ between two commits and are no results, by path."""
    top = type(project)(run_git(project, "rev-parse", "--show-toplevel").strip())
    with Repository(top) as repository:
        files = repository.list_files(head)
        written: dict[str, set[str]] = {}
        foreign = []
        for path, mode in _list_changed(top, head, tip).items():
            folders = [at for at in _list_folders(path) if posixpath.join(at, _DEFINITION) in files]
            for folder in folders:
                if folder not in written:
                    written[folder] = _list_written(repository, head, folder)
            if not any(_is_written(path, mode, folder, written[folder]) for folder in folders):
                foreign.append(path)
    return foreign


def _list_changed(top: Path, head: str, tip: str) -> Mapping[str, str]:
    """Map the path of every entry that differs to its mode at ``tip``."""
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", head, tip)
    parts = run_git(top, *words).split("\0")
    return {
        path: fields.split()[1]
        for fields, path in zip(parts[::2], parts[1::2], strict=False)
        if fields
    }


def _list_folders(path: str) -> Iterator[str]:
    """Yield the folders around ``path``, the nearest first; "" is the repository."""
    while path:
        path = posixpath.dirname(path)
        yield path


def _list_written(repository: Repository, head: str, folder: str) -> set[str]:
    """List the outputs of the project in ``folder`` that git keeps, from the repository's root."""
    name = posixpath.join(folder, _DEFINITION)
    try:
        pipeline = read_pipeline({name: ""}, lambda path: repository.read(head, path))
    except MlgitopsError:
        return set()
    kept = {path for stage in pipeline.stages.values() for path in stage.kept}
    return {path for path in kept if _is_result(path, folder)}


def _is_result(path: str, folder: str) -> bool:
    """Tell whether a run of the project in ``folder`` may write ``path`` into a commit."""
    inside = posixpath.relpath(path, folder or ".")
    try:
        check_result_path(inside)
    except MlgitopsError:
        return False
    return True


def _is_written(path: str, mode: str, folder: str, kept: set[str]) -> bool:
    if path == posixpath.join(folder, LOCK):
        return mode == _FILE
    return mode in (_FILE, _GONE) and is_below(path, kept)
