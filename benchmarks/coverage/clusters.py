"""Clusters of unequal size: how often the intervals by cluster hold the true difference."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.coverage.design import Design, render_section, scale_runs, tell_excess
from benchmarks.simulation import Binary
from mlgitops.statistics.estimate import Undefined
from mlgitops.statistics.evidence import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from mlgitops.statistics.matching import Pair

COUNTS = (20, 60, 200)
RUNS = 250
CONFIDENCE = 0.95
_MOST_MISSED = 0.07  # of the intervals that are not called rough
#: Kind of sizes → rows of so many clusters; about ten rows each.
SIZES: dict[str, Callable[[int, np.random.Generator], NDArray[np.intp]]] = {
    "equal": lambda count, _: np.full(count, 10),
    "lognormal, sigma 1": lambda count, rng: _round(6 * rng.lognormal(0, 1, count)),
    "lognormal, sigma 1.5": lambda count, rng: _round(4 * rng.lognormal(0, 1.5, count)),
    "Pareto, index 1.5": lambda count, rng: _round(4 * (1 + rng.pareto(1.5, count))),
    "Pareto, index 1.1": lambda count, rng: _round(3 * (1 + rng.pareto(1.1, count))),
}
_SCENARIO = Binary(name="clusters", prevalence=0.3, base=1.6, head=1.9, shared=0.6,
                   cluster_share=0.5)  # fmt: skip
_TRUTH: dict[str, float] = {}


def _round(sizes: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.maximum(1, np.round(sizes)).astype(np.intp)


def draw_clustered(
    kind: str, count: int, rng: np.random.Generator
) -> tuple[Pair, NDArray[np.intp], Mapping[str, float]]:
    """Draw ``count`` clusters of sizes of this kind; return also the true differences."""
    if not _TRUTH:
        _TRUTH.update(_SCENARIO.truth())
    sizes = SIZES[kind](count, rng)
    clusters = np.repeat(np.arange(count), sizes)
    pair, _ = _SCENARIO.draw(len(clusters), rng, clusters)
    return pair, clusters, _TRUTH


@dataclass
class Tally:
    """What happened to one metric; counts of runs."""

    runs: int = 0
    held: int = 0
    rough: int = 0
    held_calm: int = 0  # holds the truth, and is not rough


@dataclass
class Cell:
    """One kind of sizes at one number of clusters."""

    metrics: dict[str, Tally] = field(default_factory=dict)


def run_task(task: tuple[str, int, int]) -> Cell:
    """Draw and count."""
    kind, count, runs = task
    cell = Cell()
    for run in range(runs):
        seed = [list(SIZES).index(kind), count, run]
        pair, clusters, truth = draw_clustered(kind, count, np.random.default_rng(seed))
        comparison = Comparison(pair, clusters)
        for name, value in truth.items():
            tally = cell.metrics.setdefault(name, Tally())
            try:
                estimate = comparison.estimate(name)
            except Undefined:
                continue
            low, high = estimate.interval(CONFIDENCE)
            tally.runs += 1
            tally.held += low <= value <= high
            tally.rough += bool(estimate.warnings)
            tally.held_calm += low <= value <= high and not estimate.warnings
    return cell


def _list_tasks(share: float) -> list[tuple[str, int, int]]:
    return [(kind, count, scale_runs(RUNS, share)) for kind in SIZES for count in COUNTS]


def _render(tasks: list[tuple[str, int, int]], results: list[Cell]) -> str:
    rows = []
    for (kind, count, _), cell in zip(tasks, results, strict=True):
        tallies = cell.metrics.values()
        rates = {name: 100 * tally.held / tally.runs for name, tally in cell.metrics.items()}
        least = min(rates, key=lambda name: rates[name])
        calm = sum(tally.runs - tally.rough for tally in tallies)
        held = sum(tally.held_calm for tally in tallies)
        rough = sum(tally.rough for tally in tallies) / sum(tally.runs for tally in tallies)
        rows.append([
            kind, f"{count}", f"{sum(rates.values()) / len(rates):.1f}",
            f"{rates[least]:.1f} ({least})", f"{100 * rough:.0f} %",
            f"{100 * held / calm:.1f}" if calm else "none",
        ])  # fmt: skip
    missed = {
        f"{name}, {kind}, {count} clusters": (calm - tally.held_calm, calm)
        for (kind, count, _), cell in zip(tasks, results, strict=True)
        for name, tally in cell.metrics.items()
        if (calm := tally.runs - tally.rough)
    }
    runs = tasks[0][2]
    error = 100 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / runs)
    text = (
        f"Classes of two, {len(results[0].metrics)} metrics, {runs:,} runs each (one Monte Carlo"
        f" standard error is {error:.1f} points). Half of each model's own noise is common to a"
        " cluster. At least 93 % is aimed at, or the interval is called rough."
    )
    head = ["sizes", "clusters", "coverage, mean of metrics", "the least", "rough", "where not"]
    table = render_section("Clusters of unequal size", text, head, rows, texts=1)
    told = tell_excess(missed, _MOST_MISSED)
    return "\n".join(
        [*table, "", f"How often an interval misses the truth that is not rough. {told}"]
    )


DESIGN = Design(order=10, list_tasks=_list_tasks, run_task=run_task, render=_render)
