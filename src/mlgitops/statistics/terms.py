"""A slice metric to sums: what each row adds above and below the line. Pure.

Every metric here is a ratio of two sums over the rows of a group (RMSE is the root of one),
so its value in every group, and its error by linearisation, take one pass over the rows.
Rows that are alike (same group, target and classes) are counted together first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgitops.model.slice_metrics import split_metric
from mlgitops.statistics import losses
from mlgitops.statistics.estimate import Undefined

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mlgitops.statistics.labels import Coded
    from mlgitops.statistics.matching import Pair

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

#: What precision counts: rows of the model's own choice.
PREDICTED = "rows that base predicts as positive"
_DENSE = 2**22  # cells counted in a table; beyond, each row stands for itself


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """Rows, or cells of rows that are alike: the group of each, and how many rows it holds."""

    group: NDArray[np.intp]
    rows: Floats | None = None  # None: each unit is one row

    def count(self, groups: int) -> Floats:
        """Return the number of rows of each group."""
        totals = np.bincount(self.group, weights=self.rows, minlength=groups)
        return totals.astype(np.float64, copy=False)

    def sum(self, values: Floats, groups: int) -> Floats:
        """Return the sum of each group; all rows of a unit have its value."""
        weights = values if self.rows is None else self.rows * values
        totals = np.bincount(self.group, weights=weights, minlength=groups)
        return totals.astype(np.float64, copy=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """What each unit adds to the two sums of a metric, at base and head."""

    base: tuple[Floats, Floats | None]  # above and below the line; None: 1 for each row
    head: tuple[Floats, Floats | None]
    root: bool = False  # the metric is the root of the ratio
    share: bool = False  # what is counted is 0 or 1, out of the same rows on both sides
    zero: bool = False  # nothing below the line means 0, as in scikit-learn
    weight: float = 1.0  # what a row that is counted fully adds below the line
    counts: str = ""  # which rows of base these are; "": all
    absent: str = ""  # what a group lacks that has nothing below the line


#: Metric → what a row adds, from "is positive" and "is predicted positive".
RATES: dict[str, Callable[[Flags, Flags], tuple[Any, Any]]] = {
    "precision": lambda y, p: (y & p, p),
    "recall": lambda y, p: (y & p, y),
    "true_positive_rate": lambda y, p: (y & p, y),
    "false_negative_rate": lambda y, p: (y & ~p, y),
    "false_positive_rate": lambda y, p: (~y & p, ~y),
    "true_negative_rate": lambda y, p: (~y & ~p, ~y),
    "selection_rate": lambda y, p: (p, np.ones(len(y))),
    "f1": lambda y, p: (2.0 * (y & p), 1.0 * y + p),
}
_OF_POSITIVES = ("recall", "true_positive_rate", "false_negative_rate")
ERRORS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "mae": losses.absolute,
    "mse": losses.squared,
    "rmse": losses.squared,
    "mean_error": lambda target, prediction: prediction - target,
}


class Source:
    """A pair of predictions, and what the metrics of its slices share."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def find_terms(
        self, metric: str, group: NDArray[np.intp], groups: int, *, by_row: bool
    ) -> tuple[Units, Terms]:
        """Return units and their terms; ``by_row``: keep rows apart, to cluster them.

        Raises Undefined with the reason when the predictions cannot give the metric.
        """
        name, label = split_metric(metric) or ("", None)
        if name == "accuracy" or name in RATES:
            coded = self.pair.coded
            units, cells = _count_units(coded, group, groups, by_row=by_row)
            return units, _rate_terms(name, coded, self._find_class(name, label), cells)
        units = Units(group=group)
        if name in ERRORS:
            return units, self._error_terms(name)
        if name in ("calibration", "brier", "log_loss"):
            return units, self._score_terms(name, label)
        raise Undefined(f"no method is known for the slice metric `{metric[:80]}`")

    def check_class(self, name: str) -> None:
        """Raise Undefined unless it is clear which class ``name`` is of."""
        self._find_class(name, None)

    def _find_class(self, name: str, label: str | None) -> int:
        """Return the class that counts as positive: the one named, or the last of two."""
        names = self.pair.coded.names
        if label is not None:
            if label not in names:
                raise Undefined(f"no class is named `{label[:80]}`")
            return names.index(label)
        if len(names) > 2 and name != "accuracy":  # noqa: PLR2004 - positive and negative
            raise Undefined(
                f"`{name}` is of one class and there are {len(names)}: write `{name}_{names[0]}`,"
                " or another one"
            )
        if len(names) < 2 and name != "accuracy":  # noqa: PLR2004
            raise Undefined("there is only one class in target and predictions")
        return len(names) - 1

    def _error_terms(self, name: str) -> Terms:
        target, base, head = (self._read_numbers(role) for role in ("target", "base", "head"))
        error = ERRORS[name]
        return Terms(
            base=(error(target, base), None), head=(error(target, head), None), root=name == "rmse"
        )

    def _read_numbers(self, role: str) -> Floats:
        column = getattr(self.pair, role)
        if column.dtype.kind == "S":
            raise Undefined(f"the metric is of numbers, and {role} holds text")
        return _check_finite(column.astype(np.float64), role)

    def _score_terms(self, name: str, label: str | None) -> Terms:
        target = self.pair.coded.target == self._find_class(name, label)
        sides = []
        for side in ("base", "head"):
            score = self._find_score(side, label)
            if name == "calibration":
                sides.append(score - target)
            elif name == "brier":
                sides.append(losses.squared(target, score))
            else:
                sides.append(losses.log_loss(np.where(target, score, 1 - score)))
        return Terms(base=(sides[0], None), head=(sides[1], None))

    def _find_score(self, side: str, label: str | None) -> Floats:
        scores = getattr(self.pair, f"{side}_scores")
        name = label or ""
        if name not in scores and label is not None and "" in scores:
            raise Undefined(f"{side} has one score for two classes: leave out `_{label[:80]}`")
        if name not in scores:
            column = f"score_{label[:80]}" if label else "score"
            raise Undefined(f"{side} has no column `{column}`")
        score = _check_finite(scores[name], f"{side}'s score")
        if score.min() < 0 or score.max() > 1:
            raise Undefined(f"{side}'s scores leave the range from 0 to 1")
        return score


