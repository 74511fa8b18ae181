"""Whether a first policy may ask for proof of its margins: only where that stops few good changes.

With `inconclusive: fail` a change passes only where its interval rules out a loss above the margin,
so with few test rows most changes that lose nothing fail. How many is estimated before there is
a model: from the test rows of each class and group, a first model's usual value, and a change that
errs as base does. Pure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlgitops.judgement.power import weigh_margin
from mlgitops.model import OnInconclusive
from mlgitops.project.foresight import difference_error, find_quantile
from mlgitops.statistics.intervals import FEWEST_ROWS
from mlgitops.statistics.power import POWER, Noise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: What the interval of a generated policy has.
CONFIDENCE = 0.95
_AREA = 0.75  # ROC AUC of a first model; a better one is known more exactly
_SHARE_ERROR = 0.5  # of one row, at a share of a half: the largest


def area_error(positive: int, negative: int) -> float:
    """Return the standard error of a first model's ROC AUC (Hanley & McNeil 1982)."""
    square = _AREA * _AREA
    above, below = _AREA / (2 - _AREA), 2 * square / (1 + _AREA)
    variance = _AREA * (1 - _AREA) + (positive - 1) * (above - square)
    variance += (negative - 1) * (below - square)
    return math.sqrt(variance / max(positive * negative, 1))


def recall_error(classes: Iterable[int]) -> float:
    """Return the largest standard error of a balanced accuracy of so many rows by class."""
    rows = list(classes)
    return _SHARE_ERROR / len(rows) * math.sqrt(sum(1 / max(count, 1) for count in rows))


def group_error(rows: float, spread: float | None) -> float:
    """Return the standard error of a group's accuracy; of its MAE at a target's ``spread``."""
    return (_SHARE_ERROR if spread is None else spread) / math.sqrt(rows)


def find_neutral_chance(
    metrics: Sequence[tuple[float, float]], groups: Sequence[tuple[float, float]], rows: int
) -> float:
    """Return how likely a change that loses nothing passes where each margin must be proven.

    ``metrics`` and ``groups``: the own error of a model and the margin of each, in one unit.
    Metrics share one error rate and so do groups; all are taken to be independent.
    """
    if rows < FEWEST_ROWS:
        return 0.0  # every interval is rough, and proves nothing
    chance = 1.0
    for family in (metrics, groups):
        quantile = find_quantile(CONFIDENCE, len(family))
        for error, margin in family:
            noise = Noise(error=difference_error(error), quantile=quantile)
            chance *= weigh_margin(noise, margin, OnInconclusive.FAIL).neutral
    return chance


def render_mode(chance: float | None) -> str:
    """Return the lines of `inconclusive` in policy.yaml; ``chance``: None if rows are clustered."""
    if chance is not None and chance >= POWER:
        passing = f"about {100 * chance:.0f} % of changes that lose nothing pass"
        return f"inconclusive: fail # each margin must be proven: {passing}\n"
    rule = "inconclusive: pass # fails what is worse beyond noise, and by more than the margin\n"
    if chance is None:
        return (
            f"{rule}# `fail` asks for proof of each margin: see `mlgitops validate` once trained.\n"
        )
    share = f"about {100 * chance:.0f} %" if chance >= 0.01 else "less than 1 %"  # noqa: PLR2004
    reason = f"with so few test rows, {share} of changes\n# that lose nothing would pass."
    return f"{rule}# `fail` asks for proof of each margin: {reason}\n"
