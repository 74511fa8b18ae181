"""Metrics that are functions of counts: accuracy, F1, MCC, kappa and their kin. Pure.

The rows are counted once into joint cells (target, base, head); all that follows costs the
number of cells. Removing one row from a cell changes a few class counts, so the metric
without that row is exact and cheap: the jackknife of the difference over all rows, grouped
by cell (Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 11).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.estimate import Undefined
from mlgitops.statistics.intervals import FEWEST_ROWS
from mlgitops.statistics.shares import PairedShare

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mlgitops.statistics.labels import Coded

    Floats = NDArray[np.float64]

#: With fewer rows on which the two models differ, the interval is too narrow too often.
FEWEST_DISAGREEMENTS = 10
#: With fewer rows of a class, metrics that rest on each class are.
FEWEST_OF_CLASS = 30
#: With fewer rows of which a model says a class, its precision is.
FEWEST_PREDICTED = 20
_CALLED_POSITIVE = ("1", "True", "true")
_BLOCK = 2**18
_DENSE = 2**21  # cells counted in a table; beyond, only those that occur


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """How many rows fall into each joint cell that occurs."""

    classes: int
    target: NDArray[np.intp]  # class of each cell
    base: NDArray[np.intp]
    head: NDArray[np.intp]
    rows: Floats  # in each cell
    codes: NDArray[np.int64]  # sorted
    has_positive: bool  # the last class is the positive one

    @property
    def disagreements(self) -> int:
        """Return the number of rows that the two models class differently."""
        return int(self.rows[self.base != self.head].sum())

    @cached_property
    def sides(self) -> tuple[Side, Side]:
        """Return base's and head's sums."""
        return sum_side(self, self.base), sum_side(self, self.head)


def count_cells(coded: Coded) -> Cells:
    """Count the joint cells in blocks, so that memory does not grow with the rows."""
    classes = len(coded.labels)
    dense = classes**3 <= _DENSE
    total = np.zeros(classes**3 if dense else 0, dtype=np.int64)
    coded_blocks: list[NDArray[np.unsignedinteger]] = []
    for start in range(0, len(coded.target), _BLOCK):
        codes = code_rows(coded, slice(start, start + _BLOCK))
        if dense:
            total += np.bincount(codes, minlength=len(total))
        else:
            coded_blocks.append(codes)
    if dense:
        cells = np.flatnonzero(total)
        rows = total[cells]
    else:
        cells, rows = np.unique(np.concatenate(coded_blocks), return_counts=True)
    return Cells(
        classes=classes,
        target=cells // classes**2,
        base=cells // classes % classes,
        head=cells % classes,
        rows=rows.astype(np.float64),
        codes=cells,
        # Where only one class occurs, it is the positive one if it is called so, as with
        # scikit-learn's `pos_label=1`: F1 of all-zero targets is 0.
        has_positive=classes > 1 or coded.names[0] in _CALLED_POSITIVE,
    )


def single_out(cells: Cells, label: int) -> tuple[Cells, NDArray[np.intp]]:
    """Count one class against all others.

    Returns the joint cells of the two, the class last, and which of them each of ``cells`` is in.
    """
    target, base, head = (
        (side == label).astype(np.int64) for side in (cells.target, cells.base, cells.head)
    )
    codes, parts = np.unique((target * 2 + base) * 2 + head, return_inverse=True)
    single = Cells(
        classes=2,
        target=codes // 4,
        base=codes // 2 % 2,
        head=codes % 2,
        rows=np.bincount(parts, weights=cells.rows).astype(np.float64, copy=False),
        codes=codes,
        has_positive=True,
    )
    return single, parts


def code_rows(coded: Coded, part: slice = slice(None)) -> NDArray[np.unsignedinteger]:
    """Return the joint cell of each row: (target * K + base) * K + head."""
    classes = len(coded.labels)
    codes = coded.target[part].astype(np.min_scalar_type(classes**3 - 1))
    for side in (coded.base, coded.head):
        codes *= classes
        codes += side[part]
    return codes


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over classes that the metrics are made of; arrays of equal shape."""

    rows: Floats
    hits: Floats  # rows classed right
    chance: Floats  # sum of target count * predicted count
    targets_squared: Floats
    predicted_squared: Floats
    recalls: Floats
    present: Floats  # classes found in the target
    precisions: Floats
    f1s: Floats
    seen: Floats  # classes found in the target or predicted
    weighted_f1: Floats  # sum of F1 * target count
    weighted_precision: Floats
    positive_hits: Floats  # of the last class, the positive one when there are two
    positive_targets: Floats
    positive_predicted: Floats


