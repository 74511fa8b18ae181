"""Ratios of sums to values and errors per group, for all groups in one pass. Pure.

The value of a group is A / B, sums over its rows; a row's contribution to its error is
(a - value * b) / B, the first term of the Taylor series (the ratio estimator: Cochran 1977,
Sampling Techniques, 3rd ed., ch. 6). Contributions are scaled so that their squares sum to
the variance, as everywhere in this package. Shares of few rows get no less variance than
one hit and one miss more would give them (Agresti & Caffo 2000, Am. Stat. 54:280), paired
ones than half a row more in each of the four cells would (Agresti & Min 2005, Stat. Med.
24:729): a group in which all rows are right is not known without error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.inference import ranking
from mlgitops.inference.estimate import Undefined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlgitops.inference.groups import Groups
    from mlgitops.inference.matching import Pair
    from mlgitops.inference.terms import Terms, Units

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

_DENSE = 2**23
#: A ranking is made anew in each group, so only so many are.
_MOST_RANKED = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """Values of each group, and contributions of each unit to their errors."""

    base: Floats  # NaN: not defined
    head: Floats
    of_delta: Floats  # by unit
    of_head: Floats
    units: Units
    least_delta: Floats  # by group: the variances are no smaller
    least_head: Floats
    share: bool  # values lie between 0 and 1
    absent: str


def linearise(units: Units, terms: Terms, groups: int) -> Linear:
    """Compute values and contributions of a ratio of sums."""
    rows = _sum_by(units.group, units.rows, groups)
    scale = np.sqrt(rows / np.maximum(rows - 1, 1))[units.group]
    base, of_base, _ = _linearise_side(units, terms.base, terms, groups)
    head, of_head, bottom = _linearise_side(units, terms.head, terms, groups)
    least = np.zeros(groups), np.zeros(groups)
    if terms.share:
        moved = terms.head[0] - terms.base[0]
        differ = _sum_by(units.group, units.rows * np.abs(moved), groups)
        least = _least_variances(head, head - base, differ, bottom)
    return Linear(
        base=base,
        head=head,
        of_delta=(of_head - of_base) * scale,
        of_head=of_head * scale,
        units=units,
        least_delta=least[0],
        least_head=least[1],
        share=terms.share or terms.zero,
        absent=terms.absent,
    )


def _linearise_side(
    units: Units, sums: tuple[Floats, Floats], terms: Terms, groups: int
) -> tuple[Floats, Floats, Floats]:
    """Return one side's values by group, contributions by unit, and sums below the line."""
    above, below = (_sum_by(units.group, units.rows * part, groups) for part in sums)
    empty = 0.0 if terms.zero else np.nan
    value = np.divide(above, below, out=np.full(groups, empty), where=below > 0)
    bottom = np.maximum(below, 1e-300)
    by_unit = (sums[0] - value[units.group] * sums[1]) / bottom[units.group]
    if terms.root:
        value = np.sqrt(value)
        by_unit /= 2 * np.maximum(value, 1e-300)[units.group]
    return value, by_unit, below


def _sum_by(group: Codes, values: Floats, groups: int) -> Floats:
    """Return the sum of each group."""
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64, copy=False)


def _least_variances(
    head: Floats, delta: Floats, differ: Floats, rows: Floats
) -> tuple[Floats, Floats]:
    """Return the least variance of each group's delta and of head's share."""
    more = rows + 2
    share = (head * rows + 1) / more
    paired = ((differ + 1) - (delta * rows) ** 2 / more) / more**2
    return np.where(differ > 0, paired, 0.0), share * (1 - share) / more


def linearise_ranking(pair: Pair, target: NDArray[np.bool_], groups: Groups, least: int) -> Linear:
    """Compute the ROC AUC in each group of at least ``least`` rows (DeLong's contributions)."""
    base, head = pair.base_scores.get(""), pair.head_scores.get("")
    if base is None or head is None:
        raise Undefined(f"{'base' if base is None else 'head'} has no column `score`")
    if not (np.isfinite(base).all() and np.isfinite(head).all()):
        raise Undefined("a score is not finite")
    count = len(groups.rows)
    values = np.full((2, count), np.nan)
    by_row = np.zeros((2, pair.rows))
    wanted = np.flatnonzero(groups.rows >= least)
    if len(wanted) > _MOST_RANKED:
        raise Undefined(f"more than {_MOST_RANKED} groups to rank in: raise min_rows")
    order = np.argsort(groups.codes, kind="stable")
    ends = np.cumsum(groups.rows).astype(np.intp)
    for group in wanted.tolist():
        rows = order[ends[group] - int(groups.rows[group]) : ends[group]]
        own = target[rows]
        if min(int(own.sum()), int((~own).sum())) < 2:  # noqa: PLR2004 - no spread
            continue
        for side, score in enumerate((base, head)):
            values[side, group], by_row[side, rows] = ranking.place_rows(
                ranking.rank_scores(score[rows], own)
            )
    zeros = np.zeros(count)
    return Linear(
        base=values[0],
        head=values[1],
        of_delta=by_row[1] - by_row[0],
        of_head=by_row[1],
        units=_as_units(groups),
        least_delta=zeros,
        least_head=zeros,
        share=True,
        absent="too few rows of one class",
    )


def _as_units(groups: Groups) -> Units:
    from mlgitops.inference.terms import Units

    return Units(group=groups.codes, rows=np.ones(len(groups.codes)))


def sum_variances(
    units: Units, by_unit: Floats, groups: int, clusters: Codes | None
) -> tuple[Floats, Floats]:
    """Return each group's variance and degrees of freedom, by cluster where there are any."""
    if clusters is None:
        squares = units.rows * by_unit * by_unit
        rows = _sum_by(units.group, units.rows, groups)
        return _sum_by(units.group, squares, groups), rows - 1
    width = int(clusters.max()) + 1
    cells = units.group * width + clusters
    if groups * width > _DENSE:
        known, cells = np.unique(cells, return_inverse=True)
        owner = known // width
    else:
        owner = np.arange(groups * width) // width
    sums = _sum_by(cells, by_unit, len(owner))
    there = np.bincount(cells, minlength=len(owner)) > 0
    count = _sum_by(owner, there.astype(np.float64), groups)
    variance = _sum_by(owner, sums * sums, groups)
    return variance * count / np.maximum(count - 1, 1), count - 1


def find_covariance(linear: Linear, judged: Codes, clusters: Codes | None) -> Floats:
    """Return the covariances of head's values of the groups ``judged``."""
    count = len(linear.head)
    if clusters is None:
        variance, _ = sum_variances(linear.units, linear.of_head, count, None)
        covariance = np.diag(variance[judged])
    else:
        place = np.full(count, -1)
        place[judged] = np.arange(len(judged))
        own = place[linear.units.group]
        kept, width = own >= 0, int(clusters.max()) + 1
        cells = own[kept] * width + clusters[kept]
        sums = _sum_by(cells, linear.of_head[kept], len(judged) * width)
        sums = sums.reshape(len(judged), width)
        covariance = (sums @ sums.T) * (width / max(width - 1, 1))
    short = np.maximum(linear.least_head[judged] - np.diag(covariance), 0)
    return np.asarray(covariance + np.diag(short))
