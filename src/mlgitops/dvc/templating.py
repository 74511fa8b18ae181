"""The `${...}` of dvc.yaml, `foreach` and `matrix`, as far as a reader needs them. Pure.

Source: https://doc.dvc.org/user-guide/project-structure/dvcyaml-files#templating
"""

from __future__ import annotations

import itertools
import re
import shlex
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.parsing import Value

#: What the stages of one project may come to: their number, the values in them, and the
#: characters that `${...}` puts there. Over a limit nothing is read: half of a pipeline would
#: pass for all of it.
MAX_STAGES = 20_000
MAX_VALUES = 2_000_000
MAX_TEXT = 2**26
_REFERENCE = re.compile(r"(?<!\\)\$\{([^}\n]*)\}")


class UnresolvedError(LookupError):
    """A `${...}` names something that was not found."""


class Budget:
    """How much of a project's limits its stages have left."""

    def __init__(self) -> None:
        self.where = "dvc.yaml"  # which file is read now
        self._stages, self._values, self._text = MAX_STAGES, MAX_VALUES, MAX_TEXT

    def take_stage(self) -> None:
        """Count one stage; raises :class:`MlgitopsError` when there are too many."""
        self._stages -= 1
        if self._stages < 0:
            raise self._refuse(f"its pipeline has over {MAX_STAGES:,} stages")

    def take(self, value: Value) -> Value:
        """Count a value and all that it holds; raises :class:`MlgitopsError` over a limit."""
        waiting = [value]
        while waiting:
            item = waiting.pop()
            self._values -= 1
            if isinstance(item, dict):
                waiting += [*item, *item.values()]
            elif isinstance(item, list):
                waiting += item
            elif isinstance(item, str):
                self._text -= len(item)
            if self._values < 0 or self._text < 0:
                text = f"{MAX_VALUES:,} values or {MAX_TEXT:,} characters"
                raise self._refuse(f"its stages come to over {text}")
        return value

    def _refuse(self, problem: str) -> MlgitopsError:
        hint = "nothing was read: give it fewer stages, or make several projects of it"
        return MlgitopsError(problem, where=self.where, hint=hint)


def expand(value: Value, scope: dict[str, Value], budget: Budget | None = None) -> Value:
    """Replace every `${...}` in ``value`` by what it names in ``scope``, within ``budget``.

    Raises :class:`UnresolvedError` with the reference that is not there, and
    :class:`MlgitopsError` when it comes to more than is left.

    >>> expand(["out/${a.b}.json"], {"a": {"b": 1}})
    ['out/1.json']
    """
    budget = budget or Budget()
    if isinstance(value, str):
        return budget.take(_expand_text(value, scope))
    if isinstance(value, list):
        return [expand(item, scope, budget) for item in value]
    if isinstance(value, dict):
        return {
            str(budget.take(_expand_text(key, scope))): expand(item, scope, budget)
            for key, item in value.items()
        }
    return value


def list_stages(
    name: str, body: dict[str, Value], scope: dict[str, Value], budget: Budget | None = None
) -> Iterator[tuple[str, Value, dict[str, Value]]]:
    """Yield the stages that ``body`` stands for: one, or one per item of foreach or matrix.

    Each with its definition, in which nothing is filled in yet, and the names it has for itself.
    Raises :class:`MlgitopsError` when they come to more than ``budget`` has left.
    """
    budget = budget or Budget()
    if "foreach" in body:
        expanding = _list_foreach(name, body, scope, budget)
    elif "matrix" in body:
        expanding = _list_matrix(name, body, scope, budget)
    else:
        expanding = iter([(name, body, {})])
    for label, inner, names in expanding:
        budget.take_stage()
        yield label, inner, names


def _list_foreach(
    name: str, body: dict[str, Value], scope: dict[str, Value], budget: Budget
) -> Iterator[tuple[str, Value, dict[str, Value]]]:
    items = expand(body["foreach"], scope, budget)
    if isinstance(items, dict):
        pairs = [(key, {"key": key, "item": item}) for key, item in items.items()]
    elif isinstance(items, list):
        labelled = _label_items(items, body["foreach"])
        pairs = [(label, {"item": item}) for label, item in labelled.items()]
    else:
        raise UnresolvedError(str(body["foreach"])[:100])
    for label, extra in pairs:
        yield f"{name}@{label}", body.get("do"), extra


