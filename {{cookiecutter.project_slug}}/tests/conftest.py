"""The project's own data, split and model, made once for all tests, without the pipeline."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import (
    contract,
    ingest,
    split,
    train,
)
from {{ cookiecutter.__package_name }}.params import Params, read_params
from {{ cookiecutter.__package_name }}.plumbing import (
    cells,
    paths,
    tables,
)

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def params() -> Params:
    """Return the project's parameters."""
    return read_params(ROOT / paths.PARAMS)


@pytest.fixture(scope="session")
def text_table(params: Params) -> pd.DataFrame:
    """Return the raw table with ids, every cell as text."""
    rules = cells.read_rules(ROOT / paths.CONTRACT)
    table = pd.concat(tables.read_text_parts(ROOT / paths.RAW))
    return ingest.prepare(table, params.data, rules)


@pytest.fixture(scope="session")
def schema() -> Any:  # noqa: ANN401 - pandera has no types
    """Return the contract."""
    return contract.read_schema(ROOT / paths.CONTRACT)


def parse(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of text as the stages after the first read it."""
    text_columns = contract.find_text_columns(contract.read_columns(ROOT / paths.CONTRACT))
    buffer = io.StringIO(table.to_csv(index=False))
    dtype = dict.fromkeys(text_columns, str)
    return pd.read_csv(buffer, dtype=dtype, keep_default_na=False, na_values=[""])


@pytest.fixture(scope="session")
def table(text_table: pd.DataFrame) -> pd.DataFrame:
    """Return the whole table, typed."""
    return parse(text_table)


@pytest.fixture(scope="session")
def sides(text_table: pd.DataFrame, params: Params) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the train and the test rows, typed."""
    train_rows, test_rows = split.split_table(text_table, params)
    return parse(train_rows), parse(test_rows)


@pytest.fixture(scope="session")
def test_rows(sides: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    """Return the test rows."""
    return sides[1]


@pytest.fixture(scope="session")
def model(sides: tuple[pd.DataFrame, pd.DataFrame], params: Params) -> Pipeline:
    """Return the model that the parameters ask for, fitted on the train rows."""
    return train.fit_model(sides[0], params)