def ratio(top: Floats, bottom: Floats) -> Floats:
    """Divide; 0 where the bottom is 0, as scikit-learn's `zero_division=0`."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _class_terms(hits: Floats, targets: Floats, predicted: Floats, positive: Floats) -> Floats:
    """Return what one class adds to each of :class:`Sums`, stacked in that order."""
    precision = ratio(hits, predicted)
    f1 = ratio(2 * hits, targets + predicted)
    return np.stack([
        targets, hits, targets * predicted, targets * targets, predicted * predicted,
        ratio(hits, targets), (targets > 0).astype(float), precision, f1,
        (targets + predicted > 0).astype(float), targets * f1, targets * precision,
        hits * positive, targets * positive, predicted * positive,
    ])  # fmt: skip


def sum_classes(hits: Floats, targets: Floats, predicted: Floats) -> Sums:
    """Sum the counts of each class (first axis) up to :class:`Sums`."""
    positive = np.zeros((len(hits), *[1] * (hits.ndim - 1)))
    positive[-1] = 1
    return Sums(*_class_terms(hits, targets, predicted, positive).sum(axis=1))


def _mcc(s: Sums) -> Floats:
    """Return the multiclass Matthews coefficient (Gorodkin 2004, Comput. Biol. Chem. 28:367)."""
    squares = (s.rows**2 - s.predicted_squared) * (s.rows**2 - s.targets_squared)
    return ratio(s.hits * s.rows - s.chance, np.sqrt(np.maximum(squares, 0)))


def _kappa(s: Sums) -> Floats:
    """Return Cohen's kappa, unweighted (Cohen 1960, Educ. Psychol. Meas. 20:37)."""
    return ratio(s.hits * s.rows - s.chance, s.rows**2 - s.chance)


#: Metric → its value from the sums; scikit-learn's definitions.
METRICS: dict[str, Callable[[Sums], Floats]] = {
    "accuracy": lambda s: ratio(s.hits, s.rows),
    "balanced_accuracy": lambda s: ratio(s.recalls, s.present),
    "cohen_kappa": _kappa,
    "f1": lambda s: ratio(2 * s.positive_hits, s.positive_targets + s.positive_predicted),
    "f1_macro": lambda s: ratio(s.f1s, s.seen),
    "f1_micro": lambda s: ratio(s.hits, s.rows),
    "f1_weighted": lambda s: ratio(s.weighted_f1, s.rows),
    "mcc": _mcc,
    "precision": lambda s: ratio(s.positive_hits, s.positive_predicted),
    "precision_macro": lambda s: ratio(s.precisions, s.seen),
    "precision_micro": lambda s: ratio(s.hits, s.rows),
    "precision_weighted": lambda s: ratio(s.weighted_precision, s.rows),
    "recall": lambda s: ratio(s.positive_hits, s.positive_targets),
    "recall_macro": lambda s: ratio(s.recalls, s.seen),
    "recall_micro": lambda s: ratio(s.hits, s.rows),
    "recall_weighted": lambda s: ratio(s.hits, s.rows),
}
_OF_CLASSES = {"balanced_accuracy", "recall_macro"}
_POSITIVE = {"f1", "precision", "recall"}
#: Metrics that rest on every row alike; what others rest on is the rows of each class.
_BY_ROW = {"accuracy", "f1_micro", "precision_micro", "recall_micro", "recall_weighted"}
#: Metrics that divide by how often a class is predicted.
_OF_PREDICTED = {"precision", "precision_macro", "precision_weighted", "mcc"}


@dataclass(frozen=True, eq=False)
class Side:
    """One model's sums over all rows, and without one row of each cell."""

    full: Sums
    without: Sums
    changed: Sums  # with one row of each class answered otherwise


def sum_side(cells: Cells, predicted: NDArray[np.intp]) -> Side:
    """Return the sums of the model whose class in each cell is ``predicted``."""
    k, y, i = cells.classes, cells.target, predicted
    right = (y == i).astype(float)
    hits, targets, counted = (
        np.bincount(code, weights=weights, minlength=k).astype(np.float64, copy=False)
        for code, weights in ((y, cells.rows * right), (y, cells.rows), (i, cells.rows))
    )
    positive = np.zeros(k)
    positive[-1] = cells.has_positive
    terms = _class_terms(hits, targets, counted, positive)
    total = terms.sum(axis=1)
    # Without a row of the cell, its target's counts change, and its predicted class's.
    of_y = _class_terms(hits[y] - right, targets[y] - 1, counted[y] - right, positive[y])
    of_i = _class_terms(hits[i] - right, targets[i] - right, counted[i] - 1, positive[i])
    without = total[:, None] - terms[:, y] + of_y + (1 - right) * (of_i - terms[:, i])
    return Side(
        full=Sums(*total[:, None]),
        without=Sums(*without),
        changed=_change_rows((hits, targets, counted), positive, terms),
    )


