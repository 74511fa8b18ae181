"""A throw-away copy of the repository as GitHub would hold it while a pull request is open.

Branches, tags, `refs/pull/N/head` and the merge commit, in a bare clone that borrows the
user's objects and never writes to them. Only commits are rehearsed, as on GitHub.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.git.program import run_git

if TYPE_CHECKING:
    from pathlib import Path

_REMOTE = re.compile(r"(?:^|[@/])[^/@:]+[:/]([A-Za-z0-9][\w.-]*)/([\w.-]+?)(?:\.git)?/?$")
_NAME = "rehearsal"
_MAIL = "rehearsal@localhost"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The pull request to rehearse; ``base`` and ``head`` are (branch, sha)."""

    base: tuple[str, str]
    head: tuple[str, str]
    title: str
    body: str
    fork: str | None = None  # OWNER/NAME of the head's repository when it is another
    default_branch: str = "main"  # of the repository


def find_root(folder: Path) -> Path:
    """Return the top of the work tree that holds ``folder``.

    Raises :class:`MlgitopsError` when there is none, or it is a shallow clone.
    """
    if not folder.is_dir():
        raise MlgitopsError("there is no such folder", where=str(folder))
    hint = "rehearse inside a project: a git repository with a commit"
    top = type(folder)(_git(folder, "rev-parse", "--show-toplevel", hint=hint).strip())
    if _git(top, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise MlgitopsError(
            "this is a shallow clone, its history is missing",
            where=str(top),
            hint="fetch it with `git fetch --unshallow`",
        )
    return top


def read_change(root: Path, *, base: str | None, head: str | None) -> Change:
    """Read what a pull request from ``head`` (default HEAD) into ``base`` would hold.

    ``base`` defaults to the default branch. Raises :class:`MlgitopsError` when a revision
    is unknown, or head brings nothing.
    """
    head_sha = _resolve(root, head or "HEAD")
    base_rev = base or _require_default_branch(root)
    base_sha = _resolve(root, base_rev)
    count = int(_git(root, "rev-list", "--count", f"{base_sha}..{head_sha}"))
    if count == 0:
        raise MlgitopsError(
            f"there is nothing to rehearse: {head or 'HEAD'} has no commit that {base_rev} lacks",
            hint="commit your change on a branch (`git switch -c my-change`), "
            "or name an older base: `mlgitops rehearse --base HEAD~1`",
        )
    base_branch = _find_branch(root, base_rev) or "main"
    head_branch = _find_branch(root, head or "HEAD") or f"change-{head_sha[:7]}"
    if head_branch == base_branch:
        head_branch = f"{head_branch}-change"
    subject, _, body = _git(root, "log", "-1", "--format=%B", head_sha).strip().partition("\n")
    title = subject if count == 1 else head_branch.replace("-", " ").replace("_", " ")
    return Change(
        base=(base_branch, base_sha),
        head=(head_branch, head_sha),
        title=title,
        body=body.strip() if count == 1 else "",
        default_branch=_find_branch(root, _find_default_branch(root) or "") or base_branch,
    )


def name_fork(repository: str) -> str:
    """Return OWNER/NAME of a fork of ``repository``, by somebody else.

    >>> name_fork("octo/model")
    'contributor/model'
    """
    owner, _, name = repository.partition("/")
    return f"{'contributor' if owner != 'contributor' else 'another-contributor'}/{name}"


def count_uncommitted(root: Path) -> int:
    """Count the files with changes that no commit holds."""
    return len(_git(root, "status", "--porcelain", "--untracked-files=normal").splitlines())


def read_repository_name(root: Path) -> str:
    """Return OWNER/NAME from the remote's address; ``local/<folder>`` where there is none."""
    address = _try(root, "remote", "get-url", "origin")
    here = address.startswith(("/", ".", "file:"))
    match = None if here else _REMOTE.search(address)
    if match:
        return f"{match[1]}/{match[2]}"
    return f"local/{re.sub(r'[^A-Za-z0-9._-]', '-', root.name) or 'project'}"


def read_login(root: Path) -> str:
    """Return a login made of git's name for the person here; "you" where it has none."""
    name = _try(root, "config", "user.name")
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:39] or "you"


