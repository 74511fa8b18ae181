"""Predictions of base and head to evidence for each metric. Pure; numpy only.

Metrics that the policy judges share one error rate and are read together; any other is read
alone, and only where the predictions give the very values that its metrics file states.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from mlgitops.model import Evidence, Interval
from mlgitops.statistics.estimate import Estimate, Undefined
from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.groups import code_values
from mlgitops.statistics.intervals import ROUGH, holm_confidence
from mlgitops.statistics.matching import Pair, match_predictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mlgitops.model import Rule
    from mlgitops.tables.predictions import Predictions

_Key = TypeVar("_Key")

#: How far two computations of one number may lie apart, as a part of its size.
_ROUNDING = 1e-9
#: The coarsest rounding of a metrics file that explains a difference from its predictions: half
#: a hundredth, of the value where that is above 1. With `1.0` or `0.8` more digits may be hidden.
_MOST_ROUNDED = 0.005
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
    pair: Pair, results: Mapping[_Key, Estimate | Undefined], confidence: float
) -> dict[_Key, Evidence]:
    """Return evidence for each of ``results``, with Holm's correction across all of them."""
    estimates = {name: result for name, result in results.items() if isinstance(result, Estimate)}
    levels = holm_confidence(
        {name: result.interval for name, result in estimates.items()}, confidence
    )
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
    if isinstance(result, Undefined):
        return None
    # Scores may have been rounded on the way to the file, so a hundredth of the error is allowed.
    slack = max(min(_half_unit(stored), result.error / 2), result.error / 100)
    fits = (_fits(ours, theirs, slack) for ours, theirs in zip(result.values, stored, strict=True))
    return _as_evidence(result, pair, confidence) if all(fits) else None


class Contradiction(Undefined):
    """Head's predictions are not of what its metrics file states, and should be."""


def check_stored(
    pair: Pair,
    result: Estimate | Undefined,
    whole: Estimate | Undefined,
    stored: tuple[float, float],
    *,
    on_other_rows: bool = False,
) -> Estimate | Undefined:
    """Return ``result`` if it is of what the metrics files state, else the reason.

    ``whole``: the same metric on all of base's rows. ``stored``: its values at base and head in
    their files. Where head's differs, or head lacks rows, it is a :class:`Contradiction`, unless
    base's differs too and the metric is ``on_other_rows`` by its name (`val.accuracy`): an
    interval of the test rows says nothing of that one.
    """
    if isinstance(result, Undefined) or isinstance(whole, Undefined):
        return result
    slack = max(min(_half_unit(stored), _limit_rounding(stored)), result.error / 2)
    is_of_head = _fits(result.values[1], stored[1], slack)
    if not _fits(whole.values[0], stored[0], slack):
        ours, theirs = _tell_apart(whole.values[0], stored[0])
        reason = (
            f"base's predictions give {ours} and its metrics file says {theirs}: the two are of"
            " other rows, or of another run"
        )
        return Undefined(reason) if on_other_rows or is_of_head else _refuse_both(reason)
    if pair.lost:
        return Contradiction(describe_lost(pair))
    if not is_of_head:
        ours, theirs = _tell_apart(result.values[1], stored[1])
        where = " on base's test rows" if pair.gained else ""
        return Contradiction(
            f"head's predictions give {ours}{where} and its metrics file says {theirs}, while"
            " base's agree"
        )
    return result


def _refuse_both(reason: str) -> Contradiction:
    return Contradiction(
        f"{reason}, and head's disagree too; a metric of other rows says so in its name, such as"
        " `val.accuracy`"
    )


def _limit_rounding(stored: tuple[float, float]) -> float:
    return _MOST_ROUNDED * max(1.0, *map(abs, stored))


def describe_lost(pair: Pair) -> str:
    """Say how many of base's test rows head's predictions lack."""
    return (
        f"head's predictions do not hold {pair.lost:,} of base's {pair.rows + pair.lost:,} test"
        " rows as they are at base"
    )


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


def _fits(ours: float, theirs: float, slack: float) -> bool:
    """Tell whether a stored value is that of the predictions, to within ``slack``."""
    return abs(ours - theirs) <= slack + _ROUNDING * abs(theirs)


def _half_unit(stored: tuple[float, float]) -> float:
    """Return half a unit of the last digit that the stored values have."""
    return 0.5 * 10.0 ** -max(_count_decimals(value) for value in stored)


def _tell_apart(number: float, other: float) -> tuple[str, str]:
    """Render two numbers with as few digits as tell them apart.

    >>> _tell_apart(0.8, 0.85), _tell_apart(0.70001, 0.7)
    (('0.8', '0.85'), ('0.70001', '0.7'))
    """
    texts = ((f"{number:.{digits}g}", f"{other:.{digits}g}") for digits in range(3, 17))
    return next((pair for pair in texts if pair[0] != pair[1]), (repr(number), repr(other)))


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
    method = f"{result.method}{ROUGH}" if result.warnings and result.error else result.method
    return Evidence(
        rows=pair.rows,
        interval=Interval(low=low, high=high, confidence=confidence, method=method),
        reason=_join([*result.warnings, *pair.notices]) or None,
    )


def _join(sentences: list[str]) -> str:
    return "; ".join(sentence.rstrip(".") for sentence in sentences)[:500]
