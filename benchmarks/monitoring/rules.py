"""Rules by which others call a week of production changed, and ours. Pure.

The first are as the documentation of their tools has them, written anew; each is asked once a
week. What they need is the bins of a reference, or its losses.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from mlgitops.monitoring.labelled import Limit, is_beyond
from mlgitops.statistics.longrun import CLUSTERS, measure_ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.monitoring.years import Flights, Floats

    Rule = Callable[[Flights, Flights], bool]

#: Metric → its sums, and whether more is worse.
METRICS = {
    "brier": ("brier", "rows", True),
    "calibration": ("over", "rows", True),
    "roc_auc": ("wins", "pairs", False),
}
_FEW = 0.05
_SMALL, _LARGE, _HALF = 0.1, 0.25, 0.5


def read_sums(days: Flights, metric: str) -> tuple[Floats, Floats]:
    """Return the numerators and denominators of a metric."""
    above, below, _ = METRICS[metric]
    if above == "over":
        return days.sums["score"] - days.sums["late"], days.sums[below]
    return days.sums[above], days.sums[below]


def find_value(days: Flights, metric: str) -> float:
    """Return the metric over all days."""
    above, below = read_sums(days, metric)
    return float(above.sum() / below.sum())


def judge_ours(above: Floats, below: Floats, limit: float, *, upper: bool = True) -> bool:
    """Judge the last 28 days by the product's own statistics."""
    figure = measure_ratio(above.tolist(), below.tolist())
    return is_beyond(figure, Limit(value=limit, upper=upper, source="study"))


def judge_window(above: Floats, below: Floats, limit: float, *, upper: bool = True) -> bool:
    """Judge by the last 28 days alone: the textbook's interval."""
    return judge_ours(above[-CLUSTERS:], below[-CLUSTERS:], limit, upper=upper)


def judge_week_by_day(above: Floats, below: Floats, limit: float) -> bool:
    """Call a week changed where a t-test of its seven days does, at 5 %."""
    shares = above[-7:] / below[-7:]
    error = shares.std(ddof=1) / math.sqrt(7)
    return bool((shares.mean() - limit) / error > stats.t.ppf(1 - _FEW, 6))


def judge_week_by_row(above: Floats, squares: Floats, below: Floats, limit: float) -> bool:
    """Call a week changed where a z-test of its rows does, at 5 %."""
    rows = below[-7:].sum()
    mean = above[-7:].sum() / rows
    error = math.sqrt((squares[-7:].sum() / rows - mean**2) / rows)
    return bool((mean - limit) / error > stats.norm.ppf(1 - _FEW))


def judge_three_sigma(above: Floats, below: Floats, reference: Floats) -> bool:
    """Call a week changed above the mean of the reference's weeks and three of their deviations."""
    week = above[-7:].sum() / below[-7:].sum()
    return bool(week > reference.mean() + 3 * reference.std(ddof=1))


def _shares(counts: Floats) -> Floats:
    return np.asarray(np.maximum(counts / counts.sum(), 1e-4))


def find_index(reference: Floats, week: Floats) -> float:
    """Return PSI."""
    a, b = _shares(reference), _shares(week)
    return float(((b - a) * np.log(b / a)).sum())


def find_distance(reference: Floats, week: Floats) -> float:
    """Return the distance of Jensen and Shannon, 0 to 1."""
    a, b = _shares(reference), _shares(week)
    middle = (a + b) / 2
    parts = (a * np.log2(a / middle)).sum() + (b * np.log2(b / middle)).sum()
    return math.sqrt(max(float(parts) / 2, 0.0))


def _find_probability(reference: Floats, week: Floats) -> float:
    table = np.array([reference, week])
    return float(stats.chi2_contingency(table[:, table.sum(0) > 0]).pvalue)


def _each(measure: Callable[[Floats, Floats], float]) -> Callable[[Flights, Flights], list[float]]:
    def measure_all(reference: Flights, week: Flights) -> list[float]:
        return [
            measure(counts.sum(0), week.bins[name].sum(0))
            for name, counts in reference.bins.items()
            if name != "score"
        ]

    return measure_all


def _score_index(reference: Flights, week: Flights) -> float:
    return find_index(reference.bins["score"].sum(0), week.bins["score"].sum(0))


_indices, _distances = _each(find_index), _each(find_distance)
_probabilities = _each(_find_probability)
#: Rules on the inputs or scores of a week beside a reference.
INPUT_RULES: dict[str, Rule] = {
    "any χ² p < 0.05": lambda a, b: min(_probabilities(a, b)) < _FEW,
    "any χ² p < 0.05, Bonferroni": lambda a, b: min(p := _probabilities(a, b)) < _FEW / len(p),
    "any PSI > 0.1": lambda a, b: max(_indices(a, b)) > _SMALL,
    "any PSI > 0.25": lambda a, b: max(_indices(a, b)) > _LARGE,
    "any JS > 0.1 (NannyML's default)": lambda a, b: max(_distances(a, b)) > _SMALL,
    "JS > 0.1 in half of the columns (Evidently's)": lambda a, b: bool(
        np.mean(np.array(_distances(a, b)) > _SMALL) >= _HALF
    ),
    "PSI of scores > 0.1": lambda a, b: _score_index(a, b) > _SMALL,
}
