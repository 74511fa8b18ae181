"""params.yaml with other values: nothing else in its text changes."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MlgitopsError
from mlgitops.tuning.edit import edit_values, read_values, write_value

if TYPE_CHECKING:
    from mlgitops.model.tuning import Choice

BUNDLED = Path(__file__).parents[3] / "{{cookiecutter.project_slug}}" / "data" / "bundled"
TEXTS = st.text(string.ascii_letters + string.digits + string.punctuation + " é\n", max_size=20)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    TEXTS,
)


@given(value=VALUES)
def test_a_value_is_read_back_as_the_same(value: Choice) -> None:
    """Of the same kind too: 1 is not 1.0, and "1" is a text."""
    data = edit_values(b"train: {C: 1} # why\n", {"train.C": value}, where="params.yaml")
    read = read_values(data, ("train.C",), where="params.yaml")["train.C"]
    assert (read, type(read)) == (value, type(value))
    assert data.endswith(b"} # why\n")


@pytest.mark.parametrize("name", ["flights", "penguins", "wages"])
def test_the_shipped_files_keep_their_comments(name: str) -> None:
    """Two values change in place: all other characters are those that were there."""
    before = (BUNDLED / name / "params.yaml").read_text("utf-8")
    rows = yaml.safe_load(before)["features"]["min_category_rows"]
    values: dict[str, Choice] = {
        "features.min_category_rows": 7,
        "train.estimator": "sklearn.svm.SVC",
    }
    after = edit_values(before.encode(), values, where="params.yaml").decode()
    estimator = yaml.safe_load(before)["train"]["estimator"]
    wanted = before.replace(f"min_category_rows: {rows} ", "min_category_rows: 7 ")
    assert after == wanted.replace(
        f"  estimator: {estimator} #", "  estimator: sklearn.svm.SVC #", 1
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\ntrain: {C: *x}\n",  # a would change too
        "train:\n  C: >\n    text\n  D: 1\n",  # a block ends with its line
        "base: &b {C: 1}\ntrain:\n  <<: *b\n",
    ],
)
def test_what_cannot_be_edited_alone_is_refused(text: str) -> None:
    """No value is changed that nobody asked for, and none is left as it was."""
    with pytest.raises(MlgitopsError, match=r"cannot be edited|no number or text at train\.C"):
        edit_values(text.encode(), {"train.C": 2}, where="params.yaml")


@pytest.mark.parametrize(
    "text", ["train: {C: null}", "train: {C: [1]}", "train: {}", "train: 5", ""]
)
def test_a_path_without_a_value_is_refused(text: str) -> None:
    """The search begins at what is there."""
    with pytest.raises(MlgitopsError, match=r"no number or text at train\.C"):
        read_values(text.encode(), ("train.C",), where="params.yaml")


def test_odd_bytes_stay() -> None:
    """A mark at the file's begin, line ends of Windows, letters of two bytes."""
    text = "\ufefftrain: {C: 1} # größer\r\n# é\r\n"
    edited = edit_values(text.encode(), {"train.C": 2.5}, where="params.yaml")
    assert edited == text.replace("C: 1", "C: 2.5").encode()


def test_numbers_are_those_of_yaml() -> None:
    """YAML 1.1 reads 1e-05 as a text."""
    assert [yaml.safe_load(write_value(value)) for value in (1e-05, 1e22, -0.0)] == [1e-05, 1e22, 0]
