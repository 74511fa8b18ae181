"""Bytes of a parameter file to flat dotted names with values as JSON text. No I/O."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import Value, parse_json, parse_toml, parse_yaml

#: Values in one parameter file.
MAX_PARAMS = 20_000

_PARSERS = {".json": parse_json, ".toml": parse_toml, ".yaml": parse_yaml, ".yml": parse_yaml}


def parse_params(data: bytes, path: str) -> dict[str, str]:
    """Parse a parameter file: dotted name → value as JSON text; a list is one value.

    Raises :class:`MlgitopsError` when it is malformed or of a kind that we do not read.

    >>> parse_params(b"train: {depth: 6, rates: [1, 2]}", "params.yaml")
    {'train.depth': '6', 'train.rates': '[1, 2]'}
    """
    parse = _PARSERS.get(PurePosixPath(path).suffix.lower())
    if parse is None:
        raise MlgitopsError("parameters are read from YAML, JSON and TOML only", where=path)
    document = parse(data, path)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise MlgitopsError("the top level must be names and values", where=path)
    return flatten_params(document, path)


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
