from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.statistics.matching import match_predictions
from mlgitops.tables.predictions import Predictions


def side(ids: list[object], targets: list[object] | None = None) -> Predictions:
    """Return predictions that repeat the row number, so that a pairing can be checked."""
    targets = [0] * len(ids) if targets is None else targets
    return Predictions(id=np.array(ids), target=np.array(targets), prediction=np.arange(len(ids)))


NOTICES = {
    "base twice": "whose id stands more than once at base",
    "head twice": "whose id stands more than once at head",
    "base only": "found only at base",
    "head only": "found only at head",
    "target": "with another target at base than at head",
}


@pytest.mark.parametrize(
    ("base", "head", "pairs", "told"),
    [
        (side([1, 2, 3]), side([1, 2, 3]), [(0, 0), (1, 1), (2, 2)], {}),
        (side([1, 2, 3]), side([3, 1, 2]), [(0, 1), (1, 2), (2, 0)], {}),
        (side([3, 1, 2]), side([1, 2, 3]), [(0, 2), (1, 0), (2, 1)], {}),
        (side([1, 2]), side([2, 3, 4]), [(1, 0)], {"base only": 1, "head only": 2}),
        (side([1, 1, 2]), side([1, 2]), [(2, 1)], {"base twice": 2}),
        (side([1, 2]), side([2, 1, 2]), [(0, 1)], {"head twice": 2}),
        (side([1, 1]), side([1, 1]), [], {"base twice": 2, "head twice": 2}),
        (side([1, 2], [0, 1]), side([1, 2], [0, 0]), [(0, 0)], {"target": 1}),
        (side([b"a", b"b"]), side([b"b", b"a"]), [(0, 1), (1, 0)], {}),
        (side([b"a", b"b"]), side([b"b", b"a-long-one"]), [(1, 0)],
         {"base only": 1, "head only": 1}),
        (side([1, 2]), side([b"2", b"x"]), [(1, 0)], {"base only": 1, "head only": 1}),
        (side([b"x"] * 3), side([b"x"]), [], {"base twice": 3}),
        (side([1], [float("nan")]), side([1], [float("nan")]), [(0, 0)], {}),
        (side([1], [b"1"]), side([1], [1]), [(0, 0)], {}),
        (side([1]), side([2]), [], {"base only": 1, "head only": 1}),
    ],
)  # fmt: skip
def test_rows_are_paired_by_id_and_the_rest_is_counted(
    base: Predictions, head: Predictions, pairs: list[tuple[int, int]], told: dict[str, int]
) -> None:
    """Rows pair by id; whatever cannot be paired is counted, never silently dropped."""
    pair = match_predictions(base, head)
    assert list(zip(pair.base.tolist(), pair.head.tolist(), strict=True)) == pairs
    assert len(pair.notices) == len(told)
    for reason, count in told.items():
        assert any(text.startswith(f"{count} test row") and NOTICES[reason] in text
                   for text in pair.notices)  # fmt: skip


def test_base_chooses_the_clusters() -> None:
    """The change under review cannot choose the clusters that it is judged by."""
    base = Predictions(id=np.array([1, 2]), target=np.zeros(2), prediction=np.zeros(2),
                       columns={"day": np.array([7, 7])})  # fmt: skip
    head = Predictions(id=np.array([2, 1]), target=np.zeros(2), prediction=np.zeros(2),
                       columns={"day": np.array([1, 2]), "hour": np.array([8, 9])})  # fmt: skip
    columns = match_predictions(base, head).columns
    assert columns["day"].tolist() == [7, 7]
    assert columns["hour"].tolist() == [9, 8]


texts = st.lists(st.binary(max_size=30).filter(lambda b: not b.endswith(b"\0")), max_size=30)


@given(texts, texts)
def test_pairing_texts_agrees_with_a_dictionary(one: list[bytes], other: list[bytes]) -> None:
    """Pairs of text ids are those that counting them in dictionaries gives."""
    base = Predictions(id=np.array(one, dtype="S30"), target=np.zeros(len(one)),
                       prediction=np.arange(len(one)))  # fmt: skip
    head = Predictions(id=np.array(other, dtype="S30"), target=np.zeros(len(other)),
                       prediction=np.arange(len(other)))  # fmt: skip
    pair = match_predictions(base, head)
    expected = [
        (row, other.index(key))
        for row, key in enumerate(one)
        if one.count(key) == 1 and other.count(key) == 1
    ]
    assert list(zip(pair.base.tolist(), pair.head.tolist(), strict=True)) == expected
