"""A directory's manifest, from a pull request: bytes to entries, or a refusal. Pure.

A hash proves bytes, not intent: whoever wrote the manifest chose the paths in it, and DVC
would write files there.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.parsing import Value

MAX_MANIFEST_BYTES = 16 * 1024 * 1024
MAX_ENTRIES = 100_000
MAX_PATH = 500
#: Segments that git or DVC give a meaning to, compared without case.
RESERVED = frozenset({".git", ".github", ".dvc", ".gitattributes", ".gitmodules", ".gitignore"})

_OID = re.compile(r"[0-9a-f]{32}")
_KEYS = {"md5", "relpath"}
_UNPORTABLE = frozenset('\\:*?"<>|')


def parse_manifest(data: bytes, where: str) -> list[tuple[str, str]]:
    """Return (path, md5) of every file that a directory manifest lists.

    Raises :class:`MlgitopsError` unless it is a list of exactly such entries whose paths
    are plain, stay inside, and remain distinct on every file system.
    """
    entries = parse_json(data, where, limit=MAX_MANIFEST_BYTES)
    if not isinstance(entries, list):
        raise MlgitopsError("a directory manifest is a list", where=where)
    if len(entries) > MAX_ENTRIES:
        raise MlgitopsError(f"over {MAX_ENTRIES:,} files in one directory", where=where)
    members = [_parse_entry(entry, where) for entry in entries]
    _refuse_clashes([path for path, _ in members], where)
    return members


def check_path(path: str, where: str) -> None:
    """Raise :class:`MlgitopsError` unless ``path`` is a plain relative POSIX path."""
    problem = _find_problem(path)
    if problem:
        raise MlgitopsError(f"the path {path[:100]!a} {problem}", where=where)


def _parse_entry(entry: Value, where: str) -> tuple[str, str]:
    if not isinstance(entry, dict) or set(entry) != _KEYS:
        raise MlgitopsError("an entry is not exactly `md5` and `relpath`", where=where)
    oid, path = entry["md5"], entry["relpath"]
    if not isinstance(oid, str) or not _OID.fullmatch(oid):
        raise MlgitopsError("an entry's md5 is not 32 hex digits", where=where)
    if not isinstance(path, str):
        raise MlgitopsError("an entry's relpath is not text", where=where)
    check_path(path, where)
    return path, oid


def _find_problem(path: str) -> str | None:
    if not path or len(path) > MAX_PATH:
        return "is empty or too long"
    if path != unicodedata.normalize("NFC", path):
        return "is not in Unicode's composed form"
    if any(unicodedata.category(char)[0] == "C" for char in path):
        return "holds a control or invisible character"
    if any(char in _UNPORTABLE for char in path):
        return "holds a character that not every file system takes"
    return next(filter(None, map(_find_segment_problem, path.split("/"))), None)


def _find_segment_problem(segment: str) -> str | None:
    if segment in ("", ".", ".."):
        return "is not relative, or leaves its folder"
    if segment != segment.strip() or segment.endswith("."):
        return "has a part that ends in a dot or a blank"
    if segment.casefold() in RESERVED:
        return "leads into git's or DVC's own files"
    return None


def _refuse_clashes(paths: Sequence[str], where: str) -> None:
    """Refuse two paths that are one file where case is ignored, or a file that is a folder."""
    folded = [path.casefold() for path in paths]
    taken = set(folded)
    if len(taken) != len(folded):
        raise MlgitopsError("two entries name the same file", where=where)
    for path in folded:
        parts = path.split("/")
        if any("/".join(parts[:end]) in taken for end in range(1, len(parts))):
            raise MlgitopsError("one entry is a file and a folder", where=where)
