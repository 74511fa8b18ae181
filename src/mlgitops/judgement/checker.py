"""Collect the mistakes of a settings file that a person writes: all of them, each with its line.

In: a document that :func:`~mlgitops.parsing.parse_yaml` read, with its lines. Out: checked plain
values, or one :class:`~mlgitops.errors.MistakesError`. No I/O.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.hints import nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.parsing import Place

_MAX_NAME = 200
_MAX_SHOWN = 50


class Checker:
    """Collects mistakes; each reader returns a usable default when it records one."""

    def __init__(self, where: str, lines: dict[Place, int], *, whole: str = "the file") -> None:
        self.errors: list[MlgitopsError] = []
        self._where = where
        self._lines = lines
        self._whole = whole  # what the document as a whole is called

    def label(self, position: Place) -> str:
        """Name ``position`` in a message."""
        return ".".join(str(part) for part in position)[:_MAX_NAME] or self._whole

    def mistake(self, position: Place, problem: str, hint: str | None = None) -> None:
        """Record a mistake at ``position``, or at the nearest one around it that has a line."""
        around = position
        while around and around not in self._lines:
            around = around[:-1]
        line = self._lines.get(around, 1)
        self.errors.append(MlgitopsError(problem, where=f"{self._where}:{line}", hint=hint))

    def finish(self) -> None:
        """Raise what was recorded, in the order of the file."""
        if not self.errors:
            return
        ordered = sorted(self.errors, key=_line)
        shown, more = ordered[:_MAX_SHOWN], len(ordered) - _MAX_SHOWN
        count = "1 mistake" if len(ordered) == 1 else f"{len(ordered)} mistakes"
        hint = f"{more} more are not shown" if more > 0 else None
        raise MistakesError(f"{count} in {self._where}", shown, hint=hint)

    def mapping(self, value: object, position: Place, keys: Iterable[str] | None) -> dict[str, Any]:
        """Expect a mapping; with ``keys``, every other key is a mistake."""
        if not isinstance(value, dict):
            self.mistake(
                position, f"{self.label(position)} must be a mapping, not {name_kind(value)}"
            )
            return {}
        if keys is None:
            return value
        allowed = list(keys)
        for key in value:
            if key not in allowed:
                near = nearest_name(key, allowed)
                hint = f"did you mean `{near}`?" if near else f"known here: {', '.join(allowed)}"
                self.mistake((*position, key), f"unknown key {quote(key)}", hint)
        return value

    def number(self, value: object, position: Place) -> float | None:
        """Expect a finite number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.mistake(
                position, f"{self.label(position)} must be a number, not {name_kind(value)}"
            )
            return None
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.mistake(
                position, f"{self.label(position)} must be a finite number, not {value}"[:200]
            )
            return None
        return number

    def flag(self, value: object, position: Place) -> bool | None:
        """Expect true or false."""
        if not isinstance(value, bool):
            hint = "write true or false, without quotes"
            self.mistake(
                position,
                f"{self.label(position)} must be true or false, not {name_kind(value)}",
                hint,
            )
            return None
        return value

    def name(self, value: object, position: Place) -> str | None:
        """Expect a text of 1 to 200 characters."""
        if not isinstance(value, str):
            self._refuse(position, "text", value)
        elif not 0 < len(value) <= _MAX_NAME:
            self.mistake(position, f"{self.label(position)} must have 1 to {_MAX_NAME} characters")
        else:
            return value
        return None

    def choice(self, value: object, position: Place, options: Iterable[str]) -> str | None:
        """Expect one of ``options``."""
        allowed = list(options)
        if value in allowed and isinstance(value, str):
            return value
        shown = quote(value) if isinstance(value, str) else name_kind(value)
        text = " or ".join(allowed)
        self.mistake(position, f"{self.label(position)} must be {text}, not {shown}")
        return None

    def _refuse(
        self, position: Place, expected: str, value: object, hint: str | None = None
    ) -> None:
        problem = f"{self.label(position)} must be {expected}, not {name_kind(value)}"
        self.mistake(position, problem, hint)


def _line(error: MlgitopsError) -> int:
    return int((error.where or "0").rpartition(":")[2])


def quote(text: str) -> str:
    """Return ``text`` as a message shows a name, cut to 80 characters."""
    return f"`{text[:80]}`"


def name_kind(value: object) -> str:
    """Name the kind of a value in words."""
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, bool):
        return str(value).lower()
    names = {dict: "a mapping", list: "a list", type(None): "empty"}
    return names.get(type(value)) or f"the number {str(value)[:40]}"
