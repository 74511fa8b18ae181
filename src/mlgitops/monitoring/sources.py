"""Where a log lies, to chunks of whole lines of records: a folder of the server's files.

In: the settings of the source. Out: parts that can be read apart, each by a process of its own,
and the chunks of a part. Other kinds of source stand in :mod:`mlgitops.monitoring.adapters`.
Reads disk.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlgitops.errors import MlgitopsError
from mlgitops.monitoring.records import LONGEST_LINE, Chunk, is_day

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlgitops.monitoring.problems import Problems

_NAME = re.compile(r"(\d{4}-\d\d-\d\d)-[0-9a-f]{8}\.jsonl(\.gz)?")
#: All days that a source can be asked for: databases and dates have no year 0.
FIRST_DAY, LAST_DAY = "0001-01-01", "9999-12-31"
#: Days of a file whose name says none.
ANY = ("", "9999")
TORN = "its last line was cut off"
TOO_LONG = f"it is longer than {LONGEST_LINE:,} bytes"


class ByteStream(Protocol):
    """What bytes are read from: a file, packed or not, or a pipe."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""


class Part(Protocol):
    """A part of a log that one process reads."""

    @property
    def last_day(self) -> str:
        """Return the last day that it may be of."""

    def read(self, problems: Problems) -> Iterator[Chunk]:
        """Yield the part's chunks in order; what cannot be read is added to ``problems``."""


@dataclass(frozen=True, kw_only=True)
class FolderPart:
    """The files of one day."""

    day: str
    files: tuple[Path, ...]

    @property
    def last_day(self) -> str:
        """Return its day."""
        return self.day

    def read(self, problems: Problems) -> Iterator[Chunk]:
        """Yield the chunks of one file after the other."""
        for file in self.files:
            yield from read_file(file, problems, days=(self.day, self.day))


def list_folder(folder: Path, since: str, until: str) -> list[FolderPart]:
    """List the days of a folder from ``since`` to before ``until``, the oldest first.

    Where a file stands both plain and packed, the server was packing it: the plain one is whole.
    """
    if not folder.is_dir():
        hint = "deploy a bundle whose server logs, or name the `source:` in monitor.yaml"
        raise MlgitopsError("there is no log of requests", where=str(folder), hint=hint)
    files: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted(folder.iterdir(), reverse=True):
        match = _NAME.fullmatch(path.name)
        if match and since <= match[1] < until and is_day(match[1]) and path.is_file():
            files[match[1]][path.name.removesuffix(".gz")] = path
    return [
        FolderPart(day=day, files=tuple(path for _, path in sorted(files[day].items())))
        for day in sorted(files)
    ]


def read_file(
    path: Path, problems: Problems, *, days: tuple[str, str] = ANY, where: str | None = None
) -> Iterator[Chunk]:
    """Yield the whole lines of a file, packed or not; damage ends it and is counted."""
    name = where or path.name
    if not path.exists() and path.suffix == ".jsonl":  # the server packed it meanwhile
        path = path.with_name(f"{path.name}.gz")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            yield from cut_lines(stream, name, problems, days=days)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        problems.add_file("the file is damaged from there on", name)
    except OSError as error:
        problems.add_file(f"it cannot be read: {error.strerror or 'damaged'}", name)


def cut_lines(
    stream: ByteStream, where: str, problems: Problems, *, days: tuple[str, str] = ANY
) -> Iterator[Chunk]:
    """Yield chunks of whole lines; a line that is too long is passed over, and so is a torn end."""
    rest, number, skipping = b"", 1, False
    while data := stream.read(LONGEST_LINE):
        whole, newline, tail = data.rpartition(b"\n")
        if not newline:
            rest += b"" if skipping else data
            if len(rest) > LONGEST_LINE:
                problems.add(TOO_LONG, f"{where}:{number}")
                rest, skipping = b"", True
            continue
        first, number = number, number + whole.count(b"\n") + 1
        block = rest + whole
        is_long = len(rest) + len(whole.partition(b"\n")[0]) > LONGEST_LINE
        if is_long and not skipping:
            problems.add(TOO_LONG, f"{where}:{first}")
        if is_long or skipping:
            first, block = first + 1, block.partition(b"\n")[2]
        if block:
            yield Chunk(where=where, first_line=first, data=block, days=days)
        rest, skipping = tail, False
    if rest:
        problems.add(TORN, f"{where}:{number}")
