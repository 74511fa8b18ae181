"""The releases of a model: annotated tags `<model>@vX.Y.Z`, each held against git before it counts.

A tag is a claim. It counts when it names itself, stands on the default branch's own line of
history, carries a lineage of its very version, and the commit has the model that it names.
Reads git.
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.delivery.bundle import MODEL, read_model_oid, read_model_sha256
from mlgitops.dvc.artifacts import parse_models
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import ask_git
from mlgitops.git.repository import UNSHALLOW
from mlgitops.git.tags import list_versions, read_tag
from mlgitops.model.lineage import Lineage, parse_message
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.git.repository import Repository
    from mlgitops.git.tags import TagObject

#: What the signature of a release is called.
SIGNED_BY, UNSIGNED = "signed by ", "unsigned"
#: In the repository: the SSH keys that may release, in the form of git's allowed signers.
#: Source: https://git-scm.com/docs/git-config#Documentation/git-config.txt-gpgsshallowedSignersFile
SIGNERS = ".github/allowed_signers"
_MODEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_GOOD = re.compile(r'^Good "git" signature for (\S{1,200}) with ', re.MULTILINE)
_MAX_RELEASES = 10_000


class Release(Struct, frozen=True, kw_only=True):
    """A version of a model, with what its tag says; it was held against git."""

    model: str
    version: str  # such as v1.2.0
    tag: str  # <model>@<version>
    revision: str  # sha of the commit whose dvc.lock names the model and whose code serves it
    sha256: str  # of the model's file
    lineage: Lineage
    signature: str  # "signed by NAME", "not verified: REASON", or "unsigned"


def list_releases(repository: Repository, model: str) -> list[Release]:
    """List the releases of ``model`` that are here, by the order of versions, oldest first.

    Raises :class:`MlgitopsError` naming the first tag of that form that is no release: with one
    left out, the next version and what "newest" means would be wrong.
    """
    tags = _list_tags(repository, model)
    line = read_line(repository) if tags else frozenset()
    return [_read_release(repository, model, tag, line) for tag in tags]


def find_release(repository: Repository, model: str, version: str) -> Release:
    """Find one release of ``model``, such as v1.2.0; raises :class:`MlgitopsError` if none."""
    tags = _list_tags(repository, model)
    name = f"{model}@{version}"
    if name not in tags:
        listed = ", ".join(tag.partition("@")[2] for tag in tags[-5:]) or "none"
        raise MlgitopsError(
            f"{model} has no release {version[:100]!a} here",
            where=f"tag {name[:100]}",
            hint=f"the newest: {listed}; `git fetch --tags` fetches those of origin",
        )
    return _read_release(repository, model, name, read_line(repository))


def find_model_name(repository: Repository, project: str, commit: str) -> str:
    """Find the name by which the model of a project is released: that of its artifact in dvc.yaml.

    In a project without `artifacts:`, the one that its environments agree on. ``project`` is its
    folder, empty or ending in a slash. Raises :class:`MlgitopsError` when there is not one name.
    """
    path = f"{project}dvc.yaml"
    data = repository.read(commit, path)
    artifacts = parse_models(data, path) if data is not None else {}
    names = {name for name, file in artifacts.items() if file == MODEL}
    names = names or set(_list_wanted_models(repository, project, commit))
    if len(names) != 1 or not _MODEL.fullmatch(min(names)):
        listed = ", ".join(sorted(names))[:100] or "none"
        raise MlgitopsError(
            f"one name of the model was expected, of lower-case letters, digits and hyphens; "
            f"there is: {listed}",
            where=f"{path} at {commit[:12]}",
            hint=f"name it: `artifacts: {{my-model: {{path: {MODEL}, type: model}}}}`",
        )
    return min(names)


def _list_wanted_models(repository: Repository, project: str, commit: str) -> Iterator[str]:
    pattern = re.compile(re.escape(f"{project}deploy/") + r"[^/]+/model\.yaml")
    for path in filter(pattern.fullmatch, repository.list_files(commit)):
        data = repository.read(commit, path)
        content = parse_yaml(data, path) if data is not None else None
        model = content.get("model") if isinstance(content, dict) else None
        if isinstance(model, str):
            yield model


def read_tip(repository: Repository) -> str:
    """Return the sha of the default branch's tip; raises :class:`MlgitopsError` without one."""
    name = repository.find_default_branch()
    sha = repository.find(name) if name else None
    if sha is None:
        hint = "`git remote set-head origin --auto`, or name the branch main"
        raise MlgitopsError("no default branch was found", hint=hint)
    return sha


