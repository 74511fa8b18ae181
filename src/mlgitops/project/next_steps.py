"""What comes after a training: commands that work when they are typed as they are printed."""

from __future__ import annotations

import shlex
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
        default = _find_default(repository, project)
        if default is not None and not _has_model(project, default):
            switch = f"git switch {shlex.quote(default)}"
            train = "mlgitops train  # the first model: a pull request is compared with it"
            return [*commit, switch, train]
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
    subject = "Train the model" if _has_model(project, "HEAD") else "Train the first model"
    return [f'git add -A && git commit -m "{subject}"']


def _has_model(project: Path, revision: str) -> bool:
    """Tell whether the pipeline's lock file is in ``revision``: that a model was trained there."""
    return bool(run_git(project, "ls-tree", "--name-only", revision, "./dvc.lock").strip())


def _find_default(repository: Repository, project: Path) -> str | None:
    """Return the local name of the branch that changes are merged into."""
    branch = repository.find_default_branch()
    if branch is None:
        return None
    name = run_git(project, "rev-parse", "--abbrev-ref", branch).strip()
    return name.removeprefix("origin/")
