"""A true loss of exactly the margin: how often it is called equivalent, and passes a strict policy.

Two ways to lose it. Everywhere: head is a little worse than base on all rows. On few rows: head
answers as base does, but for some rows that base gets right and head does not. A metric's margin
is its true loss, which follows from the distributions the rows are drawn from. At most 2.5 % of
runs may pass: the share of 95 % intervals that lie on one side of the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from benchmarks.coverage.design import Design, monte_carlo_error, render_section, scale_runs
from benchmarks.simulation import Binary, Multiclass, Regression
from benchmarks.spoiled import SpoiledBinary, SpoiledRegression
from mlgitops.judgement.judge import judge_report
from mlgitops.model import (
    Evidence,
    Kind,
    MetricChange,
    MetricVerdict,
    OnInconclusive,
    Policy,
    Report,
    Rule,
    Side,
    StageChange,
    StageState,
    TestData,
    Verdict,
)
from mlgitops.statistics.compare import estimate_metrics, read_together
from mlgitops.statistics.estimate import Estimate
from mlgitops.statistics.intervals import is_rough

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.statistics.matching import Pair

CONFIDENCE = 0.95
PROMISED = (1 - CONFIDENCE) / 2
SIZES = (200, 1_000, 10_000, 100_000)
FEW_SIZES = (150, 1_000, 20_000)
#: Rows on which head is wrong and base right, as many as are expected.
FEW = (3.5, 6.0, 12.0, 25.0)
_CHUNK_ROWS = 2_000_000  # that one task draws
_TINY = 1e-9  # below, the rows that differ do not move the metric
_MANY_ROWS = 10_000  # beyond, a run costs more and fewer are done
_GREATER = ("accuracy", "balanced_accuracy", "f1_macro", "recall", "roc_auc", "average_precision")
_SMALLER = ("log_loss", "brier", "mae", "rmse")


class Source(Protocol):
    """A source of pairs, and the true difference of each metric at a number of rows."""

    @property
    def name(self) -> str: ...  # noqa: D102
    def draw(self, rows: int, rng: np.random.Generator) -> Pair: ...  # noqa: D102
    def truth(self, rows: int) -> Mapping[str, float]: ...  # noqa: D102


@dataclass(frozen=True)
class Everywhere:
    """Head is a little worse on all rows."""

    scenario: Binary | Multiclass | Regression

    @property
    def name(self) -> str:
        """Return the scenario's name."""
        return self.scenario.name

    def draw(self, rows: int, rng: np.random.Generator) -> Pair:
        """Draw the predictions of both models on the same rows."""
        return self.scenario.draw(rows, rng)[0]

    def truth(self, rows: int) -> Mapping[str, float]:  # noqa: ARG002 - the same for any
        """Return the true differences."""
        return self.scenario.truth()


EVERYWHERE: tuple[Source, ...] = (
    Everywhere(Binary(name="balanced", prevalence=0.5, base=1.6, head=1.55, shared=0.9)),
    Everywhere(Binary(name="10 % positive", prevalence=0.1, base=1.8, head=1.7, shared=0.8)),
    Everywhere(Multiclass(name="three classes", prevalence=(0.6, 0.3, 0.1), base=(1.8, 1.7, 1.6),
                          head=(1.75, 1.65, 1.55), shared=0.8)),
    Everywhere(Regression(name="errors", base=1.0, head=1.02, shared=0.8, tail=0.35)),
)  # fmt: skip
ON_FEW_ROWS: tuple[Source, ...] = tuple(
    source
    for few in FEW
    for source in (
        SpoiledBinary(name=f"{few:g} rows", prevalence=0.4, distance=2.0, few=few),
        SpoiledBinary(name=f"{few:g} positive rows", prevalence=0.2, distance=2.5, few=few,
                      of_class=1),
        SpoiledRegression(name=f"{few:g} rows, errors", few=few),
    )
)  # fmt: skip


@dataclass
class Tally:
    """What happened to one metric whose true loss is its margin; counts of runs."""

    runs: int = 0
    equivalent: int = 0
    strict: int = 0  # passes `inconclusive: fail`
    default: int = 0  # passes `inconclusive: pass`
    plain: int = 0  # passes it in plain green, rather than as not proven safe
    rough: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of more runs."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class Task:
    """Some runs of one source at one size."""

    part: str
    index: int
    rows: int
    chunk: int
    runs: int


