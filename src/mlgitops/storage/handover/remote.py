"""Objects of a handover into a storage on another machine: each hashed here before it is sent.

Nothing that is there is written again. What the base does not name and this job does not
write was put there by somebody else: it is read back and hashed.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.dvc.manifests import MAX_MANIFEST_BYTES, parse_manifest
from mlgitops.dvc.stored import locate
from mlgitops.dvc.transport import hash_stored, list_stored, read_manifests, send_objects
from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.model import DataVersion
from mlgitops.storage.handover.layout import MAX_OBJECTS, MAX_TOTAL_BYTES, find_file, read_capped
from mlgitops.storage.handover.objects import changed, copy_object, missing

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A directory's name → (path, name) of its files.
_Members = dict[str, list[tuple[str, str]]]


def store_remotely(
    project: Path,
    handover: Path,
    wanted: Mapping[str, DataVersion],
    *,
    of_base: frozenset[str],
    write: bool,
) -> tuple[int, int]:
    """Bring ``wanted`` (path → version) into the default remote, and prove it by listing it.

    ``of_base`` are the names that the base's own lock has. Returns how many objects are needed,
    and how many of them are new. Raises :class:`MlgitopsError` on the first that is missing or
    not what its name says, and when the storage does not hold all of them at the end.
    """
    members = _read_members(project, handover, wanted)
    needed = _list_needed(wanted, members)
    stored = list_stored(project, needed)
    trusted = of_base.union(*(_names(members[name]) for name in of_base & members.keys()))
    _check_stored(project, {name: needed[name] for name in stored.keys() - trusted})
    lacking = {name: path for name, path in needed.items() if name not in stored}
    if lacking and not write:
        raise missing(next(iter(lacking.values())))
    with tempfile.TemporaryDirectory(prefix="mlgitops-") as folder:
        sizes = stored | _copy_verified(handover, Path(folder), lacking)
        _check_sizes(wanted, members, sizes, stored)
        _send(project, Path(folder), lacking, members)
    _prove(project, needed, sizes)
    return len(needed), len(lacking)


def _read_members(project: Path, handover: Path, wanted: Mapping[str, DataVersion]) -> _Members:
    """Read each directory's manifest, from the handover or else from the storage."""
    paths = {_name(version): path for path, version in wanted.items()}
    directories = {name: path for name, path in paths.items() if name.endswith(".dir")}
    files = {name: find_file(handover, locate(name)) for name in directories}
    away = read_manifests(project, (name for name, file in files.items() if file is None))
    members = {}
    for name, path in directories.items():
        file = files[name]
        data = away.get(name) if file is None else read_capped(file, MAX_MANIFEST_BYTES, path)
        if data is None:
            raise missing(path)
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != name.removesuffix(".dir"):
            raise changed(path)
        members[name] = parse_manifest(data, path)
    return members


def _list_needed(wanted: Mapping[str, DataVersion], members: _Members) -> dict[str, str]:
    """Return name → path of every object, a directory's files before its manifest."""
    needed: dict[str, str] = {}
    for path, version in sorted(wanted.items()):
        for inside, name in members.get(_name(version), ()):
            needed.setdefault(name, f"{path}/{inside}")
        needed.setdefault(_name(version), path)
    if len(needed) > MAX_OBJECTS:
        raise MlgitopsError(f"over {MAX_OBJECTS:,} objects", where="dvc.lock")
    return needed


def _check_stored(project: Path, others: Mapping[str, str]) -> None:
    """Read back and hash what somebody else stored (name → path)."""
    hashes = hash_stored(project, others)
    damaged = [name for name in sorted(others) if hashes.get(name) != name.removesuffix(".dir")]
    if damaged:
        errors = [
            MlgitopsError(f"other content at {locate(name)}", where=others[name])
            for name in damaged[:20]
        ]
        raise _damaged(errors)


def _copy_verified(handover: Path, cache: Path, lacking: Mapping[str, str]) -> dict[str, int]:
    """Copy what the storage lacks (name → path), hashed on the way; return name → bytes."""
    sizes: dict[str, int] = {}
    total = 0
    for name, path in lacking.items():
        sizes[name] = copy_object(handover, cache, name, path, limit=MAX_TOTAL_BYTES)
        total += sizes[name]
        if total > MAX_TOTAL_BYTES:
            raise MlgitopsError(f"over {MAX_TOTAL_BYTES:,} new bytes", where=path)
    return sizes


def _check_sizes(
    wanted: Mapping[str, DataVersion],
    members: _Members,
    sizes: Mapping[str, int],
    stored: Mapping[str, int],
) -> None:
    """Hold the bytes of each output against those of the lock, before anything is sent."""
    for path, version in sorted(wanted.items()):
        name = _name(version)
        parts = [member for _, member in members[name]] if name in members else [name]
        size = sum(sizes[part] for part in parts)
        if version.size not in (None, size):
            error = MlgitopsError(f"{size} bytes, and the lock says {version.size}", where=path)
            raise _damaged([error]) if stored.keys() & set(parts) else error


def _send(project: Path, cache: Path, lacking: Mapping[str, str], members: _Members) -> None:
    # DVC sends a directory's files with its manifest; where that is there already, one by one.
    carried = set().union(*(_names(members.get(name, [])) for name in lacking))
    versions = [DataVersion(hash=f"md5:{name}") for name in lacking if name not in carried]
    if versions:
        send_objects(project, cache, versions)


def _prove(project: Path, needed: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    """List the storage again: the exit code of a push is no proof that everything arrived."""
    listed = list_stored(project, needed)
    errors = [
        MlgitopsError(
            "missing" if name not in listed else f"{listed[name]} bytes, not {sizes[name]}",
            where=path,
        )
        for name, path in needed.items()
        if listed.get(name) != sizes[name]
    ]
    if errors:
        raise MistakesError("the storage is not complete:", errors[:20], hint="run the job again")


def _damaged(errors: list[MlgitopsError]) -> MistakesError:
    hint = "its owner removes these objects there; then run the job again, or `mlgitops publish`"
    return MistakesError("the storage is damaged, and nothing is written over:", errors, hint=hint)


def _name(version: DataVersion) -> str:
    return version.hash.removeprefix("md5:")


def _names(entries: list[tuple[str, str]]) -> set[str]:
    return {name for _, name in entries}
