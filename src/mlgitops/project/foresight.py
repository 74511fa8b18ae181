"""What the test rows of a project would stop, before there is a change: from base's predictions.

There is no head yet, so how alike it answers has to be assumed. Two models of equal error v that
correlate by r differ by an error of v sqrt(2 (1 - r)): r = 0 bounds what models of the same data
do, and 0.9 is a small change of base. That models of one task err on the same rows far more than
chance would have it is shown by Mania et al. 2019 (Model similarity mitigates test set overuse).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.judgement.judge import find_margin
from mlgitops.judgement.power import weigh_margin
from mlgitops.render.power import render_loss
from mlgitops.statistics.intervals import FEWEST_ROWS
from mlgitops.statistics.names import COUNTS, find_estimator
from mlgitops.statistics.power import Noise, find_growth

if TYPE_CHECKING:
    from mlgitops.model import Policy
    from mlgitops.statistics.alone import Alone
    from mlgitops.tables.predictions import Predictions

#: How much a head errs as base does: a small change of base, and one that errs on its own rows.
ALIKE, APART = 0.9, 0.0


class Foresight(Struct, frozen=True, kw_only=True):
    """The true loss of a metric that is stopped with 80 % probability, in the metric's unit."""

    metric: str
    rows: int
    margin: float  # of the policy, in the metric's unit
    alike: float  # of heads that err as base does, correlation 0.9
    apart: float  # of heads that err on rows of their own


def foresee(predictions: Predictions, policy: Policy) -> list[Foresight]:
    """Say what a project's policy would stop on the test rows of ``predictions``, by metric."""
    from mlgitops.statistics.alone import measure_alone

    rules = {
        name: rule
        for name, rule in policy.metrics.items()
        if rule.max_worsening is not None or rule.max_relative_worsening is not None
    }
    measured = measure_alone(predictions, rules, policy.cluster)
    quantile = find_quantile(policy.confidence, len(measured))
    rough = predictions.rows < FEWEST_ROWS
    foresights = []
    for name, alone in measured.items():
        margin = find_margin(rules[name], alone.value) or 0.0
        alike, apart = (
            weigh_margin(
                _assume(name, alone, predictions.rows, quantile, correlation),
                margin, policy.inconclusive, rough=rough,
            ).stopped
            for correlation in (ALIKE, APART)
        )  # fmt: skip
        foresights.append(
            Foresight(metric=name, rows=predictions.rows, margin=margin, alike=alike, apart=apart)
        )
    return foresights


def find_quantile(confidence: float, together: int) -> float:
    """Return the normal quantile of Holm's first step for metrics that are judged together."""
    return NormalDist().inv_cdf(1 - (1 - confidence) / max(together, 1) / 2)


def difference_error(error: float, correlation: float = ALIKE) -> float:
    """Return the error of the difference of two models whose own error is ``error``."""
    return error * math.sqrt(2 * (1 - correlation))


def describe_foresight(foresights: list[Foresight]) -> str:
    """Say it in a sentence; "" where nothing is known."""
    if not foresights:
        return ""
    texts = [
        f"{render_loss(item.alike)} to {render_loss(item.apart)} in `{item.metric}`"
        f" (margin {render_loss(item.margin)})"
        for item in foresights
    ]
    return (
        f"These {foresights[0].rows:,} test rows stop, with 80 % probability, a true loss of"
        f" {', '.join(texts)}: the first of changes that err mostly on the rows on which this model"
        " does (correlation 0.9), the second of changes that err on rows of their own."
    )


def _assume(name: str, alone: Alone, rows: int, quantile: float, correlation: float) -> Noise:
    estimator = find_estimator(name)
    return Noise(
        error=difference_error(alone.error, correlation),
        quantile=quantile,
        step=1 / rows if estimator in COUNTS else 0.0,
        growth=find_growth(estimator, alone.value),
    )
