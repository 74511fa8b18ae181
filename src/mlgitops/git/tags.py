"""Tags of versions: which version a name gives, and what an annotated tag says. Reads git."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.errors import MlgitopsError
from mlgitops.git.program import ask_git

if TYPE_CHECKING:
    from mlgitops.git.repository import Repository

_NUMBER = r"(0|[1-9]\d{0,8})"
_TAG = re.compile(rf"(?:(?P<key>.+)@)?v{_NUMBER}\.{_NUMBER}\.{_NUMBER}")
_PREFIX = "refs/tags/"
#: What begins the signature that git puts below the message of a tag.
#: Source: https://git-scm.com/docs/gitformat-signature
_SIGNATURES = re.compile(
    rb"^-----BEGIN (?:SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE)-----$", re.MULTILINE
)
_HEADERS = (b"object", b"type", b"tag", b"tagger")


class TagObject(Struct, frozen=True, kw_only=True):
    """An annotated tag as git stores it."""

    name: str  # of the ref, without `refs/tags/`
    sha: str  # of the tag itself
    target: str  # sha of what it was put on
    target_kind: str  # commit, tree, blob, or tag
    written_name: str  # that the tag itself says, which a copy under another name keeps
    tagger: str  # name and address
    message: bytes  # without a signature
    signed: bool  # there is a signature; whether it is good is asked of git


def parse_version(tag: str, *keys: str) -> tuple[bool, int, int, int] | None:
    """Read the version that a tag gives to a project or model called one of ``keys``, or None.

    A version of the project itself comes first, then one of the whole repository. One that is not
    released yet, as in `v1.0.0-rc1`, is none.

    >>> parse_version("v1.10.0", "model"), parse_version("other@v2.0.0", "model")
    ((False, 1, 10, 0), None)
    """
    match = _TAG.fullmatch(tag)
    if match is None or match["key"] not in (None, *keys):
        return None
    numbers = [int(text) for text in match.groups()[1:]]
    return (match["key"] is not None, numbers[0], numbers[1], numbers[2])


def list_versions(repository: Repository, key: str) -> list[str]:
    """List the tags `KEY@vX.Y.Z` that are here, of any kind, by the order of versions."""
    listed = ask_git(repository.root, "for-each-ref", "--format=%(refname)", f"{_PREFIX}{key}@v*")
    names = [ref.removeprefix(_PREFIX) for ref in os.fsdecode(listed.stdout).split("\n")]
    versions = {name: parse_version(name, key) for name in names}
    numbered = [(version, name) for name, version in versions.items() if version is not None]
    return [name for _, name in sorted(numbered)]


def list_models(repository: Repository) -> list[str]:
    """List the names before `@` of the tags `NAME@vX.Y.Z` that are here."""
    listed = ask_git(repository.root, "for-each-ref", "--format=%(refname)", f"{_PREFIX}*@v*")
    names = [ref.removeprefix(_PREFIX) for ref in os.fsdecode(listed.stdout).split("\n")]
    matches = [match for match in map(_TAG.fullmatch, names) if match and match["key"]]
    return sorted({match["key"] for match in matches})


def read_tag(repository: Repository, name: str) -> TagObject:
    """Read an annotated tag; raises :class:`MlgitopsError` when ``name`` is none."""
    asked = ask_git(repository.root, "rev-parse", "--verify", "--quiet", f"{_PREFIX}{name}")
    sha = asked.stdout.decode().strip()
    if asked.returncode != 0:
        hint = "`git fetch --tags` fetches those of origin"
        raise MlgitopsError("there is no such tag here", where=f"tag {name[:100]}", hint=hint)
    content = ask_git(repository.root, "cat-file", "tag", sha)
    if content.returncode != 0:
        raise MlgitopsError(
            "it is a plain name for a commit, and says nothing of a release",
            where=f"tag {name[:100]}",
            hint=f"if it is nobody's, delete it: `git push origin :{_PREFIX}{name[:100]}`",
        )
    return _parse(name, sha, content.stdout)


def _parse(name: str, sha: str, content: bytes) -> TagObject:
    head, _, body = content.partition(b"\n\n")
    fields = dict.fromkeys(_HEADERS, b"")
    for line in head.split(b"\n"):
        field, _, value = line.partition(b" ")
        if field in fields:
            fields[field] = value
    signatures = list(_SIGNATURES.finditer(body))
    message = body[: signatures[-1].start()] if signatures else body
    return TagObject(
        name=name,
        sha=sha,
        target=fields[b"object"].decode("ascii", "replace"),
        target_kind=fields[b"type"].decode("ascii", "replace"),
        written_name=fields[b"tag"].decode("utf-8", "replace"),
        tagger=fields[b"tagger"].decode("utf-8", "replace").rpartition(">")[0] + ">",
        message=message,
        signed=bool(signatures),
    )
