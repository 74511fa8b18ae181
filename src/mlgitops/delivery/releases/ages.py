"""Since when a released model and the data that it was trained on are there. Reads git."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlgitops.delivery.releases.release import find_model_name, list_releases, read_tip
from mlgitops.monitoring.system import Ages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.git.repository import Folder, Repository
    from mlgitops.model.lineage import Lineage

_POINTER = ".dvc"


def read_ages(folder: Folder, sha256: str) -> Ages | None:
    """Return the days of the newest release of a model's file; None: it was not released.

    The day of the data is that of the last commit, up to the release, that changed a `.dvc` file
    of what the model comes from; None in a shallow clone, or where no such file says it.
    """
    repository = folder.repository
    name = find_model_name(repository, folder.prefix, read_tip(repository))
    releases = [it for it in list_releases(repository, name) if it.sha256 == sha256]
    if not releases:
        return None
    release = releases[-1]
    pointers = list(_list_pointers(repository, folder.prefix, release.lineage, release.revision))
    changes = (
        repository.list_changes(release.revision, *pointers, most=1)
        if pointers and not repository.is_shallow()
        else []
    )
    return Ages(
        version=release.version,
        model_day=repository.read_day(release.revision),
        data_day=repository.read_day(changes[0]) if changes else None,
    )


def _list_pointers(
    repository: Repository, prefix: str, lineage: Lineage, revision: str
) -> Iterator[str]:
    """Yield the `.dvc` files of what a model was made from, or of the folders that it is in."""
    tracked = repository.tree(revision).files
    for entry in lineage.data:
        path = PurePosixPath(f"{prefix}{entry.path}")
        for part in (path, *path.parents):
            if f"{part}{_POINTER}" in tracked:
                yield f"{part}{_POINTER}"
