"""Which test rows two models answer differently, the largest moves of the loss first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgitops.model.flips import Flip, Flips
from mlgitops.statistics.estimate import Undefined
from mlgitops.statistics.labels import name_label
from mlgitops.statistics.losses import absolute, log_loss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mlgitops.statistics.matching import Pair

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

#: Whole numbers without scores are classes where there are at most so many.
_MOST_CLASSES = 20
_MAX_TEXT = 200
_DECIMALS = 12  # beyond which two losses are equal: 1 - 0.9 is not quite 0.1


def find_flips(pair: Pair, columns: Sequence[str], most: int) -> Flips:
    """Find the rows that went wrong and those that came right, at most ``most`` of each.

    ``columns``: those of the predictions that are listed with a row. Raises Undefined where
    targets and predictions are neither classes nor finite numbers.
    """
    of_classes = _is_of_classes(pair)
    losses = _measure_classes(pair) if of_classes else _measure_numbers(pair)
    moved = losses[1] - losses[0]
    worse, better = _find_crossings(pair) if of_classes else (moved > 0, moved < 0)
    listed = [
        _list_largest(rows, change, most) for rows, change in ((worse, moved), (better, -moved))
    ]
    return Flips(
        of_classes=of_classes,
        rows=pair.rows,
        worse=tuple(_describe(pair, row, losses, columns) for row in listed[0].tolist()),
        better=tuple(_describe(pair, row, losses, columns) for row in listed[1].tolist()),
        worse_rows=int(np.count_nonzero(worse)),
        better_rows=int(np.count_nonzero(better)),
    )


def count_changed(pair: Pair) -> int | None:
    """Count the rows that both models put into different classes; None where there are none."""
    if not _is_of_classes(pair):
        return None
    try:
        return int(np.count_nonzero(pair.coded.base != pair.coded.head))
    except Undefined:
        return None


def _is_of_classes(pair: Pair) -> bool:
    """Tell classes from numbers, which have no scores and many different values."""
    if pair.base_scores or pair.head_scores or pair.target.dtype.kind == "S":
        return True
    try:
        return len(pair.coded.labels) <= _MOST_CLASSES
    except Undefined:
        return False


def _find_crossings(pair: Pair) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are right at base alone, and which at head alone."""
    coded = pair.coded
    at_base, at_head = coded.base == coded.target, coded.head == coded.target
    return at_base & ~at_head, at_head & ~at_base


def _measure_classes(pair: Pair) -> tuple[Floats, Floats]:
    """Return both sides' log loss of each row; 0 and 1 for right and wrong where one has none."""
    scores = [_find_own(pair, side) for side in (pair.base_scores, pair.head_scores)]
    base, head = scores
    if base is not None and head is not None:
        return log_loss(base), log_loss(head)
    coded = pair.coded
    wrong = [(side != coded.target).astype(np.float64) for side in (coded.base, coded.head)]
    return wrong[0], wrong[1]


def _find_own(pair: Pair, scores: Mapping[str, Floats]) -> Floats | None:
    """Return the probability of each row's own class; None where the scores are none."""
    if not scores or any(not (side.min() >= 0 and side.max() <= 1) for side in scores.values()):
        return None
    if "" in scores:
        return np.where(pair.positive, scores[""], 1 - scores[""])
    coded = pair.coded
    own = np.full(pair.rows, np.nan)
    for label, column in scores.items():
        if label in coded.names:
            is_own = coded.target == coded.names.index(label)
            own[is_own] = column[is_own]
    return None if np.isnan(own).any() else own


def _measure_numbers(pair: Pair) -> tuple[Floats, Floats]:
    """Return both sides' absolute error of each row."""
    if "S" in {column.dtype.kind for column in (pair.target, pair.base, pair.head)}:
        raise Undefined("the predictions are neither classes nor numbers")
    target = pair.target.astype(np.float64)
    errors = [absolute(target, side.astype(np.float64)) for side in (pair.base, pair.head)]
    if not all(np.isfinite(side).all() for side in errors):
        raise Undefined("a target or a prediction is not a finite number")
    return errors[0], errors[1]


def _list_largest(rows: NDArray[np.bool_], change: Floats, most: int) -> Rows:
    """List the chosen rows by their change, the largest first; equal ones as they stand."""
    chosen = np.flatnonzero(rows)
    cost = np.round(change[chosen], _DECIMALS)
    return chosen[np.argsort(-cost, kind="stable")[:most]]


def _describe(pair: Pair, row: int, losses: tuple[Floats, Floats], columns: Sequence[str]) -> Flip:
    def show(column: NDArray[np.generic]) -> str:
        return name_label(column[row].item())[:_MAX_TEXT]

    return Flip(
        id=show(pair.id) if pair.id is not None else "",
        target=show(pair.target),
        base=show(pair.base),
        head=show(pair.head),
        base_loss=float(losses[0][row]),
        head_loss=float(losses[1][row]),
        columns={name: show(pair.columns[name]) for name in columns},
    )
