from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import contract, ingest
from {{ cookiecutter.__package_name }}.params import Params
from {{ cookiecutter.__package_name }}.plumbing.errors import StageError


def test_data_keeps_the_contract(table: pd.DataFrame, schema: Any) -> None:  # noqa: ANN401
    """Every row of the project's data is as the contract says."""
    mistakes = contract.find_mistakes(table, schema)
    assert not mistakes, contract.render_mistakes(mistakes)


def test_every_feature_is_in_the_contract(schema: Any, params: Params) -> None:  # noqa: ANN401
    """The server can check each value that the model reads."""
    assert set(params.features.names) | {params.data.target} <= set(schema.columns)


def test_broken_value_is_named(table: pd.DataFrame, schema: Any, params: Params) -> None:  # noqa: ANN401
    """A value that is no number, or not allowed, is reported with its column, row and value."""
    column = find_checked(schema, params)
    broken = table.head(5).copy()
    broken[column] = broken[column].astype(object)
    broken.loc[broken.index[3], column] = "!much"
    mistakes = contract.find_mistakes(broken, schema)
    assert {(mistake.column, mistake.row) for mistake in mistakes} == {(column, 4)}
    assert "!much" in contract.render_mistakes(mistakes)


def find_checked(schema: Any, params: Params) -> str:  # noqa: ANN401 - pandera has no types
    """Return a column that the contract limits: to numbers, or to certain texts."""
    names = [*params.features.names, *schema.columns]
    blocks = ((name, schema.columns[name]) for name in names)
    return next(
        str(name) for name, block in blocks if block.coerce or (block.checks and is_text(block))
    )


def is_text(block: Any) -> bool:  # noqa: ANN401 - pandera has no types
    """Tell whether a column of the contract is text."""
    return str(block.dtype).startswith("str")


def test_repeated_id_is_named(table: pd.DataFrame, schema: Any, params: Params) -> None:  # noqa: ANN401
    """Two rows with one id are reported under the id's name."""
    name = params.data.id or "id"
    twice = pd.concat([table.head(1), table.head(2)])
    assert {mistake.column for mistake in contract.find_mistakes(twice, schema)} == {name}


def test_missing_and_unknown_columns_are_named(
    table: pd.DataFrame,
    schema: Any,  # noqa: ANN401
    params: Params,
) -> None:
    """A column that went missing, and one that nobody described, are both reported."""
    gone = params.features.names[0]
    changed = table.head(3).drop(columns=gone).assign(surprise=1)
    shown = contract.render_mistakes(contract.find_mistakes(changed, schema))
    assert f"column {gone}: is missing" in shown
    assert "column surprise: is not in the contract" in shown


def test_made_ids_are_unique_and_keep_to_their_row() -> None:
    """An id follows from the row's content, wherever it stands; equal rows are told apart."""
    rows = pd.DataFrame({"a": ["1", "2", "1"], "b": ["x", "y", "x"]})
    ids = ingest.add_id(rows)["id"]
    turned = ingest.add_id(rows.iloc[::-1])["id"]
    assert ids.is_unique
    assert ids[1] == turned[1]
    assert set(ids) == set(turned)


@pytest.mark.parametrize(("columns", "said"), [(["other"], "has no column"), ([], "has no rows")])
def test_unusable_tables_are_refused(columns: list[str], said: str, params: Params) -> None:
    """A table without rows, or without the target, ends the stage with a reason."""
    rows = pd.DataFrame({name: ["1"] for name in columns})
    with pytest.raises(StageError, match=said):
        ingest.prepare(rows, params.data)


def test_own_id_is_not_replaced(params: Params) -> None:
    """A column named in data.id is taken as it is."""
    data = msgspec.structs.replace(params.data, id="key", target="y")
    rows = pd.DataFrame({"key": ["b", "a"], "y": ["0", "1"]})
    assert ingest.prepare(rows, data)["key"].tolist() == ["b", "a"]
