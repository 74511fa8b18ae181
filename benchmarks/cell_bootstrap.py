"""The percentile bootstrap of joint cells: what the jackknife of joint cells is held against.

Rows are resampled by drawing the cells' counts from a multinomial, which is in distribution
exactly the bootstrap of rows (Efron & Tibshirani 1993, ch. 13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgitops.statistics.counts import METRICS, Cells, Sums, sum_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bootstrap_interval(
    cells: Cells, names: tuple[str, ...], rng: np.random.Generator, *, resamples: int = 2_000
) -> dict[str, tuple[float, float]]:
    """Return the 95 % percentile interval of each metric's difference."""
    rows = int(cells.rows.sum())
    draws = rng.multinomial(rows, cells.rows / rows, size=resamples).astype(float)
    base, head = (_sum_draws(cells, draws, side) for side in (cells.base, cells.head))
    differences = {name: METRICS[name](head) - METRICS[name](base) for name in names}
    return {
        name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
        for name, values in differences.items()
    }


def _sum_draws(cells: Cells, draws: NDArray[np.float64], side: NDArray[np.intp]) -> Sums:
    """Return one model's sums in every resample."""
    classes = np.arange(cells.classes)
    is_target = (cells.target[:, None] == classes).astype(float)
    is_predicted = (side[:, None] == classes).astype(float)
    return sum_classes(
        (draws @ (is_target * is_predicted)).T, (draws @ is_target).T, (draws @ is_predicted).T
    )
