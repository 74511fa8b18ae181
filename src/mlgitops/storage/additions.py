"""New objects in the checked-out storage branch: verified, then committed; nothing else is."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from mlgitops.dvc.stored import hash_file, locate
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import identity_options, run_git

if TYPE_CHECKING:
    from pathlib import Path


def refuse_changed(worktree: Path) -> None:
    """Raise when a stored file was edited or removed in the work tree of the branch."""
    listed = run_git(worktree, "ls-files", "--deleted", "--modified", "-z").split("\0")
    changed = [path for path in listed if path]
    if changed:
        raise MlgitopsError(
            f"{len(set(changed))} stored objects were changed or removed, first {changed[0]}",
            where=str(worktree),
            hint=f"objects are add-only: `git -C {worktree.name} checkout -- .` restores them",
        )


def drop_damaged(worktree: Path) -> list[str]:
    """Remove new files whose content is not that of their name; return their paths."""
    damaged = [path for path in _new_files(worktree) if not _is_sound(worktree, path)]
    for path in damaged:
        (worktree / path).unlink()
    return damaged


def commit_new(worktree: Path) -> int:
    """Commit the new objects, which were verified; return how many."""
    paths = _new_files(worktree)
    if not paths:
        return 0
    with tempfile.NamedTemporaryFile(prefix="mlgitops-") as listing:
        listing.write(b"\0".join(os.fsencode(path) for path in paths))
        listing.flush()
        options = [f"--pathspec-from-file={listing.name}", "--pathspec-file-nul"]
        run_git(worktree, "add", "--force", *options)
    message = f"Store {len(paths)} objects"
    run_git(worktree, *identity_options(worktree), "commit", "--quiet", "-m", message)
    return len(paths)


def _new_files(worktree: Path) -> list[str]:
    options = ["--others", "-z", "--", "files"]
    return [path for path in run_git(worktree, "ls-files", *options).split("\0") if path]


def _is_sound(worktree: Path, path: str) -> bool:
    file = worktree / path
    oid = "".join(path.split("/")[2:])
    regular = file.is_file() and not file.is_symlink()
    return regular and locate(oid) == path and hash_file(file) == oid.removesuffix(".dir")
