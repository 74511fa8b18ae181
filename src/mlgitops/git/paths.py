"""Paths of a repository: POSIX, from its root. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_below(path: str, folders: set[str]) -> bool:
    """Tell whether ``path`` is one of ``folders``, or below one."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def list_parents(path: str) -> Iterator[str]:
    """Yield the folders that hold ``path``, the innermost first.

    >>> list(list_parents("a/b/c"))
    ['a/b', 'a']
    """
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
