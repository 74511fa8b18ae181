"""Third stage: data/interim/table.csv → data/split/train.csv and test.csv."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from . import paths
from .errors import StageError, run_stage
from .params import read_params
from .tables import read_text_table, write_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .params import Params, Split


def main() -> None:
    """Run the stage."""
    train, test = split_table(read_text_table(paths.INTERIM), read_params(paths.PARAMS))
    write_table(train, paths.TRAIN)
    write_table(test, paths.TEST)
    print(f"{len(train)} rows to train, {len(test)} to test")


def split_table(table: pd.DataFrame, params: Params) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return train and test rows, each in the table's order.

    Raises :class:`StageError` when a side is empty, or the classes make a test impossible.
    """
    split = params.split
    if split.column is not None and split.column not in table.columns:
        raise StageError(f"split.column: there is no column {split.column}")
    if split.method == "time":
        is_test = choose_latest(table[str(split.column)], split.test_fraction)
    else:
        is_test = _choose_random(table, params.data.target, split)
    train, test = table[~is_test], table[is_test]
    _check_sides(train, test, params)
    return train, test


def choose_latest(moments: pd.Series, test_fraction: float) -> NDArray[np.bool_]:
    """Tell which rows are the test: the latest ones, never dividing rows of one moment."""
    times = _parse_moments(moments)
    first = np.sort(times)[min(int(len(times) * (1 - test_fraction)), len(times) - 1)]
    chosen: NDArray[np.bool_] = times >= first
    return chosen


def _parse_moments(moments: pd.Series) -> NDArray[np.float64]:
    """Return numbers that order the moments: numbers as they are, dates (ISO 8601) as time."""
    numbers = pd.to_numeric(moments, errors="coerce")
    if numbers.notna().all():
        return np.asarray(numbers, dtype=np.float64)
    dates = pd.to_datetime(moments, errors="coerce", format="ISO8601", utc=True)
    if dates.isna().any():
        row = int(np.flatnonzero(dates.isna())[0])
        raise StageError(
            f"split.column {moments.name}: row {row + 1} holds {moments.iloc[row]!r}, "
            "which is neither a number nor a date like 2013-07-01"
        )
    return np.asarray((dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)


def _choose_random(table: pd.DataFrame, target: str, split: Split) -> NDArray[np.bool_]:
    """Tell which rows are the test: random ones, or those of random groups."""
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    rows = np.arange(len(table))
    size, seed = split.test_fraction, split.seed
    try:
        if split.method == "group":
            chooser = GroupShuffleSplit(n_splits=1, test_size=size, random_state=seed)
            chosen = next(chooser.split(rows, groups=table[str(split.column)]))[1]
        else:
            classes = table[target] if split.stratify else None
            chosen = train_test_split(rows, test_size=size, random_state=seed, stratify=classes)[1]
    except ValueError as error:  # too few rows, groups, or rows of a class
        raise StageError(f"split: {error}") from None
    return np.isin(rows, chosen)


def _check_sides(train: pd.DataFrame, test: pd.DataFrame, params: Params) -> None:
    for side, part in (("train", train), ("test", test)):
        if part.empty:
            raise StageError(f"split: no rows are left to {side}; change split.test_fraction")
        if params.task != "regression" and part[params.data.target].nunique() < 2:  # noqa: PLR2004
            raise StageError(f"split: the rows to {side} hold one class only; split otherwise")
    unseen = sorted(set(test[params.data.target]) - set(train[params.data.target]))
    if params.task != "regression" and unseen:
        raise StageError(
            f"split: the class {unseen[0]!r} is in the test rows only; "
            "set split.stratify to true, or give the class more rows"
        )


if __name__ == "__main__":
    run_stage(main)
