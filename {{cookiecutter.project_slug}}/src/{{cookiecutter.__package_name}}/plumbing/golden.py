"""A few rows and what the model answers to them: how a deployed model is recognised.

Git keeps them, and whoever may read the repository may read them. So they are made from the
contract unless `evaluate.golden` in params.yaml says `real`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..estimators import find_shared_categories, read_columns, select_features
from ..scoring import predict
from .errors import StageError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ROWS = 5
#: Largest difference of a number that still counts as the same answer.
TOLERANCE = 1e-6


def make_golden(model: Pipeline, rows: pd.DataFrame) -> dict[str, Any]:
    """Return request and answer in the form of the Open Inference Protocol, version 2.

    `POST /v2/models/NAME/infer` with `request` must answer with `outputs`, numbers within
    `tolerance`.
    """
    inputs, outputs = select_features(rows, model), predict(model, rows)
    return {
        "request": {"parameters": {"content_type": "pd"}, "inputs": make_tensors(inputs)},
        "outputs": make_tensors(outputs),
        "tolerance": TOLERANCE,
    }


def pick_rows(model: Pipeline, table: pd.DataFrame) -> pd.DataFrame:
    """Return real rows, spread over those of the table without a missing value."""
    features = select_features(table, model)
    complete = features.dropna()
    usable = complete if len(complete) else features
    return table.loc[
        usable.index[np.linspace(0, len(usable) - 1, min(ROWS, len(usable))).astype(int)]
    ]


def make_rows(model: Pipeline, columns: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Return rows that nobody has seen, made of what the contract allows.

    ``columns`` is column name → its block of the contract. Numbers are spread over their range,
    texts are the allowed ones. A text that the contract leaves open is a category that at least
    `features.min_category_rows` rows share, or missing.
    """
    numeric, categorical = read_columns(model)
    made: dict[str, list[Any]] = {}
    for place, name in enumerate([*numeric, *categorical]):
        rules = _read_rules(columns.get(name, {}))
        allowed = rules.get("isin")
        if not allowed and name in categorical:
            allowed = find_shared_categories(model, name) or _leave_open(name, rules)
        # Another order in each column, so that the rows are not from low to high in all of them.
        order = [(row * (place % (ROWS - 1) + 1) + place) % ROWS for row in range(ROWS)]
        made[name] = (
            [allowed[at % len(allowed)] for at in order] if allowed else _spread(rules, order)
        )
    return pd.DataFrame(made)


def _read_rules(block: dict[str, Any]) -> dict[str, Any]:
    """Return check → value, wherever pandera lets a column's checks stand."""
    nested = block.get("checks")
    rules = {**block, **(nested if isinstance(nested, dict) else {})}
    return {
        name: rule["value"] if isinstance(rule, dict) and "value" in rule else rule
        for name, rule in rules.items()
    }


def _leave_open(name: str, rules: dict[str, Any]) -> list[Any]:
    if rules.get("nullable"):
        return [None]
    if "str_matches" in rules:
        raise StageError(
            f"evaluate.golden: no value is known that fits the pattern of {name}; list the allowed"
            " ones in contract.yaml (`isin`), let it be missing (`nullable`), or choose `real`"
        )
    return ["(synthetic)"]


def _spread(rules: dict[str, Any], order: list[int]) -> list[float]:
    """Return numbers within the column's range, never its ends; whole ones where it has those."""
    span = rules.get("in_range") or {}
    low = span.get("min_value", rules.get("greater_than_or_equal_to", rules.get("greater_than")))
    high = span.get("max_value", rules.get("less_than_or_equal_to", rules.get("less_than")))
    if low is None:
        low = high - ROWS - 1 if high is not None else 0
    if high is None:
        high = low + ROWS + 1
    values = [float(low) + (float(high) - float(low)) * (at + 1) / (ROWS + 1) for at in order]
    if str(rules.get("dtype")).startswith("int"):
        return [float(min(max(round(value), low), high)) for value in values]
    return [round(value, 6) if low <= round(value, 6) <= high else value for value in values]


def make_tensors(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return each column as a tensor; a missing value is null."""
    return [
        {
            "name": str(name),
            "datatype": _datatype(table[name]),
            "shape": [len(table)],
            "data": [None if pd.isna(value) else value for value in table[name].tolist()],
        }
        for name in table.columns
    ]


def _datatype(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "BOOL"
    if pd.api.types.is_integer_dtype(column):
        return "INT64"
    return "FP64" if pd.api.types.is_float_dtype(column) else "BYTES"
