"""Bytes of a parameter file to values: nested as they stand, or flat with dotted names. Pure."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import Value, parse_json, parse_toml, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

#: Values in one parameter file.
MAX_PARAMS = 20_000


def _parse_python(data: bytes, path: str) -> Value:
    from mlgitops.dvc.python_params import parse_python

    return parse_python(data, path)


_PARSERS: dict[str, Callable[[bytes, str], Value]] = {
    ".json": parse_json,
    ".py": _parse_python,
    ".toml": parse_toml,
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
}


def parse_params(data: bytes, path: str) -> dict[str, str]:
    """Parse a parameter file: dotted name → value as JSON text; a list is one value.

    Raises :class:`MlgitopsError` when it is malformed or of a kind that we do not read.

    >>> parse_params(b"train: {depth: 6, rates: [1, 2]}", "params.yaml")
    {'train.depth': '6', 'train.rates': '[1, 2]'}
    """
    return flatten_params(parse_values(data, path), path)


def parse_values(data: bytes, path: str) -> dict[str, Value]:
    """Parse a parameter file to what it holds; raises :class:`MlgitopsError` as above."""
    parse = _PARSERS.get(PurePosixPath(path).suffix.lower())
    if parse is None:
        problem = "parameters are read from YAML, JSON, TOML and Python only"
        raise MlgitopsError(problem, where=path)
    document = parse(data, path)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise MlgitopsError("the top level must be names and values", where=path)
    return document


def diff_run(
    names: tuple[str, ...], values: dict[str, Value], run: dict[str, Value]
) -> tuple[list[str], list[str]]:
    """Compare what a stage declares with its run: names of another value, and new names.

    ``names`` are as in dvc.yaml, none for all of the file; ``values`` are the file's, ``run``
    those of dvc.lock, by the same names. Equal is what Python, and so DVC, calls equal: 1 is 1.0.

    >>> diff_run(("net", "rate"), {"net": {"depth": 2}}, {"net": {"depth": 1}})
    (['net.depth'], ['rate'])
    """
    if names:
        now = {name: find_value(values, name) for name in names}
    else:
        now = {name: [values[name]] if name in values else [] for name in [*values, *run]}
    new = [name for name in now if name not in run]
    other = [
        key
        for name in now
        if name in run and now[name] != [run[name]]
        for key in _name_other(name, next(iter(now[name]), None), run[name])
    ]
    return other, new


def _name_other(name: str, value: Value, run: Value) -> list[str]:
    """Name what differs within two values that differ: the keys of a group, else the value."""
    if not (isinstance(value, dict) and isinstance(run, dict)):
        return [name]
    return [
        key
        for step in {**value, **run}
        if step not in value or step not in run or value[step] != run[step]
        for key in _name_other(f"{name}.{step}", value.get(step), run.get(step))
    ]


def find_value(values: dict[str, Value], name: str) -> list[Value]:
    """Find the value of a dotted name: a list of it, empty when there is none.

    A step into a list is its position.

    >>> find_value({"layers": [{"units": 3}]}, "layers.0.units"), find_value({}, "a")
    ([3], [])
    """
    node: Value = values
    for step in name.split("."):
        if isinstance(node, dict) and step in node:
            node = node[step]
        elif isinstance(node, list) and step.isdecimal() and int(step) < len(node):
            node = node[int(step)]
        else:
            return []
    return [node]


def flatten_params(document: dict[str, Value], path: str) -> dict[str, str]:
    """Join nested keys with dots, in the order of the file."""
    flat: dict[str, str] = {}
    stack: list[tuple[str, Value]] = [("", document)]
    while stack:
        prefix, node = stack.pop()
        if isinstance(node, dict) and node:
            begin = f"{prefix}." if prefix else ""
            stack.extend((f"{begin}{key}", item) for key, item in reversed(node.items()))
        elif prefix:
            flat[prefix] = json.dumps(node, ensure_ascii=False, default=str)
        if len(flat) > MAX_PARAMS:
            raise MlgitopsError(f"over {MAX_PARAMS:,} parameters", where=path)
    return flat
