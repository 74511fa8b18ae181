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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mlgitops.tables.predictions import Predictions


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
    pair = Pair(
        target=predictions.target,
        base=predictions.target,
        head=predictions.prediction,
        base_scores=_score_perfectly(predictions),
        head_scores=predictions.scores,
        columns=predictions.columns,
    )
    estimates = estimate_metrics(pair, metrics, cluster)
    return {
        name: Alone(value=result.values[1], error=result.error)
        for name, result in estimates.items()
        if isinstance(result, Estimate) and result.error > 0
    }


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
