"""A few rows and what the model answers to them: how a deployed model is recognised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .estimators import select_features
from .scoring import predict

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ROWS = 5
#: Largest difference of a number that still counts as the same answer.
TOLERANCE = 1e-6


def make_golden(model: Pipeline, table: pd.DataFrame) -> dict[str, Any]:
    """Return request and answer in the form of the Open Inference Protocol, version 2.

    `POST /v2/models/NAME/infer` with `request` must answer with `outputs`, numbers within
    `tolerance`. The rows are spread over those without a missing value.
    """
    features = select_features(table, model)
    complete = features.dropna()
    usable = complete if len(complete) else features
    rows = usable.index[np.linspace(0, len(usable) - 1, min(ROWS, len(usable))).astype(int)]
    inputs, outputs = features.loc[rows], predict(model, table.loc[rows])
    return {
        "request": {"parameters": {"content_type": "pd"}, "inputs": make_tensors(inputs)},
        "outputs": make_tensors(outputs),
        "tolerance": TOLERANCE,
    }


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
