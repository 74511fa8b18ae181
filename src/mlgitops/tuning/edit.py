"""Other values into the text of a params.yaml: comments and all else stay. Pure."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import yaml

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.model.tuning import Choice


def read_values(data: bytes, paths: tuple[str, ...], *, where: str) -> dict[str, Choice]:
    """Return what stands at each path; raises :class:`MlgitopsError` where there is no such value.

    >>> read_values(b"train: {settings: {C: 1.0}}", ("train.settings.C",), where="params.yaml")
    {'train.settings.C': 1.0}
    """
    document = parse_yaml(data, where)
    values = {}
    for path in paths:
        value: Any = document
        for key in path.split("."):
            value = value.get(key, {}) if isinstance(value, dict) else {}
        if not isinstance(value, bool | int | float | str):
            raise MlgitopsError(
                f"there is no number or text at {path}, which tune.yaml names",
                where=where,
                hint="write a value there, from which the search goes on",
            )
        values[path] = value
    return values


def edit_values(data: bytes, values: Mapping[str, Choice], *, where: str) -> bytes:
    """Return the file with other values at some paths.

    Raises :class:`MlgitopsError` for a file in which nothing but them cannot be changed, such as
    where an alias has the same value mean two things.

    >>> edit_values(b"train: {settings: {C: 1.0}} # why", {"train.settings.C": 0.5}, where="")
    b'train: {settings: {C: 0.5}} # why'
    """
    read_values(data, tuple(values), where=where)
    text = data.decode("utf-8")
    root = yaml.compose(text, yaml.SafeLoader)
    spans = sorted(
        ((_find_span(root, path), value) for path, value in values.items()), reverse=True
    )
    edited = text
    for (begin, end), value in spans:
        edited = edited[:begin] + write_value(value) + edited[end:]
    wanted = copy.deepcopy(parse_yaml(data, where))
    for path, value in values.items():
        _set(wanted, path, value)
    if not _holds(edited, wanted, where):
        raise MlgitopsError(
            "it cannot be edited where tune.yaml names values",
            where=where,
            hint="write each of them plainly, without anchor, alias or tag",
        )
    return edited.encode()


def write_value(value: Choice) -> str:
    """Write a value as YAML that is read back as the same, of the same kind.

    >>> write_value(1e-05), write_value(True), write_value("sqrt"), write_value("1")
    ('1.0e-05', 'true', 'sqrt', '"1"')
    """
    if isinstance(value, str):
        is_plain = value.isascii() and value.replace("_", "a").replace(".", "a").isalnum()
        plain = is_plain and isinstance(yaml.safe_load(value), str)
        return value if plain else json.dumps(value)
    if isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    mantissa, e, power = text.partition("e")  # YAML 1.1 wants a point before the power
    return f"{mantissa}.0e{power}" if e and "." not in mantissa else text


def _find_span(root: yaml.Node | None, path: str) -> tuple[int, int]:
    """Find where the text of a value begins and ends, in characters."""
    node = root
    for key in path.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    if node is None:
        return 0, 0
    return node.start_mark.index, node.end_mark.index


def _set(document: Any, path: str, value: Choice) -> None:  # noqa: ANN401 - as YAML holds it
    *blocks, key = path.split(".")
    for name in blocks:
        document = document[name]
    document[key] = value


def _holds(edited: str, wanted: object, where: str) -> bool:
    """Tell whether the edited text says just what is wanted, 1 and 1.0 and true being three."""
    try:
        document = parse_yaml(edited.encode(), where)
    except MlgitopsError:
        return False
    return document == wanted and repr(document) == repr(wanted)
