"""How much memory the stages before training take of a long table, and how long: it is made here.

    python -m benchmarks.long_table [--rows 10000000]

Flights without an id of their own, so that ids are made of ten million rows and each is compared
with the others. At most 1.5 GB for the largest stage; pandas takes some 4 GB to read such a table.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cookiecutter.main import cookiecutter

from benchmarks.processes import judge_ratio, run_process
from mlgitops.console import Console
from mlgitops.environments import STORE_VARIABLE, make_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
FLIGHTS = ROOT / "{{cookiecutter.project_slug}}" / "data" / "bundled" / "flights"
PACKAGE = "flight_delays"
FULL, MEGABYTES = 10_000_000, 1500.0
#: What makes flights a table of rows without an id, split by a hash of each row.
_EDITS = {
    "params.yaml": {
        "  id: id #": "  id: null #",
        "  method: time #": "  method: hash #",
        "  column: date #": "  column: null #",
    },
    "contract.yaml": {
        '    str_matches: "^2013-[0-9]{2}-[0-9]{2}T[0-9]{2}-[A-Z0-9]{2}[0-9]{1,4}$"\n': ""
    },
}


def main(arguments: list[str] | None = None) -> bool:
    """Print what each stage takes; tell whether the largest keeps the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL)
    rows: int = parser.parse_args(arguments or []).rows
    with tempfile.TemporaryDirectory(prefix="mlgitops-long-") as name:
        project, python = make_project(Path(name))
        raw = project / "data" / "raw" / "table.csv"
        with raw.open("w", encoding="utf-8") as file:
            file.writelines(make_lines(rows))
        print(f"{rows:,} rows, {raw.stat().st_size / 1e6:,.0f} MB")
        most = 0.0
        for stage in ("ingest", "validate", "split"):
            words = [str(python), "-m", f"{PACKAGE}.{stage}"]
            run = run_process(words, project, env={"PYTHONPATH": "src"})
            print(f"  {stage:<9}{run.seconds:6.1f} s of processor, {run.megabytes:5.0f} MB")
            most = max(most, run.megabytes)
    return judge_ratio("MB at most", most, MEGABYTES, at_least=False)


def make_project(folder: Path) -> tuple[Path, Path]:
    """Return a project for the table, and the Python of its pipeline."""
    answers = {"task": "binary"}
    project = Path(
        cookiecutter(str(ROOT), no_input=True, extra_context=answers, output_dir=str(folder))
    )
    for name, edits in _EDITS.items():
        text = (project / name).read_text(encoding="utf-8")
        for before, after in edits.items():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        (project / name).write_text(text, encoding="utf-8")
    os.environ.setdefault(STORE_VARIABLE, str(ROOT / ".venv" / "environments"))
    lock = project / "requirements" / "pipeline.txt"
    return project, make_environment(project, "pipeline", lock, Console(quiet=True)) / "bin/python"


def make_lines(rows: int) -> Iterator[str]:
    """Yield a header and ``rows`` rows of the bundled flights, each with a delay of its own."""
    drawn = random.Random(0)  # noqa: S311 - it need not be secret
    with (FLIGHTS / "data.csv").open(encoding="utf-8", newline="") as file:
        header, *flights = [row[1:] for row in csv.reader(file)]
    varied = header.index("recent_delay")
    sides = [(",".join(row[:varied]), ",".join(row[varied + 1 :])) for row in flights]
    yield ",".join(header) + "\n"
    for number in range(rows):
        before, after = sides[number * len(sides) // rows]
        yield f"{before},{drawn.uniform(-9, 90):.4f},{after}\n"


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
