"""What each commit on the branch of the ledger added, and proof that it did nothing else.

In: git. Out: the lines that were added, in order. A commit that changes or removes what was
there, joins two histories or touches another file is named and refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.git.program import ask_git
from mlgitops.git.repository import UNSHALLOW, Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = "README.md"
_FILE = re.compile(r"(?:[^\x00-\x1f\"\\]+/)?([a-z0-9][a-z0-9-]{0,62})\.jsonl")
_MODE = "100644"
_MERGED = 2  # parents of a commit that joins two histories
_HINT = (
    "nobody edits this branch: see who did, `git log -p`, and put it back to the last commit "
    "that only adds"
)


@dataclass(frozen=True, kw_only=True)
class Addition:
    """The lines that one commit added to the file of one environment."""

    commit: str
    path: str  # from the root of the branch
    environment: str
    lines: bytes  # whole ones


@dataclass(frozen=True, kw_only=True)
class _Commit:
    sha: str
    parents: list[str]
    changes: list[str]  # lines of `git log --raw`


def list_additions(root: Path, before: str | None, tip: str) -> list[Addition]:
    """List what the commits of ``tip`` that ``before`` has not added, the oldest first.

    Raises :class:`MlgitopsError` naming the first commit that does anything else.
    """
    contents: dict[str, bytes] = {}  # of each file, as of the commit that was read last
    additions = []
    with Repository(root) as repository:
        # With two lines of history "what was there before" has no meaning: merges come first.
        commits = sorted(
            _list_commits(root, before, tip), key=lambda it: len(it.parents[:2]) != _MERGED
        )
        for commit in commits:
            where = f"commit {commit.sha[:12]} of the ledger"
            try:
                path = _find_changed(commit)
                if path is not None:
                    additions.append(_read_addition(repository, commit, path, contents))
            except ValueError as error:
                hint = UNSHALLOW if repository.is_shallow() else _HINT
                raise MlgitopsError(str(error), where=where, hint=hint) from error
    return additions


def _list_commits(root: Path, before: str | None, tip: str) -> Iterator[_Commit]:
    settings = ("-c", "log.showRoot=true", "-c", "core.quotePath=false")
    words = (
        "log",
        "--topo-order",
        "--reverse",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--format=%x00%H %P",
    )
    span = [f"^{before}"] if before else []
    done = ask_git(root, *settings, *words, tip, *span, "--")
    if done.returncode != 0:
        raise MlgitopsError(f"the ledger at {tip[:12]} cannot be read", hint=UNSHALLOW)
    for block in os.fsdecode(done.stdout).split("\0")[1:]:
        names, *changes = block.splitlines()
        sha, *parents = names.split(" ")
        yield _Commit(
            sha=sha, parents=[p for p in parents if p], changes=list(filter(None, changes))
        )


def _find_changed(commit: _Commit) -> str | None:
    """Return the one file that ``commit`` adds to; None for the first one, which only explains.

    Raises ValueError saying what else it does.
    """
    if len(commit.parents) >= _MERGED:
        raise ValueError("it joins two histories, and the ledger has one")
    entries = [change.partition("\t") for change in commit.changes]
    if not commit.parents:
        entries = [entry for entry in entries if entry[2] != README]
        if not entries:
            return None
    if len(entries) != 1:
        raise ValueError(f"it changes {len(entries)} files, and an entry is a line in one")
    fields, _, path = entries[0]
    _, mode, _, _, kind = fields.lstrip(":").split(" ")
    if kind not in {"A", "M"} or mode != _MODE or not _FILE.fullmatch(path):
        raise ValueError(f"it changes {path[:200]} ({kind}), which is no adding of an entry")
    return path


def _read_addition(
    repository: Repository, commit: _Commit, path: str, contents: dict[str, bytes]
) -> Addition:
    """Read what ``commit`` added at ``path``, and leave its content in ``contents``."""
    if path not in contents:
        parent = repository.read_at(commit.parents[0], path) if commit.parents else None
        contents[path] = parent[1] if parent else b""
    entry = repository.read_at(commit.sha, path)
    before, after = contents[path], entry[1] if entry else b""
    if not after.startswith(before):
        raise ValueError(f"it rewrites entries of {path[:200]}")
    lines = after[len(before) :]
    if not lines.endswith(b"\n"):
        raise ValueError(f"it leaves a line of {path[:200]} cut off")
    contents[path] = after
    match = _FILE.fullmatch(path)
    name = match[1] if match else ""
    return Addition(commit=commit.sha, path=path, environment=name, lines=lines)
