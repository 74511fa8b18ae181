"""Run one case in a process of its own; return how it ended, what it computed, how big it was.

A fork server loads the program once, so a case costs milliseconds; the peak memory is that
of the case's own process and of the programs that it started.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import sys
import traceback
from typing import TYPE_CHECKING, NamedTuple

from forked import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

#: Seconds after which a case is taken for one that never ends, however slow the machine.
_PATIENCE = 600
_KINDS = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


class Ending(NamedTuple):
    """How one case ended."""

    code: int
    text: str  # everything printed
    seconds: float  # of the processor's time, its programs' included
    megabytes: float


def run_measured(way: Callable[[Path, bytes], int], folder: Path, data: bytes) -> Ending:
    """Run ``way(folder, data)`` in a process of its own."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_work, args=(sender, way, folder, data))
    process.start()
    sender.close()
    found = receiver.recv() if receiver.poll(_PATIENCE) else None
    if found is None:
        process.kill()
    process.join()
    return Ending(*found) if found else Ending(-1, "it did not end", _PATIENCE, 0)


def _work(sender: Connection, way: Callable[[Path, bytes], int], folder: Path, data: bytes) -> None:
    printed = io.StringIO()
    os.chdir(folder)
    start = _count_seconds()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = way(folder, data)
        except BaseException:  # noqa: BLE001 - whatever escapes is what the test looks for
            traceback.print_exc(file=sys.stderr)
            code = 1
    peak = max(resource.getrusage(kind).ru_maxrss for kind in _KINDS) / 1024
    sender.send((code, printed.getvalue(), _count_seconds() - start, peak))


def _count_seconds() -> float:
    usages = [resource.getrusage(kind) for kind in _KINDS]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
