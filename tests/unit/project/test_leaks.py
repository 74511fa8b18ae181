"""How much one column alone says of a target, in three grades."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from mlgitops.project.generate.columns import describe_column
from mlgitops.project.generate.leaks import Grade, Leak, find_leak

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 4_000


def grade(cells: Sequence[object], truth: Sequence[object], task: str = "binary") -> Leak:
    """Grade a column of these cells, a missing one as ""."""
    column, target = ([str(cell) for cell in side] for side in (cells, truth))
    described = describe_column("c", column), describe_column("y", target)
    return find_leak(column, described[0], target, described[1], task)


def draw(seed: int) -> random.Random:
    """Return numbers that are the same in each run."""
    return random.Random(seed)  # noqa: S311 - it need not be secret


@pytest.fixture(scope="module")
def classes() -> list[int]:
    """Return two classes, of which one row in five is of the second."""
    drawn = draw(1)
    return [int(drawn.random() < 0.2) for _ in range(ROWS)]


@pytest.mark.parametrize(
    ("shift", "expected"),
    [(0.0, Grade.NONE), (1.1, Grade.MENTIONED), (2.0, Grade.ASKED), (12.0, Grade.LEFT_OUT)],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_is_graded_by_its_area(
    classes: list[int], shift: float, sign: int, expected: Grade
) -> None:
    """Two normal spreads this far apart: areas of 0.5, 0.78, 0.92 and 1; whichever is higher."""
    drawn = draw(2)
    assert grade([sign * drawn.gauss(shift * y) for y in classes], classes).grade is expected


@pytest.mark.parametrize("sign", [1, -1])
def test_a_short_table_has_an_order(classes: list[int], sign: int) -> None:
    """Too few rows to make groups of: the order alone gives the classes away, up or down."""
    drawn, some = draw(8), classes[:300]
    assert grade([sign * drawn.gauss(12 * y) for y in some], some).grade is Grade.LEFT_OUT


def test_a_number_says_much_without_an_order(classes: list[int]) -> None:
    """The second class in the middle of the first: no order, but groups of values."""
    drawn = draw(3)
    cells = [drawn.randrange(40, 60) if y else drawn.choice([5, 95]) for y in classes]
    assert grade(cells, classes).grade is Grade.LEFT_OUT


def test_categories_are_measured_on_other_rows(classes: list[int]) -> None:
    """Some 600 categories of nothing, six rows each, would know the rows they learned from."""
    drawn = draw(4)
    assert grade([f"c{drawn.randrange(600)}" for _ in classes], classes).grade is Grade.NONE


def test_every_row_its_own_category_says_nothing(classes: list[int]) -> None:
    """Whatever it is called: there is nothing to learn from one row."""
    assert grade([f"c{at}" for at in range(ROWS)], classes).grade is Grade.NONE


def test_a_gap_is_a_value_of_its_own(classes: list[int]) -> None:
    """A refund that is there when it is over: only whether it is there tells."""
    drawn = draw(5)
    cells = [round(drawn.random(), 6) if y else "" for y in classes]
    assert grade(cells, classes).grade is Grade.LEFT_OUT
    paid = [round(drawn.random(), 6) if not y or drawn.random() < 0.3 else "" for y in classes]
    assert grade(paid, classes).grade is Grade.ASKED


def test_classes_are_held_against_the_commonest(classes: list[int]) -> None:
    """A column that gives the commonest of three classes each time avoids no error."""
    drawn = draw(6)
    truth = ["a" if drawn.random() < 0.9 else drawn.choice("bc") for _ in classes]
    assert grade(["x" for _ in truth], truth, "multiclass").grade is Grade.NONE
    known = [y if drawn.random() < 0.8 else "a" for y in truth]
    assert grade(known, truth, "multiclass").grade is Grade.MENTIONED
    assert grade(truth, truth, "multiclass").grade is Grade.LEFT_OUT


@pytest.mark.parametrize(
    ("noise", "expected"),
    [(3.0, Grade.NONE), (0.7, Grade.MENTIONED), (0.35, Grade.ASKED), (0.02, Grade.LEFT_OUT)],
)
def test_a_number_of_a_number(noise: float, expected: Grade) -> None:
    """R2 of 0.1, 0.67, 0.89 and nearly 1."""
    drawn = draw(7)
    truth = [drawn.gauss() for _ in range(ROWS)]
    cells = [-y + drawn.gauss(0, noise) for y in truth]
    assert grade(cells, truth, "regression").grade is expected
