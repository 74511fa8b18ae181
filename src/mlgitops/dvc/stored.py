"""Which objects a revision of a project needs: from dvc.lock, .dvc files and manifests."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import run_git

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.dvc.pipeline import Pipeline, StoredOutput

#: Caps before any parser: bytes of one lock, pointer or manifest; entries of one manifest.
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_MEMBERS = 1_000_000

_OID = re.compile(r"^[0-9a-f]{32}(\.dir)?$")
_CHUNK = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One content-addressed object; ``oid`` is its md5, a directory manifest's ends in `.dir`."""

    path: str  # in the project, POSIX
    oid: str
    size: int | None = None  # bytes; None for a member of a directory, and for a manifest

    @property
    def location(self) -> str:
        """Where DVC keeps it, below a cache or a remote."""
        return locate(self.oid)


def locate(oid: str) -> str:
    """Return the place of an object below a cache or a remote.

    >>> locate("d41d8cd98f00b204e9800998ecf8427e")
    'files/md5/d4/1d8cd98f00b204e9800998ecf8427e'
    """
    return f"files/md5/{oid[:2]}/{oid[2:]}"


def hash_file(file: Path) -> str:
    """Return the md5 of a file, DVC's name for its content (not a protection)."""
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_objects(project: Path) -> list[StoredObject]:
    """Return what the work tree's dvc.lock and .dvc files name, sorted, manifests unopened.

    Left out is what the storage does not get: what git keeps (`cache: false`), `push: false`,
    outputs with a remote of their own, and what `dvc import` took from another repository where
    no stage reads it.
    """
    pipeline = read_work_tree(project)
    left_out = set(run_git(project, "ls-files", "-z").split("\0")) - {""}
    for stage in pipeline.stages.values():
        left_out.update(stage.kept, stage.unsent)
    wanted = (output for output in pipeline.outputs if output.sent and output.path not in left_out)
    objects = {name_object(output) for output in wanted}
    return sorted(objects, key=lambda stored: (stored.path, stored.oid))


def read_imported(project: Path) -> list[StoredObject]:
    """Return those of :func:`read_objects` that DVC itself does not send: imported data."""
    imported = read_work_tree(project).imports
    return [stored for stored in read_objects(project) if stored.path in imported]


def read_work_tree(project: Path) -> Pipeline:
    """Read the pipeline of what git sees on disk: tracked, or new and not ignored."""
    options = ["--cached", "--others", "--exclude-standard", "-z"]
    listed = run_git(project, "ls-files", *options).split("\0")
    return read_pipeline(dict.fromkeys(filter(None, listed), ""), partial(read_disk, project))


def read_disk(project: Path, path: str) -> bytes | None:
    """Read a file of the project, at most :data:`MAX_FILE_BYTES` of it; None where there is none.

    Raises :class:`MlgitopsError` when it is larger.
    """
    file = project / path
    if not file.is_file():
        return None
    if file.stat().st_size > MAX_FILE_BYTES:
        raise MlgitopsError("this file is too large", where=path)
    return file.read_bytes()


def read_members(manifest: Path, directory: StoredObject) -> list[StoredObject]:
    """Return the files that a directory manifest lists.

    Raises :class:`MlgitopsError` on a manifest that is not what its name says, or that
    lists paths which leave the directory.
    """
    where = f"{directory.path} ({manifest})"
    if manifest.stat().st_size > MAX_FILE_BYTES:
        raise MlgitopsError("this directory manifest is too large", where=where)
    return parse_members(manifest.read_bytes(), directory, where=where)


def parse_members(data: bytes, directory: StoredObject, *, where: str) -> list[StoredObject]:
    """Return the files that the bytes of a directory manifest list; raises as `read_members`."""
    if f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}.dir" != directory.oid:
        raise MlgitopsError("this directory manifest is damaged", where=where)
    try:
        entries = json.loads(data)
        members = [(str(entry["relpath"]), str(entry["md5"])) for entry in entries]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MlgitopsError("this is not a directory manifest", where=where) from error
    if len(members) > MAX_MEMBERS:
        raise MlgitopsError(f"more than {MAX_MEMBERS} files in one directory", where=where)
    for path, oid in members:
        if not _OID.match(oid) or _escapes(path):
            raise MlgitopsError(f"bad entry {path[:100]!r} in a directory manifest", where=where)
    return [StoredObject(path=f"{directory.path}/{path}", oid=oid) for path, oid in members]


def _escapes(path: str) -> bool:
    segments = path.split("/")
    odd = any(ord(character) < 32 or character == "\\" for character in path)  # noqa: PLR2004
    return odd or path.startswith("/") or any(segment in ("", ".", "..") for segment in segments)


def name_object(output: StoredOutput) -> StoredObject:
    """Name the object of an output; raises :class:`MlgitopsError` when no storage has its like."""
    oid = output.version.hash.removeprefix("md5:")
    if not output.path:
        raise MlgitopsError("an output without a path", where=output.file)
    if not _OID.match(oid):
        raise MlgitopsError(
            f"the output {output.path} has no md5", where=output.file, hint="run `dvc repro`"
        )
    if not output.exact:
        raise MlgitopsError(
            f"the output {output.path} was written by DVC 2",
            where=output.file,
            hint="run `dvc cache migrate --dvc-files` once",
        )
    size = None if oid.endswith(".dir") else output.version.size
    return StoredObject(path=output.path, oid=oid, size=size)
