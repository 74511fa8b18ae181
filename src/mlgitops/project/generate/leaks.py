"""How much does one column alone say of the target? What says too much was written down later.

Pure. A suspicion, not a proof, in three grades: left out, asked about, mentioned.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from mlgitops.project.generate.columns import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import Series

    from mlgitops.project.generate.columns import Column

#: Share of the target's errors (or variance) that one honest column does not explain.
UNEXPLAINED = 0.01

#: Numbers that are almost all different are cut into so many groups of equal size.
_GROUPS = 100

#: Multiplied by a row's place, it scatters the halves over the table (Knuth's multiplicative hash).
_SCATTER = 2_654_435_761

#: A group must hold so many rows on average: a group of one row says its target perfectly.
_MIN_GROUP_ROWS = 5


class Grade(IntEnum):
    """How suspicious a column is."""

    NONE = 0
    MENTIONED = 1
    ASKED = 2
    LEFT_OUT = 3


@dataclass(frozen=True, kw_only=True)
class Leak:
    """What a column alone reaches."""

    grade: Grade
    reach: str  # such as "a ROC AUC of 0.90"


#: Task → the score from which on a column is mentioned, asked about, left out, and its name.
#: Of classes: the share of the errors of a constant guess that the column avoids.
_SCORES = {
    "binary": ((0.75, 0.85, 0.999), "a ROC AUC of"),
    "multiclass": ((0.6, 0.95, 1 - UNEXPLAINED), "a share of errors avoided of"),
    "regression": ((0.5, 0.8, 1 - UNEXPLAINED), "an R2 of"),
}


def find_leak(
    cells: Sequence[str], column: Column, target_cells: Sequence[str], target: Column, task: str
) -> Leak:
    """Return how much of the target the column gives away, missing values as a value of its own.

    A model of the column alone: the mean target (or the most frequent class) of each group of equal
    values, learned on one half of the rows and measured on the other, and the other way round.
    Numbers are taken by their order, too.
    """
    import pandas as pd

    truth = pd.Series(target_cells, dtype="str")
    if task == "regression":
        truth = truth.astype("float64")
    elif task == "binary":
        truth = (truth == next(iter(target.counts))).astype("float64")
    scores = [_score_order(_read_numbers(cells), truth, task)] if column.kind is Kind.NUMBER else []
    groups = _group(cells, column)
    if len(groups) / groups.nunique() >= _MIN_GROUP_ROWS:
        scores.append(_score_groups(groups, truth, task))
    score = max(scores, default=0.0)
    limits, name = _SCORES[task]
    grade = Grade(sum(score >= limit for limit in limits))
    return Leak(grade=grade, reach=f"{name} {score:.2f}")


def _score_order(numbers: Series[float], truth: Series[float], task: str) -> float:
    """Return what the order of the numbers reaches: ROC area, or squared rank correlation."""
    filled = numbers.notna()
    ranks = numbers[filled].rank()
    if task == "multiclass" or ranks.nunique() < 2:  # noqa: PLR2004 - no order in one value
        return 0.0
    if task == "binary":
        area = _find_area(ranks, truth[filled])
        return max(area, 1 - area)
    return float(abs(ranks.corr(truth[filled].rank())) ** 2)


def _find_area(scores: Series[float], truth: Series[float]) -> float:
    """Return the area under the ROC curve of classes 0 and 1, from mean ranks; 0.5 of one class."""
    ones = truth.sum()
    zeros = len(truth) - ones
    if not ones or not zeros:
        return 0.5
    return float((scores.rank()[truth == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _score_groups(groups: Series[int], truth: Series[float], task: str) -> float:
    """Return what the groups reach on rows that they were not learned from."""
    import pandas as pd

    half = pd.Series(range(len(truth))) * _SCATTER % 2**32 < 2**31
    parts = []
    for test in (half, ~half):
        learned = truth[~test].groupby(groups[~test])
        guess = learned.agg(_find_mode) if task == "multiclass" else learned.mean()
        constant = _find_mode(truth[~test]) if task == "multiclass" else truth[~test].mean()
        parts.append(groups[test].map(guess).fillna(constant))
    guessed = pd.concat(parts).sort_index()
    if task == "binary":
        return _find_area(guessed, truth)
    if task == "multiclass":
        rest, most = (guessed != truth).sum(), (truth != _find_mode(truth)).sum()
    else:
        rest, most = (truth - guessed).pow(2).sum(), (truth - truth.mean()).pow(2).sum()
    return float(1 - rest / most)


def _find_mode(values: Series[str]) -> str:
    return str(values.value_counts().index[0])


def _group(cells: Sequence[str], column: Column) -> Series[int]:
    """Return each row's group: its category, or its slice of the numbers; missing is one."""
    import pandas as pd

    if column.kind is not Kind.NUMBER or column.filled >= column.distinct * _MIN_GROUP_ROWS:
        return pd.Series(pd.factorize(pd.Series(cells, dtype="str"))[0])
    cut = pd.qcut(_read_numbers(cells), _GROUPS, labels=False, duplicates="drop")
    return cut.fillna(-1).astype("int64")


def _read_numbers(cells: Sequence[str]) -> Series[float]:
    import pandas as pd

    text = pd.Series(cells, dtype="str")
    return pd.to_numeric(text.where(text != ""))
