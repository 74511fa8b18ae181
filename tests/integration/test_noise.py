"""A change that is pure noise, on real data with real models: the verdict must not be fooled."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from git_project import git
from mini_project import shared_store

pytestmark = pytest.mark.slow


def run(folder: Path, *words: str) -> str:
    """Run the helper in ``folder``; a pass is expected."""
    env = {
        **os.environ,
        "MLGITOPS_ENVIRONMENTS": str(shared_store()),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "mlgitops", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


BOOSTING = """\
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  settings: {learning_rate: 0.05, max_iter: 150, max_leaf_nodes: 15, min_samples_leaf: 50,
    l2_regularization: 1.0}"""


def edit_params(project: Path, pattern: str, text: str) -> None:
    """Replace one place of params.yaml."""
    path = project / "params.yaml"
    changed, count = re.subn(pattern, text, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1
    path.write_text(changed, encoding="utf-8")


def test_another_seed_is_not_called_an_improvement(tmp_path: Path) -> None:
    """Boosted trees trained with another seed differ, and the verdict calls none of it real."""
    run(tmp_path, "new", "--no-input")
    project = tmp_path / "flight-delays"
    edit_params(project, r"^  estimator: .*\n  settings: .*$", BOOSTING)
    run(project, "setup", "--only", "pipeline,ci")
    run(project, "train")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Train")

    edit_params(project, r"^seed: .*$", "seed: 7")
    run(project, "train")
    report = json.loads(run(project, "compare", "--base", "HEAD", "--json"))
    kinds = {one["name"]: one["kind"] for one in report["judgement"]["metrics"]}
    moved = {one["name"]: one["delta"] for one in report["metrics"]}
    for name in ("test.roc_auc", "test.log_loss"):
        assert moved[name] != 0
        assert kinds[name] in ("inconclusive", "equivalent")
