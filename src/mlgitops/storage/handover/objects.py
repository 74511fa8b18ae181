"""Objects of a handover into a folder, that of the storage branch: each hashed on the way."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from mlgitops.dvc.manifests import MAX_MANIFEST_BYTES, parse_manifest
from mlgitops.dvc.stored import hash_file, locate
from mlgitops.errors import MlgitopsError
from mlgitops.storage.handover.layout import MAX_OBJECTS, MAX_TOTAL_BYTES, find_file, read_capped
from mlgitops.storage.publish import REFUSE_BYTES
from mlgitops.writing import refuse_links

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlgitops.model import DataVersion

_CHUNK = 1024 * 1024


def store_objects(handover: Path, store: Path, wanted: Mapping[str, DataVersion]) -> dict[str, int]:
    """Put what ``store`` lacks of ``wanted`` (path → version) into it; return place → bytes.

    A directory's members come before its manifest. Raises :class:`MlgitopsError` on the first
    object that is missing, too large, or not what its name says.
    """
    needed: dict[str, int] = {}
    total = 0
    for path, version in sorted(wanted.items()):
        oid = version.hash.removeprefix("md5:")
        for name, where in [*_list_members(handover, store, oid, path), (oid, path)]:
            location = locate(name)
            if location in needed:
                continue
            needed[location] = _store_one(handover, store, name, where)
            total += needed[location]
            if len(needed) > MAX_OBJECTS or total > MAX_TOTAL_BYTES:
                raise MlgitopsError(
                    f"over {MAX_OBJECTS:,} objects or {MAX_TOTAL_BYTES:,} bytes", where=path
                )
        size = needed[locate(oid)]
        if version.size not in (None, size) and not oid.endswith(".dir"):
            raise MlgitopsError(f"{size} bytes, and the lock says {version.size}", where=path)
    return needed


def add_objects(handover: Path, cache: Path, wanted: Mapping[str, DataVersion]) -> None:
    """Put those of ``wanted`` (path → version) that are in ``handover`` alone into a cache.

    Raises :class:`MlgitopsError` on the first that is too large, or not what its name says.
    """
    total = 0
    for path, version in sorted(wanted.items()):
        oid = version.hash.removeprefix("md5:")
        for name, where in [*_list_handed(handover, cache, oid, path), (oid, path)]:
            location = locate(name)
            if find_file(cache, location) is None and find_file(handover, location) is not None:
                left = MAX_TOTAL_BYTES - total
                total += copy_object(handover, cache, name, where, limit=left)


def _list_handed(handover: Path, cache: Path, oid: str, path: str) -> list[tuple[str, str]]:
    """Return (md5, path) of the files of a directory, unless its manifest is elsewhere."""
    is_near = find_file(cache, locate(oid)) or find_file(handover, locate(oid))
    return _list_members(handover, cache, oid, path) if is_near else []


def _list_members(handover: Path, store: Path, oid: str, path: str) -> list[tuple[str, str]]:
    """Return (md5, path) of the files of a directory; nothing for a file."""
    if not oid.endswith(".dir"):
        return []
    location = locate(oid)
    manifest = find_file(store, location) or find_file(handover, location)
    if manifest is None:
        raise missing(path)
    data = read_capped(manifest, MAX_MANIFEST_BYTES, path)
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != oid.removesuffix(".dir"):
        raise changed(path)
    return [(member, f"{path}/{name}") for name, member in parse_manifest(data, path)]


def _store_one(handover: Path, store: Path, oid: str, where: str) -> int:
    """Copy one object unless it is there; return its size in bytes."""
    location = locate(oid)
    present = find_file(store, location)
    if present is not None:
        if hash_file(present) == oid.removesuffix(".dir"):
            return present.stat().st_size
        present.unlink()  # left half-written by an interrupted run, or `git status` shows it
    return copy_object(handover, store, oid, where, limit=REFUSE_BYTES)


def copy_object(handover: Path, store: Path, oid: str, where: str, *, limit: int) -> int:
    """Copy one object of at most ``limit`` bytes into ``store``, hashed on the way."""
    location = locate(oid)
    source = find_file(handover, location)
    if source is None:
        raise missing(where)
    if source.stat().st_size > limit:
        raise MlgitopsError(f"over {limit:,} bytes: too large for this storage", where=where)
    target = store / location
    refuse_links(store, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)  # left by an interrupted run, or put there as a link
    size, digest = _copy_hashed(source, part)
    if digest != oid.removesuffix(".dir"):
        part.unlink()
        raise changed(where)
    part.replace(target)
    return size


def _copy_hashed(source: Path, target: Path) -> tuple[int, str]:
    """Copy the bytes that are hashed, so that nothing can be swapped in between."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    with source.open("rb") as stream, target.open("xb") as out:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return size, digest.hexdigest()


def missing(where: str) -> MlgitopsError:
    """Return the error of an object that is nowhere."""
    return MlgitopsError(
        "neither the storage nor the run has this object",
        where=where,
        hint="whoever made it must run `mlgitops publish`",
    )


def changed(where: str) -> MlgitopsError:
    """Return the error of an object that is not what its name says."""
    return MlgitopsError("the object's content is not that of its name", where=where)
