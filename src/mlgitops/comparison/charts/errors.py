"""How far the predictions of a regression lie off, and where. Pure; numpy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgitops.comparison.charts.curves import round_number
from mlgitops.comparison.charts.series import (
    BINS,
    GROUPS,
    can_be_drawn,
    find_cuts,
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
    from mlgitops.statistics.matching import Pair


def draw_errors(pair: Pair) -> Iterator[Chart]:
    """Draw how far a regression's predictions lie off, and where."""
    columns = (pair.target, pair.base, pair.head)
    target, *predicted = (column.astype(np.float64) for column in columns)
    names: tuple[SideName, SideName] = ("base", "head")
    sides = dict(zip(names, predicted, strict=True))
    if not all(can_be_drawn(column) for column in (target, *predicted)):
        return
    residuals = {side: target - column for side, column in sides.items()}
    yield from _draw_residuals(residuals)
    groups = {side: Groups(column) for side, column in sides.items()}
    yield from keep_lines(
        name="calibration",
        kind=ChartKind.LINE,
        title=f"Calibration, {GROUPS} groups of equally many rows",
        x_label="Mean prediction",
        y_label="Mean target",
        diagonal=True,
        series=[
            make_series(side, groups[side].average(column), groups[side].average(target))
            for side, column in sides.items()
        ],
    )
    yield from keep_lines(
        name="error_by_prediction",
        kind=ChartKind.LINE,
        title="Size of the error where the prediction is low or high",
        x_label="Mean prediction",
        y_label="Mean absolute error",
        series=[
            make_series(
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
            make_bins(side, -reach, reach, _count_bins(column, reach))
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
        cuts = find_cuts(ranked)
        self._starts = sort_distinct(np.append(0, np.searchsorted(ranked, cuts)))
        self._rows = np.diff(np.append(self._starts, len(ranked)))

    def average(self, values: Floats) -> Floats:
        """Return the mean of ``values`` in each group."""
        return np.asarray(np.add.reduceat(values[self._order], self._starts) / self._rows)
