"""What is learned from a request is what the model was asked, in the table's own form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import MonitorSettings
from mlgitops.monitoring.problems import Problems
from mlgitops.monitoring.records import Chunk, Line, RecordReader
from mlgitops.retraining.gathering import SUSPICIOUS_ROWS, _make_row, refuse_own_answers
from mlgitops.retraining.recipe import Recipe, make_recipe

PARAMS = b"""\
task: regression
data: {id: id, target: price}
split: {method: time, column: day}
features: {numeric: [size], categorical: [place]}
"""
HEADER = ("id", "day", "size", "place", "price")


def make(rules: str = "{}") -> Recipe:
    """Make the recipe of a table that its contract's ``rules`` read."""
    columns = "size: {dtype: float64}, place: {dtype: str}, price: {dtype: float64}"
    contract = f"columns: {{{columns}}}\nmetadata: {{ingest: {rules}}}\n"
    return make_recipe(HEADER, PARAMS, contract.encode(), MonitorSettings())


def read(recipe: Recipe, size: float, answer: float = 1.0) -> Line[Any]:
    """Read a line of the log."""
    record = {
        "v": 1,
        "id": "r1",
        "at": "2026-05-06T07:00:00.000Z",
        "model": "0" * 64,
        "inputs": {"size": size, "place": "A.B"},
        "answer": answer,
        "score": None,
    }
    chunk = Chunk(where="log", first_line=1, data=json.dumps(record).encode())
    (line,) = RecordReader(recipe.inputs).read(chunk, Problems())
    return line


def fill(rules: str, size: float, outcome: float) -> tuple[str, ...]:
    """Return the cells of size, place and price that are appended."""
    recipe = make(rules)
    return recipe.fill(read(recipe, size), outcome)[2:]


@pytest.mark.parametrize(
    ("rules", "cells"),
    [
        ("{}", ("39.5", "A.B", "1234.5")),
        ("{size: {decimal: ','}}", ("39,5", "A.B", "1234.5")),
        # A point between thousands: `39.5` would be read as 395, and `1234.5` as 12345.
        ("{size: {decimal: ',', thousands: '.'}}", ("39,5", "A.B", "1234.5")),
        ("{price: {decimal: ',', thousands: '.', remove: '€'}}", ("39.5", "A.B", "1234,5")),
        ("{place: {decimal: ','}}", ("39.5", "A.B", "1234.5")),  # it is no number
        ("{size: {missing: ['-']}}", ("39.5", "A.B", "1234.5")),
    ],
)
def test_a_number_is_appended_as_the_ingest_stage_reads_it(
    rules: str, cells: tuple[str, ...]
) -> None:
    """Else ten times as much would be learned, where the contract's range allows it."""
    assert fill(rules, 39.5, 1234.5) == cells


@pytest.mark.parametrize(("size", "cell"), [(1e-07, "1e-07"), (-0.5, "-0,5"), (1e21, "1e+21")])
def test_every_form_of_a_number(size: float, cell: str) -> None:
    """Python writes very small and very large ones with an exponent."""
    assert fill("{size: {decimal: ',', thousands: '.'}}", size, 1.0)[0] == cell


@pytest.mark.parametrize(
    ("rule", "day"),
    [
        ("{}", "2026-05-06"),
        ("{day: {format: '%Y-%d-%m'}}", "2026-06-05"),
        ("{day: {format: '%d.%m.%Y'}}", "06.05.2026"),
    ],
)
def test_a_day_is_appended_in_the_columns_own_form(rule: str, day: str) -> None:
    """Read by another form the 6th of May would be the 5th of June."""
    recipe = make(rule)
    assert recipe.fill(read(recipe, 1.0), 2.0)[1] == day


def test_a_number_is_no_date_of_long_ago() -> None:
    """Milliseconds since 1970 stay what they are, and the contract refuses them."""
    recipe = make("{day: {format: '%d.%m.%Y'}}")
    assert recipe._write_raw(1, "1612110900123") == "1612110900123"


def make_rows(answers: list[float], outcomes: list[float]) -> list[Any]:
    """Make rows with a label from what the model answered and what came true."""
    recipe = make()
    return [
        _make_row(read(recipe, 1.0, answer), outcome, recipe)
        for answer, outcome in zip(answers, outcomes, strict=True)
    ]


@pytest.mark.parametrize("digits", [3, 4, 6])
def test_answers_that_were_rounded_are_no_labels(digits: int) -> None:
    """Whoever writes answers into a table of outcomes writes them with fewer digits."""
    answers = [12.3456789 + at / 7 for at in range(SUSPICIOUS_ROWS)]
    rows = make_rows(answers, [round(answer, digits) for answer in answers])
    with pytest.raises(MlgitopsError, match="labels are what the model answered"):
        refuse_own_answers(rows)


@pytest.mark.parametrize("shift", [1.0, 0.05])
def test_outcomes_near_the_answers_are_labels(shift: float) -> None:
    """A model that is about one in a hundred off is good; whole numbers are codes of classes."""
    answers = [12.5 + at / 7 for at in range(SUSPICIOUS_ROWS)]
    refuse_own_answers(make_rows(answers, [it + shift for it in answers]))
    codes = [1000.0 + at % 2 for at in range(SUSPICIOUS_ROWS)]
    refuse_own_answers(make_rows(codes, codes[::-1]))
