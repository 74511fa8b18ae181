"""Files on a branch of their own, which no work tree has: read, and replaced by compare and swap.

The branch shares no history with the code. Who loses the race of a push reads again and decides
again; nothing is forced. Without an origin the branch is this clone's. Reads and writes git.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.git.commits import ROOT_IDENTITY, move_ref, push_commit, write_commit
from mlgitops.git.program import ask_git, find_remote_ref, find_revision, run_git

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_SECONDS = 60.0  # that origin has for its answer
_MOST_TRIES = 50  # of one change: each race that it loses, somebody else has won
_MOST_REFUSALS = 5  # of one push to a branch that nobody else has moved


class BranchFiles:
    """The files of one branch; ``explanation`` is the README of its first commit."""

    def __init__(self, root: Path, branch: str, explanation: bytes) -> None:
        self._root = root
        self._branch = branch
        self._ref = f"refs/heads/{branch}"
        self._explanation = explanation
        self._has_remote = "origin" in run_git(root, "remote").split()

    def find_tip(self) -> str | None:
        """Return the branch's newest commit, which is here then; None when there is no branch.

        Raises :class:`MlgitopsError` when origin does not answer.
        """
        if not self._has_remote:
            return find_revision(self._root, self._ref)
        tip = find_remote_ref(self._root, self._ref, timeout=_SECONDS)
        if tip and find_revision(self._root, tip) is None:
            words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", self._ref)
            run_git(self._root, *words, timeout=_SECONDS)
        return tip

    def list_folder(self, tip: str | None, folder: str) -> list[str]:
        """List the paths of the files that stand in ``folder`` at ``tip``, sorted."""
        if tip is None:
            return []
        words = ("ls-tree", "--full-tree", "-z", tip, "--", f"{folder.rstrip('/')}/")
        entries = [line.partition("\t") for line in run_git(self._root, *words).split("\0") if line]
        return sorted(path for kind, _, path in entries if kind.startswith("100644 blob "))

    def read(self, tip: str, path: str) -> bytes:
        """Return the content of a file that is there; raises :class:`MlgitopsError` otherwise."""
        done = ask_git(self._root, "cat-file", "blob", f"{tip}:{path}")
        if done.returncode != 0:  # never to be taken for an empty one
            raise MlgitopsError("it cannot be read", where=f"{path} on branch {self._branch}")
        return done.stdout

    def change(self, make: Callable[[str | None], Mapping[str, bytes]], message: str) -> str | None:
        """Commit what ``make`` makes of the newest commit, and push; return the branch's tip.

        It is asked again whenever another commit came first; nothing to write is nothing to do.
        """
        for _ in range(_MOST_TRIES):
            tip = self.find_tip()
            files = make(tip)
            if not files:
                return tip
            commit = write_commit(self._root, tip or self._begin(), files, message)
            if self._publish(commit, tip):
                return commit
        raise MlgitopsError(
            f"other changes came first, {_MOST_TRIES} times",
            where=f"branch {self._branch}",
            hint="run the same command again",
        )

    def _begin(self) -> str:
        """Write the first commit: the same in every clone."""
        readme, message = {"README.md": self._explanation}, f"Begin the branch {self._branch}"
        return write_commit(self._root, None, readme, message, identity=ROOT_IDENTITY)

    def _publish(self, commit: str, before: str | None) -> bool:
        """Make ``commit`` the branch's tip; False when the branch was moved meanwhile."""
        if not self._has_remote:
            return move_ref(self._root, self._ref, commit, before)
        reason = None
        for attempt in range(1, _MOST_REFUSALS + 1):
            reason = push_commit(self._root, commit, self._ref)
            tip = commit if reason is None else self.find_tip()
            if tip is not None and self._is_ancestor(commit, tip):  # also: only the answer was lost
                return True
            if tip != before:
                return False
            time.sleep(0.1 * attempt)  # another push may hold the branch's lock
        raise MlgitopsError(
            f"origin does not take it: {(reason or '').strip().splitlines()[-1:]}",
            where=f"branch {self._branch}",
            hint=f"let whoever runs this push to {self._branch}",
        )

    def _is_ancestor(self, sha: str, tip: str) -> bool:
        return ask_git(self._root, "merge-base", "--is-ancestor", sha, tip).returncode == 0
