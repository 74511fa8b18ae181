"""Third stage: data/interim/table.csv → data/split/train.csv and test.csv."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .params import read_params
from .plumbing import paths
from .plumbing.errors import StageError, run_stage
from .plumbing.tables import ID, read_text_table, write_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .params import Params


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
        keys = _find_keys(table, params)
        is_test = choose_hashed(keys, split.test_fraction, split.seed)
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


def choose_hashed(keys: pd.Series, test_fraction: float, seed: int) -> NDArray[np.bool_]:
    """Tell which rows are the test: those whose key has a hash in the lowest part of all hashes.

    What becomes of a row depends on its key alone: a row that is added or removed moves no
    other, so a model trained before never saw the test rows of later. The price is a test side
    of about the wanted size, and of about equal shares of the classes: a row that is placed to
    mend either could move others.
    Source: A. Géron, Hands-On Machine Learning, 3rd edition, chapter 2, "Create a Test Set"
    (there with CRC-32; SHA-256 spreads short, consecutive keys better).
    """
    limit = int(test_fraction * 2**64)
    return np.array([_hash_key(f"{seed}:{key}") < limit for key in keys], dtype=np.bool_)


def _hash_key(key: str) -> int:
    """Return the first 64 bits of the hash of ``key``."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def _find_keys(table: pd.DataFrame, params: Params) -> pd.Series:
    """Return what is hashed: the group, or the id; rows of equal content stay together."""
    if params.split.method == "group":
        return table[str(params.split.column)]
    if params.data.id is not None:
        return table[params.data.id]
    return table[ID].str.partition("-")[0]


def _check_sides(train: pd.DataFrame, test: pd.DataFrame, params: Params) -> None:
    for side, part in (("train", train), ("test", test)):
        if part.empty:
            raise StageError(f"split: no rows are left to {side}; change test_fraction or seed")
        if params.task != "regression" and part[params.data.target].nunique() < 2:  # noqa: PLR2004
            raise StageError(f"split: the rows to {side} hold one class only; try another seed")
    unseen = sorted(set(test[params.data.target]) - set(train[params.data.target]))
    if params.task != "regression" and unseen:
        raise StageError(
            f"split: the class {unseen[0]!r} is in the test rows only; "
            "set split.seed to another number, or give the class more rows"
        )


if __name__ == "__main__":
    run_stage(main)
