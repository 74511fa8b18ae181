"""Charts as models of every task make them, drawn once from seeded predictions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.comparison.charts.draw import draw_charts
from mlgitops.model import Chart, ChartKind, Series
from mlgitops.statistics.matching import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOSTILE = 'x"]\n%%{init: {}}%% <script>alert(1)</script> @octocat ```'


def make_binary(rows: int = 4_000, seed: int = 1) -> Pair:
    """Make the scores of two models, head a little better."""
    rng = np.random.default_rng(seed)
    target = (rng.random(rows) < 0.3).astype(np.int8)
    noise = rng.normal(size=rows)
    base = 1 / (1 + np.exp(1.2 - noise - target))
    head = 1 / (1 + np.exp(1.2 - noise - 1.4 * target + 0.2 * rng.normal(size=rows)))
    return Pair(
        target=target,
        base=(base > 0.5).astype(np.int8),
        head=(head > 0.5).astype(np.int8),
        base_scores={"": base},
        head_scores={"": head},
        columns={},
    )


def make_multiclass(labels: tuple[str, ...], rows: int = 600, seed: int = 2) -> Pair:
    """Make the answers of two models, head right more often."""
    rng = np.random.default_rng(seed)
    names = np.array([label.encode() for label in labels])
    target = rng.integers(0, len(labels), rows)
    sides = [
        np.where(rng.random(rows) < right, target, rng.integers(0, len(labels), rows))
        for right in (0.7, 0.8)
    ]
    return Pair(
        target=names[target],
        base=names[sides[0]],
        head=names[sides[1]],
        base_scores={},
        head_scores={},
        columns={},
    )


def make_regression(rows: int = 3_000, scale: float = 1_000.0, seed: int = 3) -> Pair:
    """Make the predictions of two models, head with less noise; the target is skewed."""
    rng = np.random.default_rng(seed)
    target = scale * np.exp(rng.normal(size=rows) * 0.4)

    def predict(noise: float) -> NDArray[np.float64]:
        return np.asarray(target * 0.9 + scale * (0.1 + noise * rng.normal(size=rows)))

    return Pair(
        target=target,
        base=predict(0.2),
        head=predict(0.15),
        base_scores={},
        head_scores={},
        columns={},
    )


def learning_curve() -> Chart:
    """Make what dvc.yaml's `plots:` usually hold: a loss for each step."""
    steps = tuple(float(step) for step in range(0, 1_500, 50))
    sides = {"base": 0.9, "head": 0.8}
    return Chart(
        name="plots/loss.csv",
        kind=ChartKind.LINE,
        title="plots/loss.csv",
        x_label="step",
        y_label="loss",
        series=tuple(
            Series(side=side, x=steps, y=tuple(0.3 + start * 0.997**step for step in steps))  # type: ignore[arg-type]
            for side, start in sides.items()
        ),
    )


@cache
def chart_situations() -> dict[str, tuple[Chart, ...]]:
    """Draw the charts of every situation; a new one is a line here."""
    return {
        "binary": (*draw_charts(make_binary()), learning_curve()),
        "few_rows": draw_charts(make_binary(12)),
        "penguins": draw_charts(make_multiclass(("Adelie", "Chinstrap", "Gentoo"))),
        "many_classes": draw_charts(
            make_multiclass(tuple(f"class number {at}" for at in range(40)), 4_000)
        ),
        "hostile_labels": draw_charts(make_multiclass((HOSTILE, "a|b", "línea 数 😀", "--> {x}"))),
        "regression": draw_charts(make_regression()),
        "large_numbers": draw_charts(make_regression(scale=3e11)),
        "small_numbers": draw_charts(make_regression(scale=2e-7)),
    }
