"""`ImportedProject`: a project that learns from a table of another repository; real git, real DVC.

The source has a table, kept by its DVC, and a contract; the project imports both by a tag, and its
one stage counts. Both stand in one folder with an origin and a storage, and can be copied.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

from git_project import GitRepository, commit, find_tip, git, write_files
from integration.setup_project import quiet, write_config
from real_dvc import add_data, open_dvc

from mlgitops.project.training import run_pipeline
from mlgitops.storage import prepare_storage, publish_objects

if TYPE_CHECKING:
    from pathlib import Path

TABLE, CONTRACT = "data/raw/table.csv", "data/raw/contract.yaml"
FILES = [f"{CONTRACT}.dvc", f"{TABLE}.dvc"]
TRAIN = """\
import csv, json, os
from pathlib import Path

if {"GITHUB_TOKEN", "GH_TOKEN"} & os.environ.keys():
    raise SystemExit("training needs no token")
rows = list(csv.DictReader(Path("data/raw/table.csv").open()))
late = sum(int(row["late"]) for row in rows)
Path("model").mkdir(exist_ok=True)
Path("model/model.json").write_text(json.dumps({"rate": late / len(rows)}))
Path("reports").mkdir(exist_ok=True)
Path("reports/metrics.json").write_text(json.dumps({"rate": late / len(rows)}))
"""
PROJECT = {
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/.mlgitops/\n/data/raw/*.csv\n/data/raw/contract.yaml\n__pycache__/\n",
    "contract.yaml": (
        "columns:\n  id: {dtype: str}\n"
        "  hour: {dtype: float64, in_range: {min_value: 0, max_value: 23}}\n"
        "  late: {dtype: int64}\n"
    ),
    "dvc.yaml": (
        "stages:\n  train:\n    cmd: python3 -m demo.train\n"
        "    deps: [data/raw/table.csv, src/demo/train.py]\n    outs: [model/model.json]\n"
        "    metrics:\n      - reports/metrics.json: {cache: false}\n"
    ),
    "params.yaml": "data: {target: late, id: id}\n",
    "policy.yaml": (
        "version: 1\nmetrics:\n  rate: {greater_is_better: false, max_worsening: 0.5}\n"
    ),
    "src/demo/__init__.py": "",
    "src/demo/train.py": TRAIN,
}
HOUR = "{dtype: float64, in_range: {min_value: 0, max_value: 23}}"


def write_contract(hour: str = HOUR, more: str = "") -> str:
    """Write the contract of the source."""
    return f"columns:\n  id: {{dtype: str}}\n  hour: {hour}\n  late: {{dtype: int64}}\n{more}"


def write_table(rows: int, *, more: str = "") -> str:
    """Write a table of the source; ``more``: a further column, of ones."""
    dice = random.Random(1)  # noqa: S311 - a story
    names = ",".join(["id", "hour", "late", *([more] if more else [])])
    lines = [
        f"row-{number},{dice.randrange(24)},{int(dice.random() < 0.4)}{',1' if more else ''}"
        for number in range(rows)
    ]
    return "\n".join([names, *lines]) + "\n"


class Source(GitRepository):
    """The repository that makes the table."""

    def release(self, tag: str | None, table: str, contract: str | None = None) -> str:
        """Commit a version of table and contract, and tag it; return the commit."""
        self.put("features/table.csv", table)
        self.put("contract.yaml", contract or write_contract())
        add_data(self.root, "features/table.csv")
        sha = self.commit(f"Version {tag}")
        if tag is not None:
            self.git("tag", tag)
        return sha


def make_imported(folder: Path) -> None:
    """Make source, project, origin and storage in ``folder``; the project follows v1.0.0."""
    source = Source(folder / "features")
    source.put(".dvc/config", "[core]\n    analytics = false\n")
    source.put(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
    source.put(".gitignore", "/features/table.csv\n")
    source.release("v1.0.0", write_table(100))
    project = folder / "project"
    write_files(project, {**PROJECT, ".dvc/config": write_config(str(folder / "storage"))})
    git(project, "init", "--quiet")
    (project / "data/raw").mkdir(parents=True)
    with open_dvc(project) as repo:
        for path, out in (("features/table.csv", TABLE), ("contract.yaml", CONTRACT)):
            repo.imp(str(source.root), path, out=out, rev="v1.0.0")
    prepare_storage(project, quiet())
    commit(project, "Start")
    run_pipeline(project, quiet())
    publish_objects(project, quiet())
    commit(project, "Train")


class ImportedProject:
    """A copy of them in ``folder``, with an origin that has the project's main."""

    def __init__(self, made: Path, folder: Path) -> None:
        shutil.copytree(made, folder, symlinks=True)
        self.root, self.origin = folder / "project", folder / "origin.git"
        self.source = Source(folder / "features")
        self.storage = folder / "storage"
        for name in (*FILES, ".dvc/config"):
            file = self.root / name
            file.write_text(file.read_text().replace(str(made), str(folder)))
        (self.root / ".dvc/config.local").unlink(missing_ok=True)
        git(folder, "init", "--quiet", "--bare", str(self.origin))
        git(self.root, "remote", "add", "origin", str(self.origin))
        self.commit("Move")

    def commit(self, message: str) -> None:
        """Commit all that changed in the project, and push main."""
        commit(self.root, message)
        git(self.root, "push", "--quiet", "origin", "main")
        git(self.root, "remote", "set-head", "origin", "main")

    def list_branches(self) -> dict[str, str]:
        """Return the branches of origin beside main: name → tip."""
        lines = git(self.origin, "for-each-ref", "--format=%(refname:short) %(objectname)")
        pairs = (line.split() for line in lines.splitlines())
        return {name: tip for name, tip in pairs if name not in ("main", "dvc-storage")}

    def find_tip(self, branch: str) -> str | None:
        """Return where a branch of origin stands."""
        return find_tip(self.origin, branch)

    def show(self, branch: str, path: str) -> str:
        """Return a file as origin's branch has it."""
        return git(self.origin, "show", f"{branch}:{path}") + "\n"
