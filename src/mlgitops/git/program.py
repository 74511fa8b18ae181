"""Run git, the one way in which every room does: no hook, no prompt, nothing inherited."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.process import run_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


# Set while a git hook runs; they would send our commands to the caller's repository.
_LOCAL_VARIABLES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"}
#: Reading takes no lock, is not led to other objects, and is answered in English.
_READING = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}


def _inherit_variables() -> dict[str, str]:
    """Return this process's variables without those that name another repository to git."""
    return {name: value for name, value in os.environ.items() if name not in _LOCAL_VARIABLES}


def ask_git(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git in ``folder`` to read; return its exit code and the bytes that it printed.

    Raises FileNotFoundError when there is no such folder, or no git.
    """
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**_inherit_variables(), **_READING, **(environment or {})},
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


def open_git(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start git in ``folder`` to read; it is asked through its pipes until the caller ends it."""
    return subprocess.Popen(
        ["git", *arguments],
        cwd=folder,
        env={**_inherit_variables(), **_READING},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def run_git(
    folder: Path,
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    hint: str | None = None,
    errors: str = "surrogateescape",
    timeout: float | None = None,
) -> str:
    """Run git in ``folder`` and return what it printed; no hook runs, no prompt waits.

    Bytes that are not UTF-8 come as Python names files, so that such a name leads to its file;
    with ``errors="replace"`` they come as text to show. ``timeout`` is in seconds. Raises
    :class:`MlgitopsError` with ``hint`` when git ends with another code than 0, or takes longer.
    """
    fixed = ["-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false"]
    fixed += ["-c", "core.autocrlf=false", "-c", "core.quotePath=false"]
    variables = {"GIT_TERMINAL_PROMPT": "0", **_inherit_variables(), **(environment or {})}
    try:
        words = ["git", "-C", folder, *fixed, *arguments]
        return run_program(words, env=variables, hint=hint, errors=errors, timeout=timeout)
    except MlgitopsError as error:
        if "not a git repository" in error.what:
            hint = hint or "run it inside one, or make one: `git init`"
            raise MlgitopsError("not a git repository", where=str(folder), hint=hint) from error
        error.what = error.what.replace(f"{' '.join(fixed)} ", "")
        raise


def find_revision(folder: Path, revision: str) -> str | None:
    """Return the sha of a commit, or None when the repository has no such revision."""
    try:
        return run_git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    except MlgitopsError:
        return None


def fetch_commit(folder: Path, sha: str) -> None:
    """Fetch a commit from origin unless it is here; raises :class:`MlgitopsError` if it cannot."""
    if find_revision(folder, sha) is None:
        run_git(folder, "fetch", "--quiet", "--no-tags", "origin", sha)


def find_remote_ref(folder: Path, ref: str, *, timeout: float | None = None) -> str | None:
    """Return the sha that ``ref``, a full name, has at origin; None when origin has no such ref.

    ``timeout`` is in seconds. Raises :class:`MlgitopsError` when origin does not answer.

    Git takes the name for an ending, and lists `refs/heads/a/refs/heads/b` for `refs/heads/b`,
    and before it: only the line of the very name counts.
    """
    lines = run_git(folder, "ls-remote", "origin", ref, timeout=timeout).splitlines()
    listed = (line.split("\t") for line in lines)
    return next((sha for sha, *names in listed if names == [ref]), None)


def identity_options(folder: Path) -> list[str]:
    """Return the options that name an author when git knows none, as in CI."""
    try:
        run_git(folder, "var", "GIT_COMMITTER_IDENT")
    except MlgitopsError:
        return ["-c", "user.name=mlgitops", "-c", "user.email=mlgitops@localhost"]
    return []
