"""Predictions of base and head to evidence for each metric. Pure; numpy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgitops.inference.decision import holm_confidence
from mlgitops.inference.estimate import Estimate, Undefined
from mlgitops.inference.evidence import Comparison
from mlgitops.inference.matching import Pair, match_predictions
from mlgitops.model import Evidence, Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mlgitops.model import Rule
    from mlgitops.predictions import Predictions


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
    estimator. All of them share one error rate: each interval is read at the confidence that
    Holm's correction gives it, which `Interval.confidence` states. ``cluster`` names a column
    whose equal values belong together (customer, day). ``base`` may be a pair that
    :func:`match_predictions` made, and ``head`` is then left out. A metric that cannot be
    compared has no interval and a reason; one that can, but with little ground, has both.
    """
    pair = base if isinstance(base, Pair) else match_predictions(base, _present(head))
    results = _estimate_all(pair, sorted(metrics), cluster)
    found = {name: result for name, result in results.items() if isinstance(result, Estimate)}
    levels = holm_confidence({name: one.interval for name, one in found.items()}, confidence)
    return {
        name: _as_evidence(result, pair, levels.get(name, confidence))
        for name, result in results.items()
    }


def _present(head: Predictions | None) -> Predictions:
    if head is None:
        raise TypeError("head is needed unless base is a Pair")
    return head


def _estimate_all(
    pair: Pair, names: list[str], cluster: str | None
) -> dict[str, Estimate | Undefined]:
    try:
        comparison = Comparison(pair, _code_clusters(pair, cluster) if cluster else None)
    except Undefined as reason:
        return dict.fromkeys(names, reason)
    results: dict[str, Estimate | Undefined] = {}
    for name in names:
        try:
            results[name] = comparison.estimate(name)
        except Undefined as reason:
            results[name] = reason
    return results


def _code_clusters(pair: Pair, cluster: str) -> NDArray[np.intp]:
    column = pair.columns.get(cluster)
    if column is None:
        raise Undefined(f"the predictions have no column {cluster!r} to cluster by"[:200])
    return np.unique(column, return_inverse=True)[1]


def _as_evidence(result: Estimate | Undefined, pair: Pair, confidence: float) -> Evidence:
    if isinstance(result, Undefined):
        return Evidence(rows=pair.rows, reason=_join([str(result), *pair.notices]))
    low, high = result.interval(confidence)
    method = f"{result.method}, rough" if result.warnings and result.error else result.method
    return Evidence(
        rows=pair.rows,
        interval=Interval(low=low, high=high, confidence=confidence, method=method),
        reason=_join([*result.warnings, *pair.notices]) or None,
    )


def _join(sentences: list[str]) -> str:
    return "; ".join(sentence.rstrip(".") for sentence in sentences)[:500]