def make_origin(root: Path, change: Change, number: int, target: Path) -> str:
    """Make the bare clone at ``target`` and return the sha of the merge commit.

    The branch of a fork is not in it: of that, GitHub shows `refs/pull/N/` alone.

    Raises :class:`MlgitopsError` naming the files when head and base conflict.
    """
    _git(root, "init", "--quiet", "--bare", "--initial-branch", change.base[0], str(target))
    objects = _git(root, "rev-parse", "--path-format=absolute", "--git-path", "objects").strip()
    (target / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (target / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
    for name, value in {
        "uploadpack.allowAnySHA1InWant": "true",
        "gc.auto": "0",
        "user.name": _NAME,
        "user.email": _MAIL,
    }.items():
        _git(target, "config", name, value)
    merge = _merge(target, change)
    refs = {
        f"refs/heads/{change.base[0]}": change.base[1],
        **({} if change.fork else {f"refs/heads/{change.head[0]}": change.head[1]}),
        f"refs/pull/{number}/head": change.head[1],
        f"refs/pull/{number}/merge": merge,
        **_read_kept_refs(root),
    }
    for ref, sha in refs.items():
        _git(target, "update-ref", ref, sha)
    return merge


def open_group(origin: Path, change: Change, number: int, sha: str) -> str:
    """Make the branch on which a merge queue tests ``sha``, and return its ref."""
    ref = f"refs/heads/gh-readonly-queue/{change.base[0]}/pr-{number}-{change.base[1]}"
    _git(origin, "update-ref", ref, sha)
    return ref


def make_checkout(origin: Path, sha: str, target: Path) -> None:
    """Check ``sha`` out of the bare clone into ``target``."""
    _git(origin, "clone", "--quiet", "--shared", "--no-checkout", str(origin), str(target))
    _git(target, "checkout", "--quiet", "--detach", sha)


def read_texts(origin: Path, sha: str, folder: str) -> dict[str, str]:
    """Return path → text of the files right below ``folder`` at a commit, sorted."""
    names = _git(origin, "ls-tree", "--name-only", "-z", sha, f"{folder}/").split("\0")
    return {name: _git(origin, "show", f"{sha}:{name}") for name in sorted(filter(None, names))}


def read_branch(origin: Path, branch: str) -> str | None:
    """Return the commit of a branch of the bare clone; None when there is no such branch."""
    return _try(origin, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") or None


def read_last_change(origin: Path, rev: str, path: str) -> str | None:
    """Return the newest commit up to ``rev`` of the bare clone that changed ``path``."""
    words = ("log", "-1", "--format=%H", "--end-of-options", rev, "--", path)
    return _try(origin, *words) or None


def bring_home(root: Path, origin: Path, change: Change) -> list[str]:
    """Fast-forward the branches that the workflow pushed to; return their names.

    That is the head's branch and the storage. Raises :class:`MlgitopsError` when one of them
    has moved on here, or files in the work tree are in the way.
    """
    moved = []
    for branch in ("dvc-storage", change.head[0]):
        new = read_branch(origin, branch)
        if new and new != _try(root, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"):
            _fast_forward(root, origin, branch)
            moved.append(branch)
    return moved


def _fast_forward(root: Path, origin: Path, branch: str) -> None:
    """Take over a branch; where a work tree has it checked out, its files follow."""
    worktree = None
    for line in _git(root, "worktree", "list", "--porcelain").splitlines():
        if line.startswith("worktree "):
            worktree = type(root)(line.removeprefix("worktree "))
        elif line == f"branch refs/heads/{branch}" and worktree is not None:
            _git(worktree, "fetch", "--quiet", "--no-tags", str(origin), f"refs/heads/{branch}")
            hint = "commit or put away what stands in the way, then rehearse again"
            _git(worktree, "merge", "--quiet", "--ff-only", "FETCH_HEAD", hint=hint)
            return
    ref = f"refs/heads/{branch}"
    _git(root, "fetch", "--quiet", "--no-tags", str(origin), f"{ref}:{ref}")


def _merge(origin: Path, change: Change) -> str:
    (base_branch, base), (head_branch, head) = change.base, change.head
    try:
        tree = _git(
            origin, "merge-tree", "--write-tree", "--name-only", "--no-messages", base, head
        )
    except MlgitopsError as error:
        if "ended with 1\n" not in f"{error.what}\n" and "ended with 1" not in error.what:
            raise
        files = [line.strip() for line in error.what.splitlines()[2:] if line.strip()]
        raise MlgitopsError(
            f"{head_branch} conflicts with {base_branch}, so GitHub would run nothing: "
            f"{', '.join(files) or 'see git merge'}",
            hint=f"merge {base_branch} into {head_branch}, settle the conflict and commit",
        ) from error
    message = f"Merge {head} into {base}"
    words = ["commit-tree", tree.split()[0], "-p", base, "-p", head, "-m", message]
    return _git(origin, *words).strip()


def _read_kept_refs(root: Path) -> dict[str, str]:
    """Read tags, and the branch that stores DVC's objects, ours before the remote's."""
    text = _git(root, "for-each-ref", "--format=%(objectname) %(refname)")
    refs = {name: sha for sha, name in (line.split(" ", 1) for line in text.splitlines())}
    kept = {name: sha for name, sha in refs.items() if name.startswith("refs/tags/")}
    for name in ("refs/remotes/origin/dvc-storage", "refs/heads/dvc-storage"):
        if name in refs:
            kept["refs/heads/dvc-storage"] = refs[name]
    return kept


def _find_default_branch(root: Path) -> str | None:
    names = ("origin/HEAD", "main", "master")
    words = ("rev-parse", "--verify", "--quiet")
    return next((name for name in names if _try(root, *words, f"{name}^{{commit}}")), None)


def _require_default_branch(root: Path) -> str:
    name = _find_default_branch(root)
    if name:
        return name
    raise MlgitopsError(
        "no base to compare with: there is no origin/HEAD, main or master",
        where=str(root),
        hint="name it: `mlgitops rehearse --base REV`",
    )


def _find_branch(root: Path, rev: str) -> str | None:
    """Return the branch that ``rev`` names, without the remote; None for another revision."""
    name = _try(root, "rev-parse", "--symbolic-full-name", rev)
    for prefix in ("refs/heads/", "refs/remotes/origin/"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return None


def _resolve(root: Path, rev: str) -> str:
    sha = "" if rev.startswith("-") else _try(root, "rev-parse", "--verify", f"{rev}^{{commit}}")
    if not sha:
        raise MlgitopsError(f"unknown revision: {rev}", where=str(root))
    return sha


def _try(root: Path, *words: str) -> str:
    try:
        return _git(root, *words).strip()
    except MlgitopsError:
        return ""


def _git(folder: Path, *words: str, hint: str | None = None) -> str:
    return run_git(folder, *words, hint=hint, errors="replace")
