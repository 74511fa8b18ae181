"""Programs run to their end, and what they used by the operating system's own count.

Seconds of the processor, not of the clock, and as ratios: two programs that run by turns meet
the same machine, be it slow or busy, so their ratio is the same on every one. A limit in seconds is
that of one machine, and is scaled to this one by what both take for one import. A program's memory
is its own: it is started by a small launcher, as a process that is started here would count what
stands in this one's memory as its own peak.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Runs the command in its arguments; writes seconds, memory and exit code to a file descriptor.
_LAUNCHER = """\
import os, sys
report = int(sys.argv[1])
os.set_inheritable(report, False)
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(process, 0)
figures = used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status)
os.write(report, " ".join(map(str, figures)).encode())
"""
_IMPORT = (sys.executable, "-c", "import sklearn")
#: Seconds that :data:`_IMPORT` takes on the machine whose seconds the limits are.
IMPORT_SECONDS = 0.9
#: Of `ru_maxrss` in a megabyte: it counts bytes on macOS, and KiB elsewhere.
_IN_A_MEGABYTE = 1e6 if sys.platform == "darwin" else 1e6 / 1024


class Run(NamedTuple):
    """What one process, with those that it waited for, used and printed."""

    seconds: float  # of the processor
    megabytes: float  # of the largest of them, at its peak
    out: str


class Pairs(NamedTuple):
    """Runs of two programs by turns; each list has one run for every round."""

    ours: list[Run]
    theirs: list[Run]

    @property
    def times_faster(self) -> float:
        """Return how many times more of the processor theirs took: the median of all rounds."""
        rounds = zip(self.ours, self.theirs, strict=True)
        return statistics.median(their.seconds / our.seconds for our, their in rounds)


def run_process(
    command: Sequence[str | Path],
    root: Path,
    *,
    env: Mapping[str, str] | None = None,
    codes: Sequence[int] = (0,),
) -> Run:
    """Run ``command`` in ``root``; ``env`` is added to this environment.

    Raises :class:`SystemExit`, with what it wrote, when it ends with none of ``codes``.
    """
    words = [str(word) for word in command]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", **(env or {})}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+") as out, os.fdopen(reading) as report:
        try:
            ended = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(writing), *words],
                cwd=root, env=environment, stdout=out, stderr=subprocess.PIPE, text=True,
                check=False, pass_fds=[writing],
            )  # fmt: skip
        finally:
            os.close(writing)
        seconds, memory, code = report.read().split() or ("0", "0", "-1")
        if int(code) not in codes:
            raise SystemExit(f"{' '.join(words)[:200]} ended with {code}:\n{ended.stderr[-2_000:]}")
        out.seek(0)
        return Run(float(seconds), float(memory) / _IN_A_MEGABYTE, out.read())


def run_by_turns(
    ours: Sequence[str | Path],
    theirs: Sequence[str | Path],
    root: Path,
    *,
    rounds: int,
    envs: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    codes: Sequence[int] = (0,),
) -> Pairs:
    """Run both once, uncounted, to fill the caches; then by turns, each first in every other."""
    commands = (ours, theirs)
    pairs = Pairs([], [])
    for position in range(-1, rounds):
        for side in (0, 1) if position % 2 else (1, 0):
            run = run_process(commands[side], root, env=envs[side], codes=codes)
            if position >= 0:
                pairs[side].append(run)
    return pairs


def least(runs: Sequence[Run]) -> float:
    """Return the seconds of the quickest run: other work on the machine only adds."""
    return min(run.seconds for run in runs)


def judge_ratio(name: str, ratio: float, limit: float, *, at_least: bool = True) -> bool:
    """Print a ratio beside its limit, and return whether it is kept."""
    is_kept = ratio >= limit if at_least else ratio <= limit
    required = f"required: at {'least' if at_least else 'most'} {limit:g}"
    print(f"  {name:<44}{ratio:7.2f}   ({required}{'' if is_kept else '; NOT KEPT'})", flush=True)
    return is_kept


@cache
def measure_slowness() -> float:
    """Return how many times slower this machine is than that of the limits; measured once a run.

    By the quickest of three imports after one that fills the caches: a busy moment excuses nothing.
    """
    root = Path(tempfile.gettempdir())
    run_process(_IMPORT, root)
    seconds = least([run_process(_IMPORT, root) for _ in range(3)])
    slowness = seconds / IMPORT_SECONDS
    print(f"  import sklearn: {seconds:.2f} s here, {IMPORT_SECONDS} s where the limits are of")
    return slowness


def judge_seconds(name: str, seconds: float, limit: float) -> bool:
    """Print seconds beside their limit on this machine, and return whether it is kept."""
    here = round(limit * measure_slowness(), 1)
    return judge_ratio(f"{name} (of {limit:g})", seconds, here, at_least=False)
