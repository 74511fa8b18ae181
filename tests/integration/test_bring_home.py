"""The result of a rehearsal, brought home: branches move forward, and only forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import commit, git
from integration.setup_project import clone, make_project

from mlgitops.errors import MlgitopsError
from mlgitops.rehearsal.repository import Change, bring_home, make_origin

if TYPE_CHECKING:
    from pathlib import Path


def rehearse(folder: Path) -> tuple[Path, Path, Change, str]:
    """Make a project with a branch, and an origin where a workflow pushed to both branches."""
    project = make_project(folder / "project")
    base = git(project, "rev-parse", "HEAD")
    git(project, "branch", "dvc-storage")
    git(project, "switch", "--quiet", "--create", "change")
    head = commit(project, "Change")
    change = Change(base=("main", base), head=("change", head), title="t", body="")
    make_origin(project, change, 1, folder / "origin.git")
    other = clone(folder / "origin.git", folder / "other")
    for branch in ("dvc-storage", "change"):
        git(other, "switch", "--quiet", branch)
        (other / "made.txt").write_text(branch)
        made = commit(other, "Made")
        git(other, "push", "--quiet", "origin", branch)
    return project, folder / "origin.git", change, made


def test_checked_out_branches_follow_with_their_files(tmp_path: Path) -> None:
    """The work tree's branch and the storage, which has a work tree of its own."""
    project, origin, change, made = rehearse(tmp_path)
    git(project, "worktree", "add", "--quiet", ".dvc-storage", "dvc-storage")
    assert bring_home(project, origin, change) == ["dvc-storage", "change"]
    assert git(project, "rev-parse", "HEAD") == made
    assert (project / "made.txt").read_text() == "change"
    assert (project / ".dvc-storage/made.txt").read_text() == "dvc-storage"
    assert git(project, "status", "--porcelain") == ""
    assert bring_home(project, origin, change) == []


def test_branches_that_are_not_checked_out_follow(tmp_path: Path) -> None:
    """From another branch, refs alone move."""
    project, origin, change, made = rehearse(tmp_path)
    git(project, "switch", "--quiet", "main")
    bring_home(project, origin, change)
    assert git(project, "rev-parse", "change") == made
    assert not (project / "made.txt").exists()


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_branch_that_moved_on_here_is_left_alone(tmp_path: Path, elsewhere: bool) -> None:
    """A commit made during the rehearsal is never overwritten."""
    project, origin, change, _ = rehearse(tmp_path)
    newer = commit(project, "Meanwhile")
    if elsewhere:
        git(project, "switch", "--quiet", "main")
    with pytest.raises(MlgitopsError, match=r"fast-forward|fetch .* ended with 1"):
        bring_home(project, origin, change)
    assert git(project, "rev-parse", "change") == newer


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    """Uncommitted work stops it, with a way on."""
    project, origin, change, _ = rehearse(tmp_path)
    (project / "made.txt").write_text("mine")
    with pytest.raises(MlgitopsError, match="commit or put away"):
        bring_home(project, origin, change)
    assert (project / "made.txt").read_text() == "mine"
