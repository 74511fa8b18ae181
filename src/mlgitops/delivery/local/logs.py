"""Logs that do not grow without end: copied aside and cut, while whoever writes goes on.

The writers append, so what they write after the cut begins the file anew. What they write between
the copy and the cut is lost, as with logrotate's `copytruncate`.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 10_000_000  # of one log: more is put aside at the next run
_KEEP = 5  # logs put aside


def rotate_logs(folder: Path, *, largest: int = MAX_BYTES) -> None:
    """Put aside every log of ``folder`` with over ``largest`` bytes; the oldest one is removed."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > largest:
            rotate(log)


def rotate(log: Path) -> None:
    """Put what ``log`` holds aside as `.1`, that as `.2` and so on, and leave it empty."""
    if not log.is_file() or not log.stat().st_size:
        return
    for number in range(_KEEP - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.is_file():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    with log.open("r+b") as file:
        file.truncate()
