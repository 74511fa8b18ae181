"""Hints for a person who mistyped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest_name(name: str, candidates: Iterable[str]) -> str | None:
    """Find the one of ``candidates`` that ``name`` was probably meant to be."""
    from difflib import get_close_matches

    names = sorted(candidates)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return close[0]
    last = name.rpartition(".")[2]
    same = [other for other in names if other.rpartition(".")[2] == last]
    return same[0] if len(same) == 1 else None
