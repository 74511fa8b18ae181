"""YAML that people write, and JSON that stages write.

The same values make the same bytes of JSON, and numbers have no digits that say nothing.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import yaml

from .errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

#: Significant digits of a float: more would differ between machines, not between models.
DIGITS = 9


def write_json(value: object, path: Path) -> None:
    """Write a value as indented JSON with sorted keys; NaN and infinity are refused."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        round_floats(value), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False
    )
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever was written
    """Return what a stage has written."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever is written there
    """Return what a file in the project's root says; raise :class:`StageError` when it cannot."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path} does not exist: run in the project's root folder") from None
    except yaml.YAMLError as error:
        raise StageError(f"{path}: this is not YAML: {error}") from None


def round_floats(value: object) -> object:
    """Return the value with each float at :data:`DIGITS` significant digits.

    >>> round_floats({"a": [0.1 + 0.2, 3]})
    {'a': [0.3, 3]}
    """
    if isinstance(value, dict):
        return {key: round_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [round_floats(item) for item in value]
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{DIGITS}g}")
    return value
