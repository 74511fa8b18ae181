"""The way back: what an environment's model.yaml said before its model last changed.

Reads git, the ledger among it: what a delivery gave up there is nothing to go back to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.bundle import read_model_oid
from mlgitops.delivery.ledger import Ledger
from mlgitops.delivery.proposals.promotion import refuse_unpublished, write_release
from mlgitops.delivery.proposals.proposal import Proposal, find_default
from mlgitops.delivery.proposals.states import (
    State,
    find_desired,
    locate_wanted,
    read_states,
    restore_image,
)
from mlgitops.delivery.releases.release import find_release
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import UNSHALLOW
from mlgitops.git.wanted import find_same_bundles, read_wanted
from mlgitops.git.wanted_edit import MODEL_KEYS, edit_wanted
from mlgitops.model.ledger import find_failure
from mlgitops.render.escape import escape_code, escape_prose

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.git.repository import Folder
    from mlgitops.git.wanted import Wanted

_SHORT = 12
_FOLLOWS = "the branch"  # which an environment without a revision follows


def plan_rollback(
    folder: Folder,
    environment: str,
    version: str | None,
    *,
    reason: str | None,
    console: Console,
) -> Proposal:
    """Plan the change that takes an environment back to the model that it wanted before.

    To the release ``version`` where one is given. ``reason`` goes into the text. Raises
    :class:`MlgitopsError` when there is nothing to go back to, it is not clear what that is, or a
    delivery gave it up and it has not served since.
    """
    base, tip = find_default(folder.repository)
    wanted = read_wanted(folder.repository, folder.prefix, environment, tip)
    if version is None:
        now, before = _find_states(folder, environment, tip)
        _refuse_same_model(folder, wanted, before, tip)
        content, branch = _restore(now, before, tip, folder, environment), now[-1].commit[:_SHORT]
        target = str(before.model[0] or before.model[1] or _FOLLOWS)[:_SHORT]
        revision = str(before.model[1] or tip)
        image = restore_image(folder, environment, tip, before.commit)
    else:
        release = find_release(folder.repository, wanted.model, version)
        content, branch = write_release(folder, environment, release, tip), release.version
        target, revision = release.version, release.revision
        image = restore_image(
            *(folder, environment, tip),
            find_desired(folder, environment, release.version, tip),
        )
    refuse_unpublished(folder, revision, target, console)
    _refuse_condemned(folder, environment, revision, target, console)
    path = locate_wanted(folder, environment)
    if content == folder.repository.read(tip, path):
        raise MlgitopsError(f"{environment} wants {target} already", where=path)
    left = wanted.version or wanted.commit[:_SHORT]
    return Proposal(
        environment=environment,
        path=path,
        content=content,
        base=base,
        tip=tip,
        branch=f"rollback/{folder.prefix}{environment}/{branch}",
        title=f"Roll {environment} back to {target} from {left}",
        body=_describe(environment, target, left, reason),
        image=image,
    )


def _find_states(folder: Folder, environment: str, tip: str) -> tuple[list[State], State]:
    """Find the states with the model that is wanted now, newest first, and the one before them.

    Raises :class:`MlgitopsError` where the model came by a rollback itself: the one before it is
    what was left then.
    """
    path = locate_wanted(folder, environment)
    states = read_states(folder, environment, tip)
    models = [state.model for state in states]
    count = next((at for at, model in enumerate(models) if model != models[0]), len(models))
    if count == len(states):
        raise _refuse(folder, environment, path, states)
    if models[0] in models[count:]:
        left = str(models[count][0] or models[count][1] or _FOLLOWS)[:_SHORT]
        raise MlgitopsError(
            f"its last change was a way back itself, and what it left was {left}",
            where=f"{path} at {states[count - 1].commit[:_SHORT]}",
            hint=f"say where to: `mlgitops rollback {environment} --to VERSION`",
        )
    return states[:count], states[count]


def _refuse(folder: Folder, environment: str, path: str, states: list[State]) -> MlgitopsError:
    if folder.repository.is_shallow():
        return MlgitopsError("the clone lacks what it wanted before", where=path, hint=UNSHALLOW)
    follows = bool(states) and states[0].model[1] is None
    problem = f"{environment} never wanted another model"
    if follows:
        problem = f"{environment} has no `revision`: it follows the branch, and its file stays"
    hint = f"`mlgitops rollback {environment} --to VERSION`, or revert the merge that brought it"
    return MlgitopsError(problem, where=path, hint=hint)


def _refuse_same_model(folder: Folder, wanted: Wanted, before: State, tip: str) -> None:
    """Refuse to follow the branch again where it has the very model that shall be left."""
    if before.model[1] is not None:
        return
    at_tip, left = (
        read_model_oid(folder.repository, folder.prefix, commit) for commit in (tip, wanted.commit)
    )
    if at_tip == left:
        environment = wanted.environment
        raise MlgitopsError(
            f"before, {environment} followed the branch, which has this very model now",
            where=locate_wanted(folder, environment),
            hint=f"say where to: `mlgitops rollback {environment} --to VERSION`,"
            " or revert the merge that brought the model",
        )


def _refuse_condemned(
    folder: Folder, environment: str, revision: str, target: str, console: Console
) -> None:
    """Refuse a model that the ledger has as given up: its delivery would fail, or users suffer."""
    entries = Ledger(folder.repository.root, folder.prefix, console).read(environment)
    revisions = {entry.revision for entry in entries}
    same = find_same_bundles(folder.repository, folder.prefix, revision, revisions)
    failure = find_failure(same, entries)
    if failure is not None:
        why = f": {failure.reason}" if failure.reason else ""
        raise MlgitopsError(
            f"{target} was given up when {environment} wanted it{why}",
            where=f"entry {failure.seq} of the ledger, {failure.at}",
            hint=f"say where to: `mlgitops rollback {environment} --to VERSION`; once its cause is"
            f" mended, `mlgitops promote --to {environment} VERSION --allow-older` tries it again",
        )


def _restore(now: list[State], before: State, tip: str, folder: Folder, environment: str) -> bytes:
    """Return the old file byte for byte, where nothing but the model has changed since.

    Else the present one with the old model in it: replicas that were added meanwhile stay.
    """
    model = dict(zip(MODEL_KEYS, before.model, strict=True))
    if {**now[0].content, **model} == {**dict.fromkeys(MODEL_KEYS), **before.content}:
        return before.data
    values = {key: None if value is None else str(value) for key, value in model.items()}
    path = locate_wanted(folder, environment)
    return edit_wanted(now[0].data, values, where=f"{path} at {tip[:_SHORT]}")


def _describe(environment: str, target: str, left: str, reason: str | None) -> str:
    move = (
        f"{escape_code(environment)} shall serve {escape_code(target)} again, instead of"
        f" {escape_code(left)}."
    )
    merging = (
        "Nothing is trained: the model has the digest that it had. Merging this makes it what is"
        " wanted, and the next delivery brings it into service."
    )
    why = f"Why: {escape_prose(reason)}" if reason else ""
    return "\n\n".join(text for text in (move, why, merging) if text)
