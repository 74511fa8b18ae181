"""The throw-away repository of a rehearsal, made with real git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import commit_files, git
from mini_project import branch, make_project

from mlgitops.errors import MlgitopsError
from mlgitops.rehearsal.repository import (
    count_uncommitted,
    find_root,
    make_checkout,
    make_origin,
    read_change,
    read_repository_name,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with one branch of one commit."""
    folder = make_project(tmp_path / "project")
    branch(folder, "more-trees", {"params.yaml": "trees: 20\n"}, "More trees\n\nBecause.")
    return folder


def test_one_commit_gives_the_pull_request_its_title_and_body(project: Path) -> None:
    """As on GitHub; several commits give it the branch's name."""
    change = read_change(project, base=None, head=None)
    assert (change.base[0], change.head[0]) == ("main", "more-trees")
    assert (change.title, change.body) == ("More trees", "Because.")
    commit_files(project, {"x": "y"}, "Again")
    assert read_change(project, base=None, head=None).title == "more trees"


def test_the_origin_holds_what_github_would_and_leaves_the_project_alone(
    project: Path, tmp_path: Path
) -> None:
    """Branches, tags, the pull request's refs and a merge of both sides; nothing else moves."""
    git(project, "tag", "v1", "main")
    git(project, "branch", "dvc-storage", "main")
    git(project, "branch", "unrelated", "main")
    before = git(project, "for-each-ref"), git(project, "count-objects", "-v")
    git(project, "switch", "--quiet", "main")
    theirs = commit_files(project, {"other.txt": "x\n"}, "Theirs")
    git(project, "switch", "--quiet", "more-trees")
    change = read_change(project, base=None, head=None)
    merge = make_origin(project, change, 7, tmp_path / "origin.git")
    refs = dict(
        line.split(" ")[::-1]
        for line in git(
            tmp_path / "origin.git", "for-each-ref", "--format=%(objectname) %(refname)"
        ).splitlines()
    )
    assert set(refs) == {
        "refs/heads/main",
        "refs/heads/more-trees",
        "refs/heads/dvc-storage",
        "refs/pull/7/head",
        "refs/pull/7/merge",
        "refs/tags/v1",
    }
    assert refs["refs/pull/7/merge"] == merge
    parents = git(tmp_path / "origin.git", "rev-list", "--parents", "-n1", merge).split()[1:]
    assert parents == [theirs, change.head[1]]
    make_checkout(tmp_path / "origin.git", merge, tmp_path / "work")
    assert (tmp_path / "work" / "other.txt").is_file()
    assert (tmp_path / "work" / "params.yaml").read_text() == "trees: 20\n"
    commit_files(tmp_path / "work", {"new": "x"}, "New objects go elsewhere")
    git(tmp_path / "work", "push", "--quiet", "origin", "HEAD:refs/heads/pushed")
    assert "pushed" not in git(project, "for-each-ref")
    assert before[0].splitlines()[0] in git(project, "for-each-ref")


def test_a_shallow_clone_is_refused_with_the_command_that_mends_it(
    project: Path, tmp_path: Path
) -> None:
    """Without history there is no base."""
    git(tmp_path, "clone", "--quiet", "--depth=1", project.as_uri(), "shallow")
    with pytest.raises(MlgitopsError, match="shallow") as caught:
        find_root(tmp_path / "shallow")
    assert "git fetch --unshallow" in str(caught.value)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://github.com/octo/model.git", "octo/model"),
        ("https://github.com/octo/model", "octo/model"),
        ("git@github.com:octo/model.git", "octo/model"),
        ("ssh://git@ghe.example.org/octo/my.model", "octo/my.model"),
        ("/srv/git/model", "local/project"),
        ("", "local/project"),
    ],
)
def test_the_repositorys_name_is_that_of_its_remote(project: Path, address: str, name: str) -> None:
    """OWNER/NAME in every form git accepts; the folder's name where there is none."""
    if address:
        git(project, "remote", "add", "origin", address)
    assert read_repository_name(project) == name


def test_uncommitted_files_are_counted(project: Path) -> None:
    """Changed and new files are not rehearsed, ignored ones do not matter."""
    (project / "params.yaml").write_text("trees: 99\n")
    (project / "new.txt").write_text("x")
    (project / "report.json").write_text("ignored")
    assert count_uncommitted(project) == 2