def _label_items(items: list[Value], written: Value) -> dict[str, Value]:
    """Name the stages of a list after its items, or by their places where one is no scalar."""
    if any(isinstance(item, (dict, list)) for item in items):
        return {str(at): item for at, item in enumerate(items)}
    return {_label(item, written, at): item for at, item in enumerate(items)}


def _label(item: Value, written: Value, at: int) -> str:
    """Name a stage after the item at place ``at`` of what is ``written`` as its list.

    DVC writes `true` after the word itself, and `True` after a reference to it.
    """
    own = written[at] if isinstance(written, list) else None
    return as_text(item) if isinstance(own, bool) else str(item)


def _list_matrix(
    name: str, body: dict[str, Value], scope: dict[str, Value], budget: Budget
) -> Iterator[tuple[str, Value, dict[str, Value]]]:
    written = body["matrix"]
    axes = expand(written, scope, budget)
    if not isinstance(axes, dict) or not all(isinstance(axis, list) for axis in axes.values()):
        raise UnresolvedError(str(written)[:100])
    rest = {key: value for key, value in body.items() if key != "matrix"}
    labelled = [
        [(_label_axis(item, written, key, at), item) for at, item in enumerate(axis)]
        for key, axis in axes.items()
        if isinstance(axis, list)
    ]
    for combination in itertools.product(*labelled):
        item = dict(zip(axes, (value for _, value in combination), strict=True))
        label = "-".join(text for text, _ in combination)
        yield f"{name}@{label}", rest, {"item": item, "key": label}


def _label_axis(item: Value, written: Value, key: str, at: int) -> str:
    """Name an item of one axis of a matrix: mappings and lists by their place."""
    if isinstance(item, (dict, list)):
        return f"{key}{at}"
    return _label(item, written.get(key) if isinstance(written, dict) else None, at)


def _expand_text(text: str, scope: dict[str, Value]) -> Value:
    whole = _REFERENCE.fullmatch(text)
    if whole:
        return _look_up(whole.group(1), scope)
    filled = _REFERENCE.sub(lambda match: _look_up_text(match.group(1), scope), text)
    return filled.replace("\\${", "${")


def _look_up_text(reference: str, scope: dict[str, Value]) -> str:
    """Look up what stands within a text: DVC puts no list there."""
    value = _look_up(reference, scope)
    if isinstance(value, list):
        raise UnresolvedError(reference.strip()[:100])
    return as_text(value)


def as_text(value: Value) -> str:
    """Write a value as DVC writes it into a command: a mapping as options.

    Source: `to_str` of https://github.com/treeverse/dvc, dvc/parsing/interpolate.py

    >>> as_text({"rate": 0.1, "net": {"deep": True, "sizes": [8, 4]}})
    '--rate 0.1 --net.deep --net.sizes 8 4'
    """
    if isinstance(value, dict):
        return " ".join(filter(None, _list_options(value, "")))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list_options(values: dict[str, Value], prefix: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _list_options(value, f"{prefix}{key}.")
        elif isinstance(value, bool):
            yield f"--{prefix}{key}" if value else ""
        elif isinstance(value, list):
            words = " ".join(_quote(item) for item in value)
            yield f"--{prefix}{key} {words}" if value else ""
        else:
            yield f"--{prefix}{key} {_quote(value)}"


def _quote(value: Value) -> str:
    return shlex.quote(value) if isinstance(value, str) else str(value)


def _look_up(reference: str, scope: dict[str, Value]) -> Value:
    """Walk from name to name; `a[0]` is `a.0`, and a list counts from its end below zero."""
    node: Value = scope
    for step in reference.replace("[", ".").replace("]", "").split("."):
        try:
            if isinstance(node, dict):
                node = node[step.strip()]
                continue
            if isinstance(node, list):
                node = node[int(step)]
                continue
        except (LookupError, ValueError):
            pass
        raise UnresolvedError(reference.strip()[:100])
    return node
