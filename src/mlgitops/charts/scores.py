"""What the scores of a binary model say: ROC, precision and recall, calibration. Pure; numpy only.

One sort per model and class is all that grows with rows.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.charts.series import (
    BINS,
    GROUPS,
    can_be_drawn,
    find_cuts,
    keep_lines,
    make_bins,
    make_series,
)
from mlgitops.model import Chart, ChartKind, Series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mlgitops.charts.series import Floats, SideName
    from mlgitops.inference.labels import Coded
    from mlgitops.inference.matching import Pair

_THRESHOLDS = 400  # taken from each class's scores


def draw_scores(pair: Pair, coded: Coded) -> Iterator[Chart]:
    """Draw what the scores of a binary model say."""
    scores = {"base": pair.base_scores.get(""), "head": pair.head_scores.get("")}
    if len(coded.labels) != 2 or any(  # noqa: PLR2004 - negative and positive
        column is None or not can_be_drawn(column) for column in scores.values()
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
        yield from keep_lines(
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
        return make_series(self.side, x, y)

    def trace_precision(self) -> Series:
        """Trace precision against recall, from the highest threshold down."""
        hits, alarms = self._rates()
        x, y = hits / len(self._positives), hits / (hits + alarms)
        if x[0] > 0:  # the first threshold's precision holds for any lower recall
            x, y = np.append(0.0, x), np.append(y[0], y)
        return make_series(self.side, x, y)

    def trace_calibration(self) -> Series:
        """Trace the share of positives against the mean score; equal scores stay together."""
        ranked = np.concatenate([self._positives, self._negatives])
        ranked.sort()
        cuts = find_cuts(ranked)
        counts, sums = [], []
        for scores in (self._positives, self._negatives):
            at = _find_bounds(scores, cuts)
            counts.append(np.diff(at))
            sums.append([float(scores[i:j].sum()) for i, j in pairwise(at)])
        rows = counts[0] + counts[1]
        kept = rows > 0
        x = np.sum(sums, axis=0)[kept] / rows[kept]
        return make_series(self.side, x, counts[0][kept] / rows[kept])

    def count_scores(self, low: float, high: float) -> Series:
        """Count the rows in equally wide bins from ``low`` to ``high``, as a share of all."""
        edges = np.linspace(low, high, BINS + 1)[1:-1]
        rows = np.zeros(BINS)
        for scores in (self._positives, self._negatives):
            at = _find_bounds(scores, edges)
            rows += np.diff(at)
        return make_bins(self.side, low, high, rows)


def _take_evenly(ranked: Floats) -> Floats:
    """Return at most :data:`_THRESHOLDS` of the sorted scores, the ends among them."""
    if len(ranked) <= _THRESHOLDS:
        return ranked
    return ranked[np.linspace(0, len(ranked) - 1, _THRESHOLDS).round().astype(np.intp)]


def _find_bounds(ranked: Floats, edges: Floats) -> list[int]:
    """Return where each part of the sorted scores begins, and where the last one ends."""
    return [0, *np.searchsorted(ranked, edges).tolist(), len(ranked)]
