"""Documents that break a careless reader of JSON or YAML, whatever they should hold."""

from __future__ import annotations

import json

DEEP = 50_000


def dump(value: object) -> bytes:
    """Write a value as JSON."""
    return json.dumps(value).encode()


#: Breaks any JSON reader that is not careful.
JSON: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t",
    "null": b"null",
    "a number": b"1",
    "text": b'"text"',
    "a list": b"[]",
    "cut": b'{"a": ',
    "two values": b"{} {}",
    "a comment": b'{"a": 1} // x',
    "a trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "latin-1": '{"é": 1}'.encode("latin-1"),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "NUL bytes": b"\x00" * 64,
    "a NUL in text": b'{"a\x00": 1}',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a huge integer": b'{"a": ' + b"9" * 6_000 + b"}",
    "a key twice": b'{"a": 1, "a": 2}',
    "a lone surrogate": b'{"a\\ud800": 1}',
    "too large": b'{"a": "' + b"x" * (2**24 + 2**20) + b'"}',
}
#: Breaks any YAML reader that is not careful.
YAML: dict[str, bytes] = {
    "a list": b"- a\n- b\n",
    "cut": b"a: [1, 2",
    "tabs": b"a:\n\t- b: c",
    "a key twice": b"a: 1\na: 2\n",
    "a tag of Python": b"a: !!python/name:builtins.list\n",
    "a tag of its own": b"a: !custom x\n",
    "binary": b"a: !!binary aGVsbG8=\n",
    "a set": b"a: !!set {b, c}\n",
    "two documents": b"a: 1\n---\nb: 2\n",
    "an alias of nothing": b"a: *b\n",
    "an alias of itself": b"a: &a [*a]\n",
    "aliases of aliases": b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"a%d: &a%d [%s]\n" % (at, at, b",".join([b"*a%d" % (at - 1)] * 10)) for at in range(1, 12)
    ),
    "deep lists": b"[" * DEEP,
    "deep dashes": b"- " * 2_000 + b"1",
    "deep mappings": b"{a: " * DEEP,
    "a list as key": b"? [a, b]\n: 1\n",
    "a merge of text": b"<<: text\n",
    "not UTF-8": b"a: \xff\xfe\n",
    "a control character": b"a: \x07\n",
    "NUL bytes": b"\x00" * 64,
    "a directive from another version": b"%YAML 9.9\n---\na: 1\n",
    "too large": b"a: " + b"x" * (2**24 + 2**20),
    "a huge integer": b"a: " + b"9" * 6_000 + b"\n",
}  # fmt: skip
