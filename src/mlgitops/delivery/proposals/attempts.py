"""Branches of one kind that were proposed before, and what became of them. Reads git.

Where there is a token the API is asked whether a pull request was closed; without one, a branch
that is not merged counts as open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from mlgitops.delivery.proposals.proposal import find_forge
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import fetch_commit, find_remote_ref, find_revision, run_git
from mlgitops.storage.exchange import has_origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mlgitops.delivery.proposals.proposal import Forge
    from mlgitops.git.repository import Repository
    from mlgitops.github.pull_requests import PullState

#: Branches of one kind that are looked at.
MOST_ATTEMPTS = 200
_HEADS = "refs/heads/"
_SHORT = 12


class Attempt(Struct, frozen=True, kw_only=True):
    """A branch that was proposed, such as that of a retraining."""

    branch: str
    tip: str  # sha of its last commit, which need not be here
    day: str  # of its commit, UTC
    is_merged: bool
    is_closed: bool  # its pull request was closed without a merge, as far as we could ask
    is_asked: bool = True  # without a token nobody can be asked

    def describe(self, kind: str) -> str:
        """Say of an open one what is open, such as "a retraining", and how to give it up."""
        if self.is_asked:
            return f"{kind} is open: branch {self.branch}"
        return (
            f"{kind} is open: branch {self.branch}; if its pull request was closed (without a "
            f"token that is not known): `git push origin --delete {self.branch}`"
        )


class Series(NamedTuple):
    """The branches of one kind in one project, such as its retrainings."""

    base: str  # the default branch, without a remote's name
    tip: str
    stem: str  # how their names begin
    ending: str  # pattern of the rest of their names
    report: str  # the file that each of them brings, from the repository's root
    names: Sequence[str]  # that the next one may take, in this order


def list_names(stem: str) -> list[str]:
    """List the names that branches of the same start take, one after the other."""
    return [stem, *(f"{stem}-{number}" for number in range(2, MOST_ATTEMPTS + 2))]


def find_open(attempts: Iterable[Attempt]) -> Attempt | None:
    """Find the newest branch that is neither merged nor given up."""
    going = [it for it in attempts if not (it.is_merged or it.is_closed)]
    return max(going, key=lambda it: (it.day, it.branch), default=None)


def list_attempts(
    repository: Repository, series: Series, environ: Mapping[str, str]
) -> Iterator[Attempt]:
    """Yield what was proposed: branches of origin, and pull requests without one."""
    own = re.compile(re.escape(series.stem) + series.ending)
    tips = list_branches(repository.root, series.stem)
    named = {branch: sha for branch, sha in tips.items() if own.fullmatch(branch)}
    if len(named) > MOST_ATTEMPTS:
        hint = "delete the branches of those that are merged or closed"
        raise MlgitopsError(f"more than {MOST_ATTEMPTS} branches", where=series.stem, hint=hint)
    forge = find_forge(repository, environ)
    states = _ask_states(series, forge, sorted(named))
    merged = _list_merged(repository, series)
    for branch, sha in sorted(named.items()):
        fetch_commit(repository.root, sha)
        state = states.get(branch)
        is_merged = (
            (state is not None and state.name == "merged")
            or repository.is_ancestor(sha, series.tip)
            or repository.find_blob(sha, series.report) in merged
        )
        yield Attempt(
            branch=branch,
            tip=sha,
            day=repository.read_day(sha),
            is_merged=is_merged,
            is_closed=state is not None and state.name == "closed",
            is_asked=forge is not None,
        )
    for branch, state in states.items():
        if branch not in named:  # it was deleted; its pull request still has its name
            day = state.day or repository.read_day(series.tip)
            is_merged = state.name == "merged"
            yield Attempt(
                branch=branch,
                tip=state.sha,
                day=day,
                is_merged=is_merged,
                is_closed=not is_merged,
            )


def list_branches(root: Path, prefix: str) -> dict[str, str]:
    """Return the branches that begin with ``prefix``, at origin where there is one: name → sha."""
    if has_origin(root):
        printed = run_git(root, "ls-remote", "origin", f"{_HEADS}{prefix}*")
        pairs = (line.split("\t") for line in printed.splitlines())
        listed = {name: sha for sha, name in pairs}
    else:
        printed = run_git(root, "for-each-ref", "--format=%(objectname)\t%(refname)", _HEADS)
        listed = {name: sha for sha, name in (line.split("\t") for line in printed.splitlines())}
    return {
        name.removeprefix(_HEADS): sha
        for name, sha in listed.items()
        if name.startswith(f"{_HEADS}{prefix}")
    }


def read_branch(
    repository: Repository, series: Series, branch: str, content: str
) -> tuple[bytes, str, str]:
    """Read a branch that was pushed: its report, the commit that brought that, and its tip.

    ``content``: what it should hold, in words. Whoever may push a branch can give it such a name:
    of its messages none is read.
    """
    root, ref = repository.root, f"{_HEADS}{branch}"
    tip = find_remote_ref(root, ref) if has_origin(root) else find_revision(root, ref)
    if tip is None:
        raise MlgitopsError("it is gone", where=f"branch {branch}", hint="run it again")
    fetch_commit(root, tip)
    added = run_git(root, "rev-list", "--reverse", f"{series.tip}..{tip}").split()
    data = repository.read(added[0], series.report) if added else None
    if data is None or data == repository.read(series.tip, series.report):
        hint = f"look at it; if nobody needs it: `git push origin --delete {branch}`"
        raise MlgitopsError(f"it holds no {content}", where=f"branch {branch}", hint=hint)
    return data, added[0], tip


def _list_merged(repository: Repository, series: Series) -> set[str | None]:
    """List the reports that the default branch had: a squashed branch is known by its own."""
    changes = repository.list_changes(series.tip, series.report, most=MOST_ATTEMPTS)
    return {repository.find_blob(commit, series.report) for commit in changes} - {None}


def _ask_states(series: Series, forge: Forge | None, branches: list[str]) -> dict[str, PullState]:
    """Return what became of the pull requests of branches, and of deleted ones of this start."""
    if forge is None:
        return {}
    from mlgitops.github.client import open_client
    from mlgitops.github.pull_requests import find_state

    states: dict[str, PullState] = {}
    deleted = (name for name in series.names if name not in branches)
    with open_client(forge.api, token=forge.token) as client:
        for branch in (*branches, *deleted):
            state = find_state(client, forge.name, branch=branch, base=series.base)
            if state is not None:
                states[branch] = state
            elif branch not in branches:
                break
    return states
