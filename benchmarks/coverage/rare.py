"""Rare positives: how often intervals hold the true difference, and whether they say rough."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from benchmarks.coverage.design import Design, render_section, scale_runs, tell_excess
from benchmarks.simulation import Binary
from mlgitops.statistics.estimate import Undefined
from mlgitops.statistics.evidence import Comparison

RUNS = 400
CONFIDENCE = 0.95
_MOST_MISSED = 0.07  # of the intervals that are not called rough
METRICS = ("roc_auc", "average_precision", "brier", "log_loss", "mcc", "cohen_kappa", "accuracy",
           "balanced_accuracy", "f1", "f1_macro", "f1_weighted", "precision", "recall")  # fmt: skip
#: Positive rows, expected, of how many rows.
COUNTS = ((10, 500), (20, 1_000), (40, 1_000), (100, 1_000))
#: Distance between the classes at base and head: usual, and so large that nearly all is right.
DISTANCES = ((1.6, 1.9), (2.5, 3.0))
_SHARED = 0.6


@dataclass
class Tally:
    """What happened to one metric; counts of runs."""

    runs: int = 0
    held: int = 0
    rough: int = 0
    held_calm: int = 0  # holds the truth, and is not rough

    def show(self) -> str:
        """Render the coverage in percent, and the share of runs that are called rough."""
        held, rough = 100 * self.held / max(self.runs, 1), 100 * self.rough / max(self.runs, 1)
        return f"{held:.1f}, rough {rough:.0f} %" if rough >= 1 else f"{held:.1f}"


@dataclass
class Cell:
    """One number of positives at one distance."""

    metrics: dict[str, Tally] = field(default_factory=dict)


def run_task(task: tuple[tuple[int, int], tuple[float, float], int]) -> Cell:
    """Draw and count."""
    (positives, rows), (base, head), runs = task
    scenario = Binary(name="rare", prevalence=positives / rows, base=base, head=head,
                      shared=_SHARED, threshold=0.3)  # fmt: skip
    truth, cell = scenario.truth(), Cell()
    for run in range(runs):
        pair, _ = scenario.draw(rows, np.random.default_rng([positives, round(10 * base), run]))
        comparison = Comparison(pair)
        for name in METRICS:
            tally = cell.metrics.setdefault(name, Tally())
            try:
                estimate = comparison.estimate(name)
            except Undefined:
                continue
            low, high = estimate.interval(CONFIDENCE)
            tally.runs += 1
            tally.held += low <= truth[name] <= high
            tally.rough += bool(estimate.warnings)
            tally.held_calm += low <= truth[name] <= high and not estimate.warnings
    return cell


def _list_tasks(share: float) -> list[tuple[tuple[int, int], tuple[float, float], int]]:
    return [
        (count, distance, scale_runs(RUNS, share)) for distance in DISTANCES for count in COUNTS
    ]


def _render(
    tasks: list[tuple[tuple[int, int], tuple[float, float], int]], results: list[Cell]
) -> str:
    runs = tasks[0][2]
    error = 100 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / runs)
    text = (
        f"Coverage of the 95 % interval in percent of {runs:,} runs (one Monte Carlo standard error"
        f" is {error:.1f} points), and the share of the runs in which it is called rough. At least"
        " 93 % is aimed at where it is not."
    )
    lines: list[str] = []
    for distance in DISTANCES:
        own = [
            (task, cell) for task, cell in zip(tasks, results, strict=True) if task[1] == distance
        ]
        head = ["metric", *(f"{task[0][0]} positive of {task[0][1]:,}" for task, _ in own)]
        rows = [[name, *(cell.metrics[name].show() for _, cell in own)] for name in METRICS]
        kind = "usual" if distance == DISTANCES[0] else "so good that nearly all is right"
        lines += render_section(
            f"Rare positives, models {kind}", text if not lines else None, head, rows, texts=1
        )
        lines.append("")
    missed = {
        f"{name}, {positives} positive of {rows:,}, distance {distance[0]:g}": (
            calm - tally.held_calm, calm
        )
        for ((positives, rows), distance, _), cell in zip(tasks, results, strict=True)
        for name, tally in cell.metrics.items()
        if (calm := tally.runs - tally.rough)
    }  # fmt: skip
    told = tell_excess(missed, _MOST_MISSED)
    lines.append(f"How often an interval misses the truth that is not rough. {told}")
    return "\n".join(lines)


DESIGN = Design(order=12, list_tasks=_list_tasks, run_task=run_task, render=_render)
