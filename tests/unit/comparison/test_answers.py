"""Stored predictions beside measured ones: order and rounding aside, every column counts."""

from __future__ import annotations

import pytest

from mlgitops.comparison.measuring.answers import gives_same_answers
from mlgitops.tables.predictions import read_predictions

_MEASURED = "id,target,prediction,score,region\na,no,yes,0.71235,north\nb,yes,yes,0.9,south\n"


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("0.71235", "0.71235", True),
        ("0.71235", "0.7124", True),
        ("0.71235", "0.72", False),
        ("a,no,yes", "a,no,no", False),
        ("a,no,", "a,yes,", False),
        ("north", "south", False),
        ("b,yes", "c,yes", False),
        ("b,yes,yes,0.9,south\n", "", False),
        (",region", ",county", False),
        ("no,yes", "0,1", False),
    ],
    ids=[
        "the same",
        "rounded",
        "another score",
        "another answer",
        "another target",
        "another slice",
        "another row",
        "a row less",
        "another column",
        "another kind of text",
    ],
)
def test_every_column_counts(old: str, new: str, *, is_same: bool) -> None:
    """Scores may be rounded, and nothing else may differ."""
    assert old in _MEASURED
    stored = read_predictions(_MEASURED.replace(old, new).encode())
    assert gives_same_answers(stored, read_predictions(_MEASURED.encode())) is is_same
