"""Hints for a person who mistyped, or has not installed what a command needs."""

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


def find_extra(module: str) -> str | None:
    """Find the extra of mlgitops that installs a module, as its own metadata says.

    The smallest, so not `all`. None where no extra has a package of the module's name.

    >>> find_extra("werkzeug.serving"), find_extra("os")
    ('rehearse', None)
    """
    import re
    from importlib.metadata import PackageNotFoundError, requires

    package = module.partition(".")[0].lower().replace("_", "-")
    try:
        requirements = requires("mlgitops") or []
    except PackageNotFoundError:  # run from its source
        return None
    needed = re.compile(rf"{re.escape(package)}(?![\w.-]).*extra == ['\"]([\w-]+)['\"]")
    extras = [match[1] for match in map(needed.match, requirements) if match]
    return next((name for name in extras if name != "all"), None)
