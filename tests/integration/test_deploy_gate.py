"""Only what is merged and published is deployed, unless it is forced or a person's own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from git_project import git
from integration.deploy_project import (
    edit,
    head,
    model_digest,
    predict,
    processes,
    read_ledger,
    read_slot,
)
from integration.setup_project import make_origin, quiet
from msgspec import structs

from mlgitops.cli import run
from mlgitops.delivery import LocalTarget
from mlgitops.delivery.desired import read_desired
from mlgitops.delivery.ledger import Ledger
from mlgitops.delivery.local.files import EnvironmentFiles
from mlgitops.delivery.loop.decision import make_entry
from mlgitops.delivery.loop.effects import Append
from mlgitops.delivery.loop.observed import Slot
from mlgitops.git.repository import Repository
from mlgitops.model.ledger import Event
from mlgitops.project.training import run_pipeline
from mlgitops.storage import publish_objects

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(deployable: Path) -> Path:
    """Return a project whose staging wants a free port."""
    return deployable


def deploy(project: Path, *options: str) -> int:
    """Run the command in a project; return its exit code."""
    return run(["deploy", "staging", *options, "--directory", str(project)])


def train_on_branch(project: Path, factor: int) -> str:
    """Train another model on a branch, which nobody merges or publishes; return its commit."""
    git(project, "switch", "--quiet", "--create", "try")
    edit(project, "params.yaml", "factor: 2", f"factor: {factor}")
    run_pipeline(project, quiet())
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Try")
    return head(project)


def test_what_is_not_merged_needs_force(
    project: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it the approved model is deployed, or nothing; with it the ledger says so."""
    approved = head(project)
    tried = train_on_branch(project, 3)
    assert deploy(project, "--revision", "HEAD") == 2
    assert "wants another model than the default branch" in capsys.readouterr().err
    assert processes(project) == []
    assert deploy(project) == 0
    assert predict(port) == 2
    assert deploy(project, "--force") == 0
    assert predict(port) == 3
    newest = read_ledger(project)[-1]
    assert (newest.forced, newest.revision, newest.commit) == (True, tried, approved)
    assert deploy(project) == 0  # what was forced stays until git wants something else
    assert predict(port) == 3


def test_what_is_not_published_needs_force(
    project: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that only this machine's cache holds is nobody else's to fetch."""
    train_on_branch(project, 3)
    git(project, "switch", "--quiet", "main")
    git(project, "merge", "--quiet", "--ff-only", "try")
    assert deploy(project) == 2
    said = capsys.readouterr().err
    assert f"the model of {model_digest(project)[:12]} is not in the storage" in said
    assert "mlgitops publish" in said
    assert read_ledger(project) == ()
    assert deploy(project, "--force") == 0
    assert predict(port) == 3
    assert read_ledger(project)[-1].forced


@pytest.mark.parametrize("forced", [True, False])
def test_what_only_the_ledger_knows_is_not_deployed(
    forced: bool,
    project: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever may push there says neither that it was forced, nor that it was the last to serve."""
    with Repository(project) as repository:
        desired = read_desired(repository, "", "staging")[0].served
    tried = train_on_branch(project, 3)
    foreign = structs.replace(desired, sha256=model_digest(project), revision=tried, forced=forced)
    publish_objects(project, quiet())
    append(project, Append(event=Event.SWITCHED, served=foreign))
    if not forced:  # so the model before it is to come back
        append(project, Append(event=Event.CONDEMNED, served=desired, reason="it ended"))
    assert deploy(project) == 2
    reason = "nobody did so here" if forced else f"the default branch never stood at {tried[:12]}"
    assert reason in capsys.readouterr().err
    assert processes(project) == []


def append(project: Path, effect: Append) -> None:
    """Write an entry of staging as anybody could who may push."""
    Ledger(project, "").append(
        "staging",
        lambda entries: make_entry(
            effect, entries, environment="staging", actor=None, at="2026-11-28T00:00:00Z"
        ),
    )


def test_what_origin_has_is_wanted(project: Path, port: int, tmp_path: Path) -> None:
    """Neither what is checked out nor what was committed here, until it is pushed."""
    make_origin(project, tmp_path / "origin")
    git(project, "push", "--quiet", "origin", "dvc-storage")
    assert deploy(project) == 0
    edit(project, "src/demo/serve.py", "BIAS = 0.0", "BIAS = 0.5")
    assert deploy(project) == 0
    assert predict(port) == 2
    assert len(read_ledger(project)) == 1
    assert git(tmp_path / "origin", "log", "--format=%s", "deployments").splitlines()[0]


def test_ones_own_environment_takes_what_is_checked_out(project: Path, port: int) -> None:
    """`local` is nobody else's: no gate, and its ledger stays beside its servers."""
    shutil.copytree(project / "deploy/staging", project / "deploy/local")
    train_on_branch(project, 3)
    words = ["--directory", str(project)]
    try:
        assert run(["deploy", "local", *words]) == 0
        assert predict(port) == 3
        assert git(project, "branch", "--list", "deployments") == ""
        files = EnvironmentFiles(project, "local")
        assert git(files.personal_ledger, "log", "--format=%s", "deployments")
    finally:
        LocalTarget(project, quiet()).stop("local")


def test_a_commit_that_asks_for_nothing_new_deploys_nothing(project: Path) -> None:
    """The server that runs is left alone."""
    assert deploy(project) == 0
    before = read_slot(project, Slot.A)
    (project / "NOTES.md").write_text("Nothing of the model\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Note")
    assert deploy(project) == 0
    assert read_slot(project, Slot.A) == before
    assert len(read_ledger(project)) == 1
