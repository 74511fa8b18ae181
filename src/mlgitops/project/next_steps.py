"""What comes after a training: commands that work when they are typed as they are printed."""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING

from mlgitops.git.program import run_git

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.git.repository import Repository


def find_next_steps(repository: Repository, project: Path) -> list[str]:
    """Return the next commands, for the branch that is checked out and what is not committed.

    ``project``: its folder, in which the commands are typed.
    """
    commit = _find_commit(project)
    if is_proposal(repository, project):
        return [*commit, "mlgitops rehearse  # the pull request's verdict, on this machine"]
    publish = ["mlgitops publish  # data and model into the storage"] if commit else []
    switch = f"git switch -c {_find_free_branch(repository)}"
    return [*commit, *publish, f"{switch}  # then edit params.yaml, and train"]


def is_proposal(repository: Repository, project: Path) -> bool:
    """Tell whether what is checked out is a branch that a pull request would merge."""
    branch = run_git(project, "branch", "--show-current").strip()
    return bool(branch) and branch != _find_default(repository, project)


def _find_free_branch(repository: Repository) -> str:
    """Return a name that no branch has yet: git creates none a second time."""
    later = (f"try-something-{number}" for number in count(2))
    names = chain(["try-something"], later)
    return next(name for name in names if repository.find(f"refs/heads/{name}") is None)


def _find_commit(project: Path) -> list[str]:
    """Return the command that commits what is not committed yet."""
    if not run_git(project, "status", "--porcelain", "--", ".").strip():
        return []
    is_first = not run_git(project, "ls-tree", "--name-only", "HEAD", "./dvc.lock").strip()
    subject = "Train the first model" if is_first else "Train the model"
    return [f'git add -A && git commit -m "{subject}"']


def _find_default(repository: Repository, project: Path) -> str | None:
    """Return the local name of the branch that changes are merged into."""
    branch = repository.find_default_branch()
    if branch is None:
        return None
    name = run_git(project, "rev-parse", "--abbrev-ref", branch).strip()
    return name.removeprefix("origin/")
