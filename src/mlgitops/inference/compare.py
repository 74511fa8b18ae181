"""Predictions of base and head to evidence for each metric. Pure; numpy only.

Metrics that the policy judges share one error rate and are read together; any other is read
alone, and only where the predictions give the very values that its metrics file states.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from mlgitops.inference.decision import holm_confidence
from mlgitops.inference.estimate import Estimate, Undefined
from mlgitops.inference.evidence import Comparison
from mlgitops.inference.groups import code_values
from mlgitops.inference.matching import Pair, match_predictions
from mlgitops.model import Evidence, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mlgitops.model import Rule
    from mlgitops.predictions import Predictions

#: How far two computations of one number may lie apart, as a part of its size.
_ROUNDING = 1e-9
_FEWEST = 2  # rows that any method needs


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
    return read_together(pair, estimate_metrics(pair, sorted(metrics), cluster), confidence)


def read_together(
    pair: Pair, results: Mapping[str, Estimate | Undefined], confidence: float
) -> dict[str, Evidence]:
    """Return evidence for each of ``results``, with Holm's correction across all of them."""
    found = {name: result for name, result in results.items() if isinstance(result, Estimate)}
    levels = holm_confidence({name: one.interval for name, one in found.items()}, confidence)
    return {
        name: _as_evidence(result, pair, levels.get(name, confidence))
        for name, result in results.items()
    }


def read_alone(
    pair: Pair, result: Estimate | Undefined, stored: tuple[float, float], confidence: float
) -> Evidence | None:
    """Return evidence for one metric on its own, without a correction.

    ``stored``: its values at base and head in the metrics file. None when the predictions do
    not give these: the metric is then of other rows (`train.accuracy`), or another one.
    """
    if isinstance(result, Undefined) or not _agree(result, stored):
        return None
    return _as_evidence(result, pair, confidence)


def find_lost(
    base: Predictions, head: Predictions | None, names: Iterable[str], cluster: str | None
) -> list[str]:
    """Return the metrics that base's predictions give, and head's do not, or on no common row.

    Head's predictions are to blame then, rather than the metric or the test data.
    """
    alone = estimate_metrics(match_predictions(base, base), names, cluster)
    given = [name for name, result in alone.items() if isinstance(result, Estimate)]
    if head is None or match_predictions(base, head).rows < _FEWEST:
        return given
    other = estimate_metrics(match_predictions(head, head), given, cluster)
    return [name for name in given if isinstance(other[name], Undefined)]


def _agree(result: Estimate, stored: tuple[float, float]) -> bool:
    """Tell whether stored values are those of the predictions, rounding allowed for.

    Scores may have been rounded on the way to the file, so a hundredth of the error is allowed,
    and half a unit of the last digit that the stored values have, up to half of the error.
    """
    decimals = max(_count_decimals(value) for value in stored)
    slack = max(min(0.5 * 10.0**-decimals, result.error / 2), result.error / 100)
    return all(
        abs(ours - theirs) <= slack + _ROUNDING * abs(theirs)
        for ours, theirs in zip(result.values, stored, strict=True)
    )


def _count_decimals(value: float) -> int:
    """Return the decimals of ``value`` as it is written.

    >>> _count_decimals(0.8125), _count_decimals(3.0), _count_decimals(1.5e-7)
    (4, 0, 8)
    """
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _present(head: Predictions | None) -> Predictions:
    if head is None:
        raise TypeError("head is needed unless base is a Pair")
    return head


def estimate_metrics(
    pair: Pair, names: Iterable[str], cluster: str | None
) -> dict[str, Estimate | Undefined]:
    """Estimate the difference in each metric, or say why that cannot be."""
    try:
        comparison = Comparison(pair, _code_clusters(pair, cluster) if cluster else None)
    except Undefined as reason:
        return dict.fromkeys(names, reason)
    return {name: comparison.attempt(name) for name in names}


def _code_clusters(pair: Pair, cluster: str) -> NDArray[np.intp]:
    column = pair.columns.get(cluster)
    if column is None:
        raise Undefined(f"the predictions have no column {cluster!r} to cluster by"[:200])
    return code_values(column)


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
