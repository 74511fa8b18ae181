"""Metric names to the estimator that serves them. Pure, without numpy: `judge` asks it too."""

from __future__ import annotations

import re

_ALIASES = {
    "auc": "roc_auc",
    "average_precision_score": "average_precision",
    "balanced_accuracy_score": "balanced_accuracy",
    "accuracy_score": "accuracy",
    "brier_score": "brier",
    "brier_score_loss": "brier",
    "cohen_kappa_score": "cohen_kappa",
    "f1_score": "f1",
    "kappa": "cohen_kappa",
    "matthews_corrcoef": "mcc",
    "mean_absolute_error": "mae",
    "mean_pinball_loss": "pinball",
    "mean_squared_error": "mse",
    "precision_score": "precision",
    "r2_score": "r2",
    "recall_score": "recall",
    "root_mean_squared_error": "rmse",
    "roc_auc_score": "roc_auc",
}
#: Functions of the confusion matrix: those of `counts.METRICS`.
COUNTS = {
    *("accuracy", "balanced_accuracy", "cohen_kappa", "mcc"),
    *("f1", "f1_macro", "f1_micro", "f1_weighted"),
    *("precision", "precision_macro", "precision_micro", "precision_weighted"),
    *("recall", "recall_macro", "recall_micro", "recall_weighted"),
}
RANKINGS = {"roc_auc", "average_precision"}
PROBABILITIES = {"log_loss", "brier"}
#: Parts of a metric's name that say it is of other rows than the test rows.
OTHER_ROWS = {
    *("train", "training", "val", "valid", "validation", "dev", "cv", "fold", "folds", "oof"),
}
_ERRORS = {"mae", "mse", "rmse", "r2", "median_absolute_error"}


def find_estimator(metric: str) -> str | None:
    """Return the canonical name of the estimator of a dotted metric name, or None.

    >>> find_estimator("test.matthews_corrcoef")
    'mcc'
    """
    name = metric.rpartition(".")[2]
    name = _ALIASES.get(name, name)
    supported = name in COUNTS or name in RANKINGS | PROBABILITIES | _ERRORS
    return name if supported or find_quantile(name) else None


def names_other_rows(metric: str) -> bool:
    """Tell whether a dotted name says that its metric is not of the test rows.

    >>> names_other_rows("val.accuracy"), names_other_rows("cv_5.mae"), names_other_rows("mae")
    (True, True, False)
    """
    words = re.split(r"[._/-]", metric.rpartition(".")[0].casefold())
    return not OTHER_ROWS.isdisjoint(words)


def find_quantile(name: str) -> float | None:
    """Return the quantile that a pinball loss is of: `pinball` 0.5, `pinball_90` 0.9."""
    match = re.fullmatch(r"pinball(?:_(\d{1,2}))?", name)
    if not match:
        return None
    return int(match[1]) / 100 if match[1] else 0.5