def read_line(repository: Repository) -> frozenset[str]:
    """Read the commits at which the default branch stood: its line of first parents."""
    listed = ask_git(repository.root, "rev-list", "--first-parent", read_tip(repository), "--")
    return frozenset(listed.stdout.decode().split())


def _list_tags(repository: Repository, model: str) -> list[str]:
    if not _MODEL.fullmatch(model):
        hint = "lower-case letters, digits and hyphens, as in deploy/ENV/model.yaml"
        raise MlgitopsError(f"{model[:100]!a} is no name of a model", hint=hint)
    tags = list_versions(repository, model)
    if len(tags) > _MAX_RELEASES:
        raise MlgitopsError(f"more than {_MAX_RELEASES:,} tags {model}@v…: not read")
    return tags


def _read_release(repository: Repository, model: str, name: str, line: frozenset[str]) -> Release:
    """Read the tag ``name`` and hold it against git; ``line``: the default branch's commits."""
    where = f"tag {name}"
    tag = read_tag(repository, name)
    _check_tag(repository, tag, line, where=where)
    lineage = parse_message(tag.message, where)
    written = f"{lineage.model}@{lineage.version}"
    if written != name:
        raise MlgitopsError(f"its lineage is that of {written}", where=where)
    if lineage.commit != tag.target:
        problem = f"its lineage is of {lineage.commit[:12]}, and it stands on {tag.target[:12]}"
        raise MlgitopsError(problem, where=where)
    _check_model(repository, lineage, where=where)
    return Release(
        model=model,
        version=lineage.version,
        tag=name,
        revision=tag.target,
        sha256=lineage.sha256,
        lineage=lineage,
        signature=_verify_signature(repository, tag),
    )


def _check_tag(repository: Repository, tag: TagObject, line: frozenset[str], *, where: str) -> None:
    """Raise unless the tag names itself, and stands on a commit that the default branch had."""
    if tag.written_name != tag.name:
        problem = f"it was written as {tag.written_name[:100]!a}, and put here under another name"
        raise MlgitopsError(problem, where=where)
    if tag.target_kind != "commit":
        raise MlgitopsError(f"it stands on a {tag.target_kind}, not on a commit", where=where)
    if tag.target not in line:
        hint = UNSHALLOW if repository.is_shallow() else "a release stands on what was merged"
        problem = f"{tag.target[:12]} never was the tip of the default branch"
        raise MlgitopsError(problem, where=where, hint=hint)


def _check_model(repository: Repository, lineage: Lineage, *, where: str) -> None:
    """Raise unless the commit has the model that the lineage names, by both hashes."""
    commit = lineage.commit
    held = {
        "sha256": (read_model_sha256(repository, lineage.project, commit), lineage.sha256),
        "md5": (read_model_oid(repository, lineage.project, commit), lineage.md5),
    }
    for name, (actual, written) in held.items():
        if actual != written:
            problem = f"its model has the {name} {written}, and that of {commit[:12]} is {actual}"
            raise MlgitopsError(problem, where=where)


def _verify_signature(repository: Repository, tag: TagObject) -> str:
    """Ask git who signed, by the keys that the default branch allows, else by git's own settings.

    Raises :class:`MlgitopsError` for a signature of another content, and where the branch allowed
    keys already at the release and now, for anything but a good signature of one of them.
    """
    allowed = repository.read_at(read_tip(repository), SIGNERS)
    said = _ask_signature(repository, tag, allowed[1] if allowed else None)
    if allowed and repository.read_at(tag.target, SIGNERS) and not said.startswith(SIGNED_BY):
        raise MlgitopsError(
            f"it is {said}, and {SIGNERS} says who may release",
            where=f"tag {tag.name}",
            hint="let one of those keys sign it: set git's gpg.format and user.signingKey",
        )
    return said


def _ask_signature(repository: Repository, tag: TagObject, allowed: bytes | None) -> str:
    if not tag.signed:
        return UNSIGNED
    with tempfile.NamedTemporaryFile(prefix="mlgitops-") as signers:
        signers.write(allowed or b"")
        signers.flush()
        setting = f"gpg.ssh.allowedSignersFile={signers.name}"
        options = ("-c", setting) if allowed is not None else ()
        asked = ask_git(repository.root, *options, "verify-tag", tag.sha)
    said = os.fsdecode(asked.stderr).strip()
    good = _GOOD.search(said)
    if asked.returncode == 0 and good:
        return f"{SIGNED_BY}{good[1]}"
    if "incorrect signature" in said or "BAD signature" in said:
        raise MlgitopsError("its signature is of another content", where=f"tag {tag.name}")
    reason = said.splitlines()[0].removeprefix("error: ") if said else "git did not say"
    return f"not verified: {reason[:200]}"
