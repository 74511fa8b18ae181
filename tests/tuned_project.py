"""`TunedProject`: rows that DVC cut, folds that really fit a line, and an origin.

The program that measures folds is the project's own, of the standard library alone: it speaks as
the generated one does, and its scores follow from the training rows.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from typing import TYPE_CHECKING

from forked import CONTEXT
from git_project import commit, find_tip, git, write_files
from real_dvc import reproduce

from mlgitops.console import Console
from mlgitops.model.tuning import Shard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SPLIT = """\
import csv
rows = list(csv.reader(open("data/raw/table.csv")))
for name, part in (("train", rows[1:61]), ("test", rows[61:])):
    with open(f"data/split/{name}.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\\n").writerows([rows[0], *part])
"""
FOLDS = """\
import csv, json, math, os, re, sys, time

def score(rows, fold, count, alpha):
    train = [row for at, row in enumerate(rows) if at % count != fold]
    test = [row for at, row in enumerate(rows) if at % count == fold]
    slope = sum(x * y for x, y in train) / (sum(x * x for x, _ in train) + alpha)
    return round(math.sqrt(sum((y - slope * x) ** 2 for x, y in test) / len(test)), 9)

def main(count):
    if {"GITHUB_TOKEN", "GH_TOKEN"} & os.environ.keys():
        sys.exit("a trial needs no token")
    with open("data/split/train.csv", newline="") as file:
        rows = [(float(x), float(y)) for x, y in list(csv.reader(file))[1:]]
    size = len(rows) // count
    now = re.search("alpha: ([0-9.]+)", open("params.yaml").read())[1]
    print(json.dumps({"folds": [{"train": len(rows) - size, "test": size}] * count}), flush=True)
    for line in sys.stdin:
        values = json.loads(line)
        mode = values.get("train.settings.mode", "fits")
        alpha = values.get("train.settings.alpha", float(now))
        if mode == "ends":
            sys.stderr.write("::error::out of memory\\n")
            os._exit(9)
        if mode == "hangs":
            time.sleep(600)
        answer = {"metrics": [{"rmse": score(rows, fold, count, alpha)} for fold in range(count)]}
        if mode.startswith("wrong"):
            answer = {"error": "no such mode"}
        if os.path.exists("cluster-is-lost") and mode != "fits":
            answer = {"stopped": "compute: the scheduler was lost\\n::error::"}
        if mode == "edits" and os.path.exists("to-edit"):
            with open(open("to-edit").read(), "a") as file:
                file.write("\\n")
        print(json.dumps(answer), flush=True)

main(int(sys.argv[sys.argv.index("--count") + 1]))
"""
TUNE = """\
version: 1
trials: 8
minutes: 10
folds: 5
space:
  train.settings.alpha: {low: 0.001, high: 1000.0, log: true}
"""
PARAMS = """\
seed: 7 # of everything

train:
  settings: {alpha: 900.0, mode: fits} # far too large
"""
FILES = {
    ".dvc/config": "[core]\n    analytics = false\n",
    ".gitignore": "/data/\n/.mlgitops/\n/.venv/\n",
    "contract.yaml": "columns: {x: {dtype: float64}, y: {dtype: float64}}\n",
    "dvc.yaml": (
        "stages:\n  split:\n    cmd: python3 split.py\n    deps: [data/raw/table.csv, split.py]\n"
        "    outs: [data/split/test.csv, data/split/train.csv]\n"
    ),
    "params.yaml": PARAMS,
    "policy.yaml": "version: 1\nmetrics:\n  test.rmse: {greater_is_better: false}\n",
    "split.py": SPLIT,
    "src/line/__init__.py": "",
    "src/line/folds.py": FOLDS,
    "tune.yaml": TUNE,
}


def make_rows() -> str:
    """Write 90 rows of y = 2 x with noise."""
    source = random.Random(1)  # noqa: S311 - the same each time
    pairs = [(x, 2 * x + source.gauss(0, 0.3)) for x in (source.gauss(0, 1) for _ in range(90))]
    return "x,y\n" + "".join(f"{x:.6f},{y:.6f}\n" for x, y in pairs)


def make_tuned(folder: Path) -> None:
    """Make the project with its rows cut by DVC, committed, and its origin beside it."""
    root = folder / "project"
    write_files(root, {**FILES, "data/raw/table.csv": make_rows()})
    (root / "data" / "split").mkdir()
    git(root, "init", "--quiet")
    reproduce(root)
    commit(root, "Start")


class TunedProject:
    """A copy of that project, with an origin that has its main."""

    def __init__(self, made: Path, folder: Path) -> None:
        self.root, self.origin = folder / "project", folder / "origin.git"
        shutil.copytree(made / "project", self.root, symlinks=True)
        python = self.root / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.symlink_to(sys.executable)
        git(self.root, "config", "user.name", "A Tester")
        git(self.root, "config", "user.email", "tester@example.org")
        git(folder, "init", "--quiet", "--bare", str(self.origin))
        git(self.root, "remote", "add", "origin", str(self.origin))
        self.push()

    def change(self, files: Mapping[str, str]) -> None:
        """Commit files (path to text) on main, and push it."""
        write_files(self.root, files)
        commit(self.root, "Change")
        self.push()

    def push(self) -> None:
        """Push main, as the default branch of origin."""
        git(self.root, "push", "--quiet", "origin", "main")
        git(self.root, "remote", "set-head", "origin", "main")

    def list_branches(self) -> dict[str, str]:
        """Return the branches of origin beside main: name → tip."""
        lines = git(self.origin, "for-each-ref", "--format=%(refname:short) %(objectname)")
        pairs = (line.split() for line in lines.splitlines())
        return {name: tip for name, tip in pairs if name != "main"}

    def find_tip(self, branch: str) -> str | None:
        """Return where a branch of origin stands."""
        return find_tip(self.origin, branch)

    def show(self, branch: str, path: str) -> str:
        """Return a file as origin's branch has it."""
        return git(self.origin, "show", f"{branch}:{path}") + "\n"


#: What a search does to the world around it, by the names of Python's audit events.
_EFFECTS = frozenset(
    {"subprocess.Popen", "socket.connect", "os.rename", "os.mkdir", "os.truncate", "fcntl.flock"}
)


def run_killed(project: Path, environ: Mapping[str, str], steps: int) -> int:
    """Search and propose in a process of its own that is killed at its nth effect.

    Return its exit code: -9 when it came so far.
    """
    process = CONTEXT.Process(target=_work, args=(project, dict(environ), steps))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _work(project: Path, environ: dict[str, str], steps: int) -> None:
    from mlgitops.cli import run
    from mlgitops.tuning.inputs import read_disk
    from mlgitops.tuning.search import search

    os.environ.clear()
    os.environ.update(environ)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.addaudithook(_Killer(project, steps))
    journal = search(project, read_disk(project), Shard(), Console(quiet=True))
    sys.exit(run(["tune", "--merge", str(journal), "--directory", str(project)]))


class _Killer:
    """Ends this process at its nth effect: what Python writes, starts, asks or locks."""

    def __init__(self, project: Path, steps: int) -> None:
        self._project = str(project)
        self._left = steps

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if event in _EFFECTS or (event == "open" and str(args[0]).startswith(self._project)):
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), 9)
