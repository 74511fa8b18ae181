"""Which objects a revision of a project needs: from dvc.lock, .dvc files and manifests."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from mlgitops.errors import MlgitopsError
from mlgitops.git.program import run_git

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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

    Outputs that git keeps (`cache: false`) and those with `push: false` are left out.
    """
    left_out = _kept_elsewhere(project)
    objects = {
        stored
        for file in find_pointers(project)
        for stored in parse_pointers(file, project)
        if stored.path not in left_out
    }
    return sorted(objects, key=lambda stored: (stored.path, stored.oid))


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


def find_pointers(project: Path) -> list[Path]:
    """List dvc.lock and .dvc files that git sees: tracked, or new and not ignored."""
    patterns = ["dvc.lock", "*/dvc.lock", "*.dvc"]
    options = ["--cached", "--others", "--exclude-standard", "-z", "--"]
    listed = run_git(project, "ls-files", *options, *patterns).split("\0")
    files = {project / name for name in listed if name and not name.startswith(".dvc/")}
    return sorted(file for file in files if file.is_file())


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; an empty file is an empty mapping."""
    if file.stat().st_size > MAX_FILE_BYTES:
        raise MlgitopsError("this file is too large", where=str(file))
    try:
        content = yaml.load(file.read_bytes(), Loader=_Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        message = " ".join(str(error).split())
        raise MlgitopsError(f"this is not YAML: {message}", where=str(file)) from error
    if not isinstance(content, dict | None):
        raise MlgitopsError("a mapping was expected", where=str(file))
    return content or {}


_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_pointers(file: Path, project: Path) -> Iterator[StoredObject]:
    """Yield what one dvc.lock or .dvc file names."""
    content = read_yaml(file)
    folder = file.parent
    entries = list(content.get("outs") or [])
    for stage in (content.get("stages") or {}).values():
        entries += (stage or {}).get("outs") or []
    for entry in entries:
        yield _parse_entry(entry, folder, project, file)


def _parse_entry(entry: Any, folder: Path, project: Path, file: Path) -> StoredObject:  # noqa: ANN401
    where = str(file)
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise MlgitopsError("an output without a path", where=where)
    oid, path = str(entry.get("md5")), entry["path"]
    if not _OID.match(oid):
        raise MlgitopsError(f"the output {path} has no md5", where=where, hint="run `dvc repro`")
    if entry.get("hash") != "md5":
        raise MlgitopsError(
            f"the output {path} was written by DVC 2",
            where=where,
            hint="run `dvc cache migrate --dvc-files` once",
        )
    size = entry.get("size")
    whole = size if isinstance(size, int) and not oid.endswith(".dir") else None
    relative = (folder / path).relative_to(project).as_posix()
    return StoredObject(path=relative, oid=oid, size=whole)


def _kept_elsewhere(project: Path) -> set[str]:
    """Return the outputs that git tracks, or that dvc.yaml declares as not cached or not pushed."""
    listed = run_git(project, "ls-files", "-z").split("\0")
    return set(listed) | set(_undeclared(project))


def _undeclared(project: Path) -> Iterator[str]:
    for file in sorted({project / "dvc.yaml", *project.glob("*/dvc.yaml")}):
        stages = (read_yaml(file).get("stages") or {}) if file.is_file() else {}
        for stage in stages.values():
            body = (stage.get("do") or stage) if isinstance(stage, dict) else {}
            for kind in ("outs", "metrics", "plots"):
                for entry in body.get(kind) or []:
                    yield from _uncached(entry, file.parent.relative_to(project))


def _uncached(entry: Any, folder: Path) -> Iterator[str]:  # noqa: ANN401 - raw YAML
    if isinstance(entry, dict):
        for path, options in entry.items():
            if isinstance(options, dict) and False in (options.get("cache"), options.get("push")):
                yield (folder / path).as_posix()