def list_tasks(share: float) -> list[Task]:
    """List the tasks, the largest first."""
    tasks = []
    for part, sources, sizes in (
        ("everywhere", EVERYWHERE, SIZES), ("few", ON_FEW_ROWS, FEW_SIZES)
    ):  # fmt: skip
        for rows in sorted(sizes, reverse=True):
            runs = scale_runs(200 if rows > _MANY_ROWS else 800, share)
            each = max(1, min(runs, _CHUNK_ROWS // rows))
            for index in range(len(sources)):
                tasks += [
                    Task(part, index, rows, chunk, min(each, runs - chunk * each))
                    for chunk in range(math.ceil(runs / each))
                ]
    return tasks


def run_task(task: Task) -> dict[str, Tally]:
    """Judge every metric of some pairs, each alone, by a margin of its true loss."""
    source = (EVERYWHERE if task.part == "everywhere" else ON_FEW_ROWS)[task.index]
    truth = {
        name: value for name, value in source.truth(task.rows).items()
        if (name in _SMALLER and value > _TINY) or (name in _GREATER and value < -_TINY)
    }  # fmt: skip
    tallies = {name: Tally() for name in truth}
    for run in range(task.runs):
        seed = [task.part == "few", task.index, task.rows, task.chunk, run]
        pair = source.draw(task.rows, np.random.default_rng(seed))
        for name, result in estimate_metrics(pair, truth, None).items():
            if isinstance(result, Estimate):
                evidence = read_together(pair, {name: result}, CONFIDENCE)[name]
                _count(tallies[name], make_change(name, result.values, evidence), abs(truth[name]))
            tallies[name].runs += 1
    return tallies


def make_change(name: str, values: tuple[float, float], evidence: Evidence) -> MetricChange:
    """Make the change that `compare` reports of a metric's values at base and head."""
    base, head = values
    return MetricChange(
        name=name, path="metrics.json", base=base, head=head, delta=head - base, evidence=evidence
    )


def judge(change: MetricChange, margin: float, choice: OnInconclusive) -> MetricVerdict:
    """Judge the change by the policy, as the product does."""
    rule = Rule(greater_is_better=change.name not in _SMALLER, max_worsening=margin)
    report = Report(
        schema=1, key="study", base=Side(sha=None), head=Side(sha=None),
        test_data=TestData.SAME, metrics=(change,),
        stages=(StageChange(name="train", state=StageState.RAN),),
    )  # fmt: skip
    policy = Policy(metrics={change.name: rule}, inconclusive=choice)
    judgement = judge_report(report, policy).judgement
    assert judgement is not None
    return judgement.metrics[0]


def _count(tally: Tally, change: MetricChange, margin: float) -> None:
    default, strict = (judge(change, margin, choice) for choice in OnInconclusive)
    tally.equivalent += default.kind is Kind.EQUIVALENT
    tally.default += default.verdict is Verdict.PASS
    tally.plain += default.verdict is Verdict.PASS and default.unproven is None
    tally.strict += strict.verdict is Verdict.PASS
    interval = change.evidence.interval if change.evidence else None
    tally.rough += interval is not None and is_rough(interval)


def render(tasks: list[Task], results: list[dict[str, Tally]]) -> str:
    """Render both ways of losing the margin."""
    cells: dict[tuple[str, int, int], dict[str, Tally]] = {}
    for task, part in zip(tasks, results, strict=True):
        total = cells.setdefault((task.part, task.index, task.rows), part)
        if total is not part:
            for name, tally in part.items():
                total[name].add(tally)
    everywhere = {key: value for key, value in cells.items() if key[0] == "everywhere"}
    few = {key: value for key, value in cells.items() if key[0] == "few"}
    return "\n".join([
        *_render_part("A loss of exactly the margin, on all rows", _EVERYWHERE, EVERYWHERE,
                      everywhere), "",
        *_render_part("A loss of exactly the margin, on few rows", _FEW, ON_FEW_ROWS, few),
    ])  # fmt: skip


_SHARED = (
    " In percent of runs: passes `inconclusive: fail`; is called *equivalent*; passes"
    " `inconclusive: pass` in plain green; passes it at all. At most 2.5 % is promised of the first"
    " three. The largest of all metrics, and which it is: of several rates near 2.5 % the largest"
    " lies above by chance, by two or three of the Monte Carlo errors in the last column."
)
_EVERYWHERE = "Head is a little worse than base on all rows, by the margin." + _SHARED
_FEW = (
    "Head answers as base does, but for some rows that it gets wrong; as many as are expected"
    " stand in the first column, and the margin is what they cost." + _SHARED
)


def _render_part(
    title: str,
    text: str,
    sources: tuple[Source, ...],
    cells: dict[tuple[str, int, int], dict[str, Tally]],
) -> list[str]:
    rows = []
    for (_, index, size), tallies in sorted(cells.items()):
        runs = next(iter(tallies.values())).runs
        error = 100 * monte_carlo_error(PROMISED, runs)
        shown = [_show_largest(tallies, name) for name in ("strict", "equivalent", "plain")]
        most = 100 * max(tally.default / tally.runs for tally in tallies.values())
        row = [sources[index].name, f"{size:,}", *shown, f"{most:.0f}", f"{error:.2f}"]
        rows.append(row)
    head = ["pairs", "rows", "strict", "equivalent", "plain green", "default", "Monte Carlo error"]
    return render_section(title, text, head, rows, texts=1)


def _show_largest(tallies: Mapping[str, Tally], count: str) -> str:
    rates = {name: getattr(tally, count) / tally.runs for name, tally in tallies.items()}
    name = max(rates, key=lambda candidate: rates[candidate])
    return f"{100 * rates[name]:.1f} ({name})" if rates[name] else "0.0"


DESIGN = Design(order=3, list_tasks=list_tasks, run_task=run_task, render=render)
