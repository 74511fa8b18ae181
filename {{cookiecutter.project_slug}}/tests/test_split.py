from __future__ import annotations

import math
from typing import Literal

import msgspec
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import split
from {{ cookiecutter.__package_name }}.params import Params, Split
from {{ cookiecutter.__package_name }}.plumbing.errors import StageError


def rows(count: int, target: str) -> pd.DataFrame:
    """Return rows of text: a day each, two in a group, alternating classes."""
    days = pd.date_range("2020-01-01", periods=count).strftime("%Y-%m-%d")
    numbers = range(count)
    return pd.DataFrame(
        {
            "id": [str(number) for number in numbers],
            "day": days,
            "group": [str(number // 2) for number in numbers],
            target: [str(number % 2) for number in numbers],
        }
    )


def divide(table: pd.DataFrame, params: Params, how: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the sides of a table under other split settings."""
    return split.split_table(table, msgspec.structs.replace(params, split=how))


def test_no_row_is_on_both_sides_and_none_is_lost(
    sides: tuple[pd.DataFrame, pd.DataFrame], table: pd.DataFrame, params: Params
) -> None:
    """The train and test rows are the table, divided."""
    name = params.data.id or "id"
    train_ids, test_ids = (set(side[name]) for side in sides)
    assert not train_ids & test_ids
    assert train_ids | test_ids == set(table[name])


def expect_share(rows: int, fraction: float) -> object:
    """Return the share of independent rows, within four standard deviations of chance."""
    return pytest.approx(fraction, abs=4 * math.sqrt(fraction * (1 - fraction) / rows))


def test_the_test_side_has_about_the_wanted_size(
    sides: tuple[pd.DataFrame, pd.DataFrame], params: Params
) -> None:
    """The fraction is kept as far as chance, groups and moments allow."""
    count, column = len(sides[0]) + len(sides[1]), params.split.column
    if column is not None:
        count = pd.concat(sides)[column].nunique()
    assert len(sides[1]) / (len(sides[0]) + len(sides[1])) == expect_share(
        count, params.split.test_fraction
    )


def test_hashed_rows_have_the_shares_of_the_table(text_table: pd.DataFrame, params: Params) -> None:
    """Chosen by a hash, each class (of numbers, each half) has about its share of test rows."""
    _, test_rows = divide(text_table, params, Split(method="hash", test_fraction=0.3))
    values = text_table[params.data.target]
    if params.task == "regression":
        values = (values.astype(float) > values.astype(float).median()).astype(str)
    tested = values[text_table.index.isin(test_rows.index)].value_counts()
    for value, count in values.value_counts().items():
        assert tested.get(value, 0) / count == expect_share(count, 0.3), value


@pytest.mark.parametrize("method", ["hash", "group"])
def test_a_row_that_is_added_moves_no_other(
    text_table: pd.DataFrame, params: Params, method: Literal["hash", "group"]
) -> None:
    """Rows that come later, before or between the old ones, leave these on their side."""
    table = text_table.assign(household=[str(at // 3) for at in range(len(text_table))])
    how = Split(method=method, column="household", test_fraction=0.3)
    old = table.sample(frac=0.5, random_state=0)
    before, after = divide(old, params, how), divide(table, params, how)
    for at in range(2):
        assert set(before[at].index) == set(after[at].index) & set(old.index)
    assert len(after[1]) > len(before[1])


def test_rows_of_equal_content_stay_together(params: Params) -> None:
    """A row that stands in the table twice is not learned from and tested on."""
    table = rows(200, params.data.target)
    table["id"] = [f"{at // 2:016x}{'-2' if at % 2 else ''}" for at in range(200)]
    unnamed = msgspec.structs.replace(params, data=msgspec.structs.replace(params.data, id=None))
    sides = divide(table, unnamed, Split(method="hash", test_fraction=0.3))
    train_ids, test_ids = (set(side["id"].str.partition("-")[0]) for side in sides)
    assert not train_ids & test_ids
    assert len(sides[1]) == 2 * len(test_ids)


def test_another_seed_is_another_test_set(text_table: pd.DataFrame, params: Params) -> None:
    """The seed chooses among splits that have little to do with each other."""
    first, second = (
        set(divide(text_table, params, Split(method="hash", test_fraction=0.3, seed=seed))[1].index)
        for seed in (0, 1)
    )
    assert len(first & second) / len(first) == expect_share(len(first), 0.3)


def test_split_is_the_same_each_time(text_table: pd.DataFrame, params: Params) -> None:
    """The same table and settings give the same rows in the same order."""
    first, second = (split.split_table(text_table, params)[1] for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_time_split_tests_on_later_rows_only(params: Params) -> None:
    """Every test row is later than every train row, whatever the table's order."""
    table = rows(40, params.data.target).sample(frac=1, random_state=0)
    how = Split(method="time", column="day", test_fraction=0.25)
    train_rows, test_rows = divide(table, params, how)
    assert train_rows["day"].max() < test_rows["day"].min()
    assert len(test_rows) == 10


def test_time_split_keeps_one_moment_on_one_side() -> None:
    """Rows of one moment are never divided."""
    chosen = split.choose_latest(pd.Series(["1", "2", "2", "2", "3"], name="t"), 0.4)
    assert chosen.tolist() == [False, True, True, True, True]


def test_moment_that_cannot_be_read_is_named() -> None:
    """A value that is no date is reported with its row."""
    with pytest.raises(StageError, match="row 2 holds 'soon'"):
        split.choose_latest(pd.Series(["2020-01-01", "soon"], name="day"), 0.5)


def test_group_split_keeps_groups_together(params: Params) -> None:
    """No group has rows on both sides."""
    how = Split(method="group", column="group", test_fraction=0.3)
    train_rows, test_rows = divide(rows(40, params.data.target), params, how)
    assert not set(train_rows["group"]) & set(test_rows["group"])


def test_class_that_is_never_trained_is_refused(params: Params) -> None:
    """A class in the test rows alone is reported, not scored as always wrong."""
    table = rows(8, params.data.target)
    table.loc[7, params.data.target] = "new"
    how = Split(method="time", column="day", test_fraction=0.5)
    classes = msgspec.structs.replace(params, task="multiclass")
    with pytest.raises(StageError, match="'new' is in the test rows only"):
        divide(table, classes, how)
