"""The policy's word for a reference to the commit that it names now.

Reads git alone. A reference is reviewed history: it must be in the history of base, and what names
it is read at base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.dvc.artifacts import parse_models
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import UNSHALLOW
from mlgitops.git.tags import parse_version
from mlgitops.judgement.reference import Form, find_form

if TYPE_CHECKING:
    from mlgitops.git.repository import Folder, Repository

_SHORT = 12
_MAX_LABEL = 100


class Target(Struct, frozen=True, kw_only=True):
    """The commit that a reference names, and how people call it."""

    sha: str
    label: str


def find_reference(
    folder: Folder, name: str, *, base: str, key: str, release: str | None = None
) -> Target:
    """Find the commit that ``name`` in the policy at ``base`` stands for.

    ``key`` names the project where several share the repository: its own tags are `KEY@vX.Y.Z`.
    ``release`` is the tag to take for the newest release, as one may have come since. Raises
    :class:`MlgitopsError` when there is none, or one that is not in base's history.
    """
    repository = folder.repository
    match find_form(name):
        case Form.RELEASE:
            return _find_release(folder, base, key, release)
        case Form.ENVIRONMENT:
            environment = name.removeprefix("deploy/")
            sha, label = _find_served(folder, environment, base), environment
        case Form.COMMIT:
            sha, label = _find_commit(repository, name), name[:_SHORT]
        case _:
            sha, label = _find_tag(repository, name), name
    if not repository.is_ancestor(sha, base):
        hint = UNSHALLOW if repository.is_shallow() else "name a commit that was merged"
        raise MlgitopsError(
            f"{sha[:_SHORT]} is not in the history of base, {base[:_SHORT]}", hint=hint
        )
    return Target(sha=sha, label=label[:_MAX_LABEL])


def _find_release(folder: Folder, base: str, key: str, release: str | None) -> Target:
    """Find the newest release in the history of ``base``, by the order of versions.

    The one that ``release`` names, if it does. Releases are those of the project's ``key``, and of
    the models that its dvc.yaml names, as `mlgitops release` tags them.
    """
    repository = folder.repository
    if repository.is_shallow():
        raise MlgitopsError("the clone is shallow, and may lack the newest release", hint=UNSHALLOW)
    keys = (key, *_list_models(folder, base))
    versions = {
        version: (tag, sha)
        for tag, sha in repository.list_tags(base).items()
        if (version := parse_version(tag, *keys)) is not None and release in (None, tag)
    }
    if not versions and release is not None:
        raise MlgitopsError(f"no release {release[:_MAX_LABEL]} is in the history of base")
    if not versions:
        raise MlgitopsError(
            f"no tag vX.Y.Z or {key}@vX.Y.Z is in the history of base",
            hint="tag the commit that is released: `git tag v0.1.0 SHA`, then push the tag",
        )
    tag, sha = versions[max(versions)]
    return Target(sha=sha, label=tag[:_MAX_LABEL])


def _list_models(folder: Folder, base: str) -> list[str]:
    """List the names that dvc.yaml at ``base`` gives to artifacts; none where it cannot be read."""
    data = folder.read(base, "dvc.yaml")
    try:
        return sorted(parse_models(data, "dvc.yaml")) if data is not None else []
    except MlgitopsError:
        return []


def _find_served(folder: Folder, environment: str, base: str) -> str:
    """Find the commit that ``environment`` serves, as its file at ``base`` says."""
    from mlgitops.git.wanted import read_wanted

    sha = read_wanted(folder.repository, folder.prefix, environment, base).commit
    if sha == base:
        raise MlgitopsError(
            "it has no `revision`, so that it follows base and never holds still",
            where=f"deploy/{environment}/model.yaml at {base[:_SHORT]}",
            hint="write the commit that it serves as `revision`, or name a tag as reference",
        )
    return sha


def _find_commit(repository: Repository, name: str) -> str:
    sha = repository.find(name)
    if sha is None:
        hint = UNSHALLOW if repository.is_shallow() else "name a commit that was merged"
        raise MlgitopsError(f"there is no commit {name[:_SHORT]}", hint=hint)
    return sha


def _find_tag(repository: Repository, name: str) -> str:
    sha = repository.find(f"refs/tags/{name}")
    if sha is None:
        hint = "`git fetch --tags` fetches those of origin; a branch slides, and is no reference"
        raise MlgitopsError(f"there is no tag {name[:_MAX_LABEL]}", hint=hint)
    return sha
