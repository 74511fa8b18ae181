"""Bytes to plain values: YAML, JSON and TOML, with limits that hold before anything is built.

Everything here may come from a pull request. In: bytes and the name to blame. Out: dict,
list, str, int, float, bool or None. No I/O.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable

#: A file we parse holds at most this many bytes; a metrics file of 100,000 numbers fits.
MAX_BYTES = 16 * 2**20
#: Levels of nesting, counted from the top.
MAX_DEPTH = 32
#: Values in one file, an alias counted as all that it stands for.
MAX_NODES = 1_000_000

#: How a file begins that Git LFS has put in another's place.
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

#: Where a value stands in a document: mapping keys and list positions.
Place = tuple[str | int, ...]
#: What a document holds.
Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | float | bool | None"


def decode_text(data: bytes, where: str, *, limit: int = MAX_BYTES) -> str:
    """Decode UTF-8 within the size limit; raises :class:`MlgitopsError` otherwise."""
    refuse_pointer(data, where)
    _refuse_conflict(data, where)
    if len(data) > limit:
        raise MlgitopsError(f"{len(data):,} bytes are more than the {limit:,} we read", where=where)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MlgitopsError(
            f"not UTF-8 text (byte {error.start})", where=where, hint="save the file as UTF-8"
        ) from error


def refuse_pointer(data: bytes, where: str) -> None:
    """Raise :class:`MlgitopsError` for the text that Git LFS leaves in a large file's place.

    Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
    """
    if data.startswith(_LFS_POINTER):
        hint = "keep it in git itself, or with DVC: what LFS keeps is not read"
        raise MlgitopsError(
            "only a pointer of Git LFS, not the file itself", where=where, hint=hint
        )


def _refuse_conflict(data: bytes, where: str) -> None:
    """Raise :class:`MlgitopsError` for a file in which git left both sides of a conflict.

    Source: https://git-scm.com/docs/git-merge#_how_conflicts_are_presented
    """
    lines = b"\n" + data
    start = lines.find(b"\n<<<<<<< ")
    if start >= 0 and lines.find(b"\n>>>>>>> ", start) >= 0:
        line = data.count(b"\n", 0, start) + 1
        hint = "resolve it and commit the file"
        raise MlgitopsError("holds a conflict of a merge", where=f"{where}:{line}", hint=hint)


def parse_json(data: bytes, where: str, *, limit: int = MAX_BYTES) -> Value:
    """Parse JSON; duplicate keys, deep nesting and half surrogates are refused.

    NaN and Infinity are let through as floats: whoever uses a number checks it.
    """
    text = decode_text(data, where, limit=limit)
    try:
        value: Value = json.loads(text, object_pairs_hook=_unique_pairs(where))
    except json.JSONDecodeError as error:
        raise MlgitopsError(f"not JSON: {error.msg}", where=f"{where}:{error.lineno}") from error
    except ValueError as error:  # an integer of over 4,300 digits
        raise MlgitopsError("not JSON that we read: a number is too long", where=where) from error
    except RecursionError as error:
        raise _too_deep(where) from error
    check_shape(value, where)
    return value


def parse_toml(data: bytes, where: str) -> Value:
    """Parse TOML, which refuses duplicate keys by itself."""
    import tomllib

    text = decode_text(data, where)
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MlgitopsError(f"not TOML: {error}", where=where) from error
    except ValueError as error:
        raise MlgitopsError("not TOML that we read: a number is too long", where=where) from error
    except RecursionError as error:
        raise _too_deep(where) from error
    check_shape(value, where)
    return value


def parse_yaml(
    data: bytes, where: str, *, lines: dict[Place, int] | None = None, limit: int = MAX_BYTES
) -> Value:
    """Parse one YAML 1.2 document through libyaml, as DVC reads it (`1e-3` is a number).

    ``lines``, when given, is filled with the line (from 1) of every key and list item.
    Duplicate keys, tags of other types, deep nesting and alias bombs are refused.
    """
    text = decode_text(data, where, limit=limit)
    builder = _Builder(where, lines)
    try:
        loader = yaml.CBaseLoader(text)
        while loader.check_event():
            builder.add(loader.get_event())
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = f"not YAML: {error.problem or error.context}"
        raise MlgitopsError(problem, where=f"{where}{line}") from error
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        first = str(error).splitlines()[0]
        raise MlgitopsError(f"not YAML: {first}", where=where) from error
    return builder.value


def check_shape(value: Value, where: str) -> None:
    """Refuse values nested too deeply, too many of them, or text that is not Unicode."""
    nodes = 0
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Value] = []
        for item in level:
            if isinstance(item, dict):
                for key in item:
                    _check_text(key, where)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str):
                _check_text(item, where)
        nodes += len(below)
        if nodes > MAX_NODES:
            raise _too_many(where)
        if not below:
            return
        level = below
    raise _too_deep(where)


def _unique_pairs(where: str) -> Callable[[list[tuple[str, Value]]], dict[str, Value]]:
    """Return a hook that builds an object and refuses a repeated key."""

    def build(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
        entries = dict(pairs)
        if len(entries) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise _duplicate(twice, where)
        return entries

    return build


def _check_text(text: str, where: str) -> None:
    """Refuse half a surrogate pair: it cannot be written again."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise MlgitopsError("text that is not Unicode: half a pair", where=where) from error


