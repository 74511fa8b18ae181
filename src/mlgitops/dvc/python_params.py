"""The parameters of a Python file, read from its syntax tree: nothing of it runs. Pure.

Read as DVC reads them: literal assignments of the module and of its classes, and what
`__init__` gives `self`. Whatever is computed is left out.
Source: `load_py` of https://github.com/treeverse/dvc, dvc/utils/serialize/_py.py
"""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import MAX_DEPTH, check_shape, decode_text

if TYPE_CHECKING:
    from mlgitops.parsing import Value

_MAX_BYTES = 2**20


def parse_python(data: bytes, where: str) -> dict[str, Value]:
    r"""Return the literals of a Python file by name; those of a class are a mapping of their own.

    Raises :class:`MlgitopsError` when it is not Python.

    >>> parse_python(b"depth = 3\nclass Net:\n  rates: list = [1, 2]\nx = f()", "params.py")
    {'depth': 3, 'Net': {'rates': [1, 2]}}
    """
    text = decode_text(data, where, limit=_MAX_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise MlgitopsError("not Python that we read", where=where) from error
    values = _read_body(tree.body, where, own=False, depth=0)
    check_shape(values, where)
    return values


def _read_body(body: list[ast.stmt], where: str, *, own: bool, depth: int) -> dict[str, Value]:
    """Read the assignments of a module or class; ``own``: of `self`, in `__init__`."""
    if depth > MAX_DEPTH:
        raise MlgitopsError(f"nested over {MAX_DEPTH} levels deep", where=where)
    values: dict[str, Value] = {}
    for node in body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            values.update(_read_assignment(node, own=own))
        elif isinstance(node, ast.ClassDef):
            values[node.name] = _read_body(node.body, where, own=False, depth=depth + 1)
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            values.update(_read_body(node.body, where, own=True, depth=depth + 1))
    return values


def _read_assignment(node: ast.Assign | ast.AnnAssign, *, own: bool) -> dict[str, Value]:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
    name = _find_name(targets[0], own=own) if len(targets) == 1 else None
    if name is None or node.value is None:
        return {}
    try:
        return {name: _as_plain(ast.literal_eval(node.value))}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}


def _find_name(target: ast.expr, *, own: bool) -> str | None:
    if isinstance(target, ast.Name) and not own:
        return target.id
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return target.attr if target.value.id == "self" else None
    return None


def _as_plain(value: object) -> Value:
    """Return a literal as YAML would give it back: tuples as lists, keys as text."""
    if isinstance(value, dict):
        return {str(key): _as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return {str(item): None for item in sorted(value, key=str)}
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)
