"""What a run left in a clean folder, as a commit and as a branch that only one can push."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.git.commits import move_ref, push_commit
from mlgitops.git.program import find_remote_ref, identity_options, run_git
from mlgitops.storage.exchange import has_origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.proposals.proposal import Change
    from mlgitops.git.repository import Repository

_HEADS = "refs/heads/"
_TRACKED = ("data", "model", "reports")  # folders in which a run leaves files


def send_folder(
    repository: Repository,
    clean: Path,
    change: Change,
    publish: Callable[[], object],
    console: Console,
    *,
    content: str,
) -> str:
    """Commit what the run left in the clean folder, ``publish`` its objects, push the branch.

    Return the commit. The objects go first, so that whoever sees the branch can fetch them.
    ``content``: what it holds, in words. Raises :class:`MlgitopsError` where somebody was quicker.
    """
    commit = _commit_folder(clean, change)
    publish()
    with console.step(f"Push branch {change.branch}"):
        return _push_new(repository, commit, change.branch, content)


def _commit_folder(clean: Path, change: Change) -> str:
    """Commit what the run left in the clean folder; return the sha."""
    run_git(clean, "add", "--update", ":/")
    folders = [name for name in _TRACKED if (clean / name).is_dir()]
    run_git(clean, "add", "--", *folders)
    message = f"{change.title}\n\n{change.body}\n"
    words = ("commit", "--quiet", "--cleanup=verbatim", "--message", message)
    run_git(clean, *identity_options(clean), *words)
    return run_git(clean, "rev-parse", "HEAD").strip()


def _push_new(repository: Repository, commit: str, branch: str, content: str) -> str:
    """Make the branch, here or at origin, and return its commit; never over another one."""
    root, ref = repository.root, f"{_HEADS}{branch}"
    if not has_origin(root):
        if move_ref(root, ref, commit, None):
            return commit
        raise _refuse_slower(branch, content)
    problem = push_commit(root, commit, ref)
    if problem is None:
        return commit
    tip = find_remote_ref(root, ref)
    if tip == commit:  # only the answer was lost
        return commit
    if tip is not None:
        raise _refuse_slower(branch, content)
    hint = "the token needs `contents: write`, and the branch's name must be allowed by rules"
    raise MlgitopsError(problem, where=f"branch {branch}", hint=hint)


def _refuse_slower(branch: str, content: str) -> MlgitopsError:
    hint = "run the same command again: it goes on with that branch"
    return MlgitopsError(f"another {content} was quicker", where=f"branch {branch}", hint=hint)
