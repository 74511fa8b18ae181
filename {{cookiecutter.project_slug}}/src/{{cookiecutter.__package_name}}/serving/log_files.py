"""The files of the request log: one for each day and process, appended to by whole lines.

`2026-11-28-0a1b2c3d.jsonl` is open, or was when its process ended; whoever writes it holds a lock
on it. `.jsonl.gz` is closed. A line is in the file before its answer is sent, so an answer that
somebody got is in the log however the server ended; only a power cut can tear the last line.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import re
import secrets
import shutil
from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NAME = re.compile(r"(\d{4}-[01]\d-[0-3]\d)-[0-9a-f]{8}\.jsonl(\.gz)?")
_ATTEMPTS = 5  # to open a file that no other process takes for a dead one's
_CHUNK = 1024 * 1024
_SHARE = 64  # of a day's bytes: after so large a part, what others wrote is looked at again

#: Why records were dropped: the day has as many bytes as it may, or the disk takes no more.
FULL, DISK = "full", "disk"


class DayFile:
    """The file that this process appends to; another one begins with each day (UTC)."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes  # of all files of one day
        self._day = ""
        self._descriptor: int | None = None
        self._size = 0  # of this file
        self._path, self._inode = folder, 0
        self._others = 0  # bytes of the day's other files, when they were last looked at
        self._next_look = 0  # size of this file

    def append(self, day: str, data: bytes) -> str | None:
        """Write whole lines at once; return None, or why they were dropped."""
        try:
            if day != self._day or not self._is_in_place():
                self._open(day)
            elif self._size >= self._next_look:
                self._look_at_others()
            if self._others + self._size + len(data) > self._max_bytes:
                return FULL
            self._write(data)
        except OSError:
            return DISK
        return None

    def close(self) -> None:
        """Let go of the file: from now on it may be compressed."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, day: str) -> None:
        self.close()
        for _ in range(_ATTEMPTS):
            path = self._folder / f"{day}-{secrets.token_hex(4)}.jsonl"
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            if _lock(descriptor):
                self._day, self._descriptor, self._size = day, descriptor, 0
                self._path, self._inode = path, os.fstat(descriptor).st_ino
                self._look_at_others()
                return
            os.close(descriptor)
        raise BlockingIOError(errno.EAGAIN, "the files are taken away", str(self._folder))

    def _is_in_place(self) -> bool:
        """Tell whether the file is open, and nobody has removed or moved it."""
        if self._descriptor is None:
            return False
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _look_at_others(self) -> None:
        self._others = sum_sizes(self._folder, self._day) - self._size
        self._next_look = self._size + self._max_bytes // _SHARE

    def _write(self, data: bytes) -> None:
        assert self._descriptor is not None  # noqa: S101 - opened by `append`
        written = os.write(self._descriptor, data)
        if written == len(data):
            self._size += written
            return
        try:  # the disk is full: no half of a line may stay before the next one
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self.close()  # the torn line is then the last of its file
        raise OSError(errno.ENOSPC, "only a part was written")


def sum_sizes(folder: Path, day: str) -> int:
    """Return the bytes that the files of a day have on disk."""
    sizes = 0
    for path in folder.glob(f"{day}-*.jsonl*"):
        with suppress(FileNotFoundError):  # compressed by another server meanwhile
            sizes += path.stat().st_size
    return sizes


def tidy(folder: Path, today: str, keep_days: int) -> None:
    """Compress the files that nobody writes any more; remove those that are too old.

    Several servers may do so at once. What the disk has no room for stays as it is.
    """
    matches: list[tuple[Path, re.Match[str]]] = []
    with suppress(OSError):  # the folder is gone: whoever logs counts what is lost
        named = [(path, _NAME.fullmatch(path.name)) for path in sorted(folder.iterdir())]
        matches = [(path, match) for path, match in named if match]
    oldest = find_oldest([match[1] for _, match in matches], today, keep_days)
    for path, match in matches:
        with suppress(OSError):
            if match[1] < oldest:
                path.unlink()
            elif not match[2]:
                _compress(path)


def find_oldest(days: Iterable[str], today: str, keep_days: int) -> str:
    """Return the first day that is kept, counted from the last one before today that has a file.

    A clock that jumps ahead for less than a day then removes nothing that is not too old anyway.

    >>> find_oldest(["2026-11-26", "2026-11-27", "2106-01-01"], "2106-01-01", 10)
    '2026-11-17'
    """
    last = max((day for day in days if day < today), default=today)
    return (date.fromisoformat(last) - timedelta(days=keep_days)).isoformat()


def _compress(path: Path) -> None:
    """Put `.gz` in the place of a file, unless a process holds it."""
    with path.open("rb") as source:
        if not _lock(source.fileno()):
            return
        draft = path.with_name(f"{path.name}.part")
        draft.unlink(missing_ok=True)  # of a server that was killed
        try:
            if os.fstat(source.fileno()).st_size:
                _write_compressed(source.fileno(), draft)
                draft.rename(path.with_name(f"{path.name}.gz"))
            path.unlink()
        finally:
            draft.unlink(missing_ok=True)


def _write_compressed(descriptor: int, draft: Path) -> None:
    target = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(target, "wb") as file:
        with (
            os.fdopen(os.dup(descriptor), "rb") as source,
            gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed,
        ):
            shutil.copyfileobj(source, packed, _CHUNK)
        file.flush()
        os.fsync(file.fileno())


def _lock(descriptor: int) -> bool:
    """Take a file's lock; False where another process has it, or has removed the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0
