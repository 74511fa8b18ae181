"""Another model into a model.yaml: comments, other keys and line ends stay."""

from __future__ import annotations

import pytest

from mlgitops.errors import MlgitopsError
from mlgitops.git.wanted_edit import edit_wanted

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
