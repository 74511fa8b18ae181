"""Is the power statement right? Changes of the loss that it states, and how often they are stopped.

One run: draw a test set and two models of it of which neither is better, and let the judge state
which true loss is stopped with 80 % probability. Then draw another test set of that size, and a
head whose true loss is the stated one, and judge it by the same policy. Counted is how often it
fails. The true values follow from the distributions of the rows (`benchmarks/simulation.py`).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.coverage.design import monte_carlo_error, render_section, scale_runs
from benchmarks.coverage.margins import judge, make_change
from benchmarks.simulation import Binary, Regression
from mlgitops.model import OnInconclusive, Verdict
from mlgitops.statistics.compare import estimate_metrics, read_together
from mlgitops.statistics.estimate import Estimate
from mlgitops.statistics.power import POWER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlgitops.model import MetricChange
    from mlgitops.statistics.matching import Pair

RUNS = 2_000
SIZES = (500, 5_000)
METRICS = ("accuracy", "roc_auc", "log_loss", "mae")
CONFIDENCE = 0.95
_CLASSES = Binary(name="classes", prevalence=0.5, base=1.6, head=1.6, shared=0.8)
_NUMBERS = Regression(name="numbers", base=1.0, head=1.0, shared=0.8, tail=0.35)
_GRID = np.linspace(0.2, 1.6, 36)  # distances of head's classes, of which the truth is computed
_CHUNK = 250  # runs of one task


@dataclass(frozen=True)
class Choice:
    """A policy: the margin in standard errors of the metric's difference, and the mode."""

    name: str
    errors: float
    mode: OnInconclusive


CHOICES = (
    Choice("`pass`, a narrow margin", 0.8, OnInconclusive.PASS),
    Choice("`pass`, a wide margin", 4.0, OnInconclusive.PASS),
    Choice("`fail`", 4.0, OnInconclusive.FAIL),
)


@dataclass(frozen=True)
class Task:
    """Some runs of one cell of the table."""

    metric: str
    rows: int
    choice: int
    chunk: int
    runs: int


@dataclass
class Tally:
    """What became of the runs of a cell."""

    runs: int = 0
    stopped: int = 0
    neutral: int = 0  # changes without a loss that pass
    stated: float = 0.0  # sum of the losses that are stated
    stated_neutral: float = 0.0  # sum of the chances that are stated for a change without a loss

    def add(self, other: Tally) -> None:
        """Add the counts of more runs."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def draw(metric: str, loss: float, rows: int, rng: np.random.Generator) -> Pair:
    """Draw a test set and two models, of which head is worse by a true ``loss`` in ``metric``."""
    if metric == "mae":
        head = 1.0 + loss / _mean_error()
        return replace(_NUMBERS, head=head).draw(rows, rng)[0]
    return replace(_CLASSES, head=_find_distance(metric, loss)).draw(rows, rng)[0]


def _mean_error() -> float:
    return math.exp(_NUMBERS.tail**2 / 2) * math.sqrt(2 / math.pi)


def _find_distance(metric: str, loss: float) -> float:
    """Return the distance of head's classes at which it is worse than base by ``loss``."""
    if metric == "log_loss":
        return float(np.interp(-loss, -_find_losses(), _GRID))
    scale = 2.0 if metric == "accuracy" else math.sqrt(2)
    normal = NormalDist()
    return scale * normal.inv_cdf(normal.cdf(_CLASSES.base / scale) - loss)


@cache
def _find_losses() -> NDArray[np.float64]:
    """Return head's true loss of log loss at each distance of the grid."""
    return np.array([replace(_CLASSES, head=head).truth()["log_loss"] for head in _GRID.tolist()])


def measure(metric: str, pair: Pair) -> MetricChange:
    """Compare the two models as `compare` does, in one metric."""
    result = estimate_metrics(pair, [metric], None)[metric]
    assert isinstance(result, Estimate)
    evidence = read_together(pair, {metric: result}, CONFIDENCE)[metric]
    return make_change(metric, result.values, evidence)


def choose_margin(metric: str, rows: int, choice: int) -> float:
    """Return the margin of a policy: a round number near its standard errors at this size."""
    return float(f"{CHOICES[choice].errors * _find_error(metric) / math.sqrt(rows):.2g}")


@cache
def _find_error(metric: str) -> float:
    """Return the standard error of the difference of equally good models, of one row."""
    change = measure(metric, draw(metric, 0.0, 100_000, np.random.default_rng(1)))
    assert change.evidence is not None
    assert change.evidence.interval is not None
    interval = change.evidence.interval
    half = (interval.high - interval.low) / 2
    return half / NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(100_000)


