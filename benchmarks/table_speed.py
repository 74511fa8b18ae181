"""What changed inside a table, beside pandas doing the same: time and memory.

Both are separate processes that read the same two CSV files and count added, removed and
changed rows by key, and which columns changed. Ours measures distributions as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

#: What the project promises: seconds of CPU and memory for 1,000,000 rows, time for 30,000.
MOST_SECONDS = 8.0
MOST_MEGABYTES = 1_200
SMALL_SECONDS = 0.3
LARGE, SMALL = 1_000_000, 30_000

_OURS = """
import sys, time
from pathlib import Path
from mlgitops.comparison.tables.diff import diff_tables
from mlgitops.tables.table import read_table
start = time.process_time()
base, head = (read_table(Path(path)) for path in sys.argv[1:])
change = diff_tables(base, head, key="id")
print(time.process_time() - start, change.added, change.removed, change.changed)
"""
_PANDAS = """
import sys, time
import pandas as pd
start = time.process_time()
base, head = (pd.read_csv(path, index_col="id") for path in sys.argv[1:])
both = base.index.intersection(head.index)
one, two = base.loc[both], head.loc[both]
differs = (one != two) & ~(one.isna() & two.isna())
changed = int(differs.any(axis=1).sum())
print(time.process_time() - start, len(head) - len(both), len(base) - len(both), changed)
"""


def main() -> bool:
    """Print both for two sizes; return whether the promises hold."""
    with tempfile.TemporaryDirectory() as folder:
        small, _ = compare_tools(Path(folder), SMALL)
        large, memory = compare_tools(Path(folder), LARGE)
    return small <= SMALL_SECONDS and large <= MOST_SECONDS and memory <= MOST_MEGABYTES


def compare_tools(folder: Path, rows: int) -> tuple[float, float]:
    """Time both on tables of ``rows`` rows; return our seconds of CPU and megabytes."""
    base, head = folder / "base.csv", folder / "head.csv"
    write_tables(base, head, rows)
    print(f"{rows:,} rows x 10 columns, {base.stat().st_size / 1e6:.0f} MB a side")
    ours = run(_OURS, base, head)
    theirs = run(_PANDAS, base, head)
    for name, (seconds, megabytes, counts) in (("mlgitops", ours), ("pandas", theirs)):
        print(f"  {name:<10}{seconds:7.2f} s CPU  {megabytes:6.0f} MB  {counts}")
    print(f"  ratio     {theirs[0] / ours[0]:7.1f}")
    if ours[2] != theirs[2]:
        raise SystemExit("the two disagree")
    return ours[:2]


def write_tables(base: Path, head: Path, rows: int) -> None:
    """Write two tables: at head 1% of the rows are new, 1% are gone, and 1% differ in one cell."""
    rng = np.random.default_rng(1)
    carriers = np.array(["AA", "B6", "DL", "UA", "WN"])
    columns = [
        np.array([f"k{at:08}" for at in range(rows)]),
        np.array([f"2013-{1 + at % 12:02}-{1 + at % 28:02}" for at in range(rows)]),
        carriers[rng.integers(0, 5, rows)],
        *(rng.integers(0, top, rows).astype(str) for top in (2, 24, 5_000)),
        *(np.char.mod("%.3f", rng.normal(size=rows) * scale) for scale in (1, 10, 1_000)),
        np.where(rng.random(rows) < 0.1, "", np.char.mod("%.2f", rng.random(rows))),  # noqa: PLR2004
    ]
    lines = [",".join(row) for row in zip(*columns, strict=True)]
    header = "id,date,carrier,late,hour,distance,a,b,c,d"
    few = rows // 100
    base.write_text("\n".join([header, *lines]) + "\n")
    edited = [f"{line.rpartition(',')[0]},9" for line in lines[few : 2 * few]]
    new = [f"n{line[1:]}" for line in lines[:few]]
    head.write_text("\n".join([header, *new, *edited, *lines[2 * few :]]) + "\n")


def run(program: str, base: Path, head: Path) -> tuple[float, float, str]:
    """Run a program on both files: seconds of CPU, peak megabytes, and what it counted."""
    before = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program, str(base), str(head)], stdout=subprocess.PIPE, text=True
    ) as process:
        printed = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    if status:
        raise SystemExit(f"failed after {time.perf_counter() - before:.1f} s")
    seconds, _, counts = printed.strip().partition(" ")
    return float(seconds), usage.ru_maxrss / 1024, counts


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
