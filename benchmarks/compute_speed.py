"""What a cluster costs and gains: the same tasks here, one after the other, and on Dask.

    python -m benchmarks.compute_speed

Each task fits a forest; larger forests are larger tasks. Dask has one process for each processor of
this machine, so the gain is at most their number; its start is counted. Results are compared bit
for bit, and other ones are all that breaks a requirement: seconds by the clock say what the
machine was doing, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter

from mlgitops.console import Console
from mlgitops.environments import STORE_VARIABLE, clean_environment, ensure_environment

ROOT = Path(__file__).parents[1]
TASKS = 4
TREES = (8, 128, 1024)

#: A module of the project: it prints seconds here, to start, and there, and whether they agree.
FORESTS = """
import json, sys, time
from .params import Compute
from .plumbing.compute import run_tasks

def fit(seed: int, trees: int) -> bytes:
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier
    rows, target = make_classification(4000, 20, random_state=0)
    forest = RandomForestClassifier(trees, random_state=seed).fit(rows, target)
    return forest.predict_proba(rows).tobytes()

def measure(compute: Compute, trees: int, tasks: int) -> tuple[float, list[bytes]]:
    start = time.perf_counter()
    answers = run_tasks(fit, range(tasks), compute, shared=(trees,))
    return time.perf_counter() - start, answers

if __name__ == "__main__":
    tasks, *sizes = map(int, sys.argv[1:])
    here, dask = Compute(), Compute(backend="dask")
    fit(0, 1) # libraries are loaded here, as a stage has them
    cold, _ = measure(dask, 1, 1)
    warm, _ = measure(dask, 1, 1)
    sides = [(measure(here, trees, tasks), measure(dask, trees, tasks)) for trees in sizes]
    seconds = [[one[0], other[0]] for one, other in sides]
    equal = all(one[1] == other[1] for one, other in sides)
    print(json.dumps({"start": cold - warm, "parcel": warm, "seconds": seconds, "equal": equal}))
"""


def main() -> bool:
    """Print what the tasks took on each side; tell whether the results were equal."""
    with tempfile.TemporaryDirectory(prefix="mlgitops-compute-") as name:
        measured = measure(make_project(Path(name)))
    processors = os.cpu_count() or 1
    start, parcel = measured["start"], measured["parcel"]
    print(f"{TASKS} tasks, {processors} processors; a start takes {start:.1f} s, a parcel of no")
    print(f"work {parcel:.1f} s")
    print("  a task's seconds     here     Dask     times quicker")
    for here, there in measured["seconds"]:
        print(f"  {here / TASKS:16.2f}{here:9.1f}{there:9.1f}{here / there:18.2f}")
    if processors > 1:
        print(f"  it pays from about {find_least_work(measured, processors):.0f} s of work on")
    print(f"  equal bit for bit: {'yes' if measured['equal'] else 'NO'}")
    return bool(measured["equal"])


def find_least_work(measured: dict[str, Any], processors: int) -> float:
    """Return the seconds of work, all tasks together, that take as long there as here.

    There each processor has its share of the work, and of the parcels' own time.
    """
    rounds = TASKS / processors
    own = measured["start"] + rounds * measured["parcel"]
    return float(own / (1 - 1 / processors))


def make_project(folder: Path) -> Path:
    """Return a project whose pipeline environment has Dask, as `mlgitops setup` makes it."""
    answers = {"task": "multiclass"}
    made = cookiecutter(str(ROOT), no_input=True, extra_context=answers, output_dir=str(folder))
    project = Path(made)
    params = project / "params.yaml"
    text = params.read_text("utf-8")
    assert "backend: local" in text
    params.write_text(text.replace("backend: local", "backend: dask"), "utf-8")
    os.environ.setdefault(STORE_VARIABLE, str(ROOT / ".venv" / "environments"))
    ensure_environment(project, "pipeline", Console(quiet=True))
    return project


def measure(project: Path) -> dict[str, Any]:
    """Run the forests in the project's own Python."""
    package = next((project / "src").glob("*/params.py")).parent
    (package / "forests.py").write_text(FORESTS, "utf-8")
    words = [TASKS, *TREES]
    printed = subprocess.run(
        [project / ".venv/bin/python", "-m", f"{package.name}.forests", *map(str, words)],
        cwd=project,
        env=clean_environment() | {"PYTHONPATH": "src"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    measured: dict[str, Any] = json.loads(printed.strip().rpartition("\n")[2])
    return measured


if __name__ == "__main__":
    main()
