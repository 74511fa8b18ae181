"""What changed inside a table, beside pandas and others doing the same: time and memory.

All are programs of their own that read the same two CSV files, and count added, removed and
changed rows by key. Ours looks at every column's distribution and kind as well, and reads every
cell as it is written; the others do neither. All of a program counts, its start too; what its
work alone took stands beside it.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.processes import Run, judge_ratio, run_by_turns, run_process

if TYPE_CHECKING:
    from collections.abc import Sequence

#: As fast as pandas, and no more memory.
LEAST_RATIO = 1.0
MOST_OF_MEMORY = 1.0
LARGE, SMALL = 1_000_000, 30_000
_ROUNDS = {LARGE: 5, SMALL: 15}

#: Every program prints the seconds of its work, and what it counted.
_OURS = """
import sys, time
from pathlib import Path
from mlgitops.numeric import load_numpy
load_numpy()
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
before, after = base.loc[both], head.loc[both]
differs = (before != after) & ~(before.isna() & after.isna())
changed = int(differs.any(axis=1).sum())
print(time.process_time() - start, len(head) - len(both), len(base) - len(both), changed)
"""
_PYARROW = """
import sys, time
import pyarrow as pa, pyarrow.compute as pc, pyarrow.csv
start = time.process_time()
base, head = (pyarrow.csv.read_csv(path) for path in sys.argv[1:])
places = pc.index_in(base["id"], value_set=head["id"]).combine_chunks()
both = pc.is_valid(places)
before, after = base.filter(both), head.take(places.drop_null())
differs = pa.array([False] * len(before))
for name in base.column_names:
    same = pc.equal(before[name], after[name]).fill_null(False)
    missing = pc.and_(pc.is_null(before[name]), pc.is_null(after[name]))
    differs = pc.or_(differs, pc.invert(pc.or_(same, missing)))
changed = pc.sum(differs).as_py() or 0
print(time.process_time() - start, len(head) - len(before), len(base) - len(before), changed)
"""
_POLARS = """
import sys, time
import polars as pl
start = time.process_time()
base, head = (pl.read_csv(path) for path in sys.argv[1:])
both = base.join(head, on="id", suffix="_head")
others = [name for name in base.columns if name != "id"]
same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name + "_head")) for name in others)
changed = both.select((~same).sum()).item()
print(time.process_time() - start, len(head) - len(both), len(base) - len(both), changed)
"""
_DUCKDB = """
import sys, time
import duckdb
start = time.process_time()
run = duckdb.connect().execute
for name, path in zip(("base", "head"), sys.argv[1:]):
    run(f"create table {name} as from read_csv('{path}')")
names = [row[0] for row in run("describe base").fetchall() if row[0] != "id"]
differs = " or ".join(f'base."{name}" is distinct from head."{name}"' for name in names)
counts = f"select count(*), count(*) filter ({differs}) from base join head using (id)"
both, changed = run(counts).fetchone()
base, head = (run(f"select count(*) from {name}").fetchone()[0] for name in ("base", "head"))
print(time.process_time() - start, head - both, base - both, changed)
"""
_OTHERS = {"pyarrow": _PYARROW, "polars": _POLARS, "duckdb": _DUCKDB}


class Work(NamedTuple):
    """What a program printed of itself."""

    seconds: float  # of the processor, without the program's start
    counts: str  # of rows: added, removed, changed


def main() -> bool:
    """Print all for two sizes; return whether the requirements hold."""
    results = []
    for rows in (SMALL, LARGE):
        with tempfile.TemporaryDirectory() as folder:
            results.append(compare_tools(Path(folder), rows))
    return all(results)


def compare_tools(folder: Path, rows: int) -> bool:
    """Measure all on tables of ``rows`` rows; return whether we are no slower than pandas."""
    base, head = folder / "base.csv", folder / "head.csv"
    write_tables(base, head, rows)
    print(f"{rows:,} rows x 10 columns, {base.stat().st_size / 1e6:.0f} MB a side")
    files = (str(base), str(head))
    ours, theirs = ([sys.executable, "-c", program, *files] for program in (_OURS, _PANDAS))
    pairs = run_by_turns(ours, theirs, folder, rounds=_ROUNDS[rows])
    runs = {"mlgitops": pairs.ours, "pandas": pairs.theirs}
    for name, program in _OTHERS.items():  # those that happen to be installed
        if importlib.util.find_spec(name):
            command = [sys.executable, "-c", program, *files]
            runs[name] = [run_process(command, folder) for _ in range(3)]
    for name, measured in runs.items():
        _print_runs(name, measured)
    if len({read_work(run).counts for measured in runs.values() for run in measured}) > 1:
        raise SystemExit("they do not count the same rows")
    memory = max(run.megabytes for run in pairs.ours) / max(run.megabytes for run in pairs.theirs)
    quick = judge_ratio("times faster than pandas", pairs.times_faster, LEAST_RATIO)
    small = judge_ratio("times pandas' memory", memory, MOST_OF_MEMORY, at_least=False)
    return quick and small


def read_work(run: Run) -> Work:
    """Read what a program printed."""
    seconds, _, counts = run.out.strip().partition(" ")
    return Work(float(seconds), counts)


def _print_runs(name: str, runs: Sequence[Run]) -> None:
    seconds, memory = min(run.seconds for run in runs), max(run.megabytes for run in runs)
    alone = min(read_work(run).seconds for run in runs)
    counts = read_work(runs[0]).counts
    print(f"  {name:<9}{seconds:6.2f} s CPU, {alone:5.2f} of work, {memory:5.0f} MB   {counts}")


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


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
