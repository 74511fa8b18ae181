"""Metrics of a ranking: ROC AUC and average precision, paired, in one sort per model. Pure.

ROC AUC: the error of DeLong, DeLong & Clarke-Pearson (1988, Biometrics 44:837), from
placement values found by midranks (Sun & Xu 2014, IEEE Signal Process. Lett. 21:1389).
Average precision: the exact jackknife. Leaving one row out changes the precision at every
threshold below its score, so the average precision without each row follows from cumulative
sums, for all rows in one pass; ties are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.estimate import Undefined, sum_squares
from mlgitops.statistics.intervals import FEWEST_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: With fewer positive (or negative) rows the intervals are too narrow too often.
FEWEST_OF_CLASS = 20
#: Rows of the rarer class times (1 - value): with less, those that are ranked wrong are too few.
FEWEST_MISPLACED = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """One model's scores, sorted from low to high and grouped where they tie."""

    scores: Floats  # of each group, rising
    positives: Floats  # rows in each group
    negatives: Floats
    slot: NDArray[np.int32]  # of each row: 2 * its group, and 1 more where it is positive

    def to_rows(self, positive: Floats, negative: Floats) -> Floats:
        """Spread values of the groups to rows: ``positive`` to positive rows, else the other."""
        values = np.empty(2 * len(self.scores))
        values[0::2], values[1::2] = negative, positive
        return values[self.slot]


def rank_scores(score: Floats | NDArray[np.integer], target: NDArray[np.bool_]) -> Ranking:
    """Sort the rows by score; equal scores form one group. ``target``: which are positive."""
    order = np.argsort(score)
    ranked, positive = score[order], target[order]
    begins = ranked[1:] != ranked[:-1]
    ends = np.append(np.flatnonzero(begins), len(order) - 1)
    positives = np.diff(np.cumsum(positive, dtype=np.int32)[ends], prepend=0).astype(np.float64)
    group = np.zeros(len(order), dtype=np.int32)
    np.cumsum(begins, out=group[1:])
    group *= 2
    group += positive
    slot = np.empty_like(group)
    slot[order] = group
    return Ranking(
        scores=ranked[ends],
        positives=positives,
        negatives=np.diff(ends, prepend=-1) - positives,
        slot=slot,
    )


def place_rows(ranking: Ranking) -> tuple[float, Floats]:
    """Return the ROC AUC and each row's contribution to its error.

    A positive row's placement value is the share of negatives it outranks, a negative row's
    the share of positives that outrank it, ties counting half. Scaled so that the squares
    sum to DeLong's variance S10 / m + S01 / n.
    """
    m, n = ranking.positives.sum(), ranking.negatives.sum()
    below = (np.cumsum(ranking.negatives) - ranking.negatives / 2) / n
    above = 1 - (np.cumsum(ranking.positives) - ranking.positives / 2) / m
    auc = float(ranking.positives @ below / m)
    below -= auc
    below /= np.sqrt(m * (m - 1))
    above -= auc
    above /= np.sqrt(n * (n - 1))
    return auc, ranking.to_rows(below, above)


def leave_out_rows(ranking: Ranking) -> tuple[float, Floats]:
    """Return the average precision, and the average precision without each row.

    Going down the thresholds, a group of t positives adds t * T / N: T positives and N rows
    score at least as much. A row left out takes 1 from N, and from T if it is positive, in
    its own group and in all below.
    """
    t = ranking.positives[::-1]
    hits, rows = np.cumsum(t), np.cumsum(t + ranking.negatives[::-1])
    m = hits[-1]
    less = np.maximum(rows - 1, 1)
    above = np.cumsum(t * hits / rows)
    without_negative = t * hits / less
    without_positive = t * (hits - 1) / less
    own = (t - 1) * (hits - 1) / less
    kept = above - t * hits / rows
    negative = (kept + _sum_below(without_negative) + without_negative) / m
    positive = (kept + own + _sum_below(without_positive)) / (m - 1)
    return float(above[-1] / m), ranking.to_rows(positive[::-1], negative[::-1])


def _sum_below(terms: Floats) -> Floats:
    """Return for each group the sum over all groups after it."""
    sums = np.cumsum(terms[::-1])[::-1]
    return np.append(sums[1:], 0.0)


def compare_auc(
    base: tuple[float, Floats], head: tuple[float, Floats], target: NDArray[np.bool_]
) -> tuple[Floats, float]:
    """Return contributions to the difference, and Satterthwaite's degrees of freedom.

    The variance is a sum of two, from m positive and n negative rows; with few positives,
    taking it for normal is too bold (Welch 1947, Biometrika 34:28).
    """
    contributions = head[1] - base[1]
    of_positives = sum_squares(contributions[target])
    of_negatives = sum_squares(contributions) - of_positives
    m = int(np.count_nonzero(target))
    bottom = of_positives**2 / (m - 1) + max(of_negatives, 0) ** 2 / (len(target) - m - 1)
    freedom = (of_positives + of_negatives) ** 2 / bottom if bottom > 0 else len(target) - 1
    return contributions, freedom


def compare_average_precision(
    base: tuple[float, Floats], head: tuple[float, Floats]
) -> tuple[float, tuple[Floats, Floats]]:
    """Return the delta, less the jackknife's estimate of its bias, and each side's contributions.

    Those to the delta are head's less base's.
    """
    rows = len(base[1])
    means = [float(side[1].mean()) for side in (base, head)]
    delta = head[0] - base[0]
    bias = (rows - 1) * (means[1] - means[0] - delta)
    scale = np.sqrt((rows - 1) / rows)
    sides = [(mean - side[1]) * scale for mean, side in zip(means, (base, head), strict=True)]
    return delta - bias, (sides[0], sides[1])


def warn_of_ceiling(values: tuple[float, float], target: NDArray[np.bool_]) -> tuple[str, ...]:
    """Warn when the better model misplaces so few rows that the next one decides."""
    rarest = min(int(np.count_nonzero(target)), int(np.count_nonzero(~target)))
    misplaced = rarest * (1 - max(values))
    if misplaced >= FEWEST_MISPLACED:
        return ()
    text = f"the rarer class has {rarest:,} rows and nearly all are ranked right"
    return (f"{text}: the next one that is not could outweigh the rest",)


def check_ranking(target: NDArray[np.bool_], scores: tuple[Floats, Floats]) -> tuple[str, ...]:
    """Return warnings; raises Undefined when a ranking says nothing."""
    m = int(np.count_nonzero(target))
    n = len(target) - m
    if min(m, n) < 2:  # noqa: PLR2004 - one row has no spread
        raise Undefined(
            f"{m:,} positive and {n:,} negative test rows: a ranking needs at least two of each"
        )
    for score, side in zip(scores, ("base", "head"), strict=True):
        if score.min() == score.max():
            raise Undefined(f"{side} gives the same score to every row, which ranks nothing")
    texts = []
    if m + n < FEWEST_ROWS:
        texts.append(f"only {m + n} test rows; the method is shown to hold from {FEWEST_ROWS}")
    if min(m, n) < FEWEST_OF_CLASS:
        texts.append(f"a class has only {min(m, n)} rows; {FEWEST_OF_CLASS} or more are needed")
    return tuple(texts)
