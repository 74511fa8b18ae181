"""What metrics files state, held against the predictions that it should be of. Pure; numpy only.

A metric's name may leave open of which class or average it is. Base's file then says which: of
what the name may mean, that which base's predictions give to the last digit of the file. Head
chooses nothing. Where base leaves it open too, the metric is not held against the predictions,
and the reason says so; what none of the meanings gives is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.compare import as_evidence
from mlgitops.statistics.estimate import Estimate, Undefined
from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.matching import Pair, match_predictions
from mlgitops.statistics.names import names_other_rows
from mlgitops.statistics.seeds import cover_seeds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.errors import MlgitopsError
    from mlgitops.model import Evidence
    from mlgitops.statistics.names import Definition, Reading
    from mlgitops.tables.predictions import Predictions

#: How far two computations of one number may lie apart, as a part of its size.
_ROUNDING = 1e-9
#: The coarsest rounding of a metrics file that explains a difference from its predictions: half
#: a hundredth, of the value where that is above 1. With `1.0` or `0.8` more digits may be hidden.
_MOST_ROUNDED = 0.005
_FEWEST = 2  # rows that any method needs
_NO_METHOD = "no method is known for a metric of this name"


class Contradiction(Undefined):
    """Head's predictions are not of what its metrics file states, and should be."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One metric as the metrics files of base and head state it."""

    name: str  # dotted
    base: float
    head: float
    greater_is_better: bool | None = None  # where a policy judges it


class Predicted:
    """Both sides' predictions, as what metrics files are held against."""

    def __init__(
        self,
        pair: Pair,
        base: Predictions,
        cluster: str | None,
        seeds: Iterable[Pair | MlgitopsError] = (),
    ) -> None:
        """``pair``: the matched rows; ``base``: all of base's; ``seeds``: pairs of other models."""
        self.pair = pair
        self._seeds = [_compare_seed(seed, pair, cluster) for seed in seeds]
        self._comparison = Comparison(pair, cluster)
        # Rows that head leaves out are base's all the same: what base states is of them too.
        self._whole = Comparison(match_predictions(base, base)) if pair.lost else self._comparison

    def check(self, stored: Stored) -> Estimate | Undefined:
        """Return the estimate of a metric if both files state what the predictions give.

        Else the reason. Where head's differs, or head lacks rows, it is a :class:`Contradiction`,
        unless base's differs too and the name allows that (`val.accuracy`, or an `f1` that is of
        no known average): an interval of the test rows says nothing of that one.
        """
        reading = self._whole.read_name(stored.name)
        if not reading.definitions:
            return Undefined(_NO_METHOD)
        definitions = _find_fitting(reading, self._whole, stored)
        results = [self._check(definition, reading, stored) for definition in definitions]
        refused = [result for result in results if isinstance(result, Contradiction)]
        if refused and len(refused) < len(results):
            return Undefined(f"{reading.doubt}, and head's predictions give it as one of them only")
        result = self._cover_seeds(results[0], definitions[0], stored)
        if isinstance(result, Undefined) or definitions[0] == reading.definitions[0]:
            return result
        return replace(result, method=f"{result.method}, of {definitions[0]}")

    def read_alone(self, stored: Stored, confidence: float) -> Evidence | None:
        """Return evidence for one metric on its own, without a correction.

        None when the predictions do not give what the files state: the metric is then of other
        rows (`train.accuracy`), or another one.
        """
        reading = self._comparison.read_name(stored.name)
        for definition in _find_fitting(reading, self._comparison, stored):
            result = self._comparison.measure(definition)
            if isinstance(result, Estimate) and _states(result, stored):
                covered = self._cover_seeds(result, definition, stored)
                return as_evidence(covered, self.pair, confidence)
        return None

    def _cover_seeds(
        self, result: Estimate | Undefined, definition: Definition, stored: Stored
    ) -> Estimate | Undefined:
        """Let the interval of an estimate cover the luck of the seed, where others were tried."""
        if isinstance(result, Undefined):
            return result
        others = [
            seed if isinstance(seed, Undefined) else seed.measure(definition)
            for seed in self._seeds
        ]
        return cover_seeds(result, others, greater_is_better=stored.greater_is_better)

    def _check(
        self, definition: Definition, reading: Reading, stored: Stored
    ) -> Estimate | Undefined:
        """Hold one definition of a metric against what both files state."""
        result, whole = self._comparison.measure(definition), self._whole.measure(definition)
        values = (stored.base, stored.head)
        error = 0.0 if isinstance(result, Undefined) else result.error
        slack = max(min(_half_unit(values), _limit_rounding(values)), error / 2)
        is_of_base = isinstance(whole, Estimate) and _fits(whole.values[0], stored.base, slack)
        if is_of_base and self.pair.lost:
            return Contradiction(describe_lost(self.pair))
        if isinstance(result, Undefined) or isinstance(whole, Undefined):
            return result
        is_of_head = _fits(result.values[1], stored.head, slack)
        if not is_of_base:
            ours, theirs = _tell_apart(whole.values[0], stored.base)
            text = f"base's predictions give {ours} and its metrics file says {theirs}"
            if reading.doubt is not None and not is_of_head:
                return Undefined(f"{text}: {reading.doubt}")
            reason = f"{text}: the two are of other rows, or of another run"
            on_other_rows = names_other_rows(stored.name)
            return Undefined(reason) if on_other_rows or is_of_head else _refuse_both(reason)
        if not is_of_head:
            ours, theirs = _tell_apart(result.values[1], stored.head)
            where = " on base's test rows" if self.pair.gained else ""
            return Contradiction(
                f"head's predictions give {ours}{where} and its metrics file says {theirs}, while"
                " base's agree"
            )
        return result


