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

from benchmarks.coverage.design import (
    Design,
    render_section,
    scale_runs,
    show_rate,
    tell_excess,
)
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
#: Runs at most, by the number of rows: with many, a run costs more.
_RUNS = {"everywhere": ((1_000, 1_200), (10_000, 500), (100_000, 150)),
         "few": ((1_000, 300), (20_000, 100))}  # fmt: skip
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
            runs = scale_runs(next(runs for most, runs in _RUNS[part] if rows <= most), share)
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
    lines: list[str] = []
    for own_part, title, text, sources in (
        ("everywhere", "A loss of exactly the margin, on all rows", _EVERYWHERE, EVERYWHERE),
        ("few", "A loss of exactly the margin, on few rows", _FEW, ON_FEW_ROWS),
    ):
        own = {
            (sources[index].name, rows): tallies
            for (name, index, rows), tallies in sorted(cells.items())
            if name == own_part
        }
        lines += [*_render_part(title, text + _SHARED, own), "", *_tell_part(own), ""]
    return "\n".join(lines)


_COUNTS = {"strict": "passes `inconclusive: fail`", "equivalent": "is called *equivalent*",
           "plain": "passes `inconclusive: pass` in plain green"}  # fmt: skip
_SHARED = (
    " In percent of runs: passes `inconclusive: fail` (strict), the mean of all metrics and the"
    " largest; is called *equivalent*; passes `inconclusive: pass` in plain green; passes it at"
    " all. At most 2.5 % is promised of the first three. Beside each largest rate stands its Monte"
    " Carlo error. Of several rates of 2.5 % the largest lies above by chance, so the largest is"
    " no test of the promise; what stands below the table is."
)
_EVERYWHERE = "Head is a little worse than base on all rows, by the margin."
_FEW = (
    "Head answers as base does, but for some rows that it gets wrong; as many as are expected"
    " stand in the first column, and the margin is what they cost."
)
_Cells = dict[tuple[str, int], dict[str, Tally]]


def _render_part(title: str, text: str, cells: _Cells) -> list[str]:
    rows = []
    for (source, size), tallies in cells.items():
        runs = next(iter(tallies.values())).runs
        shown = [_show_largest(tallies, name) for name in _COUNTS]
        most = 100 * max(tally.default / tally.runs for tally in tallies.values())
        mean = 100 * _find_mean(tallies, "strict")
        rows.append([source, f"{size:,}", f"{runs:,}", f"{mean:.1f}", *shown, f"{most:.0f}"])
    head = ["pairs", "rows", "runs", "strict, mean", "strict", "equivalent", "plain green",
            "default"]  # fmt: skip
    return render_section(title, text, head, rows, texts=1)


def _tell_part(cells: _Cells) -> list[str]:
    """Judge each kind of pass over all metrics, and their mean over the independent draws."""
    lines = []
    for name, words in _COUNTS.items():
        counts = {
            f"{metric}, {source}, {size:,} rows": (getattr(tally, name), tally.runs)
            for (source, size), tallies in cells.items()
            for metric, tally in tallies.items()
        }
        means = [100 * _find_mean(tallies, name) for tallies in cells.values()]
        error = float(np.std(means, ddof=1)) / math.sqrt(len(means))
        lines.append(
            f"* {words[0].upper()}{words[1:]}. {tell_excess(counts, PROMISED)} The mean of the"
            f" {len(means)} rows of the table is {np.mean(means):.2f} ± {error:.2f} %."
        )
    return lines


def _find_mean(tallies: Mapping[str, Tally], count: str) -> float:
    return float(np.mean([getattr(tally, count) / tally.runs for tally in tallies.values()]))


def _show_largest(tallies: Mapping[str, Tally], count: str) -> str:
    name = max(tallies, key=lambda metric: getattr(tallies[metric], count))
    found = getattr(tallies[name], count)
    return f"{show_rate(found, tallies[name].runs)} ({name})" if found else "0"


DESIGN = Design(order=3, list_tasks=list_tasks, run_task=run_task, render=render)
