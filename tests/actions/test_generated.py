"""A generated project of each further task: its own workflow, run by act, from its commands.

The binary one is what `mlgitops demo` shows, and is tested there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from actions.generated_project import make_baseline, rehearse
from mini_project import git

if TYPE_CHECKING:
    from pathlib import Path

#: Every step of the generated pull-request.yml, in order, by its name there.
COMPUTE = [
    ("compute", "Check out the pull request"),
    ("compute", "Set up Python"),
    ("compute", "Check the project"),
    ("compute", "Install the locked environments"),
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
    project = make_baseline(tmp_path, task=task, storage=storage, branch="change")
    params = project / "params.yaml"
    changed = re.sub(old, new, params.read_text("utf-8"))
    assert changed != params.read_text("utf-8")
    params.write_text(changed, encoding="utf-8")
    git(project, "commit", "--quiet", "--all", "-m", "Change a parameter")
    found = rehearse(project)
    expected = [*COMPUTE, *(PUBLISH if storage == "repo" else ()), *REPORT]
    assert [(step["job"], step["title"]) for step in found["steps"]] == expected, found["stderr"]
    red = {"fail": {REPORT[-1]}}.get(found["verdict"], set())
    assert {
        (step["job"], step["title"]) for step in found["steps"] if step["result"] != "success"
    } == red, found["stderr"]
    assert found["verdict"] in ("pass", "fail")
    assert found["comments"] == 1
    assert len(found["real_actions"]) == (6 if storage == "repo" else 5)
    assert bool(found["published"]) == (storage == "repo" and found["verdict"] == "pass")
