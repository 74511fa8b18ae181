"""Test rows that depend on the rows beside them, which intervals of single rows do not see. Pure.

Rows of one day, or of one customer, share what made them easy or hard. Where such rows stand side
by side, in the file or in the order of time, neighbours contribute alike to the difference of a
metric: its lag-1 autocorrelation is above what chance gives. Counted are only the contributions
of rows that count singly; by cluster, nothing is asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlgitops.statistics.estimate import (
    FEWEST_CLUSTERS,
    Estimate,
    Undefined,
    estimate_by_cluster,
    sum_squares,
)
from mlgitops.statistics.groups import code_values
from mlgitops.statistics.intervals import FEWEST_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from mlgitops.statistics.matching import Pair
    from mlgitops.tables.predictions import Column

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

#: The chance of a warning where rows are independent: that of three standard errors, one-sided.
_LEVEL = 0.00135
#: Classes up to which each one's own mean is taken out, so that a file sorted by class is none.
_MOST_CLASSES = 20
_CONFIDENCE = 0.95  # at which widths are compared
_LEAST_WIDER = 1.05
_MOST_COLUMNS = 20
_MOST_NAMED = 3
_TINY = 1e-300


class Neighbours(NamedTuple):
    """What rows have in common with the rows that follow them."""

    correlation: float  # of contributions, at lag 1: -1 to 1
    errors: float  # how many standard errors it lies above none


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """Rows that are not independent, by which order that shows, and what to cluster by."""

    metrics: tuple[str, ...]  # the one it shows most in first
    correlation: float  # of that one's contributions, at lag 1
    noise: float  # what chance alone may reach
    order: str | None  # the column that the rows were put in order by; None: the file's order
    column: str | None = None  # whose equal values belong together; None: no column says
    wider: float = 1.0  # factor of the interval's width with that column as clusters

    def __str__(self) -> str:
        """Return it as one sentence or two, with the column to cluster by."""
        names = ", ".join(f"`{name[:80]}`" for name in self.metrics[:_MOST_NAMED])
        order = "file" if self.order is None else f"order of `{self.order[:60]}`"
        return (
            f"{names}: test rows that follow one another in the {order} contribute alike to the"
            f" change (lag-1 autocorrelation {self.correlation:.2g}; noise reaches"
            f" {self.noise:.2g}), so they are not independent and the interval is too narrow."
            f" {self._advise()}"
        )

    def _advise(self) -> str:
        if self.column is None:
            return (
                "Write the column that says which rows belong together (a day, a customer) into"
                " the predictions, and name it as `cluster` in policy.yaml."
            )
        return (
            f"With `cluster: {self.column[:60]}` in policy.yaml it would be"
            f" {self.wider:.2g} times as wide."
        )


def correlate_neighbours(contributions: Floats) -> Neighbours:
    """Return the lag-1 autocorrelation, and how many standard errors it is above none.

    The smaller of two counts: r * sqrt(n), by Bartlett's error of an autocorrelation (1946, Suppl.
    J. R. Stat. Soc. 8:27), and the sum of the products of neighbours over the root of their sum of
    squares, which holds where a few rows are large or most are zero (Lobato, Nankervis & Savin
    2001, Int. Econ. Rev. 42:187).

    >>> round(correlate_neighbours(np.array([1.0, 1, 1, 1, -1, -1, -1, -1])).correlation, 6)
    0.625
    """
    centred = contributions - contributions.mean()
    size = math.sqrt(sum_squares(centred))
    if not 0 < size < math.inf:
        return Neighbours(0.0, 0.0)
    centred /= size
    products = centred[1:] * centred[:-1]
    correlation = float(products.sum())
    spread = max(math.sqrt(sum_squares(products)), _TINY)
    root = math.sqrt(len(centred))
    return Neighbours(correlation, min(correlation * root, correlation / spread))


def find_dependence(
    pair: Pair, estimates: Mapping[str, Estimate], moment: str | None
) -> Dependence | None:
    """Find whether test rows depend on their neighbours, in the file or in the order of time.

    ``estimates``: by the metric's name, of rows that count singly. ``moment``: the column that
    the split puts rows in order by, if it does. None where noise may explain what is seen.
    """
    by_row = {
        name: _take_out_classes(pair, result.by_row())
        for name, result in estimates.items()
        if result.by_row is not None and result.error > 0
    }
    orders = dict(_list_orders(pair, moment)) if by_row else {}
    if not orders or pair.rows < FEWEST_ROWS:
        return None
    limit = NormalDist().inv_cdf(1 - _LEVEL / (len(by_row) * len(orders)))
    scores = {
        (name, column): correlate_neighbours(_arrange(values, order))
        for name, values in by_row.items()
        for column, order in orders.items()
    }
    seen = sorted(
        (key for key, score in scores.items() if score.errors > limit),
        key=lambda key: -scores[key].errors,
    )
    if not seen:
        return None
    name, order = seen[0]
    column, wider = _choose_column(pair, estimates[name], moment)
    return Dependence(
        metrics=tuple(dict.fromkeys(name for name, _ in seen)),
        correlation=scores[seen[0]].correlation,
        noise=limit / math.sqrt(pair.rows),
        order=order,
        column=column,
        wider=wider,
    )


def _arrange(values: Floats, order: Codes | None) -> Floats:
    return values if order is None else values[order]


def _list_orders(pair: Pair, moment: str | None) -> Iterator[tuple[str | None, Codes | None]]:
    """List the orders in which neighbours are compared, by the column; None: as in the file.

    An order that also sorts the target is left out: its neighbours are alike without belonging
    together.
    """
    column = pair.columns.get(moment) if moment is not None else None
    order = _sort_rows(column) if column is not None else None
    if not _is_sorted(pair.target):
        in_time = column is not None and order is None
        yield (moment if in_time else None), None
    if order is not None and not _is_sorted(pair.target[order]):
        yield moment, order


def _sort_rows(column: Column) -> Codes | None:
    """Return the rows in the column's order, equal ones as they stand; None: they are in it."""
    codes = code_values(column)
    first = np.empty(int(codes.max()) + 1, dtype=np.intp)
    first[codes] = np.arange(len(codes))
    ranks = np.empty(len(first), dtype=np.intp)
    ranks[np.argsort(column[first], kind="stable")] = np.arange(len(first))
    ranked = ranks[codes]
    return None if _is_sorted(ranked) else np.argsort(ranked, kind="stable")


