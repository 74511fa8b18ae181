"""Another base, another title: what act starts, and under which name the verdict is posted."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from actions.test_rehearsal import rehearse_json
from git_project import git
from mini_project import branch, make_project, shared_store

from mlgitops.console import Console
from mlgitops.errors import MlgitopsError
from mlgitops.rehearsal.events import build_pull_event
from mlgitops.rehearsal.forge import Forge, Pull, Server, State
from mlgitops.rehearsal.repository import make_origin, read_change
from mlgitops.rehearsal.workflow_run import Ran, Stage, Start, run_workflow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PATH = ".github/workflows/pull-request.yml"
LAX = "version: 1\n"


def run_edit(folder: Path, forge: Forge, changes: Mapping[str, object]) -> Ran:
    """Run the workflow as GitHub does when ``changes`` of the pull request were saved."""
    project = make_project(folder / "project")
    head = branch(project, "change", {"params.yaml": "trees: 20\n"})
    change = read_change(project, base=None, head=None)
    base = change.base
    forge.state.pulls[1] = Pull(number=1, base=base, head=("change", head), title="x")
    scratch = folder / "scratch"
    scratch.mkdir()
    merge = make_origin(project, change, 1, scratch / "origin.git")
    payload = build_pull_event(forge.state.repository, change, 1)
    event = {**payload, "action": "edited", "changes": changes}
    start = Start(workflow=PATH, event_name="pull_request", event=event, sha=merge)
    with Server(forge) as server:
        stage = Stage(
            root=project,
            scratch=scratch,
            store=shared_store(),
            logs=folder,
            url=server.url,
            state=forge.state,
            console=Console(out=io.StringIO(), err=io.StringIO()),
        )
        return run_workflow(stage, start, scratch)


@pytest.mark.slow
def test_a_new_title_runs_no_job_and_posts_nothing(tmp_path: Path) -> None:
    """The event starts a run, in which every job is left out."""
    forge = Forge(State(repository="local/project"))
    with pytest.raises(MlgitopsError, match="act could not run the workflow"):
        run_edit(tmp_path, forge, {"title": {"from": "y"}})
    assert forge.requests == []


@pytest.mark.slow
def test_another_base_is_judged(tmp_path: Path) -> None:
    """The pull request went elsewhere before: its verdict there is worth nothing here."""
    forge = Forge(State(repository="local/project"))
    changes = {"base": {"ref": {"from": "lax"}, "sha": {"from": "d" * 40}}}
    ran = run_edit(tmp_path, forge, changes)
    assert ran.run.jobs == {"compute": "success", "report": "success"}
    names = [(one["name"], one["conclusion"]) for one in forge.state.checks]
    assert names == [("mlgitops / model", "success")]


@pytest.mark.slow
def test_a_branch_with_a_lax_policy_gives_no_required_check(tmp_path: Path) -> None:
    """What such a policy lets pass carries the branch in its name, and an empty one is no pass."""
    project = make_project(tmp_path / "project")
    branch(project, "lax", {"policy.yaml": "version: 1\nmetrics:\n  score: {min_value: 0.0}\n"})
    git(project, "switch", "--quiet", "--create", "empty")
    (project / "policy.yaml").write_text(LAX)
    git(project, "commit", "--quiet", "--all", "-m", "Ask for nothing")
    git(project, "switch", "--quiet", "--create", "change", "lax")
    (project / "params.yaml").write_text("trees: 5\n")
    git(project, "commit", "--quiet", "--all", "-m", "Fell trees")
    passed = rehearse_json(project, "--base", "lax")
    assert (passed["verdict"], passed["exit_code"]) == ("pass", 0)
    assert passed["check_names"] == ["mlgitops / model into lax"]
    git(project, "rebase", "--quiet", "--onto", "empty", "lax", "change")
    skipped = rehearse_json(project, "--base", "empty")
    assert (skipped["verdict"], skipped["exit_code"]) == ("skip", 2)
    assert skipped["checks"] == ["action_required"]
    assert skipped["check_names"] == ["mlgitops / model into empty"]