def _compare_seed(
    seed: Pair | MlgitopsError, served: Pair, cluster: str | None
) -> Comparison | Undefined:
    """Compare a pair of models on the rows that the served models answer, or say why not."""
    if not isinstance(seed, Pair):
        return Undefined(seed.what)
    left_out = (seed.lost, seed.gained), (served.lost, served.gained)
    if left_out[0] != left_out[1] or not _is_of_rows(seed, served):
        return Undefined("their predictions are not of the test rows that the served models answer")
    return Comparison(seed, cluster)


def _is_of_rows(seed: Pair, served: Pair) -> bool:
    """Tell whether both pairs are of the same rows, in whatever order their files have them."""
    if seed.rows != served.rows:
        return False
    if np.array_equal(seed.target, served.target):
        return True
    if seed.id is None or served.id is None:
        return False
    by_id = np.argsort(seed.id, kind="stable"), np.argsort(served.id, kind="stable")
    columns = (seed.id, served.id), (seed.target, served.target)
    return all(np.array_equal(first[by_id[0]], second[by_id[1]]) for first, second in columns)


def _find_fitting(reading: Reading, whole: Comparison, stored: Stored) -> tuple[Definition, ...]:
    """Return the usual definition of a metric, or those that base's file says it is of instead.

    The closest first. Only base's own value and digits count: with more digits in its file, head
    would choose.
    """
    usual, others = reading.definitions[:1], reading.definitions[1:]
    if not others or names_other_rows(stored.name) or _gives(whole.measure(usual[0]), stored.base):
        return usual
    fitting = [
        (abs(result.values[0] - stored.base), other)
        for other, result in ((other, whole.measure(other)) for other in others)
        if isinstance(result, Estimate) and _gives(result, stored.base)
    ]
    closest = sorted(fitting, key=lambda pair: pair[0])  # the first of equals stays first
    return tuple(other for _, other in closest) or usual


def _gives(result: Estimate | Undefined, base: float) -> bool:
    """Tell whether base's predictions give its stored value, to the digits that this has."""
    if isinstance(result, Undefined):
        return False
    return _fits(result.values[0], base, min(_half_unit((base,)), _limit_rounding((base,))))


def _states(result: Estimate, stored: Stored) -> bool:
    """Tell whether both files state an estimate's values."""
    values = (stored.base, stored.head)
    # Scores may have been rounded on the way to the file, so a hundredth of the error is allowed.
    slack = max(min(_half_unit(values), result.error / 2), result.error / 100)
    return all(
        _fits(ours, theirs, slack) for ours, theirs in zip(result.values, values, strict=True)
    )


def find_lost(
    base: Predictions, head: Predictions | None, metrics: Iterable[Stored], cluster: str | None
) -> set[str]:
    """Return the names of metrics that base's predictions give, and head's do not.

    Or give on no row that both have. Head's predictions are to blame then, rather than the metric
    or the test data.
    """
    whole = Comparison(match_predictions(base, base), cluster)
    given = {
        stored.name: [
            definition
            for definition in _find_fitting(whole.read_name(stored.name), whole, stored)
            if isinstance(whole.measure(definition), Estimate)
        ]
        for stored in metrics
    }
    if head is None or match_predictions(base, head).rows < _FEWEST:
        return {name for name, definitions in given.items() if definitions}
    alone = Comparison(match_predictions(head, head), cluster)
    return {
        name
        for name, definitions in given.items()
        if any(isinstance(alone.measure(definition), Undefined) for definition in definitions)
    }


def contradict_new(head: Predictions, name: str, value: float) -> str | None:
    """Say how head's own predictions deny the ``value`` of a metric that base has not.

    None where they give it to within the coarsest rounding, and where its name leaves open what
    it is of, or says that it is of other rows. One side alone has no error to allow for scores
    that were rounded, so the digits of the file do not count.
    """
    alone = Comparison(match_predictions(head, head))
    reading = alone.read_name(name)
    results = [alone.measure(definition) for definition in reading.definitions]
    values = [result.values[1] for result in results if isinstance(result, Estimate)]
    is_open = reading.doubt is not None or len(values) < len(results) or names_other_rows(name)
    slack = _limit_rounding((value,))
    if is_open or not values or any(_fits(number, value, slack) for number in values):
        return None
    ours, theirs = _tell_apart(values[0], value)
    return (
        f"head's predictions give {ours} and its metrics file says {theirs}; a metric of other rows"
        " says so in its name, such as `val.accuracy`"
    )


def describe_lost(pair: Pair) -> str:
    """Say how many of base's test rows head's predictions lack."""
    return (
        f"head's predictions do not hold {pair.lost:,} of base's {pair.rows + pair.lost:,} test"
        " rows as they are at base"
    )


def _refuse_both(reason: str) -> Contradiction:
    return Contradiction(
        f"{reason}, and head's disagree too; a metric of other rows says so in its name, such as"
        " `val.accuracy`"
    )


def _limit_rounding(values: tuple[float, ...]) -> float:
    return _MOST_ROUNDED * max(1.0, *map(abs, values))


def _fits(ours: float, theirs: float, slack: float) -> bool:
    """Tell whether a stored value is that of the predictions, to within ``slack``."""
    return abs(ours - theirs) <= slack + _ROUNDING * abs(theirs)


def _half_unit(values: tuple[float, ...]) -> float:
    """Return half a unit of the last digit that stored values have."""
    return 0.5 * 10.0 ** -max(map(_count_decimals, values))


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
