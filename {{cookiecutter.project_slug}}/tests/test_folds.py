"""Folds of the training rows: cut as the test rows are, and measured in a process of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import yaml

from {{ cookiecutter.__package_name }} import folds
from {{ cookiecutter.__package_name }}.params import Params, Split
from {{ cookiecutter.__package_name }}.plumbing import paths
from {{ cookiecutter.__package_name }}.plumbing.errors import StageError

ROOT = Path(__file__).parents[1]
COUNT = 3


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Return rows of text: three on a day and in a group, the days not in order."""
    days = pd.date_range("2020-01-01", periods=40).repeat(3)
    table = pd.DataFrame(
        {
            "id": [str(at) for at in range(120)],
            "day": days.strftime("%Y-%m-%d"),
            "group": [str(at // 3) for at in range(120)],
        }
    )
    return table.sample(frac=1, random_state=0)


def cut(rows: pd.DataFrame, params: Params, how: Split) -> list[folds.Fold]:
    """Return the folds under other split settings."""
    data = msgspec.structs.replace(params.data, id="id")
    return folds.cut_folds(rows, msgspec.structs.replace(params, split=how, data=data), COUNT)


def test_in_time_a_fold_is_asked_about_what_comes_later(rows: pd.DataFrame, params: Params) -> None:
    """All that it learned from is older, and no day is divided."""
    parts = cut(rows, params, Split(method="time", column="day", test_fraction=0.3))
    for fold in parts:
        assert rows["day"][fold.train].max() < rows["day"][fold.test].min()
    assert np.sum([fold.test for fold in parts], axis=0).max() == 1
    assert parts[0].train.any()
    assert (parts[-1].train | parts[-1].test).all()


def test_a_group_is_never_divided(rows: pd.DataFrame, params: Params) -> None:
    """Each row is asked about once, with its whole group, which taught nothing."""
    parts = cut(rows, params, Split(method="group", column="group", test_fraction=0.3))
    for fold in parts:
        assert not set(rows["group"][fold.train]) & set(rows["group"][fold.test])
    assert (np.sum([fold.test for fold in parts], axis=0) == 1).all()


def test_a_row_that_is_added_moves_no_other(rows: pd.DataFrame, params: Params) -> None:
    """By the hash of its id each row has its fold."""
    how = Split(method="hash", test_fraction=0.3)
    some = cut(rows.head(90), params, how)
    whole = cut(rows, params, how)
    for before, after in zip(some, whole, strict=True):
        assert (before.test == after.test[:90]).all()


def test_too_many_folds_are_refused(rows: pd.DataFrame, params: Params) -> None:
    """No fold is empty."""
    with pytest.raises(StageError, match="ask for fewer"):
        cut(rows.head(3), params, Split(method="time", column="day", test_fraction=0.3))


@pytest.mark.parametrize("path", ["split.seed", "data.target", "train.settings.none", "nothing"])
def test_only_what_the_model_is_made_of_is_tried(path: str) -> None:
    """The question and the test rows stay what they are."""
    content = yaml.safe_load((ROOT / paths.PARAMS).read_text(encoding="utf-8"))
    with pytest.raises(StageError, match=path.partition(".")[0]):
        folds.set_values(content, {path: 1})


def test_cluster_that_is_not_there_stops_the_search(
    rows: pd.DataFrame, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no fault of the values, which would be judged by it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    content = msgspec.to_builtins(params) | {"compute": {"backend": "dask"}}
    parts = cut(rows, params, Split(method="time", column="day", test_fraction=0.3))
    answered = folds.answer({}, content, rows, parts)
    assert list(answered) == ["stopped"]
    assert "mlgitops setup" in answered["stopped"]
