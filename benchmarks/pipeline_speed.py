"""`mlgitops train` beside the same stages in one process: what DVC and processes cost.

One process imports everything once and calls the stages' own functions, in the order of dvc.yaml:
less than that nobody can take who runs these stages. `mlgitops train` adds DVC, which hashes and
keeps what they wrote, a fork a stage, the timing of the model, and what it shows at the end. All of
that takes the same seconds for every table, so the ratio falls with its length. The long table is
the bundled one eleven times over, a year later each time.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.processes import judge_ratio, least, run_by_turns, run_process

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "{{cookiecutter.project_slug}}" / "data" / "bundled" / "flights" / "data.csv"
#: Environments that outlive a run of the benchmarks.
STORE = ROOT / ".venv" / "environments"
#: Times the processor time of one process, for the long table.
MOST_OF_ONE = 1.6
#: The long table: as many times the 30,000 bundled flights.
COPIES = 11
ROUNDS = 3

_TOOL = (sys.executable, "-m", "mlgitops")
_OURS = (*_TOOL, "train", "--force", "--json")
_ONE_PROCESS = """\
import importlib, sys
sys.path.insert(0, "src")
for stage in sys.argv[1:]:
    importlib.import_module(stage).main()
"""


def main() -> bool:
    """Print both ratios; return whether the requirement holds."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        short = root / "short.csv"
        short.write_bytes(TABLE.read_bytes())
        compare_stages(make_project(root, short), "bundled")
        return compare_stages(make_project(root, repeat_table(root / "long.csv")), "long") <= (
            MOST_OF_ONE
        )


def repeat_table(path: Path) -> Path:
    """Write the bundled flights :data:`COPIES` times, each with ids and a year of its own."""
    with TABLE.open(encoding="utf-8", newline="") as source:
        names, *rows = csv.reader(source)
    id_, date = names.index("id"), names.index("date")
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(names)
        for copy in range(COPIES):
            for row in rows:
                year = str(int(row[date][:4]) + copy)
                cells = {id_: f"{row[id_]}-{copy}", date: year + row[date][4:]}
                writer.writerow([cells.get(at, cell) for at, cell in enumerate(row)])
    return path


def make_variables(store: Path) -> dict[str, str]:
    """Return the variables of all steps: who commits, and where environments are kept."""
    identity = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", "Bench"), ("EMAIL", "bench@example.org"))
    }
    return {**identity, "MLGITOPS_ENVIRONMENTS": str(store)}


def make_project(root: Path, table: Path) -> Path:
    """Make a project of the table, with the environments that training needs."""
    project, variables = root / table.stem, make_variables(STORE)
    words = ("--no-input", "--data", str(table), "--target", "late", "--slug", table.stem)
    run_process((*_TOOL, "new", *words), root, env=variables)
    run_process((*_TOOL, "setup", "--only", "pipeline,ci"), project, env=variables)
    return project


def compare_stages(project: Path, name: str) -> float:
    """Measure how many times the processor time of one process `mlgitops train` takes."""
    stages = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    commands = [stage["cmd"] for stage in stages.values() if "matrix" not in stage]
    modules = [command.removeprefix("python -m ") for command in commands]
    theirs = (project / ".venv" / "bin" / "python", "-c", _ONE_PROCESS, *modules)
    pairs = run_by_turns(_OURS, theirs, project, rounds=ROUNDS)
    with (project / "data/raw/table.csv").open(encoding="utf-8") as file:
        rows = sum(1 for _ in file) - 1
    print(f"{rows:,} flights ({name}), {len(modules)} stages: seconds of the processor")
    print(f"  mlgitops train {least(pairs.ours):.1f}, one process {least(pairs.theirs):.1f}")
    ratio = 1 / pairs.times_faster
    if name == "long":
        judge_ratio("times the same stages in one process", ratio, MOST_OF_ONE, at_least=False)
    else:
        print(f"  {'times the same stages in one process':<44}{ratio:7.2f}", flush=True)
    return ratio


if __name__ == "__main__":
    sys.exit(not main())
