"""A generated project of each further task: its own workflow, run by act, from its commands.

The binary one is what `mlgitops demo` shows, and is tested there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mini_project import git, shared_store

#: Every step of the generated pull-request.yml, in order, by its name there.
COMPUTE = [
    ("compute", "Check out the pull request"),
    ("compute", "Set up Python"),
    ("compute", "Install the locked environments"),
    ("compute", "Check the project"),
    ("compute", "Run what changed of the pipeline"),
    ("compute", "Compare with the base"),
    ("compute", "Hand over the report"),
    ("compute", "Hand over the page with the charts"),
]
#: Only with storage in the repository.
PUBLISH = [
    ("compute", "Pack what was trained"),
    ("compute", "Hand over what was trained"),
    ("publish", "Check out the base, for its policy"),
    ("publish", "Set up Python"),
    ("publish", "Take over the report"),
    ("publish", "Take over what was trained"),
    ("publish", "Verify, store and commit it"),
]
REPORT = [
    ("report", "Check out the base, for its policy"),
    ("report", "Set up Python"),
    ("report", "Take over the report"),
    ("report", "Judge again by the base's policy, and post"),
]


def run(folder: Path, *words: str, code: int = 0) -> str:
    """Run the helper in ``folder`` and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "mlgitops", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            "MLGITOPS_ENVIRONMENTS": str(shared_store()),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "storage", "old", "new"),
    [
        ("multiclass", "local", r"(?m)^  estimator: \w+", "  estimator: random_forest"),
        ("regression", "repo", r"(?m)^    alpha: \S+|^    C: \S+", "    alpha: 3.0"),
    ],
)
def test_the_projects_own_workflow_runs_to_a_verdict(
    tmp_path: Path, task: str, storage: str, old: str, new: str
) -> None:
    """Train, commit, publish, change a parameter, rehearse: every step runs, one comment."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    words = ("--no-input", "--task", task, "--storage", storage, "--python", version)
    run(tmp_path, "new", *words, "--slug", "model", "--owner", "octocat")
    project = tmp_path / "model"
    run(project, "setup", "--only", "pipeline,ci")
    run(project, "train")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "Train the baseline")
    run(project, "publish")
    git(project, "switch", "--quiet", "--create", "change")
    params = project / "params.yaml"
    changed = re.sub(old, new, params.read_text("utf-8"))
    assert changed != params.read_text("utf-8")
    params.write_text(changed, encoding="utf-8")
    git(project, "commit", "--quiet", "--all", "-m", "Change a parameter")
    done = subprocess.run(
        [sys.executable, "-m", "mlgitops", "rehearse", "--json", "--directory", project],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "MLGITOPS_ENVIRONMENTS": str(shared_store())},
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    expected = [*COMPUTE, *(PUBLISH if storage == "repo" else ()), *REPORT]
    assert [(step["job"], step["title"]) for step in found["steps"]] == expected, done.stderr
    red = {"fail": {REPORT[-1]}}.get(found["verdict"], set())
    assert {
        (step["job"], step["title"]) for step in found["steps"] if step["result"] != "success"
    } == red, done.stderr
    assert found["verdict"] in ("pass", "fail")
    assert found["comments"] == 1
    assert len(found["real_actions"]) == (6 if storage == "repo" else 5)
    assert bool(found["published"]) == (storage == "repo" and found["verdict"] == "pass")
