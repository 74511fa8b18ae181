"""Predictions → the tables behind the plots. Pure; small enough to keep in git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from ..metrics import SCORE_PREFIX, read_classes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..params import Task

#: Points kept of a curve, rows kept of a scatter plot.
POINTS = 200
ROWS = 500
BINS = 10
_DECIMALS = 6


def trace_curves(predictions: pd.DataFrame, task: Task) -> dict[str, pd.DataFrame]:
    """Return file name → table, for the plots that suit the task."""
    if task == "regression":
        curves = {
            "residuals": _residuals(predictions),
            "calibration": _calibration(predictions["target"], predictions["prediction"]),
        }
    elif task == "binary":
        target, score = predictions["target"], predictions["score"]
        curves = {
            "roc": _roc(target, score),
            "precision_recall": _precision_recall(target, score),
            "calibration": _calibration(target, score),
            "confusion": _confusion(predictions),
        }
    else:
        curves = {
            "roc": _roc_mean(predictions),
            "confusion": _confusion(predictions),
        }
    return {name: table.round(_DECIMALS) for name, table in curves.items()}


def _thin(table: pd.DataFrame) -> pd.DataFrame:
    """Return at most :data:`POINTS` rows, evenly spaced, with the first and the last."""
    if len(table) <= POINTS:
        return table
    return table.iloc[np.linspace(0, len(table) - 1, POINTS).round().astype(int)]


def _roc(target: ArrayLike, score: ArrayLike) -> pd.DataFrame:
    false_positive, true_positive, _ = sk.roc_curve(target, score)
    curve = {"false_positive_rate": false_positive, "true_positive_rate": true_positive}
    return _thin(pd.DataFrame(curve))


def _roc_mean(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the mean curve of the classes, each against the rest; of those with test rows."""
    target = predictions["target"].astype(str)
    rates = np.linspace(0, 1, POINTS)
    heights = []
    for name in read_classes(predictions):
        if (target == name).any():
            curve = sk.roc_curve(target == name, predictions[SCORE_PREFIX + name])
            heights.append(np.interp(rates, curve[0], curve[1]))
    mean = np.mean(heights, axis=0)
    mean[0] = 0  # a curve begins in the corner
    return pd.DataFrame({"false_positive_rate": rates, "true_positive_rate": mean})


def _precision_recall(target: ArrayLike, score: ArrayLike) -> pd.DataFrame:
    precision, recall, _ = sk.precision_recall_curve(target, score)
    return _thin(pd.DataFrame({"recall": recall, "precision": precision}))


def _calibration(target: pd.Series, predicted: pd.Series) -> pd.DataFrame:
    """Return mean prediction and mean target in bins of equally many rows."""
    rank = predicted.rank(method="first")
    bins = ((rank - 1) * BINS // len(rank)).astype(int)
    groups = pd.DataFrame({"predicted": predicted, "observed": target}).groupby(bins)
    return groups.mean().assign(rows=groups.size()).reset_index(drop=True)


def _confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how many rows there are of each actual and predicted class, zeros included."""
    actual = predictions["target"].astype(str).rename("actual")
    predicted = predictions["prediction"].astype(str).rename("predicted")
    labels = sorted({*actual, *predicted, *read_classes(predictions)})
    counts = pd.crosstab(actual, predicted).reindex(index=labels, columns=labels, fill_value=0)
    return counts.reset_index().melt(id_vars="actual", value_name="rows")


def _residuals(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return prediction and residual (target minus prediction) of rows spread over all ids."""
    ordered = predictions.sort_values("id")
    rows = np.linspace(0, len(ordered) - 1, min(ROWS, len(ordered))).round().astype(int)
    kept = ordered.iloc[rows]
    residual = kept["target"] - kept["prediction"]
    return pd.DataFrame({"prediction": kept["prediction"], "residual": residual})
