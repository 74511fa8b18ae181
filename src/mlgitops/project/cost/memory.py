"""Peak memory of the programs that another process starts, sampled while they run.

Linux only: it reads /proc (https://man7.org/linux/man-pages/man5/proc.5.html). Elsewhere
nothing is measured, and the answer is None.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

_INTERVAL = 0.02  # seconds between two looks
_KILOBYTE = 1024
_LARGEST = 2**16  # bytes read of a file in /proc


class MemorySampler:
    """Watches the descendants of a process; a context manager that ends its thread.

    ``forker``: a process that forks and runs no other program in its forks, which are watched too.

    A sample is the sum of their resident memory. A process's own high-water mark counts too,
    so a short peak of one process is not missed as long as it is seen once before it ends.
    Memory that two processes share counts twice.
    """

    def __init__(self, root: int, forker: int | None = None) -> None:
        self._root = root
        self._forker = forker
        self._own = _read(root, "cmdline")
        self._peak = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if Path("/proc/self/statm").exists():
            self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def take(self) -> int | None:
        """Return the peak since the last call, in bytes; None when nothing was seen."""
        with self._lock:
            peak, self._peak = self._peak, 0
        return peak or None

    def _watch(self) -> None:
        while not self._stop.wait(_INTERVAL):
            peak = self._look()
            with self._lock:
                self._peak = max(self._peak, peak)

    def _look(self) -> int:
        """Return the larger of the summed resident memory and any one high-water mark."""
        processes = [
            process
            for process in find_descendants(self._root)
            if _read(process, "cmdline") != self._own  # else it has not become its program yet
        ]
        if self._forker is not None:
            processes += find_descendants(self._forker)
        sizes = [_read_memory(process) for process in processes]
        return max(sum(now for now, _ in sizes), max((high for _, high in sizes), default=0))


def find_descendants(process: int) -> list[int]:
    """Find the ids of the processes below ``process``, itself not among them."""
    processes: list[int] = []
    waiting = [process]
    while waiting:
        children = _find_children(waiting.pop())
        processes += children
        waiting += children
    return processes


def _find_children(process: int) -> list[int]:
    children: list[int] = []
    tasks = f"/proc/{process}/task"
    with suppress(OSError):
        for task in os.listdir(tasks):  # noqa: PTH208 - fifty times a second
            children += map(int, _read_file(f"{tasks}/{task}/children").split())
    return children


def _read_memory(process: int) -> tuple[int, int]:
    """Return a process's resident memory and its high-water mark, in bytes; 0 if it ended."""
    fields = _read(process, "statm").split()
    now = int(fields[1]) * os.sysconf("SC_PAGESIZE") if len(fields) > 1 else 0
    status = _read(process, "status").partition(b"VmHWM:")[2].split(maxsplit=1)
    return now, int(status[0]) * _KILOBYTE if status else 0


def _read(process: int, name: str) -> bytes:
    return _read_file(f"/proc/{process}/{name}")


def _read_file(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _LARGEST)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