def _duplicate(key: str, where: str) -> MlgitopsError:
    return MlgitopsError(f"the key {key[:100]!r} stands there twice", where=where)


def _too_deep(where: str) -> MlgitopsError:
    return MlgitopsError(f"nested over {MAX_DEPTH} levels deep", where=where)


def _too_many(where: str) -> MlgitopsError:
    return MlgitopsError(f"over {MAX_NODES:,} values", where=where)


_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*|0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def resolve_plain(text: str) -> Value:
    """Give an unquoted YAML scalar its value by the core schema of YAML 1.2.

    Digits may be parted by `_`, and `0b` begins a binary number, as in DVC's own reader.
    Source: https://yaml.org/spec/1.2.2/#103-core-schema

    >>> [resolve_plain(text) for text in ("1e-3", "0x1F", "1_000", "yes", "~")]
    [0.001, 31, 1000, 'yes', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789":
        if _INTEGER.fullmatch(text):
            try:
                return int(text.replace("_", ""), 0 if text[:2] in ("0b", "0o", "0x") else 10)
            except ValueError:  # over 4,300 digits, or none
                return text
        if _FLOAT.fullmatch(text):
            return float(text.replace("_", ""))
    return text


_TAGS: dict[str, Callable[[str], Value]] = {
    "tag:yaml.org,2002:str": str,
    "tag:yaml.org,2002:int": resolve_plain,
    "tag:yaml.org,2002:float": resolve_plain,
    "tag:yaml.org,2002:bool": resolve_plain,
    "tag:yaml.org,2002:null": resolve_plain,
    "!": str,
}
_COLLECTION_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_MERGE = "<<"  # compared by identity: in quotes it is a key like any other


class _Open:
    """A mapping (``fields``) or list (``items``) that is being filled."""

    __slots__ = ("anchor", "fields", "items", "key", "merged", "nodes")

    def __init__(self, *, mapping: bool, anchor: str | None) -> None:
        self.fields: dict[str, Value] | None = {} if mapping else None
        self.items: list[Value] = []
        self.anchor = anchor
        self.key: str | None = None  # the key that waits for its value
        self.merged: list[dict[str, Value]] = []  # what `<<` brought in
        self.nodes = 1

    @property
    def wants_key(self) -> bool:
        return self.fields is not None and self.key is None


class _Builder:
    """Builds one value from libyaml's events, in a loop: no depth can overflow the stack."""

    def __init__(self, where: str, lines: dict[Place, int] | None) -> None:
        self.value: Value = None
        self._where = where
        self._lines = lines
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Value, int]] = {}  # name → value, nodes in it
        self._nodes = 0
        self._documents = 0
        self._line = 0

    def add(self, event: object) -> None:
        """Take the next event."""
        if isinstance(event, Event) and event.start_mark is not None:
            self._line = event.start_mark.line + 1
        if isinstance(event, ScalarEvent):
            self._count(1)
            self._put(self._scalar(event), event.anchor, 1)
        elif isinstance(event, CollectionStartEvent):
            self._open(event)
        elif isinstance(event, CollectionEndEvent):
            self._close()
        elif isinstance(event, AliasEvent):
            self._alias(event.anchor or "")
        elif isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._error("more than one document")

    def _scalar(self, event: ScalarEvent) -> Value:
        text: str = event.value
        if event.tag is not None:
            convert = _TAGS.get(event.tag)
            if convert is None:
                raise self._error(f"the tag {event.tag[:100]!r} is not allowed")
            return convert(text)
        if self._stack and self._stack[-1].wants_key:
            return _MERGE if text == _MERGE and not event.style else str(text)  # stays text
        return text if event.style else resolve_plain(text)

    def _open(self, event: CollectionStartEvent) -> None:
        if event.tag not in _COLLECTION_TAGS:
            raise self._error(f"the tag {str(event.tag)[:100]!r} is not allowed")
        if len(self._stack) >= MAX_DEPTH:
            raise _too_deep(f"{self._where}:{self._line}")
        if self._stack and self._stack[-1].wants_key:
            raise self._error("a key must be text, not a list or a mapping")
        self._count(1)
        self._note_line()
        mapping = isinstance(event, MappingStartEvent)
        self._stack.append(_Open(mapping=mapping, anchor=event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        if done.fields is None:
            self._put(done.items, done.anchor, done.nodes)
            return
        for source in done.merged:
            for key, value in source.items():
                done.fields.setdefault(key, value)
        self._put(done.fields, done.anchor, done.nodes)

    def _alias(self, anchor: str) -> None:
        if anchor not in self._anchors:
            raise self._error(f"the alias *{anchor[:100]} names nothing that is complete")
        value, nodes = self._anchors[anchor]
        self._count(nodes)
        self._put(value, None, nodes)

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _too_many(f"{self._where}:{self._line}")

    def _put(self, value: Value, anchor: str | None, nodes: int) -> None:
        """Place a complete value where the document wants it."""
        if anchor is not None:
            self._anchors[anchor] = (value, nodes)
        if not self._stack:
            self.value = value
            return
        parent = self._stack[-1]
        parent.nodes += nodes
        if parent.fields is None:
            if not isinstance(value, (dict, list)):
                self._note_line()
            parent.items.append(value)
        elif parent.key is None:
            self._take_key(parent, parent.fields, value)
        elif parent.key is _MERGE:
            self._merge(parent, value)
        else:
            parent.fields[parent.key] = value
            parent.key = None

    def _take_key(self, parent: _Open, fields: dict[str, Value], key: Value) -> None:
        if not isinstance(key, str):
            raise self._error("a key must be text")
        if key in fields:
            raise _duplicate(key, f"{self._where}:{self._line}")
        _check_text(key, self._where)
        parent.key = key
        self._note_line()

    def _merge(self, parent: _Open, value: Value) -> None:
        sources = value if isinstance(value, list) else [value]
        for source in sources:
            if not isinstance(source, dict):
                raise self._error("`<<` takes a mapping or a list of mappings")
            self._count(len(source))
            parent.merged.append(source)
        parent.key = None

    def _note_line(self) -> None:
        """Remember the line of the key or list item that comes now."""
        if self._lines is None:
            return
        key = tuple(
            len(open_.items) if open_.fields is None else open_.key or "" for open_ in self._stack
        )
        self._lines.setdefault(key, self._line)

    def _error(self, problem: str) -> MlgitopsError:
        return MlgitopsError(problem, where=f"{self._where}:{self._line}")
