"""Third stage: data/interim/table.{{ cookiecutter._data_format }} → data/split/train.{{ cookiecutter._data_format }} and test.{{ cookiecutter._data_format }}."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .params import read_params
from .plumbing import paths
from .plumbing.errors import StageError, run_stage
from .plumbing.tables import ID, open_table, read_names, read_text_parts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .params import Params


def main() -> None:
    """Run the stage."""
    is_test = choose_rows(paths.INTERIM, read_params(paths.PARAMS))
    with open_table(paths.TRAIN) as add_train, open_table(paths.TEST) as add_test:
        for part in read_text_parts(paths.INTERIM):
            chosen = is_test[part.index]
            add_train(part[~chosen])
            add_test(part[chosen])
    print(f"{(~is_test).sum()} rows to train, {is_test.sum()} to test")


def choose_rows(path: Path, params: Params) -> NDArray[np.bool_]:
    """Tell which rows of a table on disk are the test, as :func:`choose_test` does.

    Only the columns that decide it are read; by a hash, a part of the rows at a time.
    """
    key, target = find_key(params), params.data.target
    parts = read_text_parts(path, [name for name in read_names(path) if name in (key, target)])
    if params.split.method == "time":
        return choose_test(pd.concat(parts), params)
    sides, targets = [], []
    for part in parts:
        sides.append(_choose_rows(part, params))
        targets.append(part[target] if params.task != "regression" else part[target] == "")
    is_test, whole = np.concatenate(sides), pd.concat(targets)
    _check_sides(whole[~is_test], whole[is_test], params)
    return is_test


def split_table(table: pd.DataFrame, params: Params) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return train and test rows, each in the table's order; raises as :func:`choose_test`."""
    is_test = choose_test(table, params)
    return table[~is_test], table[is_test]


def choose_test(table: pd.DataFrame, params: Params) -> NDArray[np.bool_]:
    """Tell which rows are the test, by the column that :func:`find_key` names and the target.

    Raises :class:`StageError` when a side is empty, or the classes make a test impossible.
    """
    is_test = _choose_rows(table, params)
    target = table[params.data.target]
    _check_sides(target[~is_test], target[is_test], params)
    return is_test


def _choose_rows(table: pd.DataFrame, params: Params) -> NDArray[np.bool_]:
    split, key = params.split, find_key(params)
    if key not in table.columns:
        raise StageError(f"split.column: there is no column {key}")
    if split.method == "time":
        return choose_latest(table[key], split.test_fraction)
    return choose_hashed(find_keys(table[key], params), split.test_fraction, split.seed)


def find_key(params: Params) -> str:
    """Return the column that decides on which side a row is: split.column, or the id."""
    return str(params.split.column) if params.split.method != "hash" else params.data.id or ID


def choose_latest(moments: pd.Series, test_fraction: float) -> NDArray[np.bool_]:
    """Tell which rows are the test: the latest ones, never dividing rows of one moment."""
    times = parse_moments(moments)
    first = np.sort(times)[min(int(len(times) * (1 - test_fraction)), len(times) - 1)]
    chosen: NDArray[np.bool_] = times >= first
    return chosen


def parse_moments(moments: pd.Series) -> NDArray[np.float64]:
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
    return np.array([hash_key(f"{seed}:{key}") < limit for key in keys], dtype=np.bool_)


def hash_key(key: str) -> int:
    """Return the first 64 bits of the hash of ``key``."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def find_keys(cells: pd.Series, params: Params) -> pd.Series:
    """Return what is hashed: the group, or the id; rows of equal content stay together."""
    is_made = params.split.method == "hash" and params.data.id is None
    return cells.str.partition("-")[0] if is_made else cells


def _check_sides(train: pd.Series, test: pd.Series, params: Params) -> None:
    """Refuse sides that no model can be fitted on, or tested with, by their targets."""
    for side, target in (("train", train), ("test", test)):
        if target.empty:
            raise StageError(f"split: no rows are left to {side}; change test_fraction or seed")
        if params.task != "regression" and target.nunique() < 2:  # noqa: PLR2004
            raise StageError(f"split: the rows to {side} hold one class only; try another seed")
    unseen = sorted(set(test) - set(train)) if params.task != "regression" else []
    if unseen:
        raise StageError(
            f"split: the class {unseen[0]!r} is in the test rows only; "
            "set split.seed to another number, or give the class more rows"
        )


if __name__ == "__main__":
    run_stage(main)
