"""Tests of metrics and parameter files: flat names, checked values, refusals."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.dvc.metrics import parse_metrics
from mlgitops.dvc.params import parse_params
from mlgitops.errors import MlgitopsError


@pytest.mark.parametrize(
    ("path", "text", "values"),
    [
        ("m.json", '{"test": {"auc": 0.9, "n": 3}}', {"test.auc": 0.9, "test.n": 3.0}),
        ("m.yaml", "test: {auc: 9e-1}", {"test.auc": 0.9}),
        ("m.yml", "a: 1", {"a": 1.0}),
        ("m.toml", "[test]\nauc = 0.9", {"test.auc": 0.9}),
        ("m.json", "0.25", {"m": 0.25}),
        ("auc.metric", "0.25\n", {"auc": 0.25}),
        ("m.json", '\ufeff{"a": 1}', {"a": 1.0}),
        ("m.json", '{"a": -0.0, "b": 1e-308}', {"a": -0.0, "b": 1e-308}),
        ("m.json", "{}", {}),
        ("m.json", '{"a": {}}', {}),
        ("m.json", '{"a.b": 1}', {"a.b": 1.0}),
    ],
)
def test_metrics_are_flattened(path: str, text: str, values: dict[str, float]) -> None:
    """Every number gets its dotted name, whatever the format."""
    found = parse_metrics(text.encode(), path)
    assert (found.values, found.unusable) == (values, {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": NaN}', "is NaN"),
        ('{"a": Infinity}', "is infinite"),
        ('{"a": -Infinity}', "is infinite"),
        ('{"a": 1e999}', "is infinite"),
        ('{"a": true}', "is true, not a number"),
        ('{"a": "0.9"}', "is text, not a number"),
        ('{"a": [1, 2]}', "is a list, not a number"),
        ('{"a": null}', "is empty"),
        ('{"a": 1' + "0" * 400 + "}", "is too large a number"),
        ('{"a": {"b": 1}, "a.b": 2}', "is written twice, once with dots and once nested"),
    ],
)
def test_what_is_no_number_is_kept_with_its_reason(text: str, reason: str) -> None:
    """An unusable value does not vanish: its name stays, with the reason."""
    found = parse_metrics(text.encode(), "m.json")
    assert list(found.unusable.values()) == [reason]
    assert not found.values


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("m.json", ""),
        ("m.json", " \n"),
        ("m.json", "{"),
        ("m.json", "[1]"),
        ("m.json", '"text"'),
        ("m.json", "null"),
        ("m.json", '{"a": 1, "a": 2}'),
        ("m.json", '{"": 1}'),
        ("m.json", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 17\n"),
        ("m.json", '{"a":' * 40 + "1" + "}" * 40),
        ("m.yaml", "just words"),
        ("m.toml", "a ="),
    ],
)
def test_a_malformed_file_is_refused(path: str, text: str) -> None:
    """What holds no metrics is a clear error that names the file."""
    with pytest.raises(MlgitopsError, match=f"^{path}") as caught:
        parse_metrics(text.encode(), path)
    assert str(caught.value.where).startswith(path)


@given(st.dictionaries(st.from_regex("[a-z]{1,8}", fullmatch=True), st.floats(), max_size=8))
def test_every_metric_is_either_a_value_or_has_a_reason(values: dict[str, float]) -> None:
    """No key is lost and none is in both places."""
    found = parse_metrics(json.dumps(values).encode(), "m.json")
    assert set(found.values) | set(found.unusable) == set(values)
    assert not set(found.values) & set(found.unusable)


@pytest.mark.parametrize(
    ("path", "text", "values"),
    [
        ("p.yaml", "a: {b: 1, c: [1, {x: 2}]}", {"a.b": "1", "a.c": '[1, {"x": 2}]'}),
        ("p.yaml", "", {}),
        ("p.yaml", "rate: 1e-3\nname: über\nempty: {}", None),
        ("p.json", '{"a": null, "b": true}', {"a": "null", "b": "true"}),
        ("p.toml", "d = 2024-01-31", {"d": '"2024-01-31"'}),
    ],
)
def test_parameters_are_flattened_to_json(
    path: str, text: str, values: dict[str, str] | None
) -> None:
    """Parameters keep every kind of value, as JSON text."""
    expected = values or {"rate": "0.001", "name": '"über"', "empty": "{}"}
    assert parse_params(text.encode(), path) == (expected if text else {})


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("p.ini", "a = 1", "read from YAML, JSON, TOML and Python only"),
        ("p.py", "a = (", "not Python that we read"),
        ("p.yaml", "- 1", "the top level must be names and values"),
        ("p.json", "{", "not JSON: "),
    ],
)
def test_parameters_that_we_do_not_read_are_refused(path: str, text: str, reason: str) -> None:
    """Files of other kinds, lists and broken files are clear errors."""
    with pytest.raises(MlgitopsError, match=reason):
        parse_params(text.encode(), path)
