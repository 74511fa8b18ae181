"""Commits made beside every work tree, and branches moved by compare and swap. Writes git."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.git.program import ask_git, identity_options, run_git

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Author of a branch's first commit: the same in every clone, so that two that begin share it.
ROOT_IDENTITY = MappingProxyType(
    {
        "GIT_AUTHOR_NAME": "mlgitops",
        "GIT_AUTHOR_EMAIL": "mlgitops@localhost",
        "GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z",
        "GIT_COMMITTER_NAME": "mlgitops",
        "GIT_COMMITTER_EMAIL": "mlgitops@localhost",
        "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
    }
)
_PUSH_SECONDS = 120.0


def write_commit(
    root: Path,
    parent: str | None,
    files: Mapping[str, bytes],
    message: str,
    *,
    identity: Mapping[str, str] | None = None,
) -> str:
    """Write a commit with ``files`` (path → content) put over those of ``parent``; return its sha.

    No branch, index or work tree is touched, no hook runs, and nothing is signed. ``identity``
    holds git's variables of author and committer; without it they are those of git's settings.
    """
    with tempfile.TemporaryDirectory(prefix="mlgitops-") as name:
        index = {"GIT_INDEX_FILE": str(Path(name) / "index")}
        if parent is not None:
            run_git(root, "read-tree", parent, environment=index)
        for path, content in files.items():
            file = Path(name) / "content"
            file.write_bytes(content)
            blob = run_git(root, "hash-object", "-w", "--no-filters", file).strip()
            entry = f"100644,{blob},{path}"
            run_git(root, "update-index", "--add", "--cacheinfo", entry, environment=index)
        tree = run_git(root, "write-tree", environment=index).strip()
    author = [] if identity else identity_options(root)
    parents = ["-p", parent] if parent is not None else []
    words = (*author, "commit-tree", tree, *parents, "-m", message)
    return run_git(root, *words, environment=identity).strip()


def move_ref(root: Path, ref: str, sha: str, before: str | None) -> bool:
    """Move ``ref`` to ``sha`` if it still is at ``before`` (None: is not there); tell whether."""
    return ask_git(root, "update-ref", ref, sha, before or "").returncode == 0


def push_commit(root: Path, sha: str, ref: str) -> str | None:
    """Push ``sha`` to ``ref`` of origin, never by force; return None, or why git did not say yes.

    After a reason it is open whether origin has the commit: the answer may have been lost.
    """
    try:
        run_git(root, "push", "--quiet", "origin", f"{sha}:{ref}", timeout=_PUSH_SECONDS)
    except MlgitopsError as error:
        return error.what
    return None