def _is_sorted(column: Column) -> bool:
    return bool((column[1:] >= column[:-1]).all() or (column[1:] <= column[:-1]).all())


def _take_out_classes(pair: Pair, by_row: Floats) -> Floats:
    """Return contributions without the mean of their row's class, where rows have few classes."""
    try:
        codes = pair.coded.target
    except Undefined:
        return by_row
    if len(pair.coded.labels) > _MOST_CLASSES:
        return by_row
    rows = np.maximum(np.bincount(codes), 1)
    means = np.bincount(codes, weights=by_row) / rows
    return np.asarray(by_row - means[codes], dtype=np.float64)


def _choose_column(pair: Pair, estimate: Estimate, moment: str | None) -> tuple[str | None, float]:
    """Choose the column to cluster by, and how many times as wide the interval is with it.

    What the split reads goes first; of the others, the one that widens most.
    """
    widths = {
        name: _widen(estimate, pair.columns[name]) for name in list(pair.columns)[:_MOST_COLUMNS]
    }
    if moment in widths and widths[moment] >= _LEAST_WIDER:
        return moment, widths[moment]
    column = max(widths, key=lambda name: widths[name], default=None)
    if column is None or widths[column] < _LEAST_WIDER:
        return None, 1.0
    return column, widths[column]


def _widen(estimate: Estimate, column: Column) -> float:
    """Return how many times as wide the interval is with a column's values as clusters.

    0 where they are none: too few, or hardly one that repeats.
    """
    if estimate.by_row is None or column.dtype.kind not in "iuS":
        return 0.0
    codes = code_values(column)
    count = int(codes.max()) + 1
    if not FEWEST_CLUSTERS <= count <= len(codes) // 2:
        return 0.0
    try:
        clustered = estimate_by_cluster(estimate, estimate.by_row(), codes)
    except Undefined:
        return 0.0
    return _measure_width(clustered) / _measure_width(estimate)


def _measure_width(estimate: Estimate) -> float:
    """Return the width of an interval; each side's own errors are not known by cluster."""
    low, high = replace(estimate, sides=None).interval(_CONFIDENCE)
    return high - low
