"""What fifty changes that each lose half a margin cost, with and without a reference.

`make erosion-study` runs this and writes docs/reference/erosion.md. Every change truly loses half
of the margin of its number of test rows (as `mlgitops new` chooses it), and answers otherwise on
some more rows, where it gains as much as it loses: the churn of a retraining. The test rows stay
the same. What passes is merged, and the next change starts there; what fails is not, and the next
one tries anew. The product's own statistics and judge decide.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.coverage.design import render_section
from benchmarks.coverage.margins import make_change
from benchmarks.simulation import make_pair
from mlgitops.judgement.judge import judge_report
from mlgitops.model import (
    MOST_MERGES,
    MetricChange,
    OnInconclusive,
    Policy,
    Reference,
    Report,
    Rule,
    Side,
    StageChange,
    StageState,
    TestData,
    Trend,
    TrendPoint,
    Verdict,
)
from mlgitops.project.generate.policy import find_margin
from mlgitops.render.trend import describe_slide
from mlgitops.statistics.compare import as_evidence, estimate_metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rights = NDArray[np.bool_]

OUTPUT = Path(__file__).parent.parent / "docs" / "reference" / "erosion.md"
SIZES = (500, 2_000, 30_000)
CHANGES = 50
#: Share of rows on which a change answers otherwise, beside what it loses.
CHURNS = (0.0, 0.01, 0.03)
CONFIDENCE = 0.95
RUNS = 40
#: What is lost at most with a reference, in margins.
MOST = 2.0
_START = 0.9  # accuracy of the first model
_TEST_SHARE = 0.3  # of the rows that `new` sees
_METRIC = "test.accuracy"
_LENIENT = "inconclusive_since_reference: pass"
_POLICIES = (
    (OnInconclusive.PASS, False, OnInconclusive.FAIL),
    (OnInconclusive.FAIL, False, OnInconclusive.FAIL),
    (OnInconclusive.PASS, True, OnInconclusive.PASS),
    (OnInconclusive.PASS, True, OnInconclusive.FAIL),
    (OnInconclusive.FAIL, True, OnInconclusive.FAIL),
)
_TITLES = {
    _POLICIES[0]: "Without a reference, `inconclusive: pass` (the default)",
    _POLICIES[1]: "Without a reference, `inconclusive: fail`",
    _POLICIES[2]: f"With a reference, `{_LENIENT}`",
    _POLICIES[3]: "With a reference (the default)",
    _POLICIES[4]: "With a reference, `inconclusive: fail`",
}
_COLUMNS = ["rows", "margin", "churn", "lost, mean", "95 % of histories", "most", "comment tells"]
_HEAD = """# What small losses cost

Written by `make erosion-study`; do not edit. {changes} changes of a model with an accuracy of
{start} come one after the other. Each truly loses half of the margin that `mlgitops new` chooses
for so many test rows, and besides trades right answers for wrong ones on some rows, as many as it
mends: the churn of a retraining. What passes is merged and is the next one's base; what fails is
not, and the next one tries anew. The test rows stay the same; the product's own statistics and
judge decide. With a reference, all changes together may lose what one of them may:
`max_worsening_since_reference` is the margin. What is truly lost after the last change is given in
margins, over {runs} histories. Without a reference, the last column says in how many of them the
last comment tells that small losses add up.

