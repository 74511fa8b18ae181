"""Another model into the text of a model.yaml: comments and all other keys stay. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What says which model is wanted; everything else says how and where it is served.
MODEL_KEYS = ("version", "revision", "sha256")
_LINE = re.compile(
    r"^(?P<key>[a-z0-9]+)[ \t]*:(?:[ \t]+(?!#)[^#\r\n]*?)?"
    r"(?P<rest>[ \t]+#[^\r\n]*)?(?P<end>\r?\n|\Z)",
    re.MULTILINE,
)


def edit_wanted(data: bytes, model: Mapping[str, str | None], *, where: str) -> bytes:
    """Return the file with ``model``'s version, revision and sha256 (None: null) in it.

    A key that it lacks is put below `model`. Raises :class:`MlgitopsError` for a file that says
    these things in a way which cannot be edited line by line.

    >>> edit_wanted(b"revision: a # why", {"revision": None}, where="model.yaml")
    b'revision: null # why'
    """
    before = parse_yaml(data, where)
    text = data.decode()
    missing = [key for key in model if not isinstance(before, dict) or key not in before]

    def write(match: re.Match[str]) -> str:
        key, end = match["key"], match["end"]
        if key in model:
            return f"{key}: {_quote(key, model[key])}{match['rest'] or ''}{end}"
        if key != "model" or not missing:
            return match[0]
        added = (f"{name}: {_quote(name, model[name])}" for name in missing)
        begin = match[0] if end else f"{match[0]}\n"
        return begin + "".join(f"{line}{end or chr(10)}" for line in added)

    edited = _LINE.sub(write, text).encode()
    if not isinstance(before, dict) or _parse(edited, where) != {**before, **model}:
        raise MlgitopsError(
            "it cannot be edited line by line",
            where=where,
            hint="write each key on a line of its own, as `mlgitops new` does",
        )
    return edited


def _parse(edited: bytes, where: str) -> object:
    """Parse what was edited; None where that is no YAML any more."""
    try:
        return parse_yaml(edited, where)
    except MlgitopsError:
        return None


def _quote(key: str, value: str | None) -> str:
    """Write a value: a sha of digits alone would be read as a number."""
    if value is None:
        return "null"
    return value if key == "version" else f'"{value}"'
