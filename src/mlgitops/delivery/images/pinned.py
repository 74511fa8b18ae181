"""Which image an environment runs, by the digest in its kustomization.yaml: read, and written."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from mlgitops.git.repository import Repository

#: What the manifests call the image; the overlay says which one that is.
IMAGE = "model-server"
_DIGEST = re.compile(r"(?:[a-z0-9][a-z0-9._:/-]*@)?(?P<digest>sha256:[0-9a-f]{64})")
_LINE = re.compile(r"^(?P<key>[ \t]+(?:-[ \t]+)?digest:[ \t]+)[^ \t#\r\n]+", re.MULTILINE)
_ZEROS = f"sha256:{'0' * 64}"


def locate_overlay(prefix: str, environment: str) -> str:
    """Name the file that says which image runs, from the root of the repository."""
    return f"{prefix}deploy/{environment}/kustomization.yaml"


def parse_digest(text: str) -> str:
    """Return the digest that ``text`` is, or ends with: `sha256:…` or `NAME@sha256:…`.

    Raises :class:`MlgitopsError` for a tag, which can be moved, and for a digest of zeros.

    >>> parse_digest("ghcr.io/acme/flights@sha256:" + 64 * "a")[:12]
    'sha256:aaaaa'
    """
    match = _DIGEST.fullmatch(text)
    if match is None or match["digest"] == _ZEROS:
        raise MlgitopsError(
            f"no digest names the image: {text!a:.200}",
            hint="give what pushing the image printed: sha256: and 64 digits",
        )
    return match["digest"]


def read_pinned(repository: Repository, prefix: str, environment: str, commit: str) -> str | None:
    """Return the digest that the overlay pins at ``commit``; None where it pins none.

    That is no overlay, no `images:` entry of the server, or the zeros of the template.
    Raises :class:`MlgitopsError` for an overlay that cannot be read, or that pins two.
    """
    path = locate_overlay(prefix, environment)
    data = repository.read(commit, path)
    if data is None:
        return None
    where = f"{path} at {commit[:12]}"
    entry = _find_entry(parse_yaml(data, where), where)
    digest = entry.get("digest") if entry else None
    if digest in (None, _ZEROS):
        return None
    if not isinstance(digest, str) or not digest.startswith("sha256:"):
        raise MlgitopsError(f"no digest names the image: {digest!a:.200}", where=where)
    return parse_digest(digest)


def edit_pinned(data: bytes, digest: str, *, where: str) -> bytes:
    """Return the overlay with ``digest`` as its image's; every other byte stays.

    Raises :class:`MlgitopsError` for a file in which one line of its own does not say it.
    """
    before = parse_yaml(data, where)
    wanted = copy.deepcopy(before)
    entry = _find_entry(wanted, where)
    if entry is None:
        raise MlgitopsError(
            f"it has no image `{IMAGE}`",
            where=where,
            hint="`images:` of a generated project's overlay has it, with a `digest`",
        )
    entry["digest"] = digest
    edited, count = _LINE.subn(lambda match: f"{match['key']}{digest}", data.decode())
    if count != 1 or parse_yaml(edited.encode(), where) != wanted:
        raise MlgitopsError(
            "its digest cannot be edited",
            where=where,
            hint="write `digest: sha256:...` once, on a line of its own, as `mlgitops new` does",
        )
    return edited.encode()


def _find_entry(content: Any, where: str) -> dict[str, Any] | None:  # noqa: ANN401 - of the user's YAML
    images = content.get("images") if isinstance(content, dict) else None
    entries = [
        item
        for item in (images if isinstance(images, list) else ())
        if isinstance(item, dict) and item.get("name") == IMAGE
    ]
    if len(entries) > 1:
        raise MlgitopsError(f"it names the image `{IMAGE}` twice", where=where)
    return entries[0] if entries else None
