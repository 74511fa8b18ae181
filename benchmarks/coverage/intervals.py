"""How often the intervals of differences hold the true difference.

Simulates pairs of models whose true difference is known, and counts how often each method's
95 % interval holds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cell_bootstrap import bootstrap_interval
from benchmarks.coverage.design import Design, scale_runs
from benchmarks.coverage.intervals_table import render_table
from benchmarks.simulation import Binary, Multiclass, Regression, Scenario
from mlgitops.statistics.counts import count_cells
from mlgitops.statistics.estimate import Estimate, Undefined
from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.intervals import holm_confidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.statistics.matching import Pair

SIZES = (200, 500, 1_000, 5_000, 20_000)
CONFIDENCE = 0.95
#: Where the percentile bootstrap is run beside our method, for comparison.
BOOTSTRAP_SIZES = (200, 500, 1_000)
BOOTSTRAP_METRICS = ("accuracy", "recall", "f1", "mcc")
_CHUNK = 250  # runs that one task does
_RUNS = 500  # of each scenario at each size

SCENARIOS: tuple[Scenario, ...] = (
    Binary(name="binary, balanced", prevalence=0.5, base=1.6, head=1.9, shared=0.7),
    Binary(name="binary, 10 % positive", prevalence=0.1, base=1.8, head=2.1, shared=0.7,
           threshold=0.3, overconfidence=1.3),
    Binary(name="binary, scores in steps of 0.05 from 0 to 1", prevalence=0.3, base=1.6,
           head=1.9, shared=0.8, step=0.05),
    Binary(name="binary, no difference", prevalence=0.25, base=1.8, head=1.8, shared=0.85),
    Multiclass(name="three classes, 60/30/10 %", prevalence=(0.6, 0.3, 0.1),
               base=(1.6, 1.5, 1.4), head=(1.8, 1.7, 1.6), shared=0.7),
    Multiclass(name="ten classes", prevalence=(0.1,) * 10, base=(2.0,) * 10, head=(2.2,) * 10,
               shared=0.7),
    Multiclass(name="three classes, no difference", prevalence=(0.5, 0.3, 0.2),
               base=(1.8,) * 3, head=(1.8,) * 3, shared=0.85),
    Regression(name="regression, normal errors", base=1.0, head=0.93, shared=0.7, tail=0.0),
    Regression(name="regression, heavy tails", base=1.0, head=0.93, shared=0.7, tail=0.5),
    Regression(name="regression, no difference", base=1.0, head=1.0, shared=0.85, tail=0.35),
    Binary(name="binary, clusters of 10 rows", prevalence=0.3, base=1.6, head=1.9, shared=0.6,
           cluster_rows=10, cluster_share=0.5),
    Regression(name="regression, clusters of 10 rows", base=1.0, head=0.93, shared=0.6, tail=0.2,
               cluster_rows=10, cluster_share=0.5),
)  # fmt: skip


@dataclass
class Tally:
    """What happened to one metric in one scenario at one size; counts of runs."""

    runs: int = 0
    covered: int = 0
    below: int = 0  # the interval lies below the truth
    warned: int = 0  # the report warns that the interval is rough
    missing: int = 0  # no interval, with a reason
    called: int = 0  # "improved" or "worsened" at the metric's own 95 %

    def add(self, other: Tally) -> None:
        """Add the counts of more runs."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Cell:
    """One scenario at one size."""

    scenario: str
    rows: int
    metrics: dict[str, Tally] = field(default_factory=dict)
    runs: int = 0
    any_called: int = 0  # runs in which Holm's procedure calls any metric changed
    null: bool = False
    bootstrap: dict[str, Tally] = field(default_factory=dict)

    def add(self, other: Cell) -> None:
        """Add the counts of more runs."""
        self.runs += other.runs
        self.any_called += other.any_called
        for name, tally in other.metrics.items():
            self.metrics[name].add(tally)
        for name, tally in other.bootstrap.items():
            self.bootstrap[name].add(tally)


def run_chunk(task: tuple[int, int, int, int]) -> tuple[int, Cell]:
    """Do some runs of one scenario at one size."""
    index, rows, chunk, runs = task
    scenario = SCENARIOS[index]
    truth = _truth(index)
    cell = Cell(scenario.name, rows, {name: Tally() for name in truth}, runs)
    cell.null = all(value == 0 for value in truth.values())
    if isinstance(scenario, Binary) and not scenario.cluster_rows and rows in BOOTSTRAP_SIZES:
        cell.bootstrap = {name: Tally() for name in BOOTSTRAP_METRICS}
    for run in range(runs):
        rng = np.random.default_rng([index, rows, chunk, run])
        pair, clusters = scenario.draw(rows, rng)
        estimates = {}
        comparison = Comparison(pair, clusters)
        for name, tally in cell.metrics.items():
            try:
                estimates[name] = comparison.estimate(name)
            except Undefined:
                tally.runs += 1
                tally.missing += 1
                continue
            _count(tally, estimates[name], truth[name])
        if cell.bootstrap:
            _run_bootstrap(cell.bootstrap, pair, truth, rng)
        levels = holm_confidence({name: e.interval for name, e in estimates.items()}, CONFIDENCE)
        bounds = (estimates[name].interval(level) for name, level in levels.items())
        cell.any_called += any(low > 0 or high < 0 for low, high in bounds)
    return index, cell


def _count(tally: Tally, estimate: Estimate, truth: float) -> None:
    low, high = estimate.interval(CONFIDENCE)
    tally.runs += 1
    tally.covered += low <= truth <= high
    tally.below += high < truth
    tally.warned += bool(estimate.warnings)
    tally.called += low > 0 or high < 0


def _run_bootstrap(
    tallies: dict[str, Tally], pair: Pair, truth: Mapping[str, float], rng: np.random.Generator
) -> None:
    cells = count_cells(pair.coded)
    for name, (low, high) in bootstrap_interval(cells, tuple(tallies), rng).items():
        tallies[name].runs += 1
        tallies[name].covered += low <= truth[name] <= high
        tallies[name].below += high < truth[name]


_TRUTHS: dict[int, Mapping[str, float]] = {}


def _truth(index: int) -> Mapping[str, float]:
    if index not in _TRUTHS:
        _TRUTHS[index] = SCENARIOS[index].truth()
    return _TRUTHS[index]


def list_tasks(share: float) -> list[tuple[int, int, int, int]]:
    """List scenario, rows, chunk and runs of every task, the largest first."""
    runs = scale_runs(_RUNS, share)
    return [
        (index, rows, chunk, min(_CHUNK, runs - chunk * _CHUNK))
        for rows in sorted(SIZES, reverse=True)
        for index in range(len(SCENARIOS))
        for chunk in range(math.ceil(runs / _CHUNK))
    ]


def render(tasks: list[tuple[int, int, int, int]], results: list[tuple[int, Cell]]) -> str:
    """Add up the chunks of each scenario and size, and render them."""
    cells: dict[tuple[int, int], Cell] = {}
    for (index, rows, _, _), (_, part) in zip(tasks, results, strict=True):
        total = cells.setdefault((index, rows), part)
        if total is not part:
            total.add(part)
    return render_table([cells[key] for key in sorted(cells)], CONFIDENCE)


DESIGN = Design(order=1, list_tasks=list_tasks, run_task=run_chunk, render=render)
