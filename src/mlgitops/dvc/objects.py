"""Files that DVC keeps outside git: from its cache, or fetched by the dvc program.

Reads disk; runs dvc only for what the cache lacks, and then for exactly those objects.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mlgitops.model import DataVersion

_DIGEST = re.compile(r"md5:([0-9a-f]{32})")
_FOLDER = re.compile(r"md5:([0-9a-f]{32}\.dir)")
_TIMEOUT = 600.0  # seconds


def find_object(project: Path, version: DataVersion) -> Path | None:
    """Find the object that ``version`` names: in DVC's cache, else in a storage on this disk."""
    match = _DIGEST.fullmatch(version.hash)
    return _find(project, match.group(1)) if match else None


def is_folder(version: DataVersion) -> bool:
    """Tell whether ``version`` is of a folder, whose manifest DVC keeps."""
    return _FOLDER.fullmatch(version.hash) is not None


def read_manifest(project: Path, version: DataVersion) -> dict[str, str] | None:
    """Read what a folder holds, path → md5; None when its manifest is not on this disk.

    Raises :class:`MlgitopsError` when it holds other bytes than the hash says, or is malformed.
    """
    match = _FOLDER.fullmatch(version.hash)
    stored = _find(project, match.group(1)) if match else None
    if match is None or stored is None:
        return None
    import hashlib

    from mlgitops.dvc.manifests import MAX_MANIFEST_BYTES, parse_manifest

    with stored.open("rb") as file:
        data = file.read(MAX_MANIFEST_BYTES + 1)
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if len(data) <= MAX_MANIFEST_BYTES and f"{digest}.dir" != match.group(1):
        hint = "remove that file and run `dvc pull`"
        raise MlgitopsError("the stored list of a folder is damaged", where=str(stored), hint=hint)
    return dict(parse_manifest(data, where=str(stored)))


def _find(project: Path, digest: str) -> Path | None:
    from mlgitops.dvc.remote import find_cache, list_folders

    cache = find_cache(project)
    name = f"{digest[:2]}/{digest[2:]}"
    places = [cache / "files" / "md5" / name, cache / name]  # the latter: DVC before 3.0
    places += [folder / "files" / "md5" / name for folder in list_folders(project)]
    return next((path for path in places if path.is_file()), None)


def read_object(project: Path, version: DataVersion) -> bytes | None:
    """Read the object that ``version`` names; None when it is not on this disk.

    Raises :class:`MlgitopsError` when it holds other bytes than the hash says.
    """
    stored = find_object(project, version)
    if stored is None:
        return None
    import hashlib

    data = stored.read_bytes()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if digest != version.hash.removeprefix("md5:") and _is_exact(stored):
        hint = "remove that file and run `dvc pull`"
        raise MlgitopsError("the stored file is damaged", where=str(stored), hint=hint)
    return data


def fetch_objects(
    project: Path, versions: Iterable[DataVersion], *, config: bytes | None = None
) -> None:
    """Fetch exactly these objects into the project's cache, with the project's own dvc.

    It runs in an empty folder with a copy of the remote's address, that of the base's
    ``config`` where it is given: no dvc.yaml is read. Raises :class:`MlgitopsError` when dvc
    is missing or cannot fetch them.
    """
    wanted = sorted({version for version in versions if _DIGEST.fullmatch(version.hash)}, key=str)
    if wanted:
        _fetch(project, wanted, [""] * len(wanted), config)
    lost = [version for version in wanted if find_object(project, version) is None]
    if lost:  # dvc ends with 0 all the same
        hint = "whoever made it must run `mlgitops publish`"
        raise MlgitopsError(f"the storage lacks {lost[0].hash}", hint=hint)


def fetch_manifests(
    project: Path, members: Mapping[str, tuple[DataVersion, str]], *, config: bytes | None = None
) -> None:
    """Fetch the manifests of folders into the project's cache, as :func:`fetch_objects` does.

    ``members``: hash → version of the folder, and one file in it. DVC fetches a manifest with
    files of the folder alone: one, and not all of them.
    """
    wanted = [members[name] for name in sorted(members)]
    if wanted:
        versions = [version for version, _ in wanted]
        _fetch(project, versions, [f"/{path}" for _, path in wanted], config)


def _fetch(
    project: Path, versions: list[DataVersion], parts: list[str], config: bytes | None
) -> None:
    """Run dvc for these objects; ``parts`` says of each which part of it."""
    from mlgitops.dvc.command import dvc_command
    from mlgitops.dvc.scratch import open_scratch, write_pointers
    from mlgitops.environments import clean_environment
    from mlgitops.process import run_program

    with open_scratch(project, config=config) as scratch:
        names = write_pointers(scratch, versions)
        targets = [
            f"{name.removesuffix('.dvc')}{part}" if part else name
            for name, part in zip(names, parts, strict=True)
        ]
        environment = clean_environment() | {"DVC_NO_ANALYTICS": "1"}
        words = [*dvc_command(project, scratch), "fetch", "-q", *targets]
        run_program(words, cwd=scratch, env=environment, timeout=_TIMEOUT)


def _is_exact(stored: Path) -> bool:
    """Tell whether the hash is of the bytes; before DVC 3.0 line ends were changed first."""
    return stored.parent.parent.name == "md5"
