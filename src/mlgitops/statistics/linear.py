"""Ratios of sums to values and errors per group, for all groups in one pass. Pure.

The value of a group is A / B, sums over its rows; a row's contribution to its error is
(a - value * b) / B, the first term of the Taylor series (the ratio estimator: Cochran 1977,
Sampling Techniques, 3rd ed., ch. 6). Contributions are scaled so that their squares sum to
the variance, as everywhere in this package. Shares of few rows get no less variance than
one hit and one miss more would give them (Agresti & Caffo 2000, Am. Stat. 54:280), paired
ones than half a row more in each of the four cells would (Agresti & Min 2005, Stat. Med.
24:729): a group in which all rows are right is not known without error.

Whether there is a difference at all is asked as a score test does, of contributions under "there
is none": both sides then have the value that all their rows give, and nothing is centred
(McNemar 1947, Psychometrika 12:153, where the rows are the same on both sides; Rao 1948, Proc.
Camb. Phil. Soc. 44:50). Where few rows count, each moves the difference, and its linearised
error may be zero while noise explains it all. Of counts, one more row that differs is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.clusters import Clusters
from mlgitops.statistics.estimate import Undefined
from mlgitops.statistics.ranking import rank_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlgitops.statistics.groups import Groups
    from mlgitops.statistics.matching import Pair
    from mlgitops.statistics.ranking import Ranking
    from mlgitops.statistics.terms import Terms, Units

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
    of_null: Floats  # to the difference, by unit, if there is none; not centred
    units: Units
    least_delta: Floats  # by group: the variances are no smaller
    least_head: Floats
    least_null: Floats  # added to the variance under no difference
    counted: Floats  # by group: rows that base's value rests on
    counts: str  # what rows these are; "": all
    given: NDArray[np.bool_]  # by group: head's value rests on any row
    freedom: Floats  # degrees of freedom of each group's delta, rows being independent
    share: bool  # values lie between 0 and 1
    absent: str


def linearise(units: Units, terms: Terms, groups: int) -> Linear:
    """Compute values and contributions of a ratio of sums."""
    rows = units.count(groups)
    scale = np.sqrt(rows / np.maximum(rows - 1, 1))
    base, of_base, counted = _linearise_side(units, terms.base, terms, scale)
    head, of_head, bottom = _linearise_side(units, terms.head, terms, scale)
    least = np.zeros(groups), np.zeros(groups)
    if terms.share:
        differ = units.sum(np.abs(terms.head[0] - terms.base[0]), groups)
        least = _least_variances(head, head - base, differ, bottom)
    of_null, least_null = _linearise_null(units, terms, (counted, bottom))
    return Linear(
        base=base,
        head=head,
        of_delta=of_head - of_base,
        of_head=of_head,
        of_null=of_null,
        units=units,
        least_delta=least[0],
        least_head=least[1],
        least_null=least_null,
        counted=counted / terms.weight,
        counts=terms.counts,
        given=bottom > 0,
        freedom=np.minimum(rows, counted) - 1,
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


def _linearise_null(
    units: Units, terms: Terms, bottoms: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Return contributions to the difference if there is none, and the variance of one row more.

    Both sides then have one value: that of all their rows together, and of one hit and one miss
    where counts are divided.
    """
    counts = terms.share or terms.zero
    groups = len(bottoms[0])
    tops = [units.sum(top, groups) for top, _ in (terms.base, terms.head)]
    value = (sum(tops) + counts * terms.weight) / np.maximum(
        sum(bottoms) + 2 * counts * terms.weight, 1e-300
    )
    factors = [1 / np.maximum(bottom, 1e-300) * (bottom > 0) for bottom in bottoms]
    if terms.root:
        factors = [factor / np.maximum(2 * np.sqrt(value), 1e-300) for factor in factors]
    sides = []
    for (top, part), factor in zip((terms.base, terms.head), factors, strict=True):
        shifted = top - value[units.group] * (1.0 if part is None else part)
        sides.append(shifted * factor[units.group])
    of_null = sides[1] - sides[0]
    if not counts:
        return of_null, np.zeros(groups)
    if terms.share:
        row = factors[0]  # a row that only one side has right
    else:
        row = np.maximum(value, terms.weight - value) * (factors[0] + factors[1]) / 2
    return of_null, np.where(units.sum(np.abs(of_null), groups) > 0, row * row, 0.0)


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


