"""Does one column give the target away? Then it was probably written down afterwards.

Pure. A suspicion, not a proof: the column is left out and the person is told.
"""

from __future__ import annotations

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

#: A group must hold so many rows on average: a group of one row says its target perfectly.
_MIN_GROUP_ROWS = 5

#: Area under the ROC curve from which on one number sorts two classes apart.
_SORTED_APART = 0.999


def find_leak(
    cells: Sequence[str], column: Column, target_cells: Sequence[str], target: Column, task: str
) -> str | None:
    """Return why the column looks like the target in other words, or None."""
    import pandas as pd

    truth = pd.Series(target_cells, dtype="str")
    number = column.kind is Kind.NUMBER
    if task == "regression" and number and _is_same_order(cells, truth.astype("float64")):
        return f"it orders the rows as {target.name!r} does: it looks like the target itself"
    apart = task == "binary" and number and _is_sorted_apart(cells, truth)
    groups = _group(pd.Series(cells, dtype="str"), column)
    gives_away = len(groups) / groups.nunique() >= _MIN_GROUP_ROWS and (
        _is_same_number(groups, truth.astype("float64"))
        if task == "regression"
        else _is_same_class(groups, truth)
    )
    return (
        f"it alone gives {target.name!r} away, as if it had been written down afterwards"
        if apart or gives_away
        else None
    )


def _is_same_number(groups: Series[str], truth: Series[float]) -> bool:
    """Tell whether the groups' means explain almost all of the variance."""
    rest = (truth - truth.groupby(groups).transform("mean")).pow(2).sum()
    return bool(rest <= UNEXPLAINED * (truth - truth.mean()).pow(2).sum())


def _is_same_class(groups: Series[str], truth: Series[str]) -> bool:
    """Tell whether each group's most frequent class avoids almost all errors."""
    import pandas as pd

    table = pd.crosstab(groups, truth)
    rest = len(truth) - table.max(axis=1).sum()
    return bool(rest <= UNEXPLAINED * (len(truth) - table.sum().max()))


def _group(cells: Series[str], column: Column) -> Series[str]:
    """Return each row's group: its category, or its slice of the numbers; missing is one."""
    import pandas as pd

    if column.kind is not Kind.NUMBER or column.filled >= column.distinct * _MIN_GROUP_ROWS:
        return cells
    numbers = pd.to_numeric(cells.where(cells != ""))
    cut = pd.qcut(numbers, _GROUPS, labels=False, duplicates="drop")
    return cut.astype("str").fillna("")


def _is_same_order(cells: Sequence[str], values: Series[float]) -> bool:
    """Tell whether the ranks of both agree almost perfectly (Spearman, 1904)."""
    numbers = _read_numbers(cells)
    filled = numbers.notna()
    first, second = numbers[filled].rank(), values[filled].rank()
    return bool(abs(first.corr(second)) ** 2 >= 1 - UNEXPLAINED)


def _is_sorted_apart(cells: Sequence[str], truth: Series[str]) -> bool:
    """Tell whether one threshold separates the two classes (the ROC area, from mean ranks)."""
    numbers = _read_numbers(cells)
    filled = numbers.notna()
    ranks, yes = numbers[filled].rank(), truth[filled] == truth.iloc[0]
    ones, zeros = int(yes.sum()), int((~yes).sum())
    if not ones or not zeros:
        return False
    area = (ranks[yes].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    return bool(max(area, 1 - area) >= _SORTED_APART)


def _read_numbers(cells: Sequence[str]) -> Series[float]:
    import pandas as pd

    text = pd.Series(cells, dtype="str")
    return pd.to_numeric(text.where(text != ""))
