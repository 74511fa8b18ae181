"""Our differences against those of the real `dvc metrics diff`, on a real repository."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from git_project import GitRepository

from mlgitops.comparison.diff import diff_metrics
from mlgitops.comparison.sides import SideFiles, read_sides
from mlgitops.console import Console
from mlgitops.git.repository import Folder, Repository

#: (base, head) of one file each: from public histories and from the corners of the format.
PAIRS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"f1": 0.56881, "roc_auc": 0.86071}, {"f1": 0.57863, "roc_auc": 0.84926}),
    ({"acc": 0.91, "loss": 0.3}, {"test": {"acc": 0.92, "loss": 0.29}}),
    ({"mae": 9267.6}, {"mae": 10157.7}),
    ({"rmse": 1034.93}, {"rmse": 32.17}),
    ({"acc": 0.881, "n": 100}, {"acc": 0.508, "n": 100}),
    ({}, {"a": 1}),
    ({"a": 1, "b": {"c": {"d": 2.5}}}, {"b": {"c": {"d": 2.5, "e": -1e-9}}}),
    ({"a": 0, "b": -0.5, "c": 1e300}, {"a": 0.0, "b": 0.5, "c": -1e300}),
    ({"text": "x", "a": 1}, {"text": "y", "a": 2}),
]


def random_pair(order: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make two metric files that share some names."""
    names = [f"g{at % 4}.m{at}" for at in range(30)]

    def make() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in order.sample(names, 20):
            group, _, leaf = name.partition(".")
            found.setdefault(group, {})[leaf] = round(order.gauss(0, 10), order.randint(0, 9))
        return found

    return make(), make()


def run_dvc(root: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Ask dvc for all metrics of the last two commits."""
    dvc = Path(sys.executable).parent / "dvc"
    done = subprocess.run(
        [dvc, "metrics", "diff", "HEAD~1", "HEAD", "--json", "--all"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(done.stdout)
    return found


def write_side(project: GitRepository, documents: list[dict[str, Any]], value: float) -> None:
    """Write one side: a JSON file for each document, one YAML and one TOML file."""
    for at, document in enumerate(documents):
        project.put(f"m{at}.json", json.dumps(document))
    project.put("sub/b.yaml", f"nested: {{rate: {value}e-3, n: {int(value)}}}\n")
    project.put("c.toml", f"[t]\nx = {value}\n")


@pytest.mark.slow
def test_our_differences_are_those_of_dvc(tmp_path: Path) -> None:
    """Same files, names, values and differences as DVC, on fixed and random pairs."""
    order = random.Random(20)  # noqa: S311 - the same pairs each time
    pairs = [*PAIRS, *(random_pair(order) for _ in range(20))]
    files = [f"m{at}.json" for at in range(len(pairs))]
    staged = [{name: {"cache": False}} for name in [*files, "sub/b.yaml"]]
    project = GitRepository(tmp_path)
    project.put(".dvc/config", "[core]\n    analytics = false\n")
    project.put(".dvc/.gitignore", "/cache\n/config.local\n")
    stages = {"a": {"cmd": "x", "metrics": staged}}
    project.put("dvc.yaml", json.dumps({"stages": stages, "metrics": ["c.toml"]}))
    write_side(project, [base for base, _ in pairs], 1.5)
    project.commit()
    write_side(project, [head for _, head in pairs], 2.25)
    project.commit()
    check_agreement(project.root)


def check_agreement(root: Path) -> None:
    """Hold each of our changes against DVC's answer, and each of its answers against ours."""
    theirs = run_dvc(root)
    with Repository(root) as repository:
        folder = Folder(repository, repository.root)
        sides = [
            SideFiles(name=name, sha=repository.resolve(rev), folder=folder)
            for name, rev in (("base", "HEAD~1"), ("head", "HEAD"))
        ]

        read_sides(sides[0], sides[1], Console(quiet=True))
    ours = {
        (change.path, change.name): change
        for change in diff_metrics(sides[0].metrics, sides[1].metrics)
    }
    names = {(path, name) for path, found in theirs.items() for name in found}
    assert names == set(ours)
    for (path, name), change in ours.items():
        answer = theirs[path][name]
        if change.reason is not None:
            assert isinstance(answer["old"], str)
            continue
        assert (change.base, change.head) == (answer.get("old"), answer.get("new"))
        if change.delta is None:
            assert "diff" not in answer
        else:
            assert math.isclose(change.delta, answer["diff"], rel_tol=1e-12, abs_tol=1e-300)
