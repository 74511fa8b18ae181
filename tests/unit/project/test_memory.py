"""Peak memory of what a process starts, on a real process tree."""

from __future__ import annotations

import subprocess
import sys

from mlgitops.project.cost.memory import MemorySampler, find_descendants

MEGABYTE = 1_000_000
#: A parent that stays small, and a child that fills 120 MB and then lets go of them.
TREE = """
import subprocess, sys
child = "data = b'x' * 120_000_000; print(len(data), flush=True); del data; input()"
subprocess.run([sys.executable, "-c", child], check=True)
"""


def start(program: str) -> subprocess.Popen[str]:
    """Start Python with a program, its streams in our hands."""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_peak_of_a_child_is_seen() -> None:
    """The high-water mark of a child counts although it has let go of the memory."""
    with start(TREE) as process, MemorySampler(process.pid) as memory:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().strip() == "120000000"
        assert len(find_descendants(process.pid)) == 1
        peak = 0
        while peak <= 120 * MEGABYTE:
            peak = max(peak, memory.take() or 0)
            memory._stop.wait(0.05)
        process.stdin.write("\n")
        process.stdin.flush()
    assert 120 * MEGABYTE < peak < 300 * MEGABYTE


def test_a_process_without_children_has_no_peak() -> None:
    """The process itself is not counted, and a process that is gone is no error."""
    with start("input()") as process:
        with MemorySampler(process.pid) as memory:
            memory._stop.wait(0.2)
            assert memory.take() is None
        process.communicate("\n")
    assert find_descendants(process.pid) == []
