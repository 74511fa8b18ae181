"""Predictions of base and head, matched, to the charts that suit the task. Pure; numpy only.

Every point of a curve is exact: it belongs to a score that occurs. Which points are kept is
decided by :mod:`mlgitops.charts.curves`. One sort per model and class is all that grows with rows.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlgitops.charts.curves import MOST_POINTS, round_number, round_numbers, simplify
from mlgitops.inference.estimate import Undefined
from mlgitops.inference.labels import Coded, code_labels
from mlgitops.model import MAX_DRAWN, Chart, ChartKind, Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from mlgitops.inference.matching import Pair

    Floats = NDArray[np.float64]
    SideName = Literal["base", "head"]

#: Labels beyond which a confusion matrix can't be read, and bars can't be told apart.
MOST_MATRIX_LABELS = 10
MOST_BARS = 30
#: Groups of equally many rows in a calibration chart, bars of a histogram.
GROUPS = 10
BINS = 20
_FEW_VALUES = 20  # whole numbers with at most so many values, and no scores, are classes
_THRESHOLDS = 400  # taken from each class's scores
_LABEL_LENGTH = 60


def draw_charts(pair: Pair) -> tuple[Chart, ...]:
    """Return the charts of a matched pair: binary, multiclass or regression, as it is.

    What cannot be drawn (no scores, values that are not finite, one class only) is left out:
    the metrics say why.
    """
    if pair.rows < 2:  # noqa: PLR2004 - a line needs two points
        return ()
    with np.errstate(all="ignore"):  # what overflows is not drawn
        if _is_regression(pair):
            return tuple(_draw_errors(pair))
        try:
            coded = code_labels(pair)
        except Undefined:
            return ()
        return (*_draw_scores(pair, coded), *_draw_classes(coded))


def _is_regression(pair: Pair) -> bool:
    """Tell numbers from classes, as nothing in the file says which they are."""
    columns = (pair.target, pair.base, pair.head)
    if pair.base_scores or pair.head_scores or any(c.dtype.kind == "S" for c in columns):
        return False
    if any(column.dtype.kind == "f" for column in columns):
        return True
    return int(pair.target.max()) - int(pair.target.min()) >= _FEW_VALUES


def _can_be_drawn(values: Floats) -> bool:
    return bool(np.abs(values).max() < MAX_DRAWN / 2)  # false for NaN; differences fit too


def _draw_scores(pair: Pair, coded: Coded) -> Iterator[Chart]:
    """Draw what the scores of a binary model say."""
    scores = {"base": pair.base_scores.get(""), "head": pair.head_scores.get("")}
    if len(coded.labels) != 2 or any(  # noqa: PLR2004 - negative and positive
        column is None or not _can_be_drawn(column) for column in scores.values()
    ):
        return
    positive = coded.target == 1
    if positive.all() or not positive.any():
        return
    sides = [
        RankedSide(side, column, positive) for side, column in scores.items() if column is not None
    ]
    yield Chart(
        name="roc",
        kind=ChartKind.LINE,
        title="ROC curve",
        x_label="False positive rate",
        y_label="True positive rate",
        diagonal=True,
        series=tuple(side.trace_roc() for side in sides),
    )
    yield Chart(
        name="precision_recall",
        kind=ChartKind.LINE,
        title="Precision and recall",
        x_label="Recall",
        y_label="Precision",
        series=tuple(side.trace_precision() for side in sides),
    )
    low = min(0.0, *(side.low for side in sides))
    high = max(1.0, *(side.high for side in sides))
    if (low, high) == (0, 1):
        yield from _keep_lines(
            name="calibration",
            kind=ChartKind.LINE,
            title=f"Calibration, {GROUPS} groups of equally many rows",
            x_label="Mean score",
            y_label="Share of positives",
            diagonal=True,
            series=[side.trace_calibration() for side in sides],
        )
    yield Chart(
        name="scores",
        kind=ChartKind.STEPS,
        title="Distribution of scores",
        x_label="Score",
        y_label="Share of rows",
        series=tuple(side.count_scores(low, high) for side in sides),
    )


class RankedSide:
    """One binary model's scores, sorted within each class: any curve is a few look-ups."""

    def __init__(self, side: str, score: Floats, positive: NDArray[np.bool_]) -> None:
        self.side: SideName = "base" if side == "base" else "head"
        self._positives = np.sort(score[positive])
        self._negatives = np.sort(score[~positive])
        self.low = float(min(self._positives[0], self._negatives[0]))
        self.high = float(max(self._positives[-1], self._negatives[-1]))
        edges = [_take_evenly(self._positives), _take_evenly(self._negatives)]
        self._thresholds = np.unique(np.concatenate(edges))[::-1]  # from high to low

    def _rates(self) -> tuple[Floats, Floats]:
        """Return how many positives and negatives score at least each threshold."""
        hits = len(self._positives) - np.searchsorted(self._positives, self._thresholds)
        alarms = len(self._negatives) - np.searchsorted(self._negatives, self._thresholds)
        return hits.astype(float), alarms.astype(float)

    def trace_roc(self) -> Series:
        """Trace the ROC curve, from (0, 0) to (1, 1)."""
        hits, alarms = self._rates()
        x = np.append(0.0, alarms / len(self._negatives))
        y = np.append(0.0, hits / len(self._positives))
        return _make_series(self.side, x, y)

    def trace_precision(self) -> Series:
        """Trace precision against recall, from the highest threshold down."""
        hits, alarms = self._rates()
        x, y = hits / len(self._positives), hits / (hits + alarms)
        if x[0] > 0:  # the first threshold's precision holds for any lower recall
            x, y = np.append(0.0, x), np.append(y[0], y)
        return _make_series(self.side, x, y)

    def trace_calibration(self) -> Series:
        """Trace the share of positives against the mean score; equal scores stay together."""
        ranked = np.concatenate([self._positives, self._negatives])
        ranked.sort()
        # A group begins at each of these scores.
        cuts = np.unique([ranked[len(ranked) * at // GROUPS] for at in range(1, GROUPS)])
        counts, sums = [], []
        for scores in (self._positives, self._negatives):
            at = [0, *np.searchsorted(scores, cuts), len(scores)]
            counts.append(np.diff(at))
            sums.append([float(scores[i:j].sum()) for i, j in pairwise(at)])
        rows = counts[0] + counts[1]
        kept = rows > 0
        x = np.sum(sums, axis=0)[kept] / rows[kept]
        return _make_series(self.side, x, counts[0][kept] / rows[kept])

    def count_scores(self, low: float, high: float) -> Series:
        """Count the rows in equally wide bins from ``low`` to ``high``, as a share of all."""
        edges = np.linspace(low, high, BINS + 1)[1:-1]
        rows = np.zeros(BINS)
        for scores in (self._positives, self._negatives):
            at = [0, *np.searchsorted(scores, edges), len(scores)]
            rows += np.diff(at)
        return _make_bins(self.side, low, high, rows)


def _take_evenly(ranked: Floats) -> Floats:
    """Return at most :data:`_THRESHOLDS` of the sorted scores, the ends among them."""
    if len(ranked) <= _THRESHOLDS:
        return ranked
    return ranked[np.linspace(0, len(ranked) - 1, _THRESHOLDS).round().astype(np.intp)]


def _draw_classes(coded: Coded) -> Iterator[Chart]:
    """Draw which class was taken for which, and how well each is found."""
    size = len(coded.labels)
    if size < 2:  # noqa: PLR2004 - one class can't be mistaken
        return
    sides: dict[SideName, NDArray[np.intp]] = {
        "base": _count_pairs(coded.target, coded.base, size),
        "head": _count_pairs(coded.target, coded.head, size),
    }
    names = tuple(_shorten(name) for name in coded.names)
    if size <= MOST_MATRIX_LABELS:
        yield Chart(
            name="confusion",
            kind=ChartKind.MATRIX,
            title="Confusion: rows by actual and predicted class",
            x_label="Predicted",
            y_label="Actual",
            labels=names,
            series=tuple(
                Series(side=side, y=tuple(counts.ravel().tolist()))
                for side, counts in sides.items()
            ),
        )
    if size > 2:  # noqa: PLR2004 - for two classes the metrics say it
        kept = np.sort(np.argsort(-sides["head"].sum(axis=1), kind="stable")[:MOST_BARS])
        for title, measure in (("F1", _measure_f1), ("Recall", _measure_recall)):
            yield Chart(
                name=f"{title.lower()}_by_class",
                kind=ChartKind.BARS,
                title=f"{title} of each class",
                x_label="Class" if size <= MOST_BARS else f"The {MOST_BARS} largest classes",
                y_label=title,
                labels=tuple(names[at] for at in kept),
                series=tuple(
                    Series(side=side, y=round_numbers(measure(counts)[kept]))
                    for side, counts in sides.items()
                ),
            )


def _count_pairs(
    target: NDArray[np.integer], predicted: NDArray[np.integer], size: int
) -> NDArray[np.intp]:
    """Count rows by actual (down) and predicted class (across)."""
    cells = target.astype(np.intp) * size + predicted
    return np.bincount(cells, minlength=size * size).reshape(size, size)


def _measure_recall(counts: NDArray[np.intp]) -> Floats:
    return np.asarray(np.diag(counts) / np.maximum(counts.sum(axis=1), 1))


def _measure_f1(counts: NDArray[np.intp]) -> Floats:
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return np.asarray(2 * np.diag(counts) / np.maximum(both, 1))


def _draw_errors(pair: Pair) -> Iterator[Chart]:
    """Draw how far a regression's predictions lie off, and where."""
    columns = (pair.target, pair.base, pair.head)
    target, *predicted = (column.astype(np.float64) for column in columns)
    names: tuple[SideName, SideName] = ("base", "head")
    sides = dict(zip(names, predicted, strict=True))
    if not all(_can_be_drawn(column) for column in (target, *predicted)):
        return
    residuals = {side: target - column for side, column in sides.items()}
    yield from _draw_residuals(residuals)
    groups = {side: Groups(column) for side, column in sides.items()}
    yield from _keep_lines(
        name="calibration",
        kind=ChartKind.LINE,
        title=f"Calibration, {GROUPS} groups of equally many rows",
        x_label="Mean prediction",
        y_label="Mean target",
        diagonal=True,
        series=[
            _make_series(side, groups[side].average(column), groups[side].average(target))
            for side, column in sides.items()
        ],
    )
    yield from _keep_lines(
        name="error_by_prediction",
        kind=ChartKind.LINE,
        title="Size of the error where the prediction is low or high",
        x_label="Mean prediction",
        y_label="Mean absolute error",
        series=[
            _make_series(
                side,
                groups[side].average(column),
                groups[side].average(np.abs(residuals[side])),
            )
            for side, column in sides.items()
        ],
    )


def _draw_residuals(residuals: dict[SideName, Floats]) -> Iterator[Chart]:
    """Draw the distribution of residuals; the outermost 1 % at each end joins the last bin."""
    ends = [np.quantile(_sample(column), [0.01, 0.99]) for column in residuals.values()]
    reach = round_number(float(np.abs(ends).max()), 2)
    if not np.isfinite(reach) or reach <= 0:
        return
    yield Chart(
        name="residuals",
        kind=ChartKind.STEPS,
        title="Distribution of residuals",
        x_label="Target minus prediction, the ends hold all beyond",
        y_label="Share of rows",
        series=tuple(
            _make_bins(side, -reach, reach, _count_bins(column, reach))
            for side, column in residuals.items()
        ),
    )


def _sample(values: Floats) -> Floats:
    """Return evenly spaced rows, at most 100,000: enough to choose an axis by."""
    return values[:: max(1, len(values) // 100_000)]


def _count_bins(values: Floats, reach: float) -> NDArray[np.intp]:
    """Count values in equally wide bins; what lies outside joins the first or last."""
    at = np.clip((values / reach + 1) * (BINS / 2), 0, BINS - 1)
    return np.bincount(at.astype(np.int8), minlength=BINS)


class Groups:
    """The rows in groups of equally many, by prediction; equal predictions stay together."""

    def __init__(self, predicted: Floats) -> None:
        self._order = np.argsort(predicted)
        ranked = predicted[self._order]
        cuts = np.unique([ranked[len(ranked) * at // GROUPS] for at in range(1, GROUPS)])
        self._starts = np.unique(np.append(0, np.searchsorted(ranked, cuts)))
        self._rows = np.diff(np.append(self._starts, len(ranked)))

    def average(self, values: Floats) -> Floats:
        """Return the mean of ``values`` in each group."""
        return np.asarray(np.add.reduceat(values[self._order], self._starts) / self._rows)


def _keep_lines(*, series: list[Series], **facts: object) -> Iterator[Chart]:
    """Yield the chart unless a side has one point only: a constant model has one group."""
    if all(len(side.x) > 1 for side in series):
        yield Chart(series=tuple(series), **facts)  # type: ignore[arg-type]


def _make_series(side: SideName, x: Floats, y: Floats) -> Series:
    """Keep at most :data:`MOST_POINTS` points, rounded to what a screen can show."""
    kept = simplify(x.tolist(), y.tolist(), MOST_POINTS)
    return Series(side=side, x=round_numbers(x[kept]), y=round_numbers(y[kept]))


def _make_bins(side: SideName, low: float, high: float, rows: Iterable[float]) -> Series:
    counts = np.asarray(rows, dtype=float)
    edges = np.linspace(low, high, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    return Series(side=side, x=round_numbers(middles), y=round_numbers(counts / counts.sum()))


def _shorten(name: str) -> str:
    return name if len(name) <= _LABEL_LENGTH else name[: _LABEL_LENGTH - 1] + "…"
