"""From a table of one's own to the first verdict, as `mlgitops new` prints the steps.

A table of 5,000 flights: `new`, `setup`, `train`, the first commit, `publish`, a changed parameter
on a branch, and `rehearse`, which runs that pull request's workflow to its comment. Each step's
seconds by the clock and of the processor. The environments are there already, made by a project
before and uncounted; with `--cold` nothing is, not even uv's cache, and what is installed is
downloaded. The processor's seconds are judged, as those of one idle core; with `--cold` those of
the clock, for much of it is waiting. On 28 November 2026, two cores with a load between 2 and 10:
259 s by the clock and 110 s of the processor with `--cold`, 134 s and 60 s of these in `setup`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.pipeline_speed import COPIES, STORE, TABLE, make_variables, repeat_table
from benchmarks.processes import judge_seconds, run_process

#: Seconds to the first verdict, with environments that are there, and without.
MOST_SECONDS, MOST_COLD_SECONDS = 90.0, 300.0
#: Seconds of the processor that `new` takes for the long table.
MOST_OF_NEW = 15.0
ROWS = 5000

_TOOL = (sys.executable, "-m", "mlgitops")
_CHANGE = "s/^seed: .*/seed: 7/; s/C: 1.0/C: 0.1/"
#: What is typed, in order; the last is judged `pass` or `fail`, and both are a verdict.
STEPS = (
    ("setup", (*_TOOL, "setup")),
    ("train", (*_TOOL, "train")),
    ("commit", ("sh", "-c", "git add -A && git commit -qm 'Train the first model'")),
    ("publish", (*_TOOL, "publish")),
    ("branch", ("sh", "-c", f"git switch -qc try-something && sed -i '{_CHANGE}' params.yaml")),
    ("commit", ("git", "commit", "-qam", "Try something")),
    ("rehearse", (*_TOOL, "rehearse")),
)


def main() -> bool:
    """Print each step's seconds; return whether the requirements hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true", help="download and install everything")
    is_cold = parser.parse_args(sys.argv[1:] if __name__ == "__main__" else []).cold
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = make_variables(folder / "environments" if is_cold else STORE)
        if is_cold:
            environment["UV_CACHE_DIR"] = environment["XDG_CACHE_HOME"] = str(folder / "caches")
        table = folder / "flights.csv"
        with TABLE.open(encoding="utf-8") as file:
            table.write_text("".join(file.readline() for _ in range(ROWS + 1)), encoding="utf-8")
        if not is_cold:
            take_steps(folder / "before", table, environment, until="setup")
        print(f"{ROWS:,} rows to the first verdict: seconds by the clock, and of the processor")
        clock, processor = take_steps(folder / "counted", table, environment)
        limit = MOST_COLD_SECONDS if is_cold else MOST_SECONDS
        seconds = clock if is_cold else processor
        is_quick = judge_seconds("seconds to the first verdict", seconds, limit)
        return is_quick and measure_new(folder, environment)


def take_steps(
    folder: Path, table: Path, environment: dict[str, str], *, until: str = "rehearse"
) -> tuple[float, float]:
    """Take the steps to ``until`` in a new project; return the seconds of clock and processor."""
    folder.mkdir()
    words = ("--no-input", "--data", str(table), "--target", "late", "--slug", "first")
    clock = processor = 0.0
    for name, command in (("new", (*_TOOL, "new", *words)), *STEPS):
        where = folder if name == "new" else folder / "first"
        start = time.perf_counter()
        run = run_process(command, where, env=environment, codes=(0, 1) if name == until else (0,))
        seconds = time.perf_counter() - start
        clock, processor = clock + seconds, processor + run.seconds
        if until == "rehearse":
            print(f"  {name:<12}{seconds:7.1f}{run.seconds:7.1f}", flush=True)
        if name == until:
            break
    return clock, processor


def measure_new(folder: Path, environment: dict[str, str]) -> bool:
    """Measure what `new` takes for a long table, and judge it."""
    table = repeat_table(folder / "long.csv")
    words = ("--no-input", "--data", str(table), "--target", "late", "--slug", "long")
    seconds = run_process((*_TOOL, "new", *words), folder, env=environment).seconds
    return judge_seconds(f"seconds of new, {COPIES * 30_000:,} rows", seconds, MOST_OF_NEW)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(not main())