def _change_rows(
    counted_rows: tuple[Floats, Floats, Floats], positive: Floats, terms: Floats
) -> Sums:
    """Return the sums with one row of each class answered wrong, or right where none is right.

    The wrong answer is the rarest other class: there one row counts for most.
    """
    hits, targets, counted = counted_rows
    k = len(hits)
    order = np.argsort(targets + counted, kind="stable")
    others = np.full(k, order[0])
    others[order[0]] = order[-1 if k == 1 else 1]
    step = np.where(hits > 0, -1.0, 1.0)
    own = _class_terms(hits + step, targets, counted + step, positive)
    other = _class_terms(
        hits[others], targets[others], np.maximum(counted[others] - step, 0), positive[others]
    )
    return Sums(*(terms.sum(axis=1)[:, None] - terms - terms[:, others] + own + other))


def find_steps(
    cells: Cells, base: Side, head: Side, metric: str
) -> tuple[tuple[float, float], ...]:
    """Return by class of the target what one row moves the metric by, and how many rows differ."""
    value = METRICS[metric]
    steps = [np.abs(value(side.changed) - value(side.full)) for side in (base, head)]
    differ = _sum_by_class(cells, cells.base != cells.head)
    present = _sum_by_class(cells, np.ones(len(cells.rows), dtype=bool)) > 0
    largest = np.maximum(*steps)
    return tuple(zip(largest[present].tolist(), differ[present].tolist(), strict=True))


def find_shares(cells: Cells, metric: str) -> tuple[PairedShare, ...]:
    """Return the paired shares that the metric is a weighted sum of; none where it is not."""
    right = [cells.target == side for side in (cells.base, cells.head)]
    everything = np.ones(len(cells.rows), dtype=bool)
    counts = [
        _sum_by_class(cells, chosen)
        for chosen in (everything, right[1] & ~right[0], right[0] & ~right[1])
    ]
    if metric in _BY_ROW:
        return (PairedShare(*(float(count.sum()) for count in counts)),)
    chosen = np.flatnonzero(counts[0] > 0)
    if metric == "recall":
        chosen = chosen[chosen == cells.classes - 1]
    elif metric not in _OF_CLASSES or (metric == "recall_macro" and len(chosen) < cells.classes):
        return ()
    weight = 1 / max(len(chosen), 1)
    return tuple(
        PairedShare(float(counts[0][at]), float(counts[1][at]), float(counts[2][at]), weight)
        for at in chosen.tolist()
    )


def _sum_by_class(cells: Cells, chosen: NDArray[np.bool_]) -> Floats:
    """Return how many rows of each class of the target lie in the cells ``chosen``."""
    counted = np.bincount(
        cells.target, weights=np.where(chosen, cells.rows, 0), minlength=cells.classes
    )
    return counted.astype(np.float64, copy=False)


def jackknife_counts(
    cells: Cells, base: Side, head: Side, metric: str
) -> tuple[tuple[float, float], Floats]:
    """Return the values of both sides, and one contribution per cell. Raises Undefined."""
    if metric in _POSITIVE and cells.classes > 2:  # noqa: PLR2004 - positive and negative
        raise Undefined(
            f"{metric} needs two classes and there are {cells.classes}: use {metric}_macro"
        )
    value = METRICS[metric]
    values = float(value(base.full)[0]), float(value(head.full)[0])
    without = value(head.without) - value(base.without)
    rows = float(cells.rows.sum())
    contributions = (cells.rows @ without / rows - without) * np.sqrt((rows - 1) / rows)
    return values, contributions


def find_warnings(cells: Cells, metric: str, *, is_score: bool) -> tuple[str, ...]:
    """Say which limits are missed from which the interval is shown to hold.

    ``is_score``: it is a score interval, which holds however few rows differ.
    """
    rows, differ = int(cells.rows.sum()), cells.disagreements
    rarest = int(np.bincount(cells.target, weights=cells.rows, minlength=cells.classes).min())
    texts = []
    if rows < FEWEST_ROWS:
        texts.append(f"only {rows} test rows; the method is shown to hold from {FEWEST_ROWS}")
    if differ < FEWEST_DISAGREEMENTS and not is_score:
        texts.append(
            f"the models differ on only {differ} rows; {FEWEST_DISAGREEMENTS} or more are needed"
            " to trust the interval"
        )
    if metric not in _BY_ROW:
        texts.extend(warn_of_class(rarest))
    if metric in _OF_PREDICTED:
        least = _count_predicted(cells)
        if least < FEWEST_PREDICTED:
            texts.append(
                f"a model says a class of only {least} rows; {FEWEST_PREDICTED} or more are needed"
            )
    return tuple(texts)


def warn_of_class(rarest: int) -> tuple[str, ...]:
    """Warn when the rarest class has few rows."""
    if rarest >= FEWEST_OF_CLASS:
        return ()
    has = {0: "no rows", 1: "only 1 row"}.get(rarest, f"only {rarest} rows")
    return (f"a class has {has}; {FEWEST_OF_CLASS} or more are needed",)


def _count_predicted(cells: Cells) -> int:
    """Return the rows that the rarest class is predicted for, at the side where these are fewer."""
    counted = (
        np.bincount(side, weights=cells.rows, minlength=cells.classes)
        for side in (cells.base, cells.head)
    )
    return int(min(float(rows.min()) for rows in counted))
