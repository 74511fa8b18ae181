"""Tests of what is foreseen of test rows: from base's predictions, and from a table alone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.simulation import Binary, Multiclass, Regression
from mlgitops.judgement.power import weigh_margin
from mlgitops.model import Interval, OnInconclusive, Policy, Rule
from mlgitops.project.foresight import describe_foresight, difference_error, foresee
from mlgitops.project.generate.mode import (
    area_error,
    find_neutral_chance,
    group_error,
    recall_error,
    render_mode,
)
from mlgitops.project.generate.policy import find_margin
from mlgitops.statistics.alone import measure_alone
from mlgitops.statistics.compare import estimate_metrics
from mlgitops.statistics.estimate import Estimate
from mlgitops.statistics.power import read_noise
from mlgitops.tables.predictions import Predictions

if TYPE_CHECKING:
    from mlgitops.statistics.matching import Pair

DEFAULTS = Path(__file__).parents[3] / "docs" / "explanation" / "defaults.md"
ROWS = 4_000
CLASSES = Binary(name="classes", prevalence=0.3, base=1.5, head=1.5, shared=0.8)
NUMBERS = Regression(name="numbers", base=1.0, head=1.0, shared=0.8, tail=0.3)
THREE = Multiclass(name="three", prevalence=(0.5, 0.3, 0.2), base=(1.5,) * 3, head=(1.5,) * 3,
                   shared=0.8)  # fmt: skip


def _read_base(pair: Pair) -> Predictions:
    return Predictions(id=np.arange(pair.rows), target=pair.target, prediction=pair.base,
                       scores=pair.base_scores, columns={})  # fmt: skip


def test_a_models_own_error_is_the_textbooks() -> None:
    """A share's, a mean's, and a ROC AUC's by Hanley & McNeil's bound for these scores."""
    pair = CLASSES.draw(ROWS, np.random.default_rng(1))[0]
    alone = measure_alone(_read_base(pair), ["test.accuracy", "test.roc_auc", "test.brier"], None)
    right = float((pair.base == pair.target).mean())
    assert alone["test.accuracy"].value == pytest.approx(right)
    assert alone["test.accuracy"].error == pytest.approx(
        math.sqrt(right * (1 - right) / (ROWS - 1))
    )
    squares = (pair.base_scores[""] - pair.target) ** 2
    assert alone["test.brier"].error == pytest.approx(squares.std(ddof=1) / math.sqrt(ROWS))
    positive = int(pair.target.sum())
    bound = area_error(positive, ROWS - positive) / math.sqrt(0.75 * 0.25)
    area = alone["test.roc_auc"]
    assert area.error == pytest.approx(bound * math.sqrt(area.value * (1 - area.value)), rel=0.15)


@pytest.mark.parametrize("name", ["test.mae", "test.rmse", "test.r2", "test.log_loss"])
def test_two_models_that_share_nothing_differ_by_the_bound(name: str) -> None:
    """The error of a difference is that of both models' own, where their errors are apart."""
    scenario = NUMBERS if name != "test.log_loss" else THREE
    pair = replace(scenario, shared=0.0).draw(ROWS, np.random.default_rng(2))[0]
    result = estimate_metrics(pair, [name], None)[name]
    alone = measure_alone(_read_base(pair), [name], None)[name]
    assert isinstance(result, Estimate)
    # Rows that are hard for both make them correlate all the same, so the bound is above.
    assert 0.7 < result.error / difference_error(alone.error, 0.0) < 1.03


