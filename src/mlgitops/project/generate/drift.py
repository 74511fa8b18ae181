"""Which columns moved between the train rows and the later test rows? Pure.

By the population stability index of ten groups of equal size, less what chance alone makes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.project.generate.columns import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pandas import Series

    from mlgitops.project.generate.split import Rows, Split

_GROUPS = 10
#: A category of more levels has a PSI of luck.
_MOST_LEVELS = 30


def find_drift(rows: Rows, split: Split, names: Iterable[str]) -> dict[str, float]:
    """Return each column that moved → its PSI above chance; none where the split is not by time.

    It moved where that is at least what a report calls *shifted* and beyond its own noise.
    """
    if split.method != "time":
        return {}
    import numpy as np

    from mlgitops.model import SHIFTED
    from mlgitops.statistics.drift import compute_psi, expect_psi

    test = np.array(split.is_test)
    moved = {}
    for name in names:
        groups = _group(rows, name, test)
        if groups is None:
            continue
        sides = [np.bincount(groups[test == side], minlength=_MOST_LEVELS + 2) for side in (0, 1)]
        filled = (sides[0] > 0) | (sides[1] > 0)
        before, after = (side[filled] for side in sides)
        psi = compute_psi(before, after)
        expected, likely = expect_psi(len(before), int(before.sum()), int(after.sum()))
        if psi > likely and psi - expected >= SHIFTED:
            moved[name] = psi - expected
    return moved


def _group(rows: Rows, name: str, test: object) -> Series[int] | None:
    """Return each row's group: its category, or its tenth of the train rows' numbers; None: none.

    A missing value is group 0 of numbers.
    """
    import numpy as np
    import pandas as pd

    column, cells = rows.columns[name], pd.Series(rows.table.columns[name], dtype="str")
    if column.kind is Kind.CATEGORY or column.distinct <= _GROUPS:
        if column.distinct > _MOST_LEVELS:
            return None
        return pd.Series(pd.factorize(cells)[0])
    numbers = pd.to_numeric(cells.where(cells != ""))
    learned = numbers[~np.asarray(test)].dropna()
    if learned.empty:
        return None
    edges = np.unique(np.quantile(learned, np.arange(1, _GROUPS) / _GROUPS, method="lower"))
    places = pd.Series(np.searchsorted(edges, numbers, side="left") + 1)
    return places.where(numbers.notna(), 0)
