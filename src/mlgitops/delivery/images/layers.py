"""The files that an image's layers leave in one folder, each by its sha256. Reads files.

Layers are tar archives on top of each other; a file `.wh.NAME` in one removes NAME of those below:
https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import tarfile
import zlib
from typing import TYPE_CHECKING, Protocol

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_MOST_BYTES = 32 * 2**30  # of one layer, unpacked
_MOST_ENTRIES = 2_000_000
_MOST_FILES = 20_000  # below the folder
_MOST_LINKS = 40  # in a row, as Linux follows them
_CHUNK = 2**20
_BROKEN = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeError, ValueError)


class UnsupportedError(MlgitopsError):
    """A form of layer that cannot be unpacked here."""


class _StrictEntry(tarfile.TarInfo):
    """An entry whose header must be right: tarfile takes a wrong one for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """Read the next entry; raises :class:`tarfile.ReadError` for a header that is none."""
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


class _Hashed:
    """A stream that is hashed as it is read, up to a limit."""

    def __init__(self, stream: _Readable, where: str) -> None:
        self._stream, self._where = stream, where
        self._count = 0
        self.hash = hashlib.sha256()

    def read(self, size: int = _CHUNK) -> bytes:
        data = self._stream.read(size)
        self._count += len(data)
        if self._count > _MOST_BYTES:
            problem = f"the layer is larger than {_MOST_BYTES:,} bytes unpacked"
            raise MlgitopsError(problem, where=self._where)
        self.hash.update(data)
        return data


class Files:
    """What is below one folder of an image: path from there → sha256, or what else is there."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._contents: dict[str, str] = {}  # absolute
        self._links: dict[str, str] = {}  # outside of the folder: path → target, both absolute

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield path from the folder and sha256; of a link or a device, what it is."""
        for path, content in sorted(self._contents.items()):
            yield posixpath.relpath(path, self._folder), content

    def add_layer(self, file: Path, where: str) -> str:
        """Lay a layer on top; return the digest of its archive, unpacked.

        Raises :class:`UnsupportedError` for a compression that is not read here, and
        :class:`MlgitopsError` for what is no archive, or puts a link above the folder.
        """
        with file.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            if magic == _ZSTD:
                hint = "copy it with `skopeo copy --dest-compress-format gzip`, and pin that"
                raise UnsupportedError("it is compressed by zstd", where=where, hint=hint)
            is_packed = magic.startswith(_GZIP)
            hashed = _Hashed(gzip.GzipFile(fileobj=raw) if is_packed else raw, where)
            try:
                self._unpack(hashed, where)
                while hashed.read():
                    pass
            except _BROKEN as error:
                raise MlgitopsError(f"it cannot be unpacked: {error}", where=where) from error
        return f"sha256:{hashed.hash.hexdigest()}"

    def _unpack(self, stream: _Hashed, where: str) -> None:
        """Read the archive to its end; what it removes is removed of the layers below alone."""
        added: dict[str, str] = {}
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_StrictEntry) as archive:  # type: ignore[call-overload]
            for count, member in enumerate(archive):
                if archive.pax_headers.keys() - {"comment"}:
                    problem = "a global header renames its entries, which runtimes do not read"
                    raise MlgitopsError(problem, where=where)
                if count >= _MOST_ENTRIES:
                    problem = f"it has more than {_MOST_ENTRIES:,} entries"
                    raise MlgitopsError(problem, where=where)
                archive.members.clear()  # or all of them are kept
                self._take(archive, member, added, where)
        self._contents |= added

    def _take(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, added: dict[str, str], where: str
    ) -> None:
        if ".." in member.name.split("/"):
            raise MlgitopsError(f"an entry leads out of it: {member.name!a:.200}", where=where)
        path = posixpath.normpath(f"/{member.name.strip('/')}")
        folder, name = posixpath.split(path)
        if not _is_within(path, self._folder):
            self._refuse_detour(path, where)
            if member.issym():
                self._links[path] = posixpath.join(folder, member.linkname)
        if name == _OPAQUE:
            self._remove(folder, keep_folder=True)
        elif name.startswith(_WHITEOUT):
            self._remove(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
        elif _is_within(self._folder, path):
            if not member.isdir():
                problem = f"{path} is {_describe(member)} there, above the server's files"
                raise MlgitopsError(problem, where=where)
        elif _is_within(path, self._folder):
            self._put(archive, member, path, added)

    def _refuse_detour(self, path: str, where: str) -> None:
        """Refuse an entry that a link above it leads below the folder: runtimes follow that."""
        folder, name = posixpath.split(path)
        actual = posixpath.join(self._follow(folder, where), name)
        if actual != path and _is_within(actual, self._folder):
            problem = f"{path!a:.200} is {actual!a:.200}, by a link: it hides what it changes"
            raise MlgitopsError(problem, where=where)

    def _follow(self, path: str, where: str) -> str:
        """Return where a folder is once every link on the way is followed."""
        actual, parts, count = "/", path.split("/")[::-1], 0
        while parts:
            part = parts.pop()
            if part == "..":
                actual = posixpath.dirname(actual)
            elif part not in ("", "."):
                actual = posixpath.join(actual, part)
            if (target := self._links.get(actual)) is not None:
                count += 1
                if count > _MOST_LINKS:
                    raise MlgitopsError(f"its links lead in a circle: {path!a:.200}", where=where)
                actual, parts = "/", parts + target.split("/")[::-1]
        return actual

    def _put(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, added: dict[str, str]
    ) -> None:
        """Note an entry; a folder in the place of a file removes that, and the other way round."""
        if member.isdir():
            self._contents.pop(path, None)
            added.pop(path, None)
            return
        if len(added) >= _MOST_FILES:
            raise MlgitopsError(f"more than {_MOST_FILES:,} files are below {self._folder}")
        self._remove(path)
        for below in [below for below in added if _is_within(below, path)]:
            del added[below]
        stream = archive.extractfile(member) if member.isreg() and not member.issparse() else None
        if stream is None:
            added[path] = _describe(member)
            return
        digest = hashlib.sha256()
        while data := stream.read(_CHUNK):
            digest.update(data)
        added[path] = digest.hexdigest()

    def _remove(self, path: str, *, keep_folder: bool = False) -> None:
        """Remove a path of the layers below, and all that is below it."""
        if not (_is_within(path, self._folder) or _is_within(self._folder, path)):
            return
        for below in [below for below in self._contents if _is_within(below, path)]:
            if not (keep_folder and below == path):
                del self._contents[below]


def _is_within(path: str, folder: str) -> bool:
    """Tell whether ``path`` is ``folder`` or below it; both absolute and plain."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _describe(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a link to {member.linkname!a:.80}"
    return "a plain file" if member.isreg() else "no plain file"
