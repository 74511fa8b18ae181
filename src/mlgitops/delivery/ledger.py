"""The ledger: what was brought into service, on the branch `deployments`. Reads and writes git.

One file for each environment, one line for each event, nothing ever changed: a commit adds a
line to one file. An entry is pushed, without force, onto the commit that it was decided on; who
loses that race reads again and decides again. Order is the branch's: clocks decide nothing.
"""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlgitops.delivery.ledger_history import README, Addition, list_additions
from mlgitops.environments import locked
from mlgitops.errors import MlgitopsError
from mlgitops.git.commits import ROOT_IDENTITY, move_ref, push_commit, write_commit
from mlgitops.git.program import ask_git, find_remote_ref, find_revision, run_git
from mlgitops.model.ledger import (
    LedgerEntry,
    chain_entry,
    encode_entry,
    parse_ledger,
    parse_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from mlgitops.console import Console

BRANCH = "deployments"
_LOCAL = f"refs/heads/{BRANCH}"  # where there is no remote, the ledger; else what waits for it
_CHECKED = "refs/mlgitops/{}/" + BRANCH  # the newest commit that this clone has checked
_SECONDS = 60.0  # that origin has for its answer
_MOST_TRIES = 100  # of one append: each race that it loses, somebody else has won
_MOST_REFUSALS = 5  # of one push to a branch that nobody else has moved
_LONGEST_TEXT = 500  # characters

_EXPLANATION = b"""\
# What was brought into service

One file for each environment, one line for each event. `mlgitops deploy` adds to this branch;
nothing on it is changed or removed, and the repository's rules should forbid to force-push it.
It shares no history with the code: do not merge it. Read it with `mlgitops audit`.
"""


class _Pushed(Enum):
    """What became of a push."""

    DONE = "origin has the commit"
    OVERTAKEN = "another entry came first"
    UNANSWERED = "origin does not answer"
    REFUSED = "origin does not take it"


class Ledger:
    """The ledger of a project; ``prefix`` is its folder in the repository, empty or with a slash.

    After each call, ``tip`` is the commit that was read (None: there is no ledger yet),
    ``problem`` says why origin could not be asked or did not take an entry (None: it did), and
    ``waiting`` how many entries are in this clone only.
    """

    def __init__(self, repository_root: Path, prefix: str, console: Console | None = None) -> None:
        self.tip: str | None = None
        self.problem: str | None = None
        self.waiting = 0
        self._is_refused = False
        self._root = repository_root
        self._prefix = prefix
        self._console = console
        self._has_remote = "origin" in run_git(repository_root, "remote").split()
        self._checked = _CHECKED.format("origin" if self._has_remote else "local")

    def read(self, environment: str) -> tuple[LedgerEntry, ...]:
        """Read the entries of ``environment``: those of origin, then those that wait here.

        Where origin does not answer, as they were last seen. Raises :class:`MlgitopsError` for
        a ledger that was rewritten, has a gap, or holds what nobody writes there.
        """
        with self._locked():
            self._synchronize()
            return self._read_entries(self.tip, self._prefix + environment, environment)

    def list_environments(self) -> list[str]:
        """List the environments of this project that the ledger knows; raises as `read` does."""
        with self._locked():
            self._synchronize()
            if self.tip is None:
                return []
            words = ("ls-tree", "--full-tree", "--name-only", "-z", self.tip)
            folder = [self._prefix] if self._prefix else []
            listed = run_git(self._root, *words, *folder).split("\0")
        names = [path.removeprefix(self._prefix) for path in listed if path.endswith(".jsonl")]
        return sorted(name.removesuffix(".jsonl") for name in names)

    def append(
        self,
        environment: str,
        make_entry: Callable[[tuple[LedgerEntry, ...]], LedgerEntry | None],
    ) -> LedgerEntry | None:
        """Append what ``make_entry`` makes of the entries so far; None where it wants nothing.

        It is asked again whenever another entry came first; ``seq`` and ``previous`` are set
        here. Where origin does not answer, the entry waits in this clone and goes with the next
        call. Raises :class:`MlgitopsError` when origin refuses it; then, too, it waits.
        """
        path = f"{self._prefix}{environment}"
        with self._locked():
            for _ in range(_MOST_TRIES):
                self._synchronize()
                entries = self._read_entries(self.tip, path, environment)
                wanted = make_entry(entries)
                if wanted is None:
                    return None
                entry = _shorten(chain_entry(wanted, entries))
                if self._record(self._write(self.tip, path, entry)):
                    return entry
        raise MlgitopsError(
            f"other entries came first, {_MOST_TRIES} times",
            where=f"branch {BRANCH}",
            hint="run the same command again",
        )

    def _locked(self) -> AbstractContextManager[None]:
        """Keep other processes out that write to this clone's ledger."""
        words = ("rev-parse", "--path-format=absolute", "--git-common-dir")
        folder = Path(run_git(self._root, *words).removesuffix("\n"))
        return locked(folder / f"mlgitops-{BRANCH}.lock")

    def _synchronize(self) -> None:
        """Take what origin has, put what waits here on top of it, and send that."""
        for _ in range(_MOST_TRIES):
            self.problem, self._is_refused = None, False
            tip = self._fetch() if self._has_remote else self._check(self._find(_LOCAL))
            self.tip, self.waiting = self._rebase(tip), 0
            if self.tip is None or self.tip == tip:
                return
            self.waiting = len(list_additions(self._root, tip, self.tip))
            pushed = _Pushed.UNANSWERED if self.problem else self._push(self.tip, tip)
            if pushed is _Pushed.DONE:
                self.waiting = 0
            if pushed is not _Pushed.OVERTAKEN:
                break
        if self.waiting:
            self._warn()

    def _fetch(self) -> str | None:
        """Fetch origin's newest commit, and check it; the last one seen where none answers."""
        try:
            tip = find_remote_ref(self._root, _LOCAL, timeout=_SECONDS)
            if tip and self._find(tip) is None:
                words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", _LOCAL)
                run_git(self._root, *words, timeout=_SECONDS)
        except MlgitopsError as error:
            self.problem = _summarize(error.what)
            return self._find(self._checked)
        return self._check(tip)

    def _check(self, tip: str | None) -> str | None:
        """Return ``tip`` once it is proved to go on from what was checked before."""
        before = self._find(self._checked)
        if before == tip:
            return tip
        if tip is None or (before and not self._is_ancestor(before, tip)):
            raise MlgitopsError(
                f"the ledger was rewritten: {str(before)[:12]}, read here before, is gone from it",
                where=f"branch {BRANCH}" + (" of origin" if self._has_remote else ""),
                hint="see who did. It can be put back from this clone: "
                f"`git push --force origin {before}:{_LOCAL}`",
            )
        list_additions(self._root, before, tip)
        move_ref(self._root, self._checked, tip, before)
        return tip

    def _rebase(self, tip: str | None) -> str | None:
        """Put the entries that wait in this clone on top of ``tip``; return the newest commit.

        The local branch then holds just what is to be pushed: killed at any point, nothing is
        lost and nothing is added twice.
        """
        local = self._find(_LOCAL) if self._has_remote else None
        if local is None or (tip and self._is_ancestor(local, tip)):
            return tip
        if tip is None or self._is_ancestor(tip, local):
            return local
        newest = tip
        for addition in list_additions(self._root, tip, local):
            newest = self._repeat(addition, newest)
        if not move_ref(self._root, _LOCAL, newest, local):
            raise MlgitopsError(
                "it was moved while its entries were put on top of origin's",
                where=f"branch {BRANCH} of this clone",
                hint="run the same command again",
            )
        return newest

    def _repeat(self, addition: Addition, tip: str) -> str:
        """Write the entries of ``addition`` again, on top of ``tip``."""
        where = f"commit {addition.commit[:12]} of the ledger"
        path = addition.path.removesuffix(".jsonl")
        for entry in parse_lines(addition.lines, where):
            entries = self._read_entries(tip, path, addition.environment)
            tip = self._write(tip, path, chain_entry(entry, entries))
        return tip

    def _record(self, commit: str) -> bool:
        """Make ``commit`` the ledger's newest; False when another entry came first."""
        if self._has_remote and not self.problem:
            pushed = self._push(commit, self.tip)
            if pushed in {_Pushed.DONE, _Pushed.OVERTAKEN}:
                return pushed is _Pushed.DONE
        if not move_ref(self._root, _LOCAL, commit, self._find(_LOCAL)):
            return False
        self.tip = commit
        if self._has_remote:
            self.waiting += 1
            self._warn()
        else:
            self._check(commit)
        if self._is_refused:
            raise MlgitopsError(
                f"origin does not take the entry, which waits in this clone: {self.problem}",
                where=f"branch {BRANCH}",
                hint=f"let whoever deploys push to {BRANCH}, then run the same command again",
            )
        return True

    def _push(self, commit: str, before: str | None) -> _Pushed:
        """Push ``commit``, made on ``before``; ask origin what became of it where git says no."""
        reason = None
        for attempt in range(1, _MOST_REFUSALS + 1):
            reason = push_commit(self._root, commit, _LOCAL)
            tip = self._check(commit) if reason is None else self._fetch()
            if self.problem:
                return _Pushed.UNANSWERED
            if tip and self._is_ancestor(commit, tip):  # also where only the answer was lost
                self.tip = tip
                return _Pushed.DONE
            if tip != before:
                return _Pushed.OVERTAKEN
            time.sleep(0.1 * attempt)  # another push may hold the branch's lock
        self.problem, self._is_refused = _summarize(reason or ""), True
        return _Pushed.REFUSED

    def _write(self, tip: str | None, path: str, entry: LedgerEntry) -> str:
        """Write a commit on ``tip`` that adds ``entry`` to the file of its environment."""
        if tip is None:
            files, message = {README: _EXPLANATION}, "Begin the ledger of deployments"
            tip = write_commit(self._root, None, files, message, identity=ROOT_IDENTITY)
        file = f"{path}.jsonl"
        content = self._read_file(tip, file) + encode_entry(entry)
        parse_ledger(content, entry.environment, f"the new entry of {file}")  # never one we refuse
        version = entry.version or entry.sha256[:12]
        message = f"{path}: {entry.model} {version} {entry.event.value}, entry {entry.seq}"
        return write_commit(self._root, tip, {file: content}, message)

    def _read_entries(
        self, tip: str | None, path: str, environment: str
    ) -> tuple[LedgerEntry, ...]:
        if tip is None:
            return ()
        where = f"{path}.jsonl on branch {BRANCH}"
        return parse_ledger(self._read_file(tip, f"{path}.jsonl"), environment, where)

    def _read_file(self, tip: str, file: str) -> bytes:
        listed = run_git(self._root, "ls-tree", "-z", "--full-tree", tip, "--", file)
        if not listed:
            return b""
        done = ask_git(self._root, "cat-file", "blob", f"{tip}:{file}")
        if done.returncode != 0:  # never to be taken for an empty one
            raise MlgitopsError("it cannot be read", where=f"{file} on branch {BRANCH}")
        return done.stdout

    def _find(self, revision: str) -> str | None:
        return find_revision(self._root, revision)

    def _is_ancestor(self, sha: str, tip: str) -> bool:
        return ask_git(self._root, "merge-base", "--is-ancestor", sha, tip).returncode == 0

    def _warn(self) -> None:
        if self._console:
            entries = "1 entry waits" if self.waiting == 1 else f"{self.waiting} entries wait"
            self._console.warn(
                f"the ledger: {entries} in this clone (branch {BRANCH}) and will be sent with "
                f"the next deployment: {self.problem}"
            )


def _shorten(entry: LedgerEntry) -> LedgerEntry:
    """Cut the texts of ``entry`` to what one may have."""
    texts = {name: getattr(entry, name) for name in ("reason", "actor")}
    cut = {name: text[:_LONGEST_TEXT] for name, text in texts.items() if text is not None}
    return msgspec.structs.replace(entry, **cut)


def _summarize(printed: str) -> str:
    """Return the line in which git says why: that of the branch, or of what was fatal."""
    lines = [line.strip() for line in printed.splitlines()]
    telling = [line for start in ("! ", "fatal: ") for line in lines if line.startswith(start)]
    return next(iter([*telling, *lines[-1:]]), "git says nothing")