def linearise_ranking(pair: Pair, groups: Groups, least: int, *, by_row: bool) -> Linear:
    """Compute the ROC AUC in each group of at least ``least`` rows (DeLong's contributions).

    ``by_row``: rows are kept apart to cluster them.
    """
    base, head = pair.base_scores.get(""), pair.head_scores.get("")
    if base is None or head is None:
        raise Undefined(f"{'base' if base is None else 'head'} has no column `score`")
    if not (np.isfinite(base).all() and np.isfinite(head).all()):
        raise Undefined("a score is not finite")
    sides = [_place_in_groups(ranking, pair.positive, groups) for ranking in pair.rankings]
    count, codes = len(groups.rows), groups.codes
    positives = np.bincount(codes, weights=pair.positive, minlength=count)
    rarest = np.minimum(positives, groups.rows - positives)
    enough = (groups.rows >= least) & (rarest > 1)
    values = [np.where(enough, value, np.nan) for value, _ in sides]
    of_base, of_head = (np.where(enough[codes], rows, 0.0) for _, rows in sides)
    of_delta = of_head - of_base
    classes = np.stack([groups.rows - positives, positives])
    zeros = np.zeros(count)
    # Each class tells of the whole difference; a cluster holds rows of both, so half of each.
    delta = np.where(enough, values[1] - values[0], 0.0) * (0.5 if by_row else 1.0)
    shift = delta / np.maximum(classes, 1)
    return Linear(
        base=values[0],
        head=values[1],
        of_delta=of_delta,
        of_head=of_head,
        of_null=of_delta + shift[pair.positive.astype(np.intp), codes],
        units=_as_units(groups),
        least_delta=zeros,
        least_head=zeros,
        least_null=zeros,
        counted=rarest,
        counts="rows of its rarer class",
        given=enough,
        freedom=_find_freedom(of_delta, pair.positive, codes, classes),
        share=True,
        absent="too few rows of one class",
    )


def _find_freedom(
    of_delta: Floats, positive: NDArray[np.bool_], codes: Codes, classes: Floats
) -> Floats:
    """Return Satterthwaite's degrees of freedom of each group's difference in ROC AUC."""
    count = classes.shape[1]
    both = np.bincount(codes * 2 + positive, weights=of_delta * of_delta, minlength=2 * count)
    parts = both.reshape(count, 2).T
    bottom = (parts**2 / np.maximum(classes - 1, 1)).sum(axis=0)
    freedom = parts.sum(axis=0) ** 2 / np.maximum(bottom, 1e-300)
    return np.asarray(np.where(bottom > 0, freedom, classes.sum(axis=0) - 1))


def _place_in_groups(
    ranking: Ranking, positive: NDArray[np.bool_], groups: Groups
) -> tuple[Floats, Floats]:
    """Return each group's ROC AUC and each row's contribution to it, as `place_rows` does.

    One sort serves all groups: by group, then by the place that the row's score has among all.
    """
    width, count = len(ranking.scores), len(groups.rows)
    within = rank_scores(groups.codes * width + (ranking.slot >> 1), positive)
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
    from mlgitops.statistics.terms import Units

    return Units(group=groups.codes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Variances:
    """What the intervals of each group's delta rest on."""

    delta: Floats
    freedom: Floats  # of Student's t; below 1: none
    null: Floats  # if there is no difference
    clusters: Floats | None  # how many each group has


def find_variances(linear: Linear, cells: Cells | None) -> Variances:
    """Return each group's variances, by cluster where there are any."""
    groups = len(linear.head)
    if cells is None:
        delta, null = (
            linear.units.sum(part * part, groups) for part in (linear.of_delta, linear.of_null)
        )
        freedom, count = linear.freedom, None
    else:
        sums, nulls = (cells.sum(part) for part in (linear.of_delta, linear.of_null))
        squares = linear.units.sum(linear.of_delta**2, groups)
        clusters = cells.clusters
        delta, null = clusters.sum_squares(sums), clusters.sum(nulls * nulls)
        freedom = clusters.find_freedom(clusters.find_spread(sums, squares))
        count = clusters.count
    return Variances(
        delta=np.maximum(delta, linear.least_delta),
        freedom=freedom,
        null=null + linear.least_null,
        clusters=count,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Clusters within groups: which of them each row is in."""

    codes: Codes
    clusters: Clusters

    def sum(self, by_row: Floats) -> Floats:
        """Return the sum over each cluster's rows in each group."""
        return _sum_by(self.codes, by_row, len(self.clusters.rows))


def cross_clusters(groups: Groups, clusters: Codes) -> Cells:
    """Cross groups with clusters; only what occurs is counted."""
    count, width = len(groups.rows), int(clusters.max()) + 1
    cells = groups.codes * width + clusters
    if count * width > _DENSE:
        present, codes, rows = np.unique(cells, return_inverse=True, return_counts=True)
    else:
        total = np.bincount(cells, minlength=count * width)
        present = np.flatnonzero(total)
        rows = total[present]
        index = np.zeros(count * width, dtype=np.intp)
        index[present] = np.arange(len(present))
        codes = index[cells]
    return Cells(
        codes=codes,
        clusters=Clusters(owner=present // width, rows=rows.astype(np.float64), groups=count),
    )


def find_covariance(linear: Linear, judged: Codes, clusters: Codes | None) -> Floats:
    """Return the covariances of head's values of the groups ``judged``."""
    count = len(linear.head)
    if clusters is None:
        variance = linear.units.sum(linear.of_head * linear.of_head, count)
        covariance = np.diag(variance[judged])
    else:
        index = np.full(count, -1)
        index[judged] = np.arange(len(judged))
        own = index[linear.units.group]
        kept, width = own >= 0, int(clusters.max()) + 1
        cells = own[kept] * width + clusters[kept]
        sums = _sum_by(cells, linear.of_head[kept], len(judged) * width)
        sums = sums.reshape(len(judged), width)
        covariance = (sums @ sums.T) * (width / max(width - 1, 1))
    short = np.maximum(linear.least_head[judged] - np.diag(covariance), 0)
    return np.asarray(covariance + np.diag(short))
