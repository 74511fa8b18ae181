"""Files that DVC keeps outside git: from its cache, or fetched by the dvc program.

Reads disk; runs dvc only for what the cache lacks, and then for exactly those objects.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlgitops.model import DataVersion

_DIGEST = re.compile(r"md5:([0-9a-f]{32})")
_TIMEOUT = 600.0  # seconds


def find_object(project: Path, version: DataVersion) -> Path | None:
    """Find the object that ``version`` names: in DVC's cache, else in a storage on this disk."""
    found = _DIGEST.fullmatch(version.hash)
    if found is None:
        return None
    from mlgitops.storage.remote import find_cache, read_remote

    digest, cache = found.group(1), find_cache(project)
    name = f"{digest[:2]}/{digest[2:]}"
    places = [cache / "files" / "md5" / name, cache / name]  # the latter: DVC before 3.0
    remote = read_remote(project)
    if remote is not None and remote.path is not None:
        places.append(remote.path / "files" / "md5" / name)
    return next((place for place in places if place.is_file()), None)


def read_object(project: Path, version: DataVersion) -> bytes | None:
    """Read the object that ``version`` names; None when it is not on this disk.

    Raises :class:`MlgitopsError` when it holds other bytes than the hash says.
    """
    place = find_object(project, version)
    if place is None:
        return None
    import hashlib

    data = place.read_bytes()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if digest != version.hash.removeprefix("md5:") and _is_exact(place):
        hint = "remove that file and run `dvc pull`"
        raise MlgitopsError("the stored file is damaged", where=str(place), hint=hint)
    return data


def fetch_objects(
    project: Path, versions: Iterable[DataVersion], *, config: bytes | None = None
) -> None:
    """Fetch exactly these objects into the project's cache, with the project's own dvc.

    It runs in an empty folder with a copy of the remote's address, that of the base's
    ``config`` where it is given: no dvc.yaml is read. Raises :class:`MlgitopsError` when dvc
    is missing or cannot fetch them.
    """
    from mlgitops.dvc import dvc_command
    from mlgitops.environments import clean_environment
    from mlgitops.process import run_program
    from mlgitops.storage.scratch import open_scratch, write_pointers

    wanted = sorted({version for version in versions if _DIGEST.fullmatch(version.hash)}, key=str)
    if not wanted:
        return
    with open_scratch(project, config=config) as place:
        names = write_pointers(place, wanted)
        environment = clean_environment() | {"DVC_NO_ANALYTICS": "1"}
        words = [*dvc_command(project, place), "fetch", "-q", *names]
        run_program(words, cwd=place, env=environment, timeout=_TIMEOUT)
    lost = [version for version in wanted if find_object(project, version) is None]
    if lost:  # dvc ends with 0 all the same
        hint = "whoever made it must run `mlgitops publish`"
        raise MlgitopsError(f"the storage lacks {lost[0].hash}", hint=hint)


def _is_exact(place: Path) -> bool:
    """Tell whether the hash is of the bytes; before DVC 3.0 line ends were changed first."""
    return place.parent.parent.name == "md5"
