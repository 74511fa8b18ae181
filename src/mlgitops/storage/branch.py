"""The storage branch: an orphan branch of the same repository, checked out beside the code.

It holds content-addressed files and nothing else, so two people's additions never conflict
and a lost push race is settled by a rebase. Nothing on it is ever changed or removed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.git.commits import ROOT_IDENTITY, write_commit
from mlgitops.git.program import find_revision, run_git
from mlgitops.writing import refuse_links

if TYPE_CHECKING:
    from mlgitops.console import Console

BRANCH = "dvc-storage"
LOCAL = f"refs/heads/{BRANCH}"
UPSTREAM = f"refs/remotes/origin/{BRANCH}"

_README = """\
# Storage of data and models

DVC objects, named by their content. `mlgitops publish` adds to this branch; nothing on it is
changed or removed. It shares no history with the code: do not merge it.
"""
# Bytes in, bytes out: no line-ending conversion, no attempt at a textual difference.
_ATTRIBUTES = "files/** -text -diff -merge\n"


_FILE_MODES = ("100644", "100755")


def check_plain(folder: Path, revision: str) -> None:
    """Raise :class:`MlgitopsError` when the branch holds a link, or another repository.

    Whatever is written below its work tree would follow it out of there.
    """
    entries = run_git(folder, "ls-tree", "-r", "-z", revision).split("\0")
    odd = [entry for entry in entries if entry and entry.partition(" ")[0] not in _FILE_MODES]
    if odd:
        raise MlgitopsError(
            f"{len(odd)} entries are links or other odd files, first {odd[0].partition(chr(9))[2]}",
            where=f"branch {BRANCH} at {find_revision(folder, revision)}",
            hint=f"it holds files only: `git rm` them on {BRANCH}, and see who put them there",
        )


def refuse_odd_folders(worktree: Path) -> None:
    """Raise :class:`MlgitopsError` when a folder of objects is a link: git tracks none of these."""
    objects = worktree / "files" / "md5"
    for folder in (objects, *(objects.iterdir() if objects.is_dir() else ())):
        refuse_links(worktree, folder)


def ensure_worktree(project: Path, folder: Path, console: Console) -> Path:
    """Return the folder in which the storage branch is checked out, made at ``folder``.

    Raises :class:`MlgitopsError` when a link or an odd file would lead out of it.
    """
    refuse_links(project, folder / ".git")
    for name in (LOCAL, UPSTREAM):
        if find_revision(project, name):
            check_plain(project, name)
    _adopt_worktree(project, folder)
    run_git(project, "worktree", "prune")
    present = _find_worktree(project)
    if present:
        refuse_odd_folders(present)
        return present
    if folder.exists() and any(folder.iterdir()):
        raise MlgitopsError(
            "this folder is in the way of the storage branch",
            where=str(folder),
            hint="move its content away, then run the same command again",
        )
    with console.step(f"Storage: branch {BRANCH} in {folder.name}/"):
        if not find_revision(project, LOCAL):
            start = find_revision(project, UPSTREAM) or _make_root(project)
            run_git(project, "update-ref", LOCAL, start, "")
        run_git(project, "worktree", "add", "--quiet", folder, BRANCH)
    return folder


def _adopt_worktree(project: Path, folder: Path) -> None:
    """Tie an existing folder to this repository: the project may have been moved or copied."""
    pointer = folder / ".git"
    if not pointer.is_file():
        return
    words = ("rev-parse", "--path-format=absolute", "--git-common-dir")
    own = Path(run_git(project, *words).strip()) / "worktrees"
    named = Path(pointer.read_text(encoding="utf-8").partition(":")[2].strip())
    if named.parent != own and (own / named.name).is_dir():
        pointer.write_text(f"gitdir: {own / named.name}\n", encoding="utf-8")
    run_git(project, "worktree", "repair", folder)


def _find_worktree(project: Path) -> Path | None:
    path = None
    for line in run_git(project, "worktree", "list", "--porcelain").splitlines():
        if line.startswith("worktree "):
            path = Path(line.removeprefix("worktree "))
        elif line == f"branch {LOCAL}":
            return path
    return None


def _make_root(project: Path) -> str:
    """Write the first commit without touching any work tree; return its sha."""
    files = {"README.md": _README.encode(), ".gitattributes": _ATTRIBUTES.encode()}
    message = "Store data and models of this repository"
    return write_commit(project, None, files, message, identity=ROOT_IDENTITY)
