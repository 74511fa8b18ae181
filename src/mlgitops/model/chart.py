"""What is drawn: one chart that overlays base and head, checked when it is read."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta

from mlgitops.model.fields import Name, Struct

#: Larger numbers overflow when axes are computed.
MAX_DRAWN = 1e100


class ChartKind(StrEnum):
    """How the numbers of a chart are drawn."""

    LINE = "line"  # y against x, straight between points
    STEPS = "steps"  # a histogram: x are the middles of equally wide bins
    BARS = "bars"  # one bar for each label
    MATRIX = "matrix"  # labels down and across; y row by row


class Series(Struct, frozen=True, kw_only=True):
    """One side's points; ``x`` is empty where the chart has labels instead."""

    side: Literal["base", "head"]
    x: Annotated[tuple[float, ...], Meta(max_length=30)] = ()
    y: Annotated[tuple[float, ...], Meta(min_length=1, max_length=100)]


class Chart(Struct, frozen=True, kw_only=True):
    """One chart that overlays base and head."""

    name: Name  # such as "roc", or the path of a plot that dvc.yaml declares
    kind: ChartKind
    title: Annotated[str, Meta(min_length=1, max_length=100)]
    x_label: Annotated[str, Meta(max_length=60)]
    y_label: Annotated[str, Meta(max_length=60)]
    labels: Annotated[tuple[Annotated[str, Meta(max_length=60)], ...], Meta(max_length=30)] = ()
    diagonal: bool = False  # y = x is worth a line: chance, or perfect calibration
    series: Annotated[tuple[Series, ...], Meta(min_length=1, max_length=2)]  # base first

    def __post_init__(self) -> None:
        """Refuse points that do not belong together; decoding runs this too."""
        sides = [series.side for series in self.series]
        if sides != sorted(set(sides)):
            raise ValueError("the series of a chart are base, head, or both in this order")
        by_label = self.kind in (ChartKind.BARS, ChartKind.MATRIX)
        wanted = len(self.labels) ** (2 if self.kind is ChartKind.MATRIX else 1)
        for series in self.series:
            if len(series.y) != (wanted if by_label else len(series.x)):
                raise ValueError("a chart has as many y as it has x, labels or cells")
            if not all(abs(value) < MAX_DRAWN for value in (*series.x, *series.y)):
                raise ValueError("a chart holds a number that cannot be drawn")
            if not by_label:
                _check_order(series.x)
            if self.kind is ChartKind.STEPS and not _are_even(series.x, self.series[0].x):
                raise ValueError("the bins of a histogram are not equally wide")


def _check_order(x: tuple[float, ...]) -> None:
    if len(x) < 2:  # noqa: PLR2004 - it would be a dot
        raise ValueError("a line needs two points")
    if any(after < before for before, after in pairwise(x)):
        raise ValueError("the points of a chart go from left to right")


def _are_even(x: tuple[float, ...], first: tuple[float, ...]) -> bool:
    width = (x[-1] - x[0]) / (len(x) - 1)
    steps = (after - before for before, after in pairwise(x))
    return width > 0 and x == first and all(abs(step - width) <= width / 100 for step in steps)