[Why](../explanation/reference.md) is another page."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One history of changes: how many rows, how much churn, and what the policy asks."""

    rows: int
    churn: float
    choice: OnInconclusive
    has_reference: bool
    since: OnInconclusive = OnInconclusive.FAIL

    @property
    def margin(self) -> float:
        """Return what one change may lose, by the policy that `mlgitops new` writes."""
        return find_margin(round(self.rows / _TEST_SHARE))

    @property
    def policy(self) -> Policy:
        """Return the policy; all changes together may lose as much as one of them."""
        since = self.margin if self.has_reference else None
        rule = Rule(max_worsening=self.margin, max_worsening_since_reference=since)
        return Policy(
            reference="v1.0.0" if self.has_reference else None,
            confidence=CONFIDENCE,
            metrics={_METRIC: rule},
            inconclusive=self.choice,
            inconclusive_since_reference=self.since,
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one history of changes."""

    lost: float  # truly, in margins
    is_told: bool  # whether the last comment says that small losses add up


def erode(setting: Setting, rng: np.random.Generator) -> Outcome:
    """Let the changes come, one after the other, and merge those that may."""
    first = base = rng.random(setting.rows) < _START
    accuracy, loss = _START, setting.margin / 2
    values = [float(base.mean())]
    for _ in range(CHANGES):
        head = _change(base, accuracy, loss, setting.churn, rng)
        report = _judge(first, base, head, values, setting)
        if report.judgement is not None and report.judgement.verdict is Verdict.PASS:
            base, accuracy = head, accuracy - loss
            values.append(float(base.mean()))
    lost = (_START - accuracy) / setting.margin
    return Outcome(lost=lost, is_told=bool(describe_slide(report)))


def _change(
    base: Rights, accuracy: float, loss: float, churn: float, rng: np.random.Generator
) -> Rights:
    """Draw where head is right: it loses ``loss``, and trades half of ``churn`` both ways."""
    chance = rng.random(len(base))
    spoiled = base & (chance < (loss + churn / 2) / accuracy)
    mended = ~base & (chance < (churn / 2) / (1 - accuracy))
    return (base & ~spoiled) | mended


def _judge(
    first: Rights, base: Rights, head: Rights, values: list[float], setting: Setting
) -> Report:
    """Judge head as a pull request is judged; ``values`` are those of all merges so far."""
    reference = Reference(
        name="v1.0.0", label="v1.0.0", rows=TestData.SAME, metrics=(_compare(first, head),)
    )
    points = tuple(TrendPoint(sha="a" * 40, value=value) for value in values[-MOST_MERGES:])
    report = Report(
        schema=1, key="study", base=Side(sha=None), head=Side(sha=None),
        test_data=TestData.SAME, metrics=(_compare(base, head),),
        stages=(StageChange(name="train", state=StageState.RAN),),
        reference=reference if setting.has_reference else None,
        trend=Trend(name=_METRIC, path="metrics.json", points=points),
    )  # fmt: skip
    return judge_report(report, setting.policy)


def _compare(base: Rights, head: Rights) -> MetricChange:
    """Compare two models by where they are right: a row's target is 1, and so are right answers."""
    right = np.ones(len(base), dtype=np.int8)
    pair = make_pair(right, base.astype(np.int8), head.astype(np.int8))
    result = estimate_metrics(pair, [_METRIC], None)[_METRIC]
    values = (float(base.mean()), float(head.mean()))
    return make_change(_METRIC, values, as_evidence(result, pair, CONFIDENCE))


def list_settings() -> list[Setting]:
    """List what is studied, in the order of the table."""
    return [
        Setting(rows=rows, churn=churn, choice=choice, has_reference=has_reference, since=since)
        for (choice, has_reference, since), rows, churn in product(_POLICIES, SIZES, CHURNS)
    ]


def run_setting(task: tuple[Setting, int]) -> list[Outcome]:
    """Return what became of some histories of a setting; seeds are fixed."""
    setting, runs = task
    at = list_settings().index(setting)
    return [erode(setting, np.random.default_rng([at, run])) for run in range(runs)]


def render_page(settings: list[Setting], outcomes: list[list[Outcome]], runs: int) -> str:
    """Render the page: a table for each policy."""
    parts = [_HEAD.format(runs=runs, start=_START, changes=CHANGES)]
    for policy, title in _TITLES.items():
        rows = [
            [
                f"{setting.rows:,}",
                f"{setting.margin:g}",
                f"{100 * setting.churn:g} %",
                *_show(results)[: 3 if setting.has_reference else 4],
            ]
            for setting, results in zip(settings, outcomes, strict=True)
            if (setting.choice, setting.has_reference, setting.since) == policy
        ]
        columns = _COLUMNS[: len(rows[0])]
        parts.append("\n".join(render_section(title, None, columns, rows, texts=0)))
    return "\n\n".join([*parts, _tell_promise(settings, outcomes)]) + "\n"


def _show(results: list[Outcome]) -> list[str]:
    lost = [outcome.lost for outcome in results]
    told = sum(outcome.is_told for outcome in results) / len(results)
    return [
        f"{np.mean(lost):.2f}",
        f"{np.quantile(lost, 0.95):.2f}",
        f"{max(lost):.1f}",
        f"{100 * told:.0f} %",
    ]


def _tell_promise(settings: list[Setting], outcomes: list[list[Outcome]]) -> str:
    """Name the settings with a reference in which more than two margins are lost on average."""
    above = [
        f"{setting.rows:,} rows with {100 * setting.churn:g} % under `{_name(setting)}`"
        for setting, results in zip(settings, outcomes, strict=True)
        if setting.has_reference and np.mean([outcome.lost for outcome in results]) >= MOST
    ]
    told = "; ".join(above) or "none"
    return f"Settings with a reference that lose {MOST:g} margins or more on average: **{told}**."


def _name(setting: Setting) -> str:
    if setting.since is OnInconclusive.PASS:
        return _LENIENT
    return f"inconclusive: {setting.choice}"


def main(arguments: list[str] | None = None) -> int:
    """Run the study and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="histories of each setting")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, default=None, help="write the page here")
    options = parser.parse_args(arguments)
    settings = list_settings()
    with multiprocessing.get_context("fork").Pool(options.workers) as pool:
        outcomes = pool.map(run_setting, [(setting, options.runs) for setting in settings], 1)
    page = render_page(settings, outcomes, options.runs)
    print(page)
    if options.output:
        options.output.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
