"""Forms that git gives a repository, each with the numbers that the real dvc shows of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from git_project import GitRepository, git
from repository_shapes import put_json, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dvc_program import DvcProgram

NO_HISTORY = "fetch the whole history: `git fetch --unshallow`, or `fetch-depth: 0` for checkout"


def write(project: GitRepository, step: int) -> GitRepository:
    """Write a project with one metric of that value."""
    start(project)
    project.put("dvc.yaml", "metrics: [m.json]\n")
    put_json(project, "m.json", {"acc": step})
    return project


def make(root: Path) -> GitRepository:
    """Make a repository of two commits."""
    project = GitRepository(root)
    for step in (1, 2):
        write(project, step).commit()
    return project


def clone(root: Path, *options: str) -> GitRepository:
    """Clone a repository of two commits as a job does."""
    source = make(root / "origin")
    git(root, "clone", "--quiet", *options, f"file://{source.root}", "clone")
    return GitRepository(root / "clone")


def detach(root: Path) -> GitRepository:
    """Check out a commit and no branch, as `actions/checkout` does."""
    project = make(root / "p")
    project.git("checkout", "--quiet", "--detach")
    return project


def link_tree(root: Path) -> GitRepository:
    """Stand in a further work tree of the repository."""
    make(root / "p").git("worktree", "add", "--quiet", "--detach", str(root / "tree"))
    return GitRepository(root / "tree")


def nest(root: Path) -> GitRepository:
    """Stand in a submodule: a repository of its own."""
    outer = write(GitRepository(root / "outer"), 7)
    allow = ("-c", "protocol.file.allow=always")
    outer.git(*allow, "submodule", "add", "--quiet", str(make(root / "inner").root), "sub")
    outer.commit()
    return GitRepository(outer.root / "sub")


def tag(root: Path) -> GitRepository:
    """Name the first commit by an annotated tag, whose object is not the commit's."""
    project = make(root / "p")
    project.git("tag", "--annotate", "v1", "--message", "first", "HEAD~1")
    return project


def pack(root: Path) -> GitRepository:
    """Pack all objects and names, as git does of itself after a while."""
    project = make(root / "p")
    project.git("gc", "--quiet", "--prune=now")
    return project


def convert(root: Path) -> GitRepository:
    """Let git turn the ends of lines in the work tree, as on Windows."""
    project = make(root / "p")
    project.git("config", "core.autocrlf", "true")
    for name in ("m.json", "dvc.yaml"):
        (project.root / name).unlink()
    project.git("checkout", "--", ".")
    assert b"\r\n" in (project.root / "m.json").read_bytes()
    return project


FORMS: dict[str, tuple[Callable[[Path], GitRepository], tuple[str, ...]]] = {
    "detached HEAD": (detach, ("HEAD~1", "HEAD")),
    "a further work tree": (link_tree, ("HEAD~1", "HEAD")),
    "a submodule": (nest, ("HEAD~1", "HEAD")),
    "an annotated tag": (tag, ("v1", "HEAD")),
    "a clone of two commits": (lambda root: clone(root, "--depth", "2"), ("HEAD~1", "HEAD")),
    "packed objects": (pack, ("HEAD~1", "HEAD")),
    "CRLF on disk alone": (convert, ("HEAD~1",)),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_numbers_are_those_of_dvc(
    form: str,
    tmp_path: Path,
    dvc: DvcProgram,
    compare: Any,  # noqa: ANN401
) -> None:
    """Whatever form git gives it, base is 1 and head is 2, for dvc and for us."""
    build, revs = FORMS[form]
    project = build(tmp_path)
    answer = json.loads(dvc.run(project.root, "metrics", "diff", *revs, "--json"))
    assert answer == {"m.json": {"acc": {"old": 1, "new": 2, "diff": 1}}}
    sides = [word for pair in zip(("--base", "--head"), revs, strict=False) for word in pair]
    outcome = compare(project, *sides, "--json")
    assert outcome.code == 0, outcome.err
    (metric,) = outcome.report["metrics"]
    assert (metric["base"], metric["head"]) == (1, 2)


def test_a_partial_clone_without_files_is_read(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """`--filter=blob:none --no-checkout`: git fetches what is asked for."""
    project = clone(tmp_path, "--filter=blob:none", "--no-checkout")
    outcome = compare(project, "--base", "HEAD~1", "--head", "HEAD", "--json")
    (metric,) = outcome.report["metrics"]
    assert (metric["base"], metric["head"]) == (1, 2)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda root: write(GitRepository(root / "p"), 1), "there is no commit yet to compare"),
        (lambda root: clone(root, "--depth", "1"), NO_HISTORY),
    ],
    ids=["an empty repository", "a clone of one commit"],
)
def test_what_has_no_base_is_refused(
    build: Callable[[Path], GitRepository],
    reason: str,
    tmp_path: Path,
    compare: Any,  # noqa: ANN401
) -> None:
    """Where the other side is not there, the reason and what to do."""
    base = () if "no commit" in reason else ("--base", "HEAD~1")
    outcome = compare(build(tmp_path), *base)
    assert outcome.code == 2
    assert reason in outcome.err


def test_the_first_commit_is_compared_with_itself(tmp_path: Path, compare: Any) -> None:  # noqa: ANN401
    """On the default branch with one commit, and with what stands on disk beside it."""
    project = write(GitRepository(tmp_path / "p"), 1)
    project.commit()
    (same,) = compare(project, "--json").report["metrics"]
    put_json(project, "m.json", {"acc": 2})
    (changed,) = compare(project, "--json").report["metrics"]
    assert [(row["base"], row["head"]) for row in (same, changed)] == [(1, 1), (1, 2)]
