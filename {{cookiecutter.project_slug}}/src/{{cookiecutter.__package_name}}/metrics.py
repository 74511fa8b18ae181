"""Predictions → metrics, whole and for each slice. Pure; the numbers are scikit-learn's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn import metrics as sk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .params import Task

SCORE_PREFIX = "score_"


def measure(predictions: pd.DataFrame, task: Task) -> dict[str, float]:
    """Return metric name → value on all rows; the columns are those of `scoring`."""
    measured = {"binary": _binary, "regression": _regression, "multiclass": _multiclass}[task]
    return {name: float(value) for name, value in measured(predictions).items()}


def _binary(predictions: pd.DataFrame) -> dict[str, Any]:
    target, label = predictions["target"], predictions["prediction"]
    score = predictions["score"]
    return {
        "roc_auc": sk.roc_auc_score(target, score),
        "average_precision": sk.average_precision_score(target, score),
        "accuracy": sk.accuracy_score(target, label),
        "balanced_accuracy": sk.balanced_accuracy_score(target, label),
        "precision": sk.precision_score(target, label, zero_division=0.0),
        "recall": sk.recall_score(target, label, zero_division=0.0),
        "f1": sk.f1_score(target, label, zero_division=0.0),
        "mcc": sk.matthews_corrcoef(target, label),
        "log_loss": sk.log_loss(target, score),
        "brier": sk.brier_score_loss(target, score),
    }


def _regression(predictions: pd.DataFrame) -> dict[str, Any]:
    target, predicted = predictions["target"], predictions["prediction"]
    return {
        "mae": sk.mean_absolute_error(target, predicted),
        "rmse": sk.root_mean_squared_error(target, predicted),
        "r2": sk.r2_score(target, predicted),
        "median_absolute_error": sk.median_absolute_error(target, predicted),
    }


def _multiclass(predictions: pd.DataFrame) -> dict[str, Any]:
    classes = read_classes(predictions)
    target, label = predictions["target"].astype(str), predictions["prediction"].astype(str)
    scores = predictions[[SCORE_PREFIX + name for name in classes]].to_numpy()
    order = np.argsort(classes)
    return {
        "accuracy": sk.accuracy_score(target, label),
        "balanced_accuracy": sk.recall_score(
            target, label, labels=sorted(set(target)), average="macro", zero_division=0.0
        ),
        "f1_macro": sk.f1_score(target, label, average="macro", zero_division=0.0),
        "mcc": sk.matthews_corrcoef(target, label),
        "cohen_kappa": sk.cohen_kappa_score(target, label),
        "log_loss": sk.log_loss(target, scores[:, order], labels=sorted(classes)),
    }


def read_classes(predictions: pd.DataFrame) -> list[str]:
    """Return the classes that have a score column, in the columns' order."""
    return [
        name.removeprefix(SCORE_PREFIX)
        for name in predictions.columns
        if name.startswith(SCORE_PREFIX)
    ]


def measure_slices(predictions: pd.DataFrame, task: Task, slices: Sequence[str]) -> pd.DataFrame:
    """Return one row for each value of each slice column: column, value, rows, metrics.

    A metric that a slice cannot have, such as the recall of a slice without positives, is NaN.
    """
    from fairlearn.metrics import MetricFrame

    parts = []
    for column in slices:
        frame = MetricFrame(
            metrics=_slice_metrics(task),
            y_true=predictions["target"],
            y_pred=predictions["prediction"],
            sensitive_features=predictions[column].astype(object).fillna("(missing)").astype(str),
        )
        table = frame.by_group.rename_axis("value").reset_index()
        table.insert(0, "column", column)
        parts.append(table.astype({"rows": int}))
    names = ["column", "value", *_slice_metrics(task)]
    return pd.concat(parts, ignore_index=True).round(6) if parts else pd.DataFrame(columns=names)


def _slice_metrics(task: Task) -> dict[str, Any]:
    from fairlearn.metrics import count, false_positive_rate, mean_prediction, selection_rate

    if task == "regression":
        return {
            "rows": count,
            "mae": sk.mean_absolute_error,
            "rmse": sk.root_mean_squared_error,
            "mean_target": lambda target, _: float(np.mean(target)),
            "mean_prediction": mean_prediction,
        }
    if task == "binary":
        return {
            "rows": count,
            "accuracy": sk.accuracy_score,
            "selection_rate": selection_rate,
            "true_positive_rate": partial(sk.recall_score, zero_division=np.nan),
            "false_positive_rate": false_positive_rate,
            "precision": partial(sk.precision_score, zero_division=np.nan),
        }
    return {
        "rows": count,
        "accuracy": sk.accuracy_score,
        "f1_macro": partial(sk.f1_score, average="macro", zero_division=0.0),
    }
