"""The files of environments that a change edits, to the models that they name at base and head.

Reads git alone. What head names must be reviewed history: on base's own line of first parents,
whatever head's history says. So the trusted half reads the same from the same commits.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.git.repository import UNSHALLOW
from mlgitops.git.wanted import read_wanted
from mlgitops.model import WantedModel
from mlgitops.parsing import parse_json, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.git.repository import Folder, Repository
    from mlgitops.git.wanted import Wanted

_SHORT = 12
_MAX_LABEL, _MAX_TEXT = 100, 500
#: Changes of a file that are looked at for a model that was wanted before.
_MOST_CHANGES = 200


class Target(Struct, frozen=True, kw_only=True):
    """One environment whose model a change moves."""

    environment: str
    base: WantedModel | None = None  # None: there is no such environment at base
    head: WantedModel | None = None
    is_return: bool = False
    reason: str | None = None  # why the models cannot be named


def list_environments(folder: Folder, changed: Iterable[str]) -> list[str]:
    """List the environments whose file is among ``changed`` (paths from the repository's root)."""
    pattern = re.compile(re.escape(f"{folder.prefix}deploy/") + r"([^/]+)/model\.yaml")
    matches = (pattern.fullmatch(path) for path in changed)
    return sorted(match[1] for match in matches if match)


def list_edited(
    repository: Repository, base: str | None, head: str | None, commit: str | None
) -> list[str]:
    """List what ``head`` (None: the work tree on ``commit``) changes since it left ``base``.

    Against base itself where the history is cut, or nothing is committed yet.
    """
    if base is None:
        return []
    parted = base
    with suppress(MlgitopsError):
        parted = repository.merge_base(base, head or commit or base)
    return repository.changed_files(parted, head)


def find_targets(
    folder: Folder, changed: Iterable[str], *, base: str, head: str | None, model: str | None
) -> list[Target]:
    """Find the environments for which ``head`` (None: the work tree) wants another model.

    ``changed`` are the files that the change edits; ``model`` is the policy's model file. One that
    head removes wants nothing.
    """
    edited = list(changed)
    beside = [path for path in edited if not path.startswith(f"{folder.prefix}deploy/")]
    targets = (
        _find_target(
            *(folder, environment),
            base=base,
            head=head,
            model=model,
            beside=min(beside, default=""),
        )
        for environment in list_environments(folder, edited)
    )
    return [target for target in targets if target is not None]


def _find_target(
    folder: Folder,
    environment: str,
    *,
    base: str,
    head: str | None,
    model: str | None,
    beside: str,
) -> Target | None:
    """Find what moves there; ``beside`` is a file outside deploy/ that the change edits, or ""."""
    path = f"{folder.prefix}deploy/{environment}/model.yaml"
    repository = folder.repository
    before: Wanted | None = None
    try:
        if repository.read(head, path) is None:
            return None
        before = _read_before(folder, environment, path, base)
        after = read_wanted(repository, folder.prefix, environment, head, line=base)
        if before is not None and _is_same(before, after):
            return None
        if before is not None and beside:
            _refuse_unpinned(repository, head, path, beside)
        _check_model(folder, after, model)
        _check_version(folder, after)
    except MlgitopsError as error:
        base_model = _name(before) if before is not None else None
        return Target(environment=environment, base=base_model, reason=_say(error))
    return Target(
        environment=environment,
        base=_name(before) if before is not None else None,
        head=_name(after),
        is_return=before is not None and _is_return(folder, path, base, before, after),
    )


def _read_before(folder: Folder, environment: str, path: str, base: str) -> Wanted | None:
    """Read what was wanted before the change: at base, else until base's history removed the file.

    Else whoever removes an environment in one change, and describes it anew in the next, would
    bring any model there without a comparison.
    """
    repository = folder.repository
    commit: str | None = base
    if repository.read(base, path) is None:
        removals = repository.list_changes(base, path, most=1)
        commit = repository.find(f"{removals[0]}^1") if removals else None
    return read_wanted(repository, folder.prefix, environment, commit) if commit else None


def _is_same(before: Wanted, after: Wanted) -> bool:
    """Tell whether both name the same model, however many replicas serve it."""
    named = [(wanted.model, wanted.commit, wanted.version) for wanted in (before, after)]
    return named[0] == named[1] and after.sha256 in (None, before.sha256)


def _refuse_unpinned(repository: Repository, head: str | None, path: str, beside: str) -> None:
    """Refuse to follow the branch from a change that may bring another model to that branch.

    What would be compared is base's model; what would serve is what the change trains.
    """
    if _read_content(repository, head, path).get("revision") is None:
        raise MlgitopsError(
            f"without `revision` it follows the branch, and the same change edits {beside}, so"
            " that its model is not merged yet: do one after the other"
        )


def _check_model(folder: Folder, wanted: Wanted, model: str | None) -> None:
    """Raise :class:`MlgitopsError` when the commit has another model than the sha256 says."""
    if wanted.sha256 is None or model is None:
        return
    name = PurePosixPath(model).with_suffix(".json").as_posix()
    data = folder.read(wanted.commit, name)
    facts = parse_json(data, name) if data is not None else None
    digest = facts.get("sha256") if isinstance(facts, dict) else None
    if digest != wanted.sha256:
        raise MlgitopsError(
            f"it names the model {wanted.sha256[:_SHORT]}, and {wanted.commit[:_SHORT]} has"
            f" {str(digest)[:_SHORT] if digest else 'none that it describes'}"
        )


def _check_version(folder: Folder, wanted: Wanted) -> None:
    """Raise :class:`MlgitopsError` when the version is not the release of that very commit."""
    if wanted.version is None:
        return
    tag = f"{wanted.model}@{wanted.version}"
    sha = folder.repository.find(f"refs/tags/{tag}")
    if sha is None:
        hint = UNSHALLOW if folder.repository.is_shallow() else "`mlgitops promote` names releases"
        raise MlgitopsError(f"it names {wanted.version}, and there is no tag {tag}", hint=hint)
    if sha != wanted.commit:
        raise MlgitopsError(
            f"it names {wanted.version}, which is {sha[:_SHORT]}, and {wanted.commit[:_SHORT]}"
        )


def _is_return(folder: Folder, path: str, base: str, before: Wanted, after: Wanted) -> bool:
    """Tell whether an older model is wanted that base's own history of the file wanted before.

    One that was left for a still older model was taken back then: to want it again is no way back.
    """
    repository = folder.repository
    if not repository.is_first_parent_ancestor(after.commit, before.commit):
        return False
    next_revision = before.commit  # what the file named after the content at hand
    for commit in repository.list_changes(base, path, most=_MOST_CHANGES):
        content = _read_content(repository, commit, path)
        if content.get("revision") == after.commit:
            was_taken_back = next_revision != after.commit and (
                repository.is_first_parent_ancestor(next_revision, after.commit)
            )
            return content.get("sha256") in (None, after.sha256) and not was_taken_back
        next_revision = str(content.get("revision") or next_revision)
    return False


def _read_content(repository: Repository, commit: str | None, path: str) -> dict[str, Any]:
    """Read the file as it once was; empty where it says nothing that can be read."""
    try:
        data = repository.read(commit, path)
        content = parse_yaml(data, path) if data is not None else None
    except MlgitopsError:
        return {}
    return content if isinstance(content, dict) else {}


def _name(wanted: Wanted) -> WantedModel:
    label = (wanted.version or wanted.commit[:_SHORT])[:_MAX_LABEL]
    return WantedModel(sha=wanted.commit, label=label)


def _say(error: MlgitopsError) -> str:
    lines = str(error) if isinstance(error, MistakesError) else error.what
    return " ".join(line.strip(" -") for line in lines.splitlines()).rstrip(".")[:_MAX_TEXT]
