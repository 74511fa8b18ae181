"""Tests of reading YAML, JSON and TOML within limits, and of refusing everything else."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import (
    MAX_DEPTH,
    Place,
    Value,
    parse_json,
    parse_toml,
    parse_yaml,
    resolve_plain,
)

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("yes", "yes"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("1_000", 1000),
        ("0b1_01", 5),
        ("0b2", "0b2"),
        ("0b_", "0b_"),
        ("1_0.5_0", 10.5),
        ("2024-01-31", "2024-01-31"),
        ("True", True),
        ("null", None),
        ("~", None),
        (".inf", float("inf")),
        ("-", "-"),
        (".", "."),
    ],
)
def test_plain_scalars_have_their_yaml_1_2_value(text: str, value: Value) -> None:
    """Unquoted text is typed as DVC types it, by YAML 1.2 and not 1.1."""
    assert resolve_plain(text) == value
    assert type(resolve_plain(text)) is type(value)


@given(VALUES)
def test_json_is_read_back(value: Value) -> None:
    """Whatever is written as JSON is read back the same, by both parsers."""
    data = json.dumps(value).encode()
    assert parse_json(data, "f") == value
    beyond_yaml = b"\\u" in data or b"Infinity" in data or b"NaN" in data
    if data.isascii() and not beyond_yaml:
        assert parse_yaml(data, "f") == value


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_yaml_agrees_with_the_library(value: Value) -> None:
    """What PyYAML writes with every text quoted is read back the same."""
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True)
    plain = yaml.safe_load(text)
    found = parse_yaml(text.encode(), "f")
    assert found == plain


def test_anchors_and_merge_keys_are_followed() -> None:
    """Aliases stand for their value, and `<<` fills in what is not there."""
    data = b"a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{y: 9}, *a]}\n"
    assert parse_yaml(data, "f") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 1, "y": 9},
    }


def test_lines_are_noted_for_keys_and_items() -> None:
    """The line of each key and list item can be found."""
    lines: dict[Place, int] = {}
    parse_yaml(b"a:\n  b: 1\n  c:\n  - x\n  - y: 2\n", "f", lines=lines)
    assert lines[("a", "b")] == 2
    assert lines[("a", "c", 0)] == 4
    assert lines[("a", "c", 1, "y")] == 5


_BOMB = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (at, at, b",".join([b"*%c" % (at - 1)] * 10)) for at in range(98, 110)
)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"a: [1", "not YAML"),
        (b"a: b: c", "not YAML"),
        (b"a: \x00", "not YAML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a: 1\nb: 2\na: 3", "f:3: the key 'a' stands there twice"),
        (b"- " * (MAX_DEPTH + 1) + b"1", "nested over"),
        (b"[" * 200_000, "nested over"),
        (b"? [a]\n: 1", "a key must be text"),
        (b"a: !!python/object:x.y {}", "is not allowed"),
        (b"a: !custom 1", "is not allowed"),
        (b"a: &a [*a]", "names nothing that is complete"),
        (b"a: *b", "names nothing that is complete"),
        (b"<<: 1", "`<<` takes a mapping"),
        (b"a: 1\n---\nb: 1", "more than one document"),
        (_BOMB, "values"),
        (b"a: 1\n<<<<<<< HEAD\nb: 1\n=======\n>>>>>>> x\n", "f:2: holds a conflict of a merge"),
        (b"<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> x\n", "f:1: holds a conflict of a merge"),
    ],
)
def test_yaml_that_is_broken_or_clever_is_refused(data: bytes, what: str) -> None:
    """Each hostile or broken document is one clear error."""
    with pytest.raises(MlgitopsError, match=what):
        parse_yaml(data, "f")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": 1, "a": 2}', "stands there twice"),
        (b"[" * 200_000, "nested over"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested over"),
        (b'"\\ud800"', "not Unicode"),
        (b'{"\\udfff": 1}', "not Unicode"),
        (b"1" * 5_000, "too long"),
        (b"\xff", "not UTF-8"),
        (b"[" + b"1," * 1_000_000 + b"1]", "over 1,000,000 values"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_json_that_is_broken_or_clever_is_refused(data: bytes, what: str) -> None:
    """Each hostile or broken document is one clear error."""
    with pytest.raises(MlgitopsError, match=what):
        parse_json(data, "f")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"a = ", "not TOML: Invalid value"),
        (b"a = 1\na = 2", "not TOML: Cannot overwrite a value"),
        (b"\xff", "not UTF-8"),
        (b"a = " + b"1" * 5_000, "a number is too long"),
    ],
)
def test_toml_that_is_broken_is_refused(data: bytes, what: str) -> None:
    """Each broken TOML document is one clear error."""
    with pytest.raises(MlgitopsError, match=what):
        parse_toml(data, "f")


def test_a_file_over_the_limit_is_not_parsed() -> None:
    """Size is checked before anything else."""
    with pytest.raises(MlgitopsError, match="more than the 10 we read"):
        parse_json(b"[1, 2, 3, 4]", "f", limit=10)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No input gives anything but a value or a clear error."""
    for parse in (parse_json, parse_yaml, parse_toml):
        try:
            parse(data, "f")
        except MlgitopsError as error:
            assert str(error)  # noqa: PT017 - any input may be refused, or not
