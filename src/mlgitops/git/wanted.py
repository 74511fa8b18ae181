"""The desired state of an environment, as `deploy/<environment>/model.yaml` says at a commit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.git.repository import UNSHALLOW
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.git.repository import Repository

#: What makes two bundles the same: beside the model, all that the server reads.
IDENTITY = (
    *("src/", "model/", "contract.yaml", "monitor.yaml", "params.yaml", "trusted_types.txt"),
    *("reports/golden.json", "requirements/serving.txt"),
)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # of a commit; git has both formats
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LISTED = "`git log --first-parent --format=%H -- dvc.lock` lists those with a model"
_KEYS = (
    *("model", "version", "revision", "sha256"),
    *("target", "port", "replicas", "resources", "canary", "bake"),
)
_VERSION = re.compile(r"v(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")
_TARGETS = ("local", "kubernetes")
# Quantities of Kubernetes: processors such as 2 or 500m, memory such as 512Mi or 2Gi.
_QUANTITIES = {
    "cpu": re.compile(r"[1-9]\d{0,5}m?"),
    "memory": re.compile(r"[1-9]\d{0,5}(Mi|Gi)"),
}
# Of each whole number: lowest, highest.
_RANGES = {"port": (1, 65535), "replicas": (1, 1000), "canary": (0, 50), "bake": (0, 86400)}
_LIMIT = 64 * 1024  # bytes of one model.yaml


class Wanted(Struct, frozen=True, kw_only=True):
    """Which model an environment should serve, and where."""

    environment: str
    model: str
    commit: str  # whose dvc.lock names the model and whose code serves it
    sha256: str | None = None  # of the model file; None when only the commit says it
    port: int
    version: str | None = None  # of the release, `v1.2.0`; None where a commit is named without one
    target: str = "local"  # where it runs: `local` or `kubernetes`
    replicas: int = 1  # servers that answer at once
    resources: dict[str, str] = field(default_factory=dict)  # `cpu` and `memory`, as limits
    canary: int = 0  # percent of the requests that a new model answers during the bake
    bake: int = 0  # seconds that a new model must answer well before the old one ends


def read_wanted(
    repository: Repository,
    prefix: str,
    environment: str,
    commit: str | None,
    *,
    line: str | None = None,
) -> Wanted:
    """Read what ``environment`` should serve, from the tree of ``commit``, or the work tree.

    ``prefix`` is the project's folder in the repository, empty or ending in a slash. ``line`` is
    the commit whose history the model must be of, for a file that is not merged yet; None: that
    of ``commit``. Raises :class:`MlgitopsError` naming every mistake in the file at once.
    """
    path = f"{prefix}deploy/{environment}/model.yaml"
    data = repository.read(commit, path)
    label = commit[:12] if commit else "the work tree"
    if data is None:
        raise MlgitopsError(
            f"the environment {environment} is not described at {label}",
            where=path,
            hint=f"there are: {', '.join(list_environments(repository, prefix, commit)) or 'none'}",
        )
    where = f"{path} at {label}"
    if repository.follow(commit, path) != path:
        raise MlgitopsError(
            "it is behind a link, so that a change of another file would change what is wanted",
            where=where,
            hint="commit the file itself in its place",
        )
    tip = line or commit or repository.resolve("HEAD")
    content = parse_yaml(data, where, limit=_LIMIT)
    mistakes = [MlgitopsError(problem, where=where) for problem in _find_mistakes(content)]
    if mistakes or not isinstance(content, dict):
        raise MistakesError("the desired state cannot be read:", mistakes)
    revision = None if content.get("revision") is None else str(content["revision"])
    if revision is not None:
        _refuse_foreign(repository, revision, tip, where=where)
    return _make_wanted(content, environment, tip)


def check_wanted(data: bytes, where: str) -> list[MlgitopsError]:
    """Return the mistakes of a `model.yaml` that show without the history of its revision."""
    try:
        content = parse_yaml(data, where, limit=_LIMIT)
        mistakes = [MlgitopsError(problem, where=where) for problem in _find_mistakes(content)]
        if not mistakes and isinstance(content, dict):
            refuse_idle(_make_wanted(content, "", ""), where=where)
    except MlgitopsError as error:
        return [error]
    return mistakes


def refuse_idle(wanted: Wanted, *, where: str) -> None:
    """Raise :class:`MlgitopsError` for what the target cannot do."""
    idle = [f"`replicas: {wanted.replicas}`"] if wanted.replicas > 1 else []
    idle += ["`resources`"] if wanted.resources else []
    if wanted.target == "local" and idle:
        raise MlgitopsError(
            f"{' and '.join(idle)} cannot be done on a host, where one server answers",
            where=where,
            hint="remove it, or serve on a cluster: `target: kubernetes`",
        )
    if wanted.target == "kubernetes" and wanted.canary:
        raise MlgitopsError(
            f"`canary: {wanted.canary}` cannot be done on Kubernetes",
            where=where,
            hint="remove it; a rollout goes server by server as it is",
        )


def _make_wanted(content: dict[str, Any], environment: str, tip: str) -> Wanted:
    given = {name: setting for name, setting in content.items() if setting is not None}
    given |= {"environment": environment, "commit": given.pop("revision", tip)}
    return msgspec.convert(given, Wanted)


def find_bundle_change(repository: Repository, prefix: str, commit: str) -> str:
    """Find the commit, ``commit`` or before it, at which its model or its serving code changed."""
    return next(iter(repository.list_changes(commit, *list_sources(prefix), most=1)), commit)


def list_sources(prefix: str) -> list[str]:
    """List the files and folders of a project that make its bundle."""
    return [f"{prefix}{path}" for path in (*IDENTITY, "dvc.lock")]


def find_same_bundles(
    repository: Repository, prefix: str, commit: str, others: Iterable[str]
) -> set[str]:
    """Find those of ``others`` since which, or until which, the bundle of ``commit`` is the same.

    One that this clone does not have is the same only by its name.
    """
    change = find_bundle_change(repository, prefix, commit)
    return {
        other
        for other in others
        if other == commit
        or (repository.find(other) and find_bundle_change(repository, prefix, other) == change)
    }


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


def list_environments(repository: Repository, prefix: str, commit: str | None) -> list[str]:
    """List the environments that are described at ``commit``: folders below deploy/."""
    pattern = re.compile(re.escape(f"{prefix}deploy/") + r"([^/]+)/model\.yaml")
    matches = (pattern.fullmatch(path) for path in repository.list_files(commit))
    return sorted(match[1] for match in matches if match)


def _find_mistakes(content: Any) -> list[str]:  # noqa: ANN401 - raw YAML
    if not isinstance(content, dict):
        return ["a mapping was expected, with the keys " + ", ".join(_KEYS)]
    mistakes = [
        f"unknown key `{key}`: use {', '.join(_KEYS)}" for key in content if key not in _KEYS
    ]
    mistakes += _find_odd_texts(content) + _find_odd_resources(content.get("resources"))
    if not _is_given(content, "port"):
        mistakes.append("`port` is missing: a number from 1 to 65535")
    for name, (lowest, highest) in _RANGES.items():
        number = content.get(name)
        whole = isinstance(number, int) and not isinstance(number, bool)
        if number is not None and not (whole and lowest <= number <= highest):
            mistakes.append(f"`{name}` must be a number from {lowest} to {highest}")
    return mistakes


def _find_odd_texts(content: dict[str, Any]) -> list[str]:
    mistakes = []
    model, revision, sha256 = (content.get(name) for name in ("model", "revision", "sha256"))
    version, target = content.get("version"), content.get("target")
    if not isinstance(model, str) or not _NAME.fullmatch(model):
        mistakes.append("`model` must be a name of lower-case letters, digits and hyphens")
    if version is not None and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        mistakes.append("`version` must be that of a release, such as v1.2.0, or null")
    if version is not None and revision is None:
        mistakes.append("`version` needs the `revision` that it was given to")
    if revision is not None and not (isinstance(revision, str) and _SHA.fullmatch(revision)):
        mistakes.append(
            "`revision` must be the full sha of a commit in quotes, or null, "
            f"not {revision!a:.80}: {_LISTED}"
        )
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        mistakes.append("`sha256` must be 64 hex digits in quotes, or null")
    if target is not None and target not in _TARGETS:
        mistakes.append(f"`target` must be {' or '.join(_TARGETS)}, not {target!a:.80}")
    return mistakes


def _find_odd_resources(resources: Any) -> list[str]:  # noqa: ANN401 - raw YAML
    if resources is None:
        return []
    if not isinstance(resources, dict) or not resources.keys() <= _QUANTITIES.keys():
        return ["`resources` must be a mapping with `cpu` and `memory`"]
    return [
        f"`resources.{name}` must be a quantity such as {'500m' if name == 'cpu' else '512Mi'}"
        for name, amount in resources.items()
        if not isinstance(amount, str) or not _QUANTITIES[name].fullmatch(amount)
    ]


def _is_given(content: dict[str, Any], name: str) -> bool:
    return content.get(name) is not None
