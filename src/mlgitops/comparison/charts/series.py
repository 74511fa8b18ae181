"""Numbers to the series of a chart: few points, equal groups, even bins. Pure; numpy only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlgitops.comparison.charts.curves import MOST_POINTS, round_numbers, simplify
from mlgitops.model import MAX_DRAWN, Chart, Series
from mlgitops.numeric import sort_distinct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Floats: TypeAlias = NDArray[np.float64]
SideName: TypeAlias = Literal["base", "head"]

#: Groups of equally many rows in a calibration chart, bars of a histogram.
GROUPS = 10
BINS = 20


def can_be_drawn(values: Floats) -> bool:
    """Tell whether all values are finite, and small enough for axes to be computed."""
    most = MAX_DRAWN / 2  # differences fit too
    return bool(values.min() > -most and values.max() < most)  # false for NaN


def find_cuts(ranked: Floats) -> Floats:
    """Return the values at which a group of equally many rows begins; equal ones stay together."""
    return sort_distinct([ranked[len(ranked) * at // GROUPS] for at in range(1, GROUPS)])


def keep_lines(*, series: list[Series], **facts: object) -> Iterator[Chart]:
    """Yield the chart unless a side has one point only: a constant model has one group."""
    if all(len(side.x) > 1 for side in series):
        yield Chart(series=tuple(series), **facts)  # type: ignore[arg-type]


def make_series(side: SideName, x: Floats, y: Floats) -> Series:
    """Keep at most :data:`MOST_POINTS` points, rounded to what a screen can show."""
    kept = simplify(x.tolist(), y.tolist(), MOST_POINTS)
    return Series(side=side, x=round_numbers(x[kept]), y=round_numbers(y[kept]))


def make_bins(side: SideName, low: float, high: float, rows: Iterable[float]) -> Series:
    """Give each of :data:`BINS` equally wide bins its share of the rows."""
    counts = np.asarray(rows, dtype=float)
    edges = np.linspace(low, high, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    return Series(side=side, x=round_numbers(middles), y=round_numbers(counts / counts.sum()))
