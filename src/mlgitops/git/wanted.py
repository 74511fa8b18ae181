"""The wanted state of an environment, as `deploy/<environment>/model.yaml` says at a commit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.git.repository import UNSHALLOW
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from mlgitops.git.repository import Repository

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # of a commit; git has both formats
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LISTED = "`git log --first-parent --format=%H -- dvc.lock` lists those with a model"
_KEYS = ("model", "revision", "sha256", "port")
_LIMIT = 64 * 1024  # bytes of one model.yaml


class Wanted(Struct, frozen=True, kw_only=True):
    """Which model an environment should serve, and where."""

    environment: str
    model: str
    commit: str  # whose dvc.lock names the model and whose code serves it
    sha256: str | None  # of the model file; None when only the commit says it
    port: int


def read_wanted(repository: Repository, prefix: str, environment: str, commit: str) -> Wanted:
    """Read what ``environment`` should serve, from the tree of ``commit``.

    ``prefix`` is the project's folder in the repository, empty or ending in a slash. Raises
    :class:`MlgitopsError` naming every mistake in the file at once.
    """
    path = f"{prefix}deploy/{environment}/model.yaml"
    data = repository.read(commit, path)
    if data is None:
        raise MlgitopsError(
            f"the environment {environment} is not described at {commit[:12]}",
            where=path,
            hint=f"there are: {', '.join(_environments(repository, prefix, commit)) or 'none'}",
        )
    where = f"{path} at {commit[:12]}"
    content = parse_yaml(data, where, limit=_LIMIT)
    mistakes = [MlgitopsError(problem, where=where) for problem in _find_mistakes(content)]
    if mistakes or not isinstance(content, dict):
        raise MistakesError("the wanted state cannot be read:", mistakes)
    revision = None if content.get("revision") is None else str(content["revision"])
    if revision is not None:
        _refuse_foreign(repository, revision, commit, where=where)
    return Wanted(
        environment=environment,
        model=str(content["model"]),
        commit=commit if revision is None else revision,
        sha256=str(content["sha256"]) if content.get("sha256") else None,
        port=int(str(content["port"])),
    )


def _refuse_foreign(repository: Repository, revision: str, commit: str, *, where: str) -> None:
    """Raise :class:`MlgitopsError` unless ``commit``'s own line of history went by ``revision``.

    That line is of first parents: what stood on the branch and was judged there. A commit in
    the middle of a merged branch is an ancestor as well, and nobody approved its model.
    """
    named = repository.find(revision)
    if named is None:
        hint = UNSHALLOW if repository.is_shallow() else "give the sha of a commit that has it"
        raise MlgitopsError(f"`revision` {revision} is no commit here", where=where, hint=hint)
    if named != revision:
        raise MlgitopsError(
            f"`revision` {revision} is a tag's, not a commit's",
            where=where,
            hint=f'write the commit it names: revision: "{named}"',
        )
    if not repository.is_first_parent_ancestor(revision, commit):
        raise MlgitopsError(
            f"`revision` {revision} never stood on the branch that {commit[:12]} continues",
            where=where,
            hint=f"merge its model first, then give the full sha of the merge: {_LISTED}",
        )


def _environments(repository: Repository, prefix: str, commit: str) -> list[str]:
    pattern = re.compile(re.escape(f"{prefix}deploy/") + r"([^/]+)/model\.yaml")
    matches = (pattern.fullmatch(path) for path in repository.list_files(commit))
    return sorted(match[1] for match in matches if match)


def _find_mistakes(content: Any) -> list[str]:  # noqa: ANN401 - raw YAML
    if not isinstance(content, dict):
        return ["a mapping was expected, with the keys " + ", ".join(_KEYS)]
    mistakes = [
        f"unknown key `{key}`: use {', '.join(_KEYS)}" for key in content if key not in _KEYS
    ]
    model, revision = content.get("model"), content.get("revision")
    sha256, port = content.get("sha256"), content.get("port")
    if not isinstance(model, str) or not _NAME.fullmatch(model):
        mistakes.append("`model` must be a name of lower-case letters, digits and hyphens")
    if revision is not None and not (isinstance(revision, str) and _SHA.fullmatch(revision)):
        mistakes.append(
            "`revision` must be the full sha of a commit in quotes, or null, "
            f"not {revision!a:.80}: {_LISTED}"
        )
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        mistakes.append("`sha256` must be 64 hex digits in quotes, or null")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 2**16:
        mistakes.append("`port` must be a number from 1 to 65535")
    return mistakes
