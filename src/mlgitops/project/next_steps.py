"""What comes after a training: commands that work when they are typed as they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.git.program import run_git

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.git.repository import Repository


def find_next_steps(repository: Repository, project: Path) -> list[str]:
    """Return the next commands, for the branch that is checked out and what is not committed.

    ``project``: its folder, in which the commands are typed.
    """
    branch = run_git(project, "branch", "--show-current").strip()
    commit = _find_commit(project)
    if branch and branch != _find_default(repository, project):
        return [*commit, "mlgitops rehearse  # the pull request's verdict, on this machine"]
    publish = ["mlgitops publish  # data and model into the storage"] if commit else []
    return [*commit, *publish, "git switch -c try-something  # then edit params.yaml, and train"]


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
