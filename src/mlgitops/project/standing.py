"""What a trained model reaches: each judged metric with its interval, beside a constant answer.

The comparison with base is `compare`'s; this is of one model alone, on its own predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.model.standing import Standing

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.model import Policy
    from mlgitops.tables.predictions import Predictions


def read_standing(project: Path, policy: Policy) -> list[Standing]:
    """Measure the predictions that the policy names; none where there are no such.

    Raises :class:`MlgitopsError` when they cannot be read.
    """
    path = policy.files.predictions
    table = project / path if path else None
    if table is None or not table.is_file() or not policy.metrics:
        return []
    if not table.resolve().is_relative_to(project.resolve()):
        return []
    from mlgitops.tables.predictions import read_predictions

    return measure_standing(read_predictions(table, where=path), policy)


def measure_standing(predictions: Predictions, policy: Policy) -> list[Standing]:
    """Return the judged metrics that can be measured, in the policy's order.

    Each interval has its part of the policy's error rate (Bonferroni), as the first of Holm's
    steps has in a comparison: 97.5 % for two metrics at 95 %.
    """
    from mlgitops.statistics.alone import estimate_alone, measure_constant

    estimates = estimate_alone(predictions, policy.metrics, policy.cluster)
    constants = measure_constant(predictions, policy.metrics)
    confidence = 1 - (1 - policy.confidence) / max(len(estimates), 1)
    standings = []
    for name in (metric for metric in policy.metrics if metric in estimates):
        perfect, value = estimates[name].values
        low, high = (perfect + end for end in estimates[name].interval(confidence))
        standings.append(
            Standing(
                metric=name, rows=predictions.rows, value=value, low=low, high=high,
                confidence=confidence, constant=constants.get(name),
            )
        )  # fmt: skip
    return standings


def keep_bounds(policy: Policy) -> Policy:
    """Return the policy without its margins: all that can be asked of a project's first model."""
    rules = {
        name: {
            metric: msgspec.structs.replace(rule, max_worsening=None, max_relative_worsening=None)
            for metric, rule in getattr(policy, name).items()
        }
        for name in ("metrics", "budgets")
    }
    return msgspec.structs.replace(policy, **rules)