def run_task(task: Task) -> Tally:
    """State a loss on one test set and judge a change of that loss on another, again and again."""
    mode = CHOICES[task.choice].mode
    margin = choose_margin(task.metric, task.rows, task.choice)
    tally = Tally()
    for run in range(task.runs):
        seed = [METRICS.index(task.metric), task.rows, task.choice, task.chunk, run]
        rng = np.random.default_rng(seed)
        neutral = judge(measure(task.metric, draw(task.metric, 0.0, task.rows, rng)), margin, mode)
        assert neutral.power is not None
        loss = neutral.power.stopped
        change = measure(task.metric, draw(task.metric, loss, task.rows, rng))
        tally.runs += 1
        tally.stopped += judge(change, margin, mode).verdict is Verdict.FAIL
        tally.neutral += neutral.verdict is Verdict.PASS
        tally.stated += loss
        tally.stated_neutral += neutral.power.neutral
    return tally


def list_tasks(share: float, sizes: tuple[int, ...] = SIZES) -> list[Task]:
    """List the tasks, the largest first; ``share``: the part of the full number of runs."""
    runs = scale_runs(RUNS, share)
    each = min(_CHUNK, runs)
    return [
        Task(metric, rows, choice, chunk, min(each, runs - chunk * each))
        for rows in sorted(sizes, reverse=True)
        for metric in METRICS
        for choice in range(len(CHOICES))
        for chunk in range(math.ceil(runs / each))
    ]


def collect(tasks: list[Task], results: list[Tally]) -> dict[tuple[str, int, int], Tally]:
    """Add up the tasks of each cell: metric, rows and policy."""
    cells: dict[tuple[str, int, int], Tally] = {}
    for task, part in zip(tasks, results, strict=True):
        cells.setdefault((task.metric, task.rows, task.choice), Tally()).add(part)
    return cells


def render(cells: dict[tuple[str, int, int], Tally]) -> str:
    """Render the page."""
    order = sorted(cells, key=lambda cell: (METRICS.index(cell[0]), cell[1], cell[2]))
    rows = []
    for metric, size, choice in order:
        tally = cells[metric, size, choice]
        rate, neutral = tally.stopped / tally.runs, tally.neutral / tally.runs
        error = monte_carlo_error(rate, tally.runs)
        rows.append([
            metric, f"{size:,}", CHOICES[choice].name,
            f"{choose_margin(metric, size, choice):g}", f"{tally.stated / tally.runs:.3g}",
            f"{100 * rate:.1f} ± {100 * error:.1f}",
            f"{100 * tally.stated_neutral / tally.runs:.1f}", f"{100 * neutral:.1f}",
        ])  # fmt: skip
    head = ["metric", "rows", "policy", "margin", "stated loss", "stopped, %",
            "neutral passes: stated, %", "counted, %"]  # fmt: skip
    rates = [100 * tally.stopped / tally.runs for tally in cells.values()]
    runs = min(tally.runs for tally in cells.values())
    text = (
        f"{runs:,} runs a cell. In each, the judge states on one test set, from a change that loses"
        " nothing, which true loss it would stop with 80 % probability; a head of that loss is then"
        " judged on another test set. *Stopped*: how often it failed, with its Monte Carlo error;"
        f" 80 is promised, within 3. The cells lie between {min(rates):.1f} and {max(rates):.1f} %,"
        f" their mean is {sum(rates) / len(rates):.1f} %. *Neutral passes*: how often the change"
        " that loses nothing passed, beside what was stated."
    )
    table = render_section("Changes of the stated loss", text, head, rows, texts=3)
    return "\n".join([_HEAD, *table, ""])


_HEAD = """\
# How often a change of the stated loss is stopped

Written by `make power-study`; what the statement means is said in
[what a test set can see](../explanation/power.md).
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the study, print the page and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="part of the full number of runs")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of test rows")
    parser.add_argument("--output", type=Path, default=None, help="write the page here")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    tasks = list_tasks(options.share, tuple(options.sizes))
    with ProcessPoolExecutor(options.workers) as pool:
        cells = collect(tasks, list(pool.map(run_task, tasks)))
    page = render(cells)
    print(page)
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    if options.output:
        options.output.write_text(page, encoding="utf-8")
    rates = [tally.stopped / tally.runs for tally in cells.values()]
    return int(options.share >= 1 and any(abs(rate - POWER) > 0.03 for rate in rates))  # noqa: PLR2004


if __name__ == "__main__":
    sys.exit(main())
