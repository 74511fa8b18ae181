"""Two generated projects in one repository, with the workflow of the how-to page, run by act."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from actions.generated_project import ESTIMATOR, FOREST, read_posted, rehearse, run
from git_project import git
from several_projects import PROJECTS, read_workflow

from mlgitops.github.marker import find_marker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BOTH = {f"mlgitops / {name}" for name in PROJECTS}

COMPUTE = (
    "Check out the pull request",
    "Set up Python",
    "Install the locked environments",
    "Check the project",
    "Run what changed of the pipeline",
    "Compare with the base",
    "Hand over the report",
    "Pack what was trained",
    "Hand over what was trained",
)
EVALUATE = (
    "Take over the report of {}",
    "Take over what {} trained",
    "Install the base's locked environment of {}",
    "Measure the model of {}",
    "Hand over what was measured of {}",
)
PUBLISH = (
    "Take over what was measured of {}",
    "Take over what {} trained",
    "Verify, store and commit {}",
)
REPORT = (
    "Take over what was measured of {}",
    "Judge {} again by the base's policy, and post",
)
#: (job, step) of everything that runs.
STEPS = {
    *((name, step) for name in PROJECTS for step in COMPUTE),
    *(("evaluate", step.format(name)) for name in PROJECTS for step in EVALUATE),
    *(("publish", step.format(name)) for name in PROJECTS for step in PUBLISH),
    *(("report", step.format(name)) for name in PROJECTS for step in REPORT),
    *((job, "Check out the base, for its policies") for job in ("publish", "report")),
    ("evaluate", "Check out the base, for its code"),
    *((job, "Set up Python") for job in ("evaluate", "publish", "report")),
}


def make_repository(folder: Path) -> Path:
    """Follow the page: two projects, one workflow, both trained and published."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name, task in PROJECTS.items():
        (folder / "models").mkdir(exist_ok=True)
        words = ("--no-input", "--task", task, "--python", version, "--owner", "octocat")
        run(folder / "models", "new", *words, "--slug", name)
        shutil.rmtree(folder / "models" / name / ".github")
        run(folder, "setup", "--directory", f"models/{name}", "--only", "pipeline,ci")
        run(folder, "train", "--directory", f"models/{name}")
    workflow = folder / ".github" / "workflows" / "pull-request.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(read_workflow(), encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "Two projects")
    for name in PROJECTS:
        run(folder, "publish", "--directory", f"models/{name}")
    git(folder, "switch", "--quiet", "--create", "change")
    return folder


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Change a parameter of one project, and commit that."""
    params = folder / "models" / name / "params.yaml"
    text, count = re.subn(old, new, params.read_text("utf-8"), count=1, flags=re.MULTILINE)
    assert count == 1
    params.write_text(text, encoding="utf-8")
    git(folder, "commit", "--quiet", "--all", "-m", f"Change {name}")


def check_all_ran(found: dict[str, Any]) -> None:
    """Require exactly the steps of the page, all green."""
    steps = [(step["job"], step["title"]) for step in found["steps"]]
    assert sorted(steps) == sorted(STEPS), found["stderr"]
    assert {step["result"] for step in found["steps"]} == {"success"}, found["stderr"]
    assert found["verdict"] == "pass"


def list_comments(posted: dict[str, Any]) -> dict[str, str]:
    """Return key → text of the comments; no key has two."""
    found = [(find_marker(one["body"]), one["body"]) for one in posted["comments"]]
    keys = {marker.key: body for marker, body in found if marker}
    assert len(keys) == len(found)
    return keys


def list_checks(posted: dict[str, Any], sha: str) -> dict[str, str]:
    """Return name → conclusion of the checks on a commit."""
    return {one["name"]: one["conclusion"] for one in posted["checks"] if one["head_sha"] == sha}


def list_changed(folder: Path, old: str, new: str) -> set[str]:
    """Return the folders of two levels that differ between two commits."""
    paths: Iterable[str] = git(folder, "diff", "--name-only", old, new).split()
    return {"/".join(path.split("/")[:2]) for path in paths}


@pytest.mark.slow
def test_two_projects_have_a_comment_a_check_and_results_of_their_own(tmp_path: Path) -> None:
    """A change of one starts its comment alone; one of both adds two commits, and both checks."""
    folder = make_repository(tmp_path / "several")
    edit(folder, "birds", ESTIMATOR, FOREST)
    changed = git(folder, "rev-parse", "HEAD")
    first = rehearse(folder, "--keep-result")
    check_all_ran(first)
    posted = read_posted(folder)
    assert set(list_comments(posted)) == {"birds"}
    assert list_changed(folder, changed, first["published"]) == {"models/birds"}
    for sha in (changed, first["published"]):
        assert list_checks(posted, sha) == dict.fromkeys(BOTH, "success")

    edit(folder, "wages", r"\{alpha: 1\.0\}", "{alpha: 3.0}")
    edit(folder, "birds", r"^(  settings: \{n_estimators): 100", r"\1: 60")
    changed = git(folder, "rev-parse", "HEAD")
    second = rehearse(folder, "--keep-result")
    check_all_ran(second)
    before, posted = list_comments(posted), read_posted(folder)
    after = list_comments(posted)
    assert set(after) == set(PROJECTS)
    assert after["birds"] != before["birds"]
    assert "alpha" in after["wages"]
    assert "alpha" not in after["birds"]
    commits = git(folder, "rev-list", "--reverse", f"{changed}..{second['published']}").split()
    assert [list_changed(folder, f"{sha}^", sha) for sha in commits] == [
        {"models/wages"},
        {"models/birds"},
    ]
    assert list_checks(posted, second["published"]) == dict.fromkeys(BOTH, "success")
    for name in PROJECTS:
        state = run(folder, "train", "--directory", f"models/{name}", "--json")
        assert '"ran"' not in state
