"""How far the distribution of a column moved from base to head: an effect size. Pure.

The effect size is the population stability index, PSI = sum over bins of
(head - base) ln(head / base), on shares of rows (Siddiqi 2006, Credit Risk Scorecards, ch. 10;
the same as the symmetrised Kullback-Leibler divergence). 0.1 is a small shift and 0.25 a large
one by his rule of thumb. It is an effect size, not a test: a p-value would call every shift of
a large table significant.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from mlgitops.model import SHIFTED
from mlgitops.numeric import count_distinct, sort_distinct
from mlgitops.tables.table import ColumnKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlgitops.tables.table import Column

#: Numbers are cut at the base's deciles, unless the base has at most so many different ones.
BINS = 10
#: Least share of a bin. An empty one would make PSI infinite; this floor, or half a row where
#: that is more, keeps one odd row of a small table from deciding.
FLOOR = 1e-4
#: Levels of a text column that are named, each way.
MAX_NAMED = 5

#: So many levels may be categories in any table; more of them need so many rows each.
_FEW_LEVELS, _ROWS_A_LEVEL = 20, 5

_NOISE = 1.645  # standard deviations: a false alarm in about 5 of 100 cases


class Drift(Struct, frozen=True, kw_only=True):
    """How far one column moved; ``reason`` says why there is no PSI."""

    psi: float | None = None
    expected: float | None = None  # PSI's mean without any drift
    mean_shift: float | None = None  # in the base's standard deviations
    reason: str | None = None
    new_levels: tuple[str, ...] = ()
    gone_levels: tuple[str, ...] = ()
    more_levels: int = 0


def measure_drift(base: Column, head: Column) -> Drift:
    """Measure how far a column moved; missing cells are left out, their share is told apart."""
    if base.kind is not head.kind:
        return Drift(reason=f"{base.kind.value} at base, {head.kind.value} at head")
    if base.kind is ColumnKind.EMPTY:
        return Drift(reason="no values")
    if base.values is not None and head.values is not None:
        return _measure_numbers(base, head)
    if _is_own(base) or _is_own(head):
        return Drift(reason="too many different texts")
    return _measure_levels(base, head)


def _is_own(column: Column) -> bool:
    """Tell whether texts are the rows' own, as names and comments are, and no categories."""
    if column.levels is None:
        return True
    few = max(_FEW_LEVELS, (column.missing.size - int(column.missing.sum())) // _ROWS_A_LEVEL)
    return len(column.levels) > few


def compute_psi(base: NDArray[np.int64], head: NDArray[np.int64]) -> float:
    """Compute PSI from the rows in each bin.

    >>> round(compute_psi(np.array([50, 50]), np.array([80, 20])), 3)
    0.416
    """
    base_shares, head_shares = _shares(base), _shares(head)
    return max(0.0, float(np.sum((head_shares - base_shares) * np.log(head_shares / base_shares))))


def expect_psi(bins: int, base_rows: int, head_rows: int) -> tuple[float, float]:
    """Return PSI's mean, and about its 95% point, for two samples without any drift.

    PSI is then near (1/n + 1/m) times a chi-squared of bins - 1 degrees of freedom, whose
    mean is bins - 1 and variance 2 (bins - 1). Source: Yurdakul & Naranjo 2020, Statistical
    properties of the population stability index, https://doi.org/10.21314/JRMV.2020.227.
    """
    scale, freedom = 1 / base_rows + 1 / head_rows, bins - 1
    return scale * freedom, scale * (freedom + _NOISE * math.sqrt(2 * freedom))


def _conclude(base: NDArray[np.int64], head: NDArray[np.int64]) -> Drift:
    """Make PSI of two counts, unless chance alone could make a shift of it."""
    rows = int(base.sum()), int(head.sum())
    if min(rows) == 0:
        return Drift(reason="no values on one side")
    bins = int(((base > 0) | (head > 0)).sum())
    expected, likely = expect_psi(bins, *rows)
    if likely > SHIFTED:
        return Drift(expected=expected, reason="too few rows")
    return Drift(psi=compute_psi(base, head), expected=expected)


def _measure_numbers(base: Column, head: Column) -> Drift:
    base_values, head_values = _finite(base), _finite(head)
    if not base_values.size or not head_values.size:
        return Drift(reason="no values on one side")
    few = base.levels is not None and len(base.levels) <= BINS
    bins = _bin_few(base_values, head_values) if few else _bin_deciles(base_values, head_values)
    drift = _conclude(*bins)
    shift = None if base.kind is ColumnKind.DATE else _shift_mean(base_values, head_values)
    return Drift(psi=drift.psi, expected=drift.expected, reason=drift.reason, mean_shift=shift)


def _finite(column: Column) -> NDArray[np.float64]:
    values = column.values if column.values is not None else np.zeros(0)
    return np.asarray(values[np.isfinite(values)])


def _bin_few(
    base: NDArray[np.float64], head: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count each of the base's few numbers, and all others together."""
    levels = sort_distinct(base)
    return _count_known(base, levels), _count_known(head, levels)


def _count_known(values: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.int64]:
    places = np.minimum(np.searchsorted(levels, values), levels.size - 1)
    places = np.where(levels[places] == values, places, levels.size)
    return np.bincount(places, minlength=levels.size + 1)


def _bin_deciles(
    base: NDArray[np.float64], head: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count rows between the base's deciles; those that fall together make one edge."""
    edges = sort_distinct(np.quantile(base, np.arange(1, BINS) / BINS, method="lower"))
    return count_between(base, edges), count_between(head, edges)


def count_between(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the values up to each edge and above the one before, and those above the last."""
    above = np.array([values.size, *(np.count_nonzero(values > edge) for edge in edges), 0])
    return np.asarray(above[:-1] - above[1:])


def _shift_mean(base: NDArray[np.float64], head: NDArray[np.float64]) -> float | None:
    """Return how far the mean moved in the base's standard deviations."""
    with np.errstate(all="ignore"):
        spread = float(base.std())
        shift = (float(head.mean()) - float(base.mean())) / spread if spread else math.nan
    return shift if math.isfinite(shift) else None


def _measure_levels(base: Column, head: Column) -> Drift:
    """Measure a column of categories over the levels of both sides."""
    base_counts, head_counts = _count_levels(base), _count_levels(head)
    union = sorted({*base_counts, *head_counts})
    drift = _conclude(
        np.array([base_counts.get(level, 0) for level in union], dtype=np.int64),
        np.array([head_counts.get(level, 0) for level in union], dtype=np.int64),
    )
    new, gone = _only_in(head_counts, base_counts, head), _only_in(base_counts, head_counts, base)
    named = len(new[:MAX_NAMED]) + len(gone[:MAX_NAMED])
    return Drift(
        psi=drift.psi,
        expected=drift.expected,
        reason=drift.reason,
        new_levels=tuple(new[:MAX_NAMED]),
        gone_levels=tuple(gone[:MAX_NAMED]),
        more_levels=len(new) + len(gone) - named,
    )


def _count_levels(column: Column) -> dict[int, int]:
    levels, counts = count_distinct(column.identity[~column.missing])
    return dict(zip(levels.tolist(), counts.tolist(), strict=True))


def _only_in(counts: dict[int, int], others: dict[int, int], column: Column) -> list[str]:
    """List the texts of levels that the other side lacks, most frequent first."""
    texts = column.levels or {}
    lone = [(-count, texts[level]) for level, count in counts.items() if level not in others]
    return [text for _, text in sorted(lone)]


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    rows = max(1, int(counts.sum()))
    return np.asarray(np.maximum(counts / rows, max(FLOOR, 0.5 / rows)))
