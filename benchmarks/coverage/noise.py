"""Pure noise in slices: how often a rule on losses fails where neither model is better."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.coverage.design import (
    Design,
    render_section,
    scale_runs,
    show_rate,
    tell_excess,
)
from benchmarks.simulation import make_pair
from mlgitops.judgement.slices import judge_slices, lacks_interval
from mlgitops.model import OnInconclusive, SliceRule, Verdict
from mlgitops.statistics.slices import measure_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlgitops.statistics.matching import Pair

    Floats = NDArray[np.float64]

RUNS = 150
CONFIDENCE = 0.95
#: Metrics that a loss is judged by; the other rates are a name or complement of one of these.
OF_CLASSES = ("accuracy", "precision", "recall", "f1", "true_negative_rate", "roc_auc", "brier",
              "log_loss")  # fmt: skip
OF_NUMBERS = ("mae", "mse", "rmse")
_DISTANCE = 1.8  # between the classes' scores, in standard deviations
_EVEN = 0.3  # positive rate from which half is the threshold
_TAIL = 1.5  # index of the Pareto distribution of the clusters' sizes
_OF_CLUSTER = 0.5  # share of each model's own noise that a cluster has in common


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups of one size, and two models that are equally good in each."""

    rows: int  # of each group
    groups: int
    rate: float = 0.5  # of positive rows; 0: a regression
    shared: float = 0.0  # part of the noise that both models have in common
    cluster_rows: int = 0  # rows of a cluster, about; 0: none. Sizes are unequal

    @property
    def name(self) -> str:
        """Say what is drawn."""
        kind = f"{self.rate:.0%} positive" if self.rate else "numbers"
        count = f"{self.groups} groups" if self.groups > 1 else "1 group"
        return f"{count} of {self.rows:,} rows, {kind}"

    def draw(self, rng: np.random.Generator) -> Pair:
        """Draw both models' predictions, and the columns `group` and, with clusters, `cluster`."""
        count = self.rows * self.groups
        columns = {"group": np.repeat(np.arange(self.groups), self.rows)}
        if self.cluster_rows:
            weight = rng.pareto(_TAIL, max(2, count // self.cluster_rows)) + 1
            columns["cluster"] = rng.choice(len(weight), count, p=weight / weight.sum())
        common = math.sqrt(self.shared) * rng.standard_normal(count)
        errors = [common + self._draw_own(columns, rng) for _ in range(2)]
        if not self.rate:
            target = rng.normal(0, 3, count)
            scale = np.exp(0.5 * rng.standard_normal(count))  # heavy tails
            base, head = (target + scale * error for error in errors)
            pair = make_pair(target, base, head)
        else:
            target = (rng.random(count) < self.rate).astype(np.int8)
            scores = [self._score(_DISTANCE * target + error) for error in errors]
            limit = 0.5 if self.rate >= _EVEN else _EVEN
            base, head = ((score > limit).astype(np.float64) for score in scores)
            pair = make_pair(target, base, head, ({"": scores[0]}, {"": scores[1]}))
        return replace(pair, columns=columns)

    def _draw_own(self, columns: dict[str, NDArray[np.intp]], rng: np.random.Generator) -> Floats:
        own = rng.standard_normal(len(columns["group"]))
        clusters = columns.get("cluster")
        if clusters is not None:
            effect = rng.standard_normal(int(clusters.max()) + 1)[clusters]
            own = math.sqrt(1 - _OF_CLUSTER) * own + math.sqrt(_OF_CLUSTER) * effect
        return np.asarray(math.sqrt(1 - self.shared) * own)

    def _score(self, x: Floats) -> Floats:
        logit = _DISTANCE * x - _DISTANCE**2 / 2 + math.log(self.rate / (1 - self.rate))
        return np.asarray(1 / (1 + np.exp(-logit)))


DRAWS = (
    *(Groups(rows=rows, groups=groups, rate=rate, shared=shared)
      for rows, groups in ((20, 1), (20, 20), (200, 1), (200, 20), (200, 40), (2_000, 5))
      for rate, shared in ((0.02, 0.0), (0.1, 0.0), (0.5, 0.0), (0.5, 0.8))),
    *(Groups(rows=rows, groups=groups, rate=rate, cluster_rows=cluster_rows)
      for rows, groups in ((20, 20), (200, 20), (2_000, 5))
      for rate, cluster_rows in ((0.1, 5), (0.5, 5), (0.5, 40))),
    *(Groups(rows=rows, groups=groups, rate=0.0, shared=0.5, cluster_rows=cluster_rows)
      for rows, groups in ((20, 20), (200, 20)) for cluster_rows in (0, 5)),
)  # fmt: skip


@dataclass
class Tally:
    """What became of one metric's rule; counts of runs, of groups for `silent`."""

    fails: int = 0
    absent: int = 0  # no group has a value
    silent: int = 0  # groups that are not judged: too little is counted
    groups: int = 0


@dataclass
class Cell:
    """One way to draw."""

    runs: int
    metrics: dict[str, Tally] = field(default_factory=dict)


def run_task(task: tuple[Groups, int]) -> Cell:
    """Draw, measure and judge each metric's rule on its own, with no margin at all."""
    draws, runs = task
    cell = Cell(runs)
    for run in range(runs):
        seed = [draws.rows, draws.groups, round(1000 * draws.rate), round(100 * draws.shared),
                draws.cluster_rows, run]  # fmt: skip
        pair = draws.draw(np.random.default_rng(seed))
        for metric in OF_CLASSES if draws.rate else OF_NUMBERS:
            tally = cell.metrics.setdefault(metric, Tally())
            _count(tally, pair, metric, "cluster" if draws.cluster_rows else None)
    return cell


def _count(tally: Tally, pair: Pair, metric: str, cluster: str | None) -> None:
    rule = SliceRule(by=("group",), metric=metric, max_worsening=0.0)
    facts = measure_slices(pair, [rule], confidence=CONFIDENCE, cluster=cluster)
    (verdict,) = judge_slices([rule], facts, OnInconclusive.PASS)
    if facts[0].reason:
        tally.absent += 1
        return
    tally.fails += verdict.verdict is Verdict.FAIL
    tally.silent += sum(lacks_interval(result) for result in facts[0].slices)
    tally.groups += len(facts[0].slices)


def _list_tasks(share: float) -> list[tuple[Groups, int]]:
    return [(draws, scale_runs(RUNS, share)) for draws in DRAWS]


def _render(tasks: list[tuple[Groups, int]], results: list[Cell]) -> str:
    rows: list[list[str]] = []
    counts: dict[str, tuple[int, int]] = {}
    for (draws, _), cell in zip(tasks, results, strict=True):
        rates = {
            name: 100 * tally.fails / (cell.runs - tally.absent)
            for name, tally in cell.metrics.items()
            if cell.runs > tally.absent
        }
        most = max(rates, key=lambda name: rates[name])
        silent = {
            name: 100 * tally.silent / max(tally.groups, 1) for name, tally in cell.metrics.items()
        }
        tops = [f"{name} {rate:.0f} %" for name, rate in silent.items() if rate >= 1]
        clusters = f"about {draws.cluster_rows} rows" if draws.cluster_rows else "-"
        given = {
            name: (tally.fails, cell.runs - tally.absent)
            for name, tally in cell.metrics.items()
            if name in rates
        }
        counts |= {
            f"{name}, {draws.name}, clusters {clusters}, {draws.shared:.0%} common": count
            for name, count in given.items()
        }
        rows.append([
            draws.name, clusters, f"{draws.shared:.0%}", ", ".join(tops) or "-",
            f"{sum(rates.values()) / len(rates):.1f}",
            f"{show_rate(*given[most])} ({most})" if rates[most] else "0",
        ])  # fmt: skip
    runs = tasks[0][1]
    text = (
        "Two models that are equally good in every group, and a rule that lets no group lose"
        f" anything: how often it fails, in {runs:,} runs for each metric that a loss may be judged"
        " by (`true_positive_rate` and the false rates fail with recall and `true_negative_rate`)."
        " In percent: the mean of all metrics, and the largest with its Monte Carlo error. At most"
        " 5 % is promised. A run in which no group has a value (no positive row) is left out."
    )
    head = ["groups", "clusters", "common noise", "groups not judged", "fails, mean", "the most"]
    title = "Pure noise in slices"
    table = render_section(title, text, head, rows, texts=4)
    return "\n".join([*table, "", tell_excess(counts, 1 - CONFIDENCE)])


DESIGN = Design(order=8, list_tasks=_list_tasks, run_task=run_task, render=_render)
