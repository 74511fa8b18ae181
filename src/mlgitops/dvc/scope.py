"""What the `${...}` of a dvc.yaml may name: `params.yaml`, then what `vars` adds.

Merged as DVC merges them: mappings within mappings, and nothing is given two values.
Source: https://github.com/treeverse/dvc, dvc/parsing/context.py
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, TypeAlias

from mlgitops.dvc.params import parse_values
from mlgitops.dvc.paths import join_path
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import Value, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

Read: TypeAlias = "Callable[[str], bytes | None]"
DEFAULT = "params.yaml"
_HINT = "DVC refuses it too: give each name one value"


class Scope:
    """Names and their values, which the mappings within may share with other scopes."""

    def __init__(self, where: str) -> None:
        """Begin with no names; ``where`` is the dvc.yaml that errors speak of."""
        self.values: dict[str, Value] = {}
        self._where = where
        self._reserved: frozenset[str] = frozenset()
        self._loaded: dict[str, frozenset[str] | None] = {}  # file → keys, None: all of them

    def extend(self, names: dict[str, Value]) -> Scope:
        """Return a scope with ``names`` too, which hide others and which no `vars` may set."""
        inner = Scope(self._where)
        inner.values = {**self.values, **names}
        inner._reserved = frozenset(names)
        inner._loaded = dict(self._loaded)
        return inner

    def add(self, values: dict[str, Value]) -> None:
        """Merge ``values``; raises :class:`MlgitopsError` when one has a value already."""
        reserved = self._reserved.intersection(values)
        if reserved:
            problem = f"`vars` sets `{min(reserved)}`, which `foreach` and `matrix` set"
            raise MlgitopsError(problem, where=self._where, hint=_HINT)
        self.values = self._merge(self.values, values, "")

    def take_file(self, path: str, keys: frozenset[str] | None) -> bool:
        """Note that these keys of a file are loaded; False when all of it was, as is asked now.

        Raises :class:`MlgitopsError` for a file of which some is loaded twice.
        """
        if path not in self._loaded:
            self._loaded[path] = keys
            return True
        before = self._loaded[path]
        if before is None and keys is None:
            return False
        if before is None or keys is None or before & keys:
            problem = f"`vars` loads {path[:100]!r}, some of which is loaded already"
            raise MlgitopsError(problem, where=self._where, hint=_HINT)
        self._loaded[path] = before | keys
        return True

    def _merge(
        self, before: dict[str, Value], added: dict[str, Value], way: str
    ) -> dict[str, Value]:
        merged = dict(before)
        for key, value in added.items():
            old = merged.get(key)
            if isinstance(old, dict) and isinstance(value, dict):
                merged[key] = self._merge(old, value, f"{way}{key}.")
            elif key in merged:
                problem = f"`vars` sets `{way}{key}`, which has a value already"
                raise MlgitopsError(problem[:300], where=self._where, hint=_HINT)
            else:
                merged[key] = value
        return merged


class Variables:
    """The `vars` of one dvc.yaml; each file that they name is read once."""

    def __init__(self, read: Read, notices: list[str], loaded: set[str]) -> None:
        """Take a reader of files, and what takes the names of those that are read, and are not."""
        self._read, self._notices, self._loaded = read, notices, loaded
        self._files: dict[str, dict[str, Value]] = {}

    def load(self, scope: Scope, entries: list[Value], folder: str) -> None:
        """Add the entries of a `vars` list to ``scope``; files are named from ``folder``.

        A file that is not there adds nothing: whoever asks for its names is told.
        """
        for entry in entries:
            if isinstance(entry, dict):
                scope.add(entry)
            else:
                self._load_file(scope, str(entry), folder)

    def _load_file(self, scope: Scope, entry: str, folder: str) -> None:
        name, _, listed = entry.partition(":")
        path = join_path(folder, name)
        keys = frozenset(filter(None, listed.split(","))) or None
        if path is None or not scope.take_file(path, keys):
            return
        values = self._read_file(path)
        scope.add({key: value for key, value in values.items() if keys is None or key in keys})

    def _read_file(self, path: str) -> dict[str, Value]:
        if path not in self._files:
            data = self._read(path)
            values: dict[str, Value] = {}
            if data is not None:
                try:
                    values = _parse_vars(data, path)
                    self._loaded.add(path)  # its values make commands and paths
                except MlgitopsError as error:
                    self._notices.append(f"`{path}` cannot be read: {error.what}."[:500])
            self._files[path] = values
        return self._files[path]


def _parse_vars(data: bytes, path: str) -> dict[str, Value]:
    suffix = posixpath.splitext(path)[1].lower()
    if suffix in (".json", ".toml", ".py"):
        return parse_values(data, path)
    values = parse_yaml(data, path)
    return values if isinstance(values, dict) else {}
