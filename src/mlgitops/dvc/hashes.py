"""The hashes by which DVC names content: of a file, and of a directory. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"


_BLOCK = 512  # bytes by which DVC 2 told text from other files


_MOST_OTHER = 0.3  # of them may be no text


def hash_directory(entries: Iterable[tuple[str, str]]) -> str:
    """Compute DVC's name of a directory from (path, md5) of its files.

    Source: `Tree.as_list` of https://github.com/treeverse/dvc-data, src/dvc_data/hashfile/tree.py
    """
    rows = [{"md5": oid, "relpath": path} for path, oid in sorted(entries)]
    text = json.dumps(rows, sort_keys=True).encode()
    return f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}.dir"


def hash_bytes(data: bytes, *, exact: bool = True) -> str:
    """Compute DVC's name of a file; not ``exact``: as before DVC 3, a text with Unix's line ends.

    Source: https://github.com/treeverse/dvc-data, src/dvc_data/hashfile/{hash,istextfile}.py
    """
    if not exact and _is_text(data[:_BLOCK]):
        data = data.replace(b"\r\n", b"\n")
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _is_text(block: bytes) -> bool:
    other = len(block.translate(None, _TEXT))
    return b"\0" not in block and other <= _MOST_OTHER * len(block)
