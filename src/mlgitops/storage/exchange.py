"""The storage branch and origin: fetch, integrate, push without force, prove the arrival."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.git.program import find_remote_ref, find_revision, identity_options, run_git
from mlgitops.storage.additions import commit_new, drop_damaged, refuse_changed
from mlgitops.storage.branch import BRANCH, LOCAL, UPSTREAM, check_plain

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console

PUSH_ATTEMPTS = 8


def has_origin(project: Path) -> bool:
    """Tell whether the repository has a remote named origin."""
    return "origin" in run_git(project, "remote").split()


def fetch_branch(project: Path, console: Console) -> bool:
    """Fetch the storage branch of origin; return whether origin could be asked.

    A clone without credentials or network goes on with what was fetched before.
    """
    if not has_origin(project):
        return False
    try:
        if find_remote_ref(project, LOCAL):
            run_git(project, "fetch", "--quiet", "--no-tags", "origin", f"+{LOCAL}:{UPSTREAM}")
    except MlgitopsError as error:
        if not find_revision(project, UPSTREAM):
            console.warn(f"origin could not be asked for its {BRANCH}: {_last_line(error)}")
        return False
    return True


def integrate(project: Path, worktree: Path) -> None:
    """Put our additions on top of what origin has; refuse an origin that changed an object."""
    upstream = find_revision(project, UPSTREAM)
    base = find_merge_base(worktree, "HEAD", UPSTREAM) if upstream else None
    if upstream is None or base == upstream:
        return
    check_plain(worktree, UPSTREAM)
    if base:
        check_add_only(worktree, base, UPSTREAM)
    # Left by an interrupted publication: a file that git does not know would stop the rebase.
    refuse_changed(worktree)
    drop_damaged(worktree)
    commit_new(worktree)
    run_git(worktree, *identity_options(worktree), "rebase", "--quiet", UPSTREAM)


def find_merge_base(folder: Path, rev: str, other: str) -> str | None:
    """Return the newest common commit, or None when the histories share nothing."""
    try:
        return run_git(folder, "merge-base", rev, other).strip()
    except MlgitopsError:
        return None


def check_add_only(folder: Path, base: str, head: str) -> None:
    """Raise :class:`MlgitopsError` when an object of ``base`` is changed or missing at ``head``."""
    options = ["--no-renames", "--diff-filter=DMT", "--name-only"]
    touched = run_git(folder, "diff", *options, base, head, "--", "files").split("\n")
    changed = [path for path in touched if path]
    if changed:
        raise MlgitopsError(
            f"{len(changed)} stored objects were changed or removed, first {changed[0]}",
            where=f"branch {BRANCH} at {head}",
            hint="objects are add-only: restore the branch from a clone that still has them",
        )


def push_branch(project: Path, worktree: Path, console: Console) -> None:
    """Push without force; when somebody was quicker, put our additions on top of theirs.

    From the project, not from the storage's work tree: a relative address of origin is meant there.
    """
    for attempt in range(1, PUSH_ATTEMPTS + 1):
        try:
            run_git(project, "push", "--quiet", "origin", f"{BRANCH}:{BRANCH}")
        except MlgitopsError as error:
            lost_race = any(
                word in error.what for word in ("rejected", "fetch first", "cannot lock")
            )
            if not lost_race or attempt == PUSH_ATTEMPTS:
                raise MlgitopsError(
                    error.what,
                    where=f"branch {BRANCH}",
                    hint="the objects are committed here; `mlgitops publish` again pushes them",
                ) from error
            time.sleep(random.uniform(0, 0.2 * attempt))  # noqa: S311 - spreads the others
            fetch_branch(project, console)
            integrate(project, worktree)
        else:
            return


def prove_pushed(project: Path, worktree: Path) -> None:
    """Raise :class:`MlgitopsError` unless origin's branch holds our newest commit."""
    head = run_git(worktree, "rev-parse", "HEAD").strip()
    upstream = find_remote_ref(project, LOCAL) or "nothing"
    if upstream != head and not _contains(project, worktree, upstream, head):
        raise MlgitopsError(
            f"origin holds {upstream[:12]}, not the {head[:12]} that was pushed",
            where=f"branch {BRANCH}",
            hint="run `mlgitops publish` again",
        )


def _contains(project: Path, worktree: Path, upstream: str, head: str) -> bool:
    """Tell whether ``upstream``, pushed by another since, holds our commit."""
    try:
        run_git(project, "fetch", "--quiet", "--no-tags", "origin", upstream)
        run_git(worktree, "merge-base", "--is-ancestor", head, upstream)
    except MlgitopsError:
        return False
    return True


def _last_line(error: MlgitopsError) -> str:
    return error.what.strip().splitlines()[-1].strip()