def test_what_is_foreseen_holds_what_a_change_then_shows() -> None:
    """The loss that a comment states of a real pair lies between the two ends."""
    pair = CLASSES.draw(ROWS, np.random.default_rng(3))[0]
    names = ["test.accuracy", "test.roc_auc", "test.log_loss"]
    policy = Policy(metrics={name: Rule(greater_is_better=name != "test.log_loss",
                                        max_worsening=0.005) for name in names},
                    confidence=0.85)  # fmt: skip
    foresights = foresee(_read_base(pair), policy)
    assert [item.metric for item in foresights] == names
    for item in foresights:
        result = estimate_metrics(pair, [item.metric], None)[item.metric]
        assert isinstance(result, Estimate)
        low, high = result.interval(0.95)
        interval = Interval(low=low, high=high, confidence=0.95, method=result.method)
        noise = read_noise(item.metric, result.values[0], interval, ROWS)
        assert noise is not None
        stopped = weigh_margin(noise, 0.005, OnInconclusive.PASS).stopped
        assert item.alike < stopped < item.apart
    text = describe_foresight(foresights)
    assert text.startswith("These 4,000 test rows stop, with 80 % probability, a true loss of")


def test_nothing_is_foreseen_without_a_margin_or_a_method() -> None:
    """No sentence, rather than one about nothing."""
    pair = CLASSES.draw(300, np.random.default_rng(4))[0]
    rules = {"test.accuracy": Rule(min_value=0.5), "test.profit": Rule(max_worsening=1.0)}
    assert foresee(_read_base(pair), Policy(metrics=rules)) == []
    assert describe_foresight([]) == ""


def test_the_chance_of_a_change_that_loses_nothing_is_counted_right() -> None:
    """Two metrics and three groups, drawn with the errors that are assumed."""
    rng = np.random.default_rng(5)
    metrics, groups = [(0.01, 0.014), (0.02, 0.027)], [(0.05, 0.08)] * 3
    chance = find_neutral_chance(metrics, groups, 5_000)
    passes = np.ones(200_000, dtype=bool)
    for family, z in ((metrics, 2.2414), (groups, 2.3940)):  # 1 - 0.05 / 2 and / 3, two-sided
        for error, margin in family:
            noise = error * math.sqrt(0.2)
            passes &= rng.standard_normal(len(passes)) * noise + z * noise <= margin
    assert chance == pytest.approx(passes.mean(), abs=0.005)
    assert find_neutral_chance(metrics, [], 150) == 0


def test_errors_before_there_is_a_model() -> None:
    """The largest error of a share, halved by four times the rows."""
    assert recall_error([100, 100]) == pytest.approx(0.5 / math.sqrt(200))
    assert group_error(400, None) == pytest.approx(0.025)
    assert group_error(400, 3.0) == pytest.approx(0.15)
    assert area_error(1_000, 1_000) == pytest.approx(2 * area_error(4_000, 4_000), rel=0.001)


@pytest.mark.parametrize(("table", "positives"), [(125_000, 0.5), (215_000, 0.1), (27_000, None)])
def test_rows_that_proof_takes_are_those_of_the_docs(table: int, positives: float | None) -> None:
    """Without slices so many rows of a table are enough, and a tenth less is not."""
    assert f"{table:,}" in DEFAULTS.read_text(encoding="utf-8")

    def find_chance(rows: int) -> float:
        tested, margin = round(0.3 * rows), find_margin(rows)
        if positives is None:  # of an RMSE, in units of the target's spread
            return find_neutral_chance([(1 / math.sqrt(2 * tested), 2 * margin)], [], tested)
        rare = round(positives * tested)
        loss = -sum(share * math.log(share) for share in (positives, 1 - positives))
        area, log_loss = area_error(rare, tested - rare), loss / math.sqrt(tested)
        return find_neutral_chance([(area, margin), (log_loss, margin)], [], tested)

    assert find_chance(table) >= 0.8 > find_chance(round(0.9 * table))


@pytest.mark.parametrize(
    ("chance", "line"),
    [(0.93, "inconclusive: fail #"), (0.8, "inconclusive: fail #"), (0.79, "inconclusive: pass #"),
     (0.0, "less than 1 % of changes"), (None, "once trained")],
)  # fmt: skip
def test_the_mode_asks_for_proof_where_most_changes_can_give_it(
    chance: float | None, line: str
) -> None:
    """From 80 % on; else the default, with its reason."""
    assert line in render_mode(chance)
