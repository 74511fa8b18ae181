"""Predictions of base and head to evidence for each metric. Pure; numpy only.

Metrics that are read together share one error rate. What metrics files state is held against the
predictions in :mod:`mlgitops.statistics.stored`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mlgitops.model import Evidence, Interval
from mlgitops.statistics.estimate import Estimate, Undefined
from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.intervals import ROUGH, holm_confidence
from mlgitops.statistics.matching import Pair, match_predictions
from mlgitops.statistics.seeds import SeededEstimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlgitops.model import Rule
    from mlgitops.tables.predictions import Predictions

_Key = TypeVar("_Key")


def compare_predictions(
    base: Predictions | Pair,
    head: Predictions | None = None,
    *,
    metrics: Mapping[str, Rule],
    confidence: float = 0.95,
    cluster: str | None = None,
) -> dict[str, Evidence]:
    """Return evidence for each metric: the interval of head minus base on the same rows.

    ``metrics`` are full names such as "test.roc_auc"; the part after the last dot names the
    estimator, with a class or an average before it (`macro avg.recall`). All of them share one
    error rate: each interval is read at the confidence that Holm's correction gives it, which
    `Interval.confidence` states. ``cluster`` names a column whose equal values belong together
    (customer, day). ``base`` may be a pair that :func:`match_predictions` made, and ``head`` is
    then left out. A metric that cannot be compared has no interval and a reason; one that can,
    but with little ground, has both.
    """
    pair = base if isinstance(base, Pair) else match_predictions(base, _present(head))
    return read_together(pair, estimate_metrics(pair, sorted(metrics), cluster), confidence)


def read_together(
    pair: Pair, results: Mapping[_Key, Estimate | Undefined], confidence: float
) -> dict[_Key, Evidence]:
    """Return evidence for each of ``results``, with Holm's correction across all of them."""
    estimates = {name: result for name, result in results.items() if isinstance(result, Estimate)}
    levels = holm_confidence(
        {name: result.interval for name, result in estimates.items()}, confidence
    )
    return {
        name: as_evidence(result, pair, levels.get(name, confidence))
        for name, result in results.items()
    }


def _present(head: Predictions | None) -> Predictions:
    if head is None:
        raise TypeError("head is needed unless base is a Pair")
    return head


def estimate_metrics(
    pair: Pair, names: Iterable[str], cluster: str | None
) -> dict[str, Estimate | Undefined]:
    """Estimate the difference in each metric, or say why that cannot be."""
    comparison = Comparison(pair, cluster)
    return {name: comparison.attempt(name) for name in names}


def as_evidence(result: Estimate | Undefined, pair: Pair, confidence: float) -> Evidence:
    """Return evidence whose interval is read at ``confidence``, or why there is none."""
    if isinstance(result, Undefined):
        return Evidence(rows=pair.rows, reason=_join([str(result), *pair.notices]))
    low, high = result.interval(confidence)
    method = f"{result.method}{ROUGH}" if result.warnings and result.error else result.method
    return Evidence(
        rows=pair.rows,
        interval=Interval(low=low, high=high, confidence=confidence, method=method),
        seeds=result.describe(confidence) if isinstance(result, SeededEstimate) else None,
        reason=_join([*result.warnings, *pair.notices]) or None,
    )


def _join(sentences: list[str]) -> str:
    return "; ".join(sentence.rstrip(".") for sentence in sentences)[:500]
