"""Another model into a model.yaml: comments, other keys and line ends stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.git.wanted_edit import edit_wanted
from mlgitops.parsing import parse_yaml

SHA = "1" * 40
SHA256 = f'"{"2" * 64}"'
MODEL = {"version": "v1.2.0", "revision": SHA, "sha256": "2" * 64}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "model: m # y\nrevision: null # of\nsha256: null\nx: 1\n",
            f'model: m # y\nversion: v1.2.0\nrevision: "{SHA}" # of\nsha256: {SHA256}\nx: 1\n',
        ),
        (
            f"version: v1.0.0\nrevision: '{SHA}'\nsha256:\nmodel: m",
            f'version: v1.2.0\nrevision: "{SHA}"\nsha256: {SHA256}\nmodel: m',
        ),
        (
            "model: m\r\nrevision: null\r\nversion: v9.0.0\r\n",
            f'model: m\r\nsha256: {SHA256}\r\nrevision: "{SHA}"\r\nversion: v1.2.0\r\n',
        ),
        (
            "model: m",
            f'model: m\nversion: v1.2.0\nrevision: "{SHA}"\nsha256: {SHA256}\n',
        ),
    ],
    ids=["a comment", "quotes and nothing", "line ends of Windows", "no line end"],
)
def test_only_the_three_values_change(before: str, after: str) -> None:
    """Whatever stands around them."""
    assert edit_wanted(before.encode(), MODEL, where="f").decode() == after


@pytest.mark.parametrize(
    "text",
    [
        "{model: m, revision: null}",
        "model: m\nrevision: >-\n  abc\n",
        "[a]",
        "port: 1\n",
    ],
    ids=["one line", "a block", "a list", "no model"],
)
def test_what_cannot_be_edited_is_refused(text: str) -> None:
    """Nothing is written that says something else than was asked for."""
    with pytest.raises(MlgitopsError, match="cannot be edited line by line"):
        edit_wanted(text.encode(), MODEL, where="f")


_TEXT = st.text(alphabet="abc019 :#'\"-{}[]|>&*!%@`\\\t", max_size=12)
_LINES = st.lists(
    st.one_of(
        st.sampled_from(["model: m", "revision: null", "sha256: 'a'", "version: v1.0.0 # x", ""]),
        st.builds(lambda key, value: f"{key}: {value}", st.sampled_from(["port", "bake"]), _TEXT),
        _TEXT.map(lambda text: f"# {text}"),
    ),
    max_size=8,
)


@given(lines=_LINES, end=st.sampled_from(["\n", "\r\n"]))
def test_whatever_the_file_holds_it_says_what_was_asked_for_and_all_else_stays(
    lines: list[str], end: str
) -> None:
    """It is refused, or it is the old mapping with the new values, and every comment stays."""
    text = end.join([*lines, ""])
    try:
        before = parse_yaml(text.encode(), "f")
        edited = edit_wanted(text.encode(), MODEL, where="f").decode()
    except MlgitopsError:
        return
    assert isinstance(before, dict)
    assert parse_yaml(edited.encode(), "f") == {**before, **MODEL}
    comments = [line for line in lines if line.startswith("#")]
    assert [line for line in edited.split(end) if line.startswith("#")] == comments
    assert edit_wanted(edited.encode(), MODEL, where="f").decode() == edited
