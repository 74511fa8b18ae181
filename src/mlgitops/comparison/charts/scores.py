"""What the scores of a binary model say: ROC, precision and recall, calibration. Pure; numpy only.

The sort of each model's scores is the one that its metrics use; each curve is a few look-ups
in its cumulative counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgitops.comparison.charts.series import (
    BINS,
    GROUPS,
    can_be_drawn,
    keep_lines,
    make_bins,
    make_series,
)
from mlgitops.model import Chart, ChartKind
from mlgitops.numeric import sort_distinct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mlgitops.comparison.charts.series import Floats, SideName
    from mlgitops.model import Series
    from mlgitops.statistics.matching import Pair
    from mlgitops.statistics.ranking import Ranking

_THRESHOLDS = 400  # taken from each class's scores


def draw_scores(pair: Pair) -> Iterator[Chart]:
    """Draw what the scores of a binary model say."""
    scores = (pair.base_scores.get(""), pair.head_scores.get(""))
    if len(pair.coded.labels) != 2 or any(  # noqa: PLR2004 - negative and positive
        column is None or not can_be_drawn(column) for column in scores
    ):
        return
    if pair.positive.all() or not pair.positive.any():
        return
    names: tuple[SideName, SideName] = ("base", "head")
    sides = [RankedSide(*side) for side in zip(names, pair.rankings, strict=True)]
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
    """One side's scores, sorted and grouped where they tie; there are rows of both classes."""

    def __init__(self, side: SideName, ranking: Ranking) -> None:
        self.side = side
        self._ranking = ranking
        self._positives = np.cumsum(ranking.positives)  # that score at most this much
        self._negatives = np.cumsum(ranking.negatives)
        self.low, self.high = float(ranking.scores[0]), float(ranking.scores[-1])
        places = [_find_ranks(self._positives), _find_ranks(self._negatives)]
        self._thresholds = sort_distinct(np.concatenate(places))[::-1]  # groups, from high to low

    def _rates(self) -> tuple[Floats, Floats]:
        """Return how many positives and negatives score at least each threshold."""
        at = self._thresholds
        hits = self._positives[-1] - self._positives[at] + self._ranking.positives[at]
        alarms = self._negatives[-1] - self._negatives[at] + self._ranking.negatives[at]
        return hits, alarms

    def trace_roc(self) -> Series:
        """Trace the ROC curve, from (0, 0) to (1, 1)."""
        hits, alarms = self._rates()
        x = np.append(0.0, alarms / self._negatives[-1])
        y = np.append(0.0, hits / self._positives[-1])
        return make_series(self.side, x, y)

    def trace_precision(self) -> Series:
        """Trace precision against recall, from the highest threshold down."""
        hits, alarms = self._rates()
        x, y = hits / self._positives[-1], hits / (hits + alarms)
        if x[0] > 0:  # the first threshold's precision holds for any lower recall
            x, y = np.append(0.0, x), np.append(y[0], y)
        return make_series(self.side, x, y)

    def trace_calibration(self) -> Series:
        """Trace the share of positives against the mean score; equal scores stay together."""
        rows = self._ranking.positives + self._ranking.negatives
        below = self._positives + self._negatives
        total = int(below[-1])
        cuts = [total * at // GROUPS for at in range(1, GROUPS)]
        starts = sort_distinct([0, *np.searchsorted(below, cuts, side="right")])
        counts = np.add.reduceat(rows, starts)
        x = np.add.reduceat(self._ranking.scores * rows, starts) / counts
        return make_series(self.side, x, np.add.reduceat(self._ranking.positives, starts) / counts)

    def count_scores(self, low: float, high: float) -> Series:
        """Count the rows in equally wide bins from ``low`` to ``high``, as a share of all."""
        edges = np.linspace(low, high, BINS + 1)[1:-1]
        below = np.append(0.0, self._positives + self._negatives)
        at = [0, *np.searchsorted(self._ranking.scores, edges), len(below) - 1]
        return make_bins(self.side, low, high, np.diff(below[at]))


def _find_ranks(counts: Floats) -> NDArray[np.intp]:
    """Return the groups of at most :data:`_THRESHOLDS` evenly taken rows, the ends among them.

    ``counts``: rows up to and with each group.
    """
    rows = int(counts[-1])
    ranks = np.linspace(0, rows - 1, min(rows, _THRESHOLDS)).round()
    return np.searchsorted(counts, ranks, side="right")
