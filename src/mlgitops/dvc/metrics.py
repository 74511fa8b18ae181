"""Bytes of a metrics file to a MetricSet: flat dotted names, every value checked. No I/O."""

from __future__ import annotations

import math
from pathlib import PurePosixPath

from msgspec import Struct

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import Value, parse_json, parse_toml, parse_yaml

#: Numbers in one metrics file.
MAX_METRICS = 200_000
#: Characters of a metric's dotted name.
MAX_NAME = 200


class MetricSet(Struct, frozen=True, kw_only=True):
    """The metrics of one file at one side; dotted name → value, or why it is unusable."""

    values: dict[str, float] = {}
    unusable: dict[str, str] = {}
    problem: str | None = None  # why the file as a whole could not be read


def parse_metrics(data: bytes, path: str) -> MetricSet:
    """Parse a metrics file by its suffix: JSON, YAML, TOML, or one bare number.

    Raises :class:`MlgitopsError` when it is malformed, holds one key twice, or breaks a limit.

    >>> parse_metrics(b'{"test": {"auc": 0.9, "ok": true}}', "m.json").values
    {'test.auc': 0.9}
    """
    document = _parse_document(data, path)
    if isinstance(document, (dict, list)):
        return _flatten(document, path)
    name = PurePosixPath(path).stem
    value, reason = check_number(document)
    if isinstance(document, str) or document is None:
        hint = "write JSON, YAML or TOML: names and numbers"
        raise MlgitopsError("holds no metrics", where=path, hint=hint)
    return MetricSet(values={name: value}) if reason is None else MetricSet(unusable={name: reason})


def check_number(value: Value) -> tuple[float, str | None]:
    """Return ``value`` as a finite float, or the reason why it is not one."""
    if isinstance(value, bool):
        return math.nan, f"is {str(value).lower()}, not a number"
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            return math.nan, "is too large a number"
        if math.isnan(number):
            return number, "is NaN"
        return number, "is infinite" if math.isinf(number) else None
    if isinstance(value, str):
        return math.nan, "is text, not a number"
    return math.nan, "is a list, not a number" if isinstance(value, list) else "is empty"


def _parse_document(data: bytes, path: str) -> Value:
    if not data.strip():
        hint = "the stage that writes it may have failed: run it again"
        raise MlgitopsError("the file is empty", where=path, hint=hint)
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".json":
        return parse_json(data, path)
    if suffix == ".toml":
        return parse_toml(data, path)
    return parse_yaml(data, path)  # JSON and bare numbers are YAML too


def _flatten(document: dict[str, Value] | list[Value], path: str) -> MetricSet:
    """Join nested keys with dots; two keys that meet in one name are both unusable."""
    if isinstance(document, list):
        raise MlgitopsError("the top level is a list, not names and numbers", where=path)
    values: dict[str, float] = {}
    unusable: dict[str, str] = {}
    stack: list[tuple[str, Value]] = [("", document)]
    while stack:
        prefix, node = stack.pop()
        if isinstance(node, dict):
            begin = f"{prefix}." if prefix else ""
            stack.extend((f"{begin}{key}", item) for key, item in node.items())
            continue
        if not prefix.strip("."):
            raise MlgitopsError("a metric has an empty name", where=path)
        name, (number, reason) = prefix, check_number(node)
        if len(prefix) > MAX_NAME:
            name, reason = f"{prefix[: MAX_NAME - 1]}…", f"has a name of over {MAX_NAME} characters"
        if name in values or name in unusable:
            values.pop(name, None)
            unusable[name] = "is written twice, once with dots and once nested"
        elif reason is None:
            values[name] = number
        else:
            unusable[name] = reason
        if len(values) + len(unusable) > MAX_METRICS:
            raise MlgitopsError(f"over {MAX_METRICS:,} metrics", where=path)
    return MetricSet(values=values, unusable=unusable)
