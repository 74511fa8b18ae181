"""The hash that DVC gives to what stands at a path of one side: a file, a folder, or data.

In: one side, read. Out: hashes as dvc.lock holds them. Reads git or disk; of data that DVC
keeps, its cache for the list of a directory's files, and else nothing but dvc.lock and .dvc
files.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mlgitops.comparison.sides import SideFiles
from mlgitops.dvc.hashes import hash_bytes, hash_directory
from mlgitops.dvc.ignore import IgnoreRules
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.git.paths import list_parents
from mlgitops.git.repository import Folder

if TYPE_CHECKING:
    from mlgitops.model import DataVersion


def _is_above(path: str) -> bool:
    """Tell whether a path leads out of its folder, as `../common/code.py` does."""
    return path == ".." or path.startswith("../")


class Contents:
    """What stands at the paths of one side, by DVC's hashes."""

    def __init__(self, side: SideFiles) -> None:
        """Take a side whose pipeline has been read."""
        self._side = side
        files = side.folder.list_files(side.sha)
        self._files = {path for path, entry in files.items() if ":" not in entry}  # no broken link
        self._hashes: dict[tuple[str, bool], str] = {}
        self._seen = {folder for path in self._files for folder in list_parents(path)}
        kept = dict(side.pipeline.pointers)
        for lock in side.pipeline.locks.values():
            kept.update(lock.outs)
        #: What DVC keeps and git does not: path → version, by dvc.lock and by .dvc files.
        self.kept: dict[str, DataVersion] = {
            path: version for path, version in kept.items() if not self.stands(path)
        }

    @cached_property
    def _ignored(self) -> IgnoreRules:
        return IgnoreRules(self._files, self._side.read)

    @cached_property
    def _folders(self) -> dict[str, list[str]]:
        """List, by folder, the files below it that git can see or DVC keeps."""
        below: dict[str, list[str]] = {}
        for path in sorted({*self._files, *self.kept}):
            for folder in list_parents(path):
                below.setdefault(folder, []).append(path)
        return below

    def find_hash(self, path: str, *, exact: bool) -> str | None:
        """Find the hash of ``path`` as dvc.lock would hold it, `md5:…`; None: it is not known.

        ``exact`` is False for a lock that DVC 2 wrote.
        """
        if self._is_elsewhere(path):
            return None
        if _is_above(path):
            return self._whole.find_hash(self._side.folder.locate(path), exact=exact)
        if path in self._files:
            return f"md5:{self._hash_file(path, exact=exact)}"
        if path in self.kept:
            return self.kept[path].hash
        target = self._follow(path)
        if target != path:
            return self.find_hash(target, exact=exact)
        oid = self._hash_file(path, exact=exact) if self._is_on_disk(path) else None
        oid = oid or self._find_held(path)
        return f"md5:{oid}" if oid is not None else self._find_folder_hash(path, exact=exact)

    def _find_folder_hash(self, path: str, *, exact: bool) -> str | None:
        entries = self._list_folder(path, exact=exact)
        if entries is None or not (entries or self.stands(path)):
            return None
        return f"md5:{hash_directory(entries)}"

    def _follow(self, path: str) -> str:
        """Follow links to folders; links to files are read as files."""
        try:
            return self._side.folder.follow(self._side.sha, path)
        except MlgitopsError:
            return path  # out of the repository: whoever reads it is told

    def find_standing(self, path: str, *, exact: bool, limit: int) -> str | None:
        """Find the hash of what a stage left at ``path``, as far as it is read; else None.

        That is what git can see and, in the work tree, files of at most ``limit`` bytes.
        """
        if self.stands(path):
            return self.find_hash(path, exact=exact)
        if self._is_on_disk(path) and (self._side.folder.place / path).stat().st_size <= limit:
            return f"md5:{self._hash_file(path, exact=exact)}"
        return None

    def stands(self, path: str) -> bool:
        """Tell whether git can see ``path``, a file or a folder."""
        if _is_above(path) and not self._is_elsewhere(path):
            return self._whole.stands(self._side.folder.locate(path))
        return path in self._files or path in self._seen

    def _is_elsewhere(self, path: str) -> bool:
        """Tell whether a path is none of the repository: an address, or one that leads out."""
        outside = path.startswith("/") or _is_above(self._side.folder.locate(path))
        return outside or "://" in path

    @cached_property
    def _whole(self) -> Contents:
        """Return what stands in the whole repository, of which the project is a folder.

        Where a pipeline of another project cannot be read, only what git keeps is known.
        """
        repository = self._side.folder.repository
        whole = SideFiles(
            name=self._side.name,
            sha=self._side.sha,
            folder=Folder(repository, repository.root),
        )
        with suppress(MlgitopsError):
            pipeline = read_pipeline(whole.folder.list_files(whole.sha), whole.read)
            whole = replace(whole, pipeline=pipeline)
        return Contents(whole)

    def _is_on_disk(self, path: str) -> bool:
        return self._side.sha is None and (self._side.folder.place / path).is_file()

    def find_holder(self, path: str) -> str | None:
        """Find what DVC keeps as a directory and ``path`` is in."""
        return next((folder for folder in list_parents(path) if folder in self.kept), None)

    def _hash_file(self, path: str, *, exact: bool) -> str:
        key = (path, exact)
        if key not in self._hashes:
            try:
                data = self._side.read(path) or b""
            except MlgitopsError:
                return "unreadable"  # a link out of the repository: whoever reads it is told
            self._hashes[key] = hash_bytes(data, exact=exact)
        return self._hashes[key]

    def _list_folder(self, path: str, *, exact: bool) -> list[tuple[str, str]] | None:
        """List (path within, md5) of the files of a folder; None when it is not all known."""
        holder = self.find_holder(path)
        if holder is not None:
            return self._list_held(holder, path)
        members: list[tuple[str, str]] = []
        for name in self._list_names(path):
            if name in self.kept:
                inside = self._list_kept(name)
                if inside is None:
                    return None
            else:
                inside = [("", self._hash_file(name, exact=exact))]
            members += [(f"{name[len(path) + 1 :]}{rest}", oid) for rest, oid in inside]
        return members

    def _list_names(self, path: str) -> list[str]:
        """List what is below a folder and DVC sees: on disk also what git does not."""
        names = set(self._folders.get(path, ()))
        if self._side.sha is None:
            root = self._side.folder.place
            names |= {
                (Path(folder) / file).relative_to(root).as_posix()
                for folder, _, files in os.walk(root / path)
                for file in files
            }
            names = {name for name in names if name in self.kept or not self.find_holder(name)}
        return sorted(name for name in names if not self._ignored.leaves_out(name))

    def _list_kept(self, path: str) -> list[tuple[str, str]] | None:
        """List the files of what DVC keeps at ``path``: `""` for a file, `/…` for a folder's."""
        digest = self.kept[path].hash.removeprefix("md5:")
        if not digest.endswith(".dir"):
            return [("", digest)] if self.kept[path].hash.startswith("md5:") else None
        entries = self._read_manifest(path)
        return None if entries is None else [(f"/{name}", oid) for name, oid in entries]

    def _list_held(self, holder: str, path: str) -> list[tuple[str, str]] | None:
        """List the files of a folder that is in what DVC keeps as a directory."""
        begin = f"{path[len(holder) + 1 :]}/"
        entries = self._read_manifest(holder)
        if entries is None:
            return None
        return [(name[len(begin) :], oid) for name, oid in entries if name.startswith(begin)]

    def _find_held(self, path: str) -> str | None:
        """Find the md5 of a file that is in what DVC keeps as a directory."""
        holder = self.find_holder(path)
        entries = self._read_manifest(holder) if holder is not None else None
        name = path[len(holder or "") + 1 :]
        return next((oid for member, oid in entries or () if member == name), None)

    def _read_manifest(self, path: str) -> list[tuple[str, str]] | None:
        """Read which files a directory of DVC's holds; None when that is not on this disk."""
        from mlgitops.dvc.objects import read_manifest

        try:
            members = read_manifest(self._side.folder.place, self.kept[path])
        except MlgitopsError:
            return None
        return None if members is None else list(members.items())
