"""One model's own errors on its test rows, before there is another one to compare. Pure; numpy.

A model without any error has the same value on whatever rows are drawn, so the difference to it
has the error of the other model alone: every method serves for this as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.compare import estimate_metrics
from mlgitops.statistics.estimate import Estimate, Undefined
from mlgitops.statistics.labels import code_labels
from mlgitops.statistics.matching import Pair
from mlgitops.statistics.names import find_estimator

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray

    from mlgitops.tables.predictions import Column, Predictions


@dataclass(frozen=True, kw_only=True)
class Alone:
    """A metric of one model, with its standard error, in the metric's unit."""

    value: float
    error: float


def measure_alone(
    predictions: Predictions, metrics: Iterable[str], cluster: str | None
) -> dict[str, Alone]:
    """Return each metric of a model with its own error; what has none, or no method, is left out.

    ``metrics``: dotted names; ``cluster``: the column whose rows belong together.
    """
    return {
        name: Alone(value=result.values[1], error=result.error)
        for name, result in estimate_alone(predictions, metrics, cluster).items()
        if result.error > 0
    }


def estimate_alone(
    predictions: Predictions, metrics: Iterable[str], cluster: str | None
) -> dict[str, Estimate]:
    """Return each metric's difference to a model that is always right; arguments as above."""
    perfect = predictions.target, _score_perfectly(predictions)
    return _estimate_beside(predictions, *perfect, metrics, cluster)


def measure_constant(predictions: Predictions, metrics: Collection[str]) -> dict[str, float]:
    """Return each metric of one answer for all rows, the best that these rows have.

    That is the most frequent class, with the shares of the classes as scores, or else the mean.
    What has no value for such an answer is left out.
    """
    answers, scores = _answer_alike(predictions)
    estimates = _estimate_beside(predictions, answers, scores, metrics, None)
    values = {name: result.values[0] for name, result in estimates.items()}
    if "" in scores:  # of equal scores, which rank nothing
        ranked = {"roc_auc": 0.5, "average_precision": float(scores[""][0])}
        names = {name: find_estimator(name) or "" for name in metrics}
        values |= {name: ranked[kind] for name, kind in names.items() if kind in ranked}
    return values


def _estimate_beside(
    predictions: Predictions,
    answers: Column,
    scores: Mapping[str, NDArray[np.float64]],
    metrics: Iterable[str],
    cluster: str | None,
) -> dict[str, Estimate]:
    """Return the differences between a model and other answers to its rows."""
    pair = Pair(
        target=predictions.target,
        base=answers,
        head=predictions.prediction,
        base_scores=scores,
        head_scores=predictions.scores,
        columns=predictions.columns,
    )
    estimates = estimate_metrics(pair, metrics, cluster)
    return {name: result for name, result in estimates.items() if isinstance(result, Estimate)}


def _answer_alike(predictions: Predictions) -> tuple[Column, dict[str, NDArray[np.float64]]]:
    """Return the constant's answers and scores."""
    target = predictions.target
    if predictions.prediction.dtype.kind == "f" and not predictions.scores:
        return np.full(target.shape, target.mean()), {}
    values, rows = np.unique(target, return_counts=True)
    answers = np.full(target.shape, values[rows.argmax()])
    perfect = _score_perfectly(predictions)
    return answers, {label: np.full(target.shape, hits.mean()) for label, hits in perfect.items()}


def _score_perfectly(predictions: Predictions) -> dict[str, NDArray[np.float64]]:
    """Return the scores of a model that is always right, and sure of it."""
    if not predictions.scores:
        return {}
    try:
        coded = code_labels(predictions.target, predictions.target, predictions.prediction)
    except Undefined:
        return {}
    if "" in predictions.scores:
        return {"": (coded.target == len(coded.labels) - 1).astype(np.float64)}
    names = np.array(coded.names)[coded.target]
    return {label: (names == label).astype(np.float64) for label in predictions.scores}
