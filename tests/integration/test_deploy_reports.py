"""What people are told of a desired state that fails in service, at the stand-in API of GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import commit, git
from integration.deploy_project import edit, head, model_digest, predict
from integration.setup_project import make_origin
from msgspec import structs

from mlgitops.cli import run
from mlgitops.delivery.local.files import EnvironmentFiles, ReportRecord

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.rehearsal.forge import Forge

SETTINGS = 'model: demo\nrevision: "{}"\nsha256: "{}"\nport: {}\n'


@pytest.fixture
def origin(deployable: Path, tmp_path: Path) -> Path:
    """Return the origin of the project, which the forge serves."""
    make_origin(deployable, tmp_path / "origin")
    git(deployable, "push", "--quiet", "origin", "dvc-storage")
    return tmp_path / "origin"


@pytest.fixture
def project(deployable: Path, origin: Path) -> Path:
    """Return a project with an origin."""
    del origin  # made by being asked for
    return deployable


def pin(project: Path, port: int) -> str:
    """Let staging want the model and the code of HEAD, as origin has it; return that commit."""
    text = SETTINGS.format(head(project), model_digest(project), port)
    (project / "deploy/staging/model.yaml").write_text(text)
    desired = commit(project, "Promote")
    git(project, "push", "--quiet", "origin", "main")
    return desired


def deploy(project: Path) -> int:
    """Run the command in a project; return its exit code."""
    return run(["deploy", "staging", "--directory", str(project)])


def serve_then_fail(project: Path, port: int) -> str:
    """Bring a good model into service, then one that fails; return the commit of that one."""
    pin(project, port)
    assert deploy(project) == 0
    edit(project, "src/demo/serve.py", "BIAS = 0.0", "BIAS = 0.5")
    desired = pin(project, port)
    assert deploy(project) == 1
    assert predict(port) == 2
    return desired


def test_a_desired_state_that_fails_is_an_issue_and_a_pull_request_until_git_is_served(
    project: Path, port: int, forge: Forge
) -> None:
    """One of each, said again by a run after one that was cut off; closed with the way back."""
    desired = serve_then_fail(project, port)
    (issue,) = forge.state.issues.values()
    (pull,) = forge.state.pulls.values()
    assert (issue.state, pull.state) == ("open", "open")
    assert desired in issue.body
    assert "the golden prediction differs" in issue.body
    assert f"#{pull.number}" in issue.body.replace("\u200b", "")
    said = issue.body
    issue.body = f"{said.splitlines()[0]}\nWhat an older run said."
    files = EnvironmentFiles(project, "staging")
    assert deploy(project) == 1  # people were told, so nothing is sent
    assert issue.body != said
    report = files.read(files.report, ReportRecord)
    assert report is not None
    assert (report.commit, report.issue, report.sent) == (desired, issue.number, True)
    files.write(files.report, structs.replace(report, sent=False))  # as a killed run leaves it
    assert deploy(project) == 1
    assert (len(forge.state.issues), len(forge.state.pulls)) == (1, 1)
    assert (issue.body, issue.state) == (said, "open")
    git(project, "fetch", "--quiet", "origin", pull.head[0])
    git(project, "merge", "--quiet", "--no-edit", "FETCH_HEAD")
    git(project, "push", "--quiet", "origin", "main")
    assert deploy(project) == 0
    assert (len(forge.state.issues), len(forge.state.pulls)) == (1, 1)
    assert (issue.state, issue.state_reason) == ("closed", "completed")
    assert "serves what git wants again" in issue.body
    assert files.read(files.report, ReportRecord) is None


def test_without_a_token_the_way_back_is_a_branch_and_is_said(
    project: Path, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Origin gets the branch all the same, and the terminal names it."""
    desired = serve_then_fail(project, port)
    said = capsys.readouterr().err
    assert f"wanted by {desired[:12]}, failed and is not tried again" in said
    branches = git(tmp_path / "origin", "branch", "--format=%(refname:short)").split()
    (branch,) = set(branches) - {"main", "dvc-storage", "deployments"}
    assert f"The way back is on the branch `{branch}`" in said
    files = EnvironmentFiles(project, "staging")
    report = files.read(files.report, ReportRecord)
    assert report == ReportRecord(commit=desired, issue=None, sent=True)