def _count_units(
    coded: Coded, group: NDArray[np.intp], groups: int, *, by_row: bool
) -> tuple[Units, tuple[NDArray[np.intp], ...]]:
    """Return the units, and target, base's and head's class of each."""
    classes = len(coded.labels)
    if by_row or groups * classes**3 > _DENSE:
        return Units(group=group), (
            coded.target.astype(np.intp), coded.base.astype(np.intp), coded.head.astype(np.intp)
        )  # fmt: skip
    codes = group.astype(np.min_scalar_type(groups * classes**3 - 1))
    for side in (coded.target, coded.base, coded.head):
        codes *= classes
        codes += side
    total = np.bincount(codes)
    cells = np.flatnonzero(total)
    units = Units(group=cells // classes**3, rows=total[cells].astype(np.float64))
    return units, (cells // classes**2 % classes, cells // classes % classes, cells % classes)


def _rate_terms(
    name: str, coded: Coded, positive: int, cells: tuple[NDArray[np.intp], ...]
) -> Terms:
    target, base, head = cells
    if name == "accuracy":
        return Terms(
            base=(_as_floats(base == target), None),
            head=(_as_floats(head == target), None),
            share=True,
        )
    rate = RATES[name]
    own = name in ("precision", "f1")  # what is below the line is the model's own doing
    lacks = "positive" if name in _OF_POSITIVES else "negative"
    if len(coded.labels) > 2:  # noqa: PLR2004 - several classes: one against the rest
        lacks = f"`{coded.names[positive]}`" if lacks == "positive" else "other"
    sides = [
        tuple(map(_as_floats, rate(target == positive, side == positive))) for side in (base, head)
    ]
    return Terms(
        base=(sides[0][0], sides[0][1]),
        head=(sides[1][0], sides[1][1]),
        share=not own,
        zero=own,
        weight=2.0 if name == "f1" else 1.0,
        counts=_name_counted(name, lacks),
        absent=f"no {lacks} rows",
    )


def _name_counted(rate: str, of: str) -> str:
    """Say which rows a rate counts below the line, at base."""
    if rate == "selection_rate":
        return ""
    if rate == "precision":
        return PREDICTED
    if rate == "f1":
        return "rows that are positive or predicted so at base, half of each"
    return f"{of} rows"


def _as_floats(flags: Flags | Floats) -> Floats:
    return flags.astype(np.float64, copy=False)


def _check_finite(values: Floats, role: str) -> Floats:
    bad = len(values) - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        raise Undefined(f"{role} has {bad:,} value(s) that are not finite")
    return values
