"""YAML that people write, and JSON that stages write.

The same values make the same bytes of JSON, and numbers have no digits that say nothing.
"""

from __future__ import annotations

import json
import math
from collections import Counter
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
        return parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path} does not exist: run in the project's root folder") from None
    except UnicodeDecodeError as error:
        raise StageError(f"{path}: this is not YAML in UTF-8: {error}") from None
    except StageError as error:
        raise StageError(f"{path}: {error}") from None


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - whatever is written there
    """Return what a text says.

    Raises :class:`StageError` when it is not YAML, and for a key that stands twice: YAML takes the
    last of the two, and a person who reads from above the first.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_repeated(root)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise StageError(f"this is not YAML: {error}") from None


def _refuse_repeated(root: yaml.Node) -> None:
    """Raise :class:`StageError` for a key that a mapping has twice."""
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:  # by an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = Counter((key.tag, str(key.value)) for key, _ in node.value)
            for key, value in node.value:
                if keys[key.tag, str(key.value)] > 1:
                    line = key.start_mark.line + 1
                    raise StageError(f"line {line}: `{key.value}` is given twice")
                nodes.append(value)


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
