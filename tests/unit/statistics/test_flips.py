"""Rows that flip: which they are, in which order, and what is told of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mlgitops.statistics.estimate import Undefined
from mlgitops.statistics.flips import find_flips
from mlgitops.statistics.matching import match_predictions

if TYPE_CHECKING:
    from unit.statistics.conftest import MakeBinary, MakeSides, Sides

    from mlgitops.model.flips import Flips


def flip(sides: Sides, *columns: str, most: int = 20) -> Flips:
    """Find the rows that flipped."""
    return find_flips(match_predictions(*sides), columns, most)


def test_rows_are_listed_by_direction_the_most_costly_first(make_sides: MakeSides) -> None:
    """A row that both sides get right is in neither list, however its score moved."""
    flips = flip(
        make_sides(
            [1, 1, 0, 0, 1],
            [1, 1, 1, 0, 1],
            [0, 0, 0, 0, 1],
            scores=([0.9, 0.6, 0.8, 0.1, 0.99], [0.4, 0.1, 0.2, 0.4, 0.51]),
            columns={"site": ["a", "b", "c", "d", "e"]},
        ),
        "site",
    )
    assert [(row.id, row.columns) for row in flips.worse] == [
        ("1", {"site": "b"}),
        ("0", {"site": "a"}),
    ]
    assert [(row.id, row.target, row.base, row.head) for row in flips.better] == [
        ("2", "0", "1", "0")
    ]
    assert flips.worse[0].base_loss == pytest.approx(-math.log(0.6))
    assert flips.worse[0].head_loss == pytest.approx(-math.log(0.1))
    assert (flips.rows, flips.worse_rows, flips.better_rows) == (5, 2, 1)


def test_all_are_counted_and_few_are_listed(make_binary: MakeBinary) -> None:
    """The counts are those of the confusion of both sides, which the accuracy rests on."""
    base, head = make_binary(2_000)
    flips = flip((base, head), most=3)
    right = [side.prediction == side.target for side in (base, head)]
    assert flips.worse_rows == int((right[0] & ~right[1]).sum()) > 3
    assert flips.better_rows == int((right[1] & ~right[0]).sum()) > 3
    assert [len(flips.worse), len(flips.better)] == [3, 3]
    costs = [row.head_loss - row.base_loss for row in flips.worse]
    assert costs == sorted(costs, reverse=True)
    assert flips.of_classes


def test_classes_without_scores_cost_one(make_sides: MakeSides) -> None:
    """Texts are classes, and a wrong one has a loss of 1."""
    target, base = np.array([b"cat", b"dog", b"cow"]), np.array([b"cat", b"cow", b"cow"])
    flips = flip(make_sides(target, base, np.array([b"dog", b"dog", b"cow"])))
    assert [(row.base, row.head, row.base_loss, row.head_loss) for row in flips.worse] == [
        ("cat", "dog", 0, 1)
    ]
    assert [row.target for row in flips.better] == ["dog"]


def test_scores_of_several_classes_are_those_of_the_row(make_sides: MakeSides) -> None:
    """The loss is of the probability that a side gives the row's own class."""
    base, head = make_sides(np.array([b"cat", b"dog"]), np.array([b"cat"] * 2), [b"dog"] * 2)
    sides = [
        type(side)(
            id=side.id,
            target=side.target,
            prediction=np.asarray(side.prediction),
            scores={"cat": np.array(cat), "dog": 1 - np.array(cat)},
        )
        for side, cat in ((base, [0.7, 0.6]), (head, [0.2, 0.3]))
    ]
    flips = flip((sides[0], sides[1]))
    assert flips.worse[0].head_loss == pytest.approx(-math.log(0.2))
    assert flips.better[0].head_loss == pytest.approx(-math.log(0.7))


def test_scores_that_are_no_probabilities_are_no_loss(make_sides: MakeSides) -> None:
    """Margins order rows, and the log of one says nothing."""
    sides = make_sides([1, 0], [1, 0], [0, 0], scores=([3.0, -2], [-1.0, -2]))
    assert [(row.base_loss, row.head_loss) for row in flip(sides).worse] == [(0, 1)]


def test_numbers_move_by_their_error(make_sides: MakeSides) -> None:
    """Of a numeric target the largest moves of the absolute error are listed."""
    target = np.arange(50) + 0.5
    base = target + 1
    head = base + 0.0
    head[7], head[8], head[9] = target[7] - 5, target[8] + 3, target[9]
    flips = flip(make_sides(target, base, head))
    assert not flips.of_classes
    assert [(row.id, row.base_loss, row.head_loss) for row in flips.worse] == [
        ("7", 1, 5),
        ("8", 1, 3),
    ]
    assert [row.id for row in flips.better] == ["9"]


def test_what_is_neither_is_refused(make_sides: MakeSides) -> None:
    """Numbers that are not finite have no error."""
    target = np.arange(50) + 0.5
    with pytest.raises(Undefined, match="not a finite number"):
        flip(make_sides(target, target, np.where(target > 3, np.nan, target)))
