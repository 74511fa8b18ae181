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

from mlgitops.inference.estimate import Undefined
from mlgitops.inference.ranking import rank_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlgitops.inference.groups import Groups
    from mlgitops.inference.matching import Pair
    from mlgitops.inference.ranking import Ranking
    from mlgitops.inference.terms import Terms, Units

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

_DENSE = 2**23


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
    rows = units.count(groups)
    scale = np.sqrt(rows / np.maximum(rows - 1, 1))
    base, of_base, _ = _linearise_side(units, terms.base, terms, scale)
    head, of_head, bottom = _linearise_side(units, terms.head, terms, scale)
    least = np.zeros(groups), np.zeros(groups)
    if terms.share:
        differ = units.sum(np.abs(terms.head[0] - terms.base[0]), groups)
        least = _least_variances(head, head - base, differ, bottom)
    return Linear(
        base=base,
        head=head,
        of_delta=of_head - of_base,
        of_head=of_head,
        units=units,
        least_delta=least[0],
        least_head=least[1],
        share=terms.share or terms.zero,
        absent=terms.absent,
    )


def _linearise_side(
    units: Units, sums: tuple[Floats, Floats | None], terms: Terms, scale: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return one side's values by group, contributions by unit, and sums below the line."""
    groups = len(scale)
    top, part = sums
    above = units.sum(top, groups)
    below = units.count(groups) if part is None else units.sum(part, groups)
    empty = 0.0 if terms.zero else np.nan
    value = np.divide(above, below, out=np.full(groups, empty), where=below > 0)
    by_unit = value[units.group]
    if part is not None:
        by_unit *= part
    np.subtract(top, by_unit, out=by_unit)
    factor = scale / np.maximum(below, 1e-300)
    if terms.root:
        value = np.sqrt(value)
        factor /= 2 * np.maximum(value, 1e-300)
    by_unit *= factor[units.group]
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


def linearise_ranking(pair: Pair, groups: Groups, least: int) -> Linear:
    """Compute the ROC AUC in each group of at least ``least`` rows (DeLong's contributions)."""
    base, head = pair.base_scores.get(""), pair.head_scores.get("")
    if base is None or head is None:
        raise Undefined(f"{'base' if base is None else 'head'} has no column `score`")
    if not (np.isfinite(base).all() and np.isfinite(head).all()):
        raise Undefined("a score is not finite")
    sides = [_place_in_groups(ranking, pair.positive, groups) for ranking in pair.rankings]
    positives = np.bincount(groups.codes, weights=pair.positive, minlength=len(groups.rows))
    enough = (groups.rows >= least) & (np.minimum(positives, groups.rows - positives) > 1)
    values = [np.where(enough, value, np.nan) for value, _ in sides]
    by_row = [np.where(enough[groups.codes], rows, 0.0) for _, rows in sides]
    zeros = np.zeros(len(groups.rows))
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


def _place_in_groups(
    ranking: Ranking, positive: NDArray[np.bool_], groups: Groups
) -> tuple[Floats, Floats]:
    """Return each group's ROC AUC and each row's contribution to it, as `place_rows` does.

    One sort serves all groups: by group, then by the place that the row's score has among all.
    """
    width, count = len(ranking.scores), len(groups.rows)
    within = rank_scores(groups.codes * width + (ranking.place >> 1), positive)
    owner = within.scores // width
    shares, totals = [], []
    for rows in (within.positives, within.negatives):
        total = np.bincount(owner, weights=rows, minlength=count)
        before = np.append(0.0, np.cumsum(total)[:-1])
        shares.append((np.cumsum(rows) - rows / 2 - before[owner]) / total[owner])
        totals.append(total)
    below, above = shares[1], 1 - shares[0]
    value = np.bincount(owner, weights=within.positives * below, minlength=count) / totals[0]
    m, n = (np.sqrt(total * (total - 1))[owner] for total in totals)
    mean = value[owner]
    return value, within.to_rows((below - mean) / m, (above - mean) / n)


def _as_units(groups: Groups) -> Units:
    from mlgitops.inference.terms import Units

    return Units(group=groups.codes)


def sum_variances(
    units: Units, by_unit: Floats, groups: int, clusters: Codes | None
) -> tuple[Floats, Floats]:
    """Return each group's variance and degrees of freedom, by cluster where there are any."""
    if clusters is None:
        return units.sum(by_unit * by_unit, groups), units.count(groups) - 1
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
