"""How often the intervals hold the true difference: `make coverage-study`.

Simulates pairs of models whose true difference is known, counts how often each method's 95 %
interval holds it, and writes the table that the documentation shows.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cell_bootstrap import bootstrap_interval
from benchmarks.coverage_table import render_table
from benchmarks.simulation import Binary, Multiclass, Regression, Scenario
from mlgitops.inference.counts import count_cells
from mlgitops.inference.decision import holm_confidence
from mlgitops.inference.estimate import Estimate, Undefined
from mlgitops.inference.evidence import Comparison

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.inference.matching import Pair

SIZES = (200, 500, 1_000, 5_000, 20_000)
CONFIDENCE = 0.95
#: Where the percentile bootstrap is run beside our method, for comparison.
BOOTSTRAP_SIZES = (200, 500, 1_000)
BOOTSTRAP_METRICS = ("accuracy", "recall", "f1", "mcc")
_CHUNK = 500  # runs that one task does
OUTPUT = Path(__file__).parent.parent / "docs" / "reference" / "coverage.md"

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
        found = {}
        comparison = Comparison(pair, clusters)
        for name, tally in cell.metrics.items():
            try:
                found[name] = comparison.estimate(name)
            except Undefined:
                tally.runs += 1
                tally.missing += 1
                continue
            _count(tally, found[name], truth[name])
        if cell.bootstrap:
            _run_bootstrap(cell.bootstrap, pair, truth, rng)
        levels = holm_confidence({name: e.interval for name, e in found.items()}, CONFIDENCE)
        bounds = (found[name].interval(level) for name, level in levels.items())
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


def run_study(runs: int, sizes: tuple[int, ...], workers: int) -> list[Cell]:
    """Run every scenario at every size; the same seeds give the same numbers."""
    for index in range(len(SCENARIOS)):
        _truth(index)  # before the fork, so that each is computed once
    tasks = [
        (index, rows, chunk, min(_CHUNK, runs - chunk * _CHUNK))
        for rows in sorted(sizes, reverse=True)
        for index in range(len(SCENARIOS))
        for chunk in range(math.ceil(runs / _CHUNK))
    ]
    cells: dict[tuple[int, int], Cell] = {}
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for done, (index, part) in enumerate(pool.imap_unordered(run_chunk, tasks), 1):
            known = cells.setdefault((index, part.rows), part)
            if known is not part:
                known.add(part)
            print(f"\r  {done}/{len(tasks)} tasks", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [cells[key] for key in sorted(cells)]


def main(arguments: list[str] | None = None) -> int:
    """Run the study, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_500, help="runs per cell (%(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--output", type=Path, default=None, help="write the page here")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    cells = run_study(options.runs, tuple(options.sizes), options.workers)
    page = render_table(cells, CONFIDENCE)
    print(page)
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
