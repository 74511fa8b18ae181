"""The `${...}` of dvc.yaml, `foreach` and `matrix`, as far as a reader needs them. Pure.

Source: https://doc.dvc.org/user-guide/project-structure/dvcyaml-files#templating
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.parsing import Value

#: Stages that one `foreach` or `matrix` may make.
MAX_STAGES = 1_000
_REFERENCE = re.compile(r"(?<!\\)\$\{\s*([^}\s]+)\s*\}")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


class UnresolvedError(LookupError):
    """A `${...}` names something that was not found."""


def expand(value: Value, scope: dict[str, Value]) -> Value:
    """Replace every `${...}` in ``value`` by what it names in ``scope``.

    Raises :class:`UnresolvedError` with the reference that is not there.

    >>> expand(["out/${a.b}.json"], {"a": {"b": 1}})
    ['out/1.json']
    """
    if isinstance(value, str):
        return _expand_text(value, scope)
    if isinstance(value, list):
        return [expand(item, scope) for item in value]
    if isinstance(value, dict):
        return {str(_expand_text(key, scope)): expand(item, scope) for key, item in value.items()}
    return value


def expand_stages(
    name: str, body: dict[str, Value], scope: dict[str, Value]
) -> Iterator[tuple[str, Value]]:
    """Yield the stages that ``body`` stands for: one, or one per item of foreach or matrix."""
    if "foreach" in body:
        items = expand(body["foreach"], scope)
        if isinstance(items, dict):
            pairs = [(key, {"key": key, "item": item}) for key, item in items.items()]
        elif isinstance(items, list):
            pairs = [(_label(item, at), {"item": item}) for at, item in enumerate(items)]
        else:
            raise UnresolvedError(str(body["foreach"])[:100])
        for label, extra in pairs[:MAX_STAGES]:
            yield f"{name}@{label}", expand(body.get("do"), {**scope, **extra})
        return
    if "matrix" in body:
        yield from _expand_matrix(name, body, scope)
        return
    yield name, expand(body, scope)


def _expand_matrix(
    name: str, body: dict[str, Value], scope: dict[str, Value]
) -> Iterator[tuple[str, Value]]:
    axes = expand(body["matrix"], scope)
    if not isinstance(axes, dict) or not all(isinstance(axis, list) for axis in axes.values()):
        raise UnresolvedError(str(body["matrix"])[:100])
    rest = {key: value for key, value in body.items() if key != "matrix"}
    labelled = [
        [(_label(item, f"{key}{at}"), item) for at, item in enumerate(axis)]
        for key, axis in axes.items()
        if isinstance(axis, list)
    ]
    for combination in itertools.islice(itertools.product(*labelled), MAX_STAGES):
        item = dict(zip(axes, (value for _, value in combination), strict=True))
        label = "-".join(text for text, _ in combination)
        yield f"{name}@{label}", expand(rest, {**scope, "item": item, "key": label})


def _label(item: Value, other: object) -> str:
    """Name a stage after its item; mappings and lists by their place."""
    if isinstance(item, (dict, list)):
        return str(other)
    return str(item).lower() if isinstance(item, bool) else str(item)


def _expand_text(text: str, scope: dict[str, Value]) -> Value:
    whole = _REFERENCE.fullmatch(text)
    if whole:
        return _look_up(whole.group(1), scope)
    return _REFERENCE.sub(lambda found: _as_text(_look_up(found.group(1), scope)), text)


def _as_text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _look_up(reference: str, scope: dict[str, Value]) -> Value:
    node: Value = scope
    for key, position in _STEP.findall(reference):
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and position and int(position) < len(node):
            node = node[int(position)]
        else:
            raise UnresolvedError(reference[:100])
    return node
