"""The objects of an accepted lock into the base's storage, of whatever kind, and the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.git.program import run_git
from mlgitops.storage.additions import commit_new, drop_damaged, refuse_changed
from mlgitops.storage.branch import BRANCH
from mlgitops.storage.exchange import has_origin, prove_pushed, push_branch
from mlgitops.storage.handover.objects import store_objects
from mlgitops.storage.handover.remote import store_remotely
from mlgitops.storage.prepare import prepare_storage
from mlgitops.storage.publish import list_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.model import DataVersion


class Stored(Struct, frozen=True, kw_only=True):
    """How many objects the results need, all of them stored, and how many of those are new."""

    place: str  # for people: where they are
    objects: int
    added: int


def store_claims(
    project: Path,
    handover: Path,
    wanted: Mapping[str, DataVersion],
    console: Console,
    *,
    of_base: frozenset[str],
    write: bool,
) -> Stored:
    """Store every object of ``wanted`` (path → version) and prove it; ``of_base``: base's names.

    Without ``write`` nothing is stored: all of them must be there. Raises
    :class:`MlgitopsError` when one is not, or is not what its name says.
    """
    remote = prepare_storage(project, console)
    if remote is None:
        raise MlgitopsError("the base names no storage", where=".dvc/config")
    if remote.kind == "repo" and remote.path is not None:
        objects, added = _store_in_branch(
            project, remote.path, handover, wanted, console, write=write
        )
        return Stored(place=f"on the branch {BRANCH}", objects=objects, added=added)
    if remote.path is not None:
        raise MlgitopsError(
            "a folder of one machine is no storage for a workflow's results",
            where=".dvc/config",
            hint="run `mlgitops train && mlgitops publish` there and push the lock",
        )
    with console.step(f"Verify objects and send new ones to {remote.url}"):
        objects, added = store_remotely(project, handover, wanted, of_base=of_base, write=write)
    return Stored(place=f"in {remote.url}", objects=objects, added=added)


def _store_in_branch(
    project: Path,
    worktree: Path,
    handover: Path,
    wanted: Mapping[str, DataVersion],
    console: Console,
    *,
    write: bool,
) -> tuple[int, int]:
    with console.step(f"Verify objects and add them to branch {BRANCH}"):
        refuse_changed(worktree)
        drop_damaged(worktree)
        source = handover if write else worktree  # without writing: all must be stored
        needed = store_objects(source, worktree, wanted)
        added = commit_new(worktree) if write else 0
    if has_origin(project) and write:
        with console.step(f"Push branch {BRANCH} to origin"):
            push_branch(project, worktree, console)
            prove_pushed(project, worktree)
    stored = list_tree(worktree, run_git(worktree, "rev-parse", "HEAD").strip())
    missing = [location for location, size in needed.items() if stored.get(location) != size]
    if missing:
        errors = [
            MlgitopsError("missing, or of another size", where=location)
            for location in missing[:20]
        ]
        raise MistakesError("the storage is not complete:", errors)
    return len(needed), added
