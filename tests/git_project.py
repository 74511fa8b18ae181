"""Git as the tests use it: one author, and nobody's own settings."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The variables of a command that git runs in, or that runs git.
ENVIRON = {
    "GIT_AUTHOR_NAME": "Author",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_COMMITTER_NAME": "Author",
    "GIT_COMMITTER_EMAIL": "author@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
#: What runs in a repository without our environment commits as a person too.
_SETTINGS = """\
[user]
\tname = A Tester
\temail = tester@example.org
[commit]
\tgpgsign = false
"""


def git(folder: Path, *words: str, stdin: str | None = None) -> str:
    """Run git in ``folder`` and return what it printed; a new repository begins on main."""
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *words],
        cwd=folder,
        env={**os.environ, **ENVIRON},
        input=stdin,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Commit everything that is not ignored, changed or not, and return the sha."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def find_tip(origin: Path, branch: str) -> str | None:
    """Return where a branch of ``origin`` stands; None where it has no such branch."""
    return git(origin, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files (path to text) below ``folder``."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def commit_files(folder: Path, files: Mapping[str, str], message: str) -> str:
    """Write files, commit them, and return the sha."""
    write_files(folder, files)
    return commit(folder, message)


class GitRepository:
    """A real repository in a temporary folder, with commits made by a test."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.git("init", "--quiet", "--template=")  # without the samples of hooks
        config = root / ".git" / "config"
        if not config.parent.is_dir():  # a work tree or a submodule: git says where it is
            config = root / self.git("rev-parse", "--git-path", "config")
        with config.open("a", encoding="utf-8") as file:
            file.write(_SETTINGS)

    def git(self, *words: str) -> str:
        """Run git and return what it printed."""
        return git(self.root, *words)

    def put(self, path: str, text: str | bytes) -> None:
        """Write one file."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())

    def commit(self, message: str = "change") -> str:
        """Commit everything and return the sha."""
        return commit(self.root, message)
