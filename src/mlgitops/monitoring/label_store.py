"""The labels that were matched with the log: a folder, one file for each day of the requests.

A line is added for each new or corrected label, nothing is changed: the last line of an id holds.
Reads and writes disk.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from mlgitops.monitoring.sources import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.records import Chunk

_MODE = 0o600
_NO_LABEL = "it is no label"
_ENCODER = msgspec.json.Encoder()


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """What came true of one row."""

    v: Literal[1] = 1
    id: Annotated[str, Meta(min_length=1, max_length=200)]
    outcome: Annotated[str, Meta(min_length=1, max_length=200)] | float
    at: Annotated[str, Meta(max_length=30)]  # UTC, when it was taken in


_DECODER = msgspec.json.Decoder(Label)


@dataclass(frozen=True, kw_only=True)
class LabelStore:
    """The labels below ``folder``, which need not be there yet."""

    folder: Path

    def read(self, day: str, problems: Problems) -> dict[str, str | float]:
        """Return the outcome of each id that has a label on ``day``."""
        outcomes: dict[str, str | float] = {}
        path = self._file(day)
        if not path.is_file():
            return outcomes
        for chunk in read_file(path, problems, where=f"labels/{path.name}"):
            for label in _decode(chunk, problems):
                outcomes[label.id] = label.outcome
        return outcomes

    def append(self, day: str, labels: Iterable[Label]) -> None:
        """Add labels to the file of ``day`` in one write; they are on the disk when it returns.

        Where an earlier write was cut off, its remains end in a line of their own.
        """
        data = b"".join(_ENCODER.encode(label) + b"\n" for label in labels)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(self._file(day), flags, _MODE)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data
            while data:
                data = data[file.write(data) :]
            os.fsync(descriptor)

    def _file(self, day: str) -> Path:
        return self.folder / f"{day}.jsonl"


def _decode(chunk: Chunk, problems: Problems) -> Iterator[Label]:
    try:
        labels = _DECODER.decode_lines(chunk.data)
    except (ValueError, RecursionError):  # somewhere in it: msgspec's errors are ValueErrors
        labels = []
    if len(labels) == chunk.data.count(b"\n") + 1:
        yield from labels
    else:
        for number, line in enumerate(chunk.data.split(b"\n"), start=chunk.first_line):
            try:
                if line:
                    yield _DECODER.decode(line)
            except (ValueError, RecursionError):
                problems.add(_NO_LABEL, f"{chunk.where}:{number}")
