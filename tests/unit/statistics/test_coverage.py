"""The short form of the coverage study: enough runs to notice a wrong error, not more."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.cell_bootstrap import bootstrap_interval
from benchmarks.coverage.design import find_designs, find_excess, tell_excess
from benchmarks.coverage.intervals import SCENARIOS, run_chunk
from benchmarks.coverage_study import OUTPUT, join_page, split_page
from benchmarks.simulation import Binary, Multiclass, confusion_values
from mlgitops.statistics.counts import count_cells
from mlgitops.statistics.evidence import Comparison

RUNS = 200
#: Four Monte Carlo standard errors at 95 %: one test in some thousands fails by chance.
REACH = 4 * math.sqrt(0.95 * 0.05 / RUNS)
#: Steps of 0.05 reach scores of 0, where no interval of the log loss holds (it warns).
UNBOUNDED = "binary, scores in steps of 0.05 from 0 to 1"


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(SCENARIOS)), ids=lambda index: SCENARIOS[index].name)
def test_intervals_hold_the_truth_in_95_of_100_runs(index: int) -> None:
    """At 600 rows each metric's interval holds the true difference about as often as it says."""
    _, cell = run_chunk((index, 600, 0, RUNS))
    for name, tally in cell.metrics.items():
        if (cell.scenario, name) == (UNBOUNDED, "log_loss"):
            assert tally.warned > RUNS / 2
            continue
        assert abs(tally.covered / RUNS - 0.95) < REACH, f"{name} covers {tally.covered} of {RUNS}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["binary, no difference", "regression, no difference"])
def test_pure_noise_is_seldom_called_a_change(name: str) -> None:
    """Under no difference, improved or worsened appears in at most 5 % of runs, give or take."""
    index = next(index for index, scenario in enumerate(SCENARIOS) if scenario.name == name)
    _, cell = run_chunk((index, 300, 1, RUNS))
    assert cell.null
    assert cell.any_called / RUNS < 0.05 + REACH
    for metric, tally in cell.metrics.items():
        assert tally.called / RUNS < 0.05 + REACH, metric


@pytest.mark.slow
def test_the_simulations_truth_is_what_many_rows_show() -> None:
    """The derived true differences agree with 100,000 drawn rows, within five errors."""
    for scenario in SCENARIOS:
        pair, clusters = scenario.draw(100_000, np.random.default_rng(1))
        comparison = Comparison(pair, clusters)
        for name, truth in scenario.truth().items():
            found = comparison.estimate(name)
            assert abs(found.delta - truth) < 5 * found.error, f"{scenario.name}: {name}"


def test_confusion_values_agree_with_a_worked_matrix() -> None:
    """A matrix worked by hand: 40 + 30 right of 100, MCC 0.408, kappa 0.4."""
    found = confusion_values(np.array([[0.4, 0.1], [0.2, 0.3]]))
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["recall"] == pytest.approx(0.6)
    assert found["precision"] == pytest.approx(0.75)
    assert found["cohen_kappa"] == pytest.approx(0.4)
    assert found["mcc"] == pytest.approx(0.1 / math.sqrt(0.06))


def test_the_multinomial_bootstrap_of_cells_gives_the_same_interval() -> None:
    """On 3,000 rows, resampling the joint cells and the jackknife agree within a tenth."""
    scenario = next(s for s in SCENARIOS if isinstance(s, Binary))
    pair, _ = scenario.draw(3000, np.random.default_rng(2))
    cells = count_cells(pair.coded)
    names = ("accuracy", "balanced_accuracy", "f1", "f1_macro", "mcc", "cohen_kappa", "precision")
    drawn = bootstrap_interval(cells, names, np.random.default_rng(3), resamples=20_000)
    for name, (low, high) in drawn.items():
        ours = Comparison(pair).estimate(name).interval(0.95)
        assert ours == pytest.approx((low, high), abs=0.05 * (high - low)), name


def test_the_truth_of_nearly_equal_models_is_nearly_zero() -> None:
    """What is drawn to find a truth is common to both models, so a loss of nothing is nothing."""
    raised = (1.8, 1.7, 1.6)
    scenario = Multiclass(
        name="three classes", prevalence=(0.6, 0.3, 0.1), base=raised,
        head=(1.8, 1.7, 1.6 + 1e-9), shared=0.8,
    )  # fmt: skip
    truth = scenario.truth()
    assert abs(truth["log_loss"]) < 1e-8
    assert abs(truth["brier"]) < 1e-8


def test_the_largest_of_many_rates_is_no_excess() -> None:
    """A rate that one of a hundred reaches by chance is none alone; a higher one is named."""
    counts = {f"rate {number}": (25, 1_000) for number in range(100)}
    assert not find_excess({**counts, "high": (40, 1_000)}, 0.025)
    assert find_excess({"high": (40, 1_000)}, 0.025) == ["high"]
    assert find_excess({**counts, "high": (50, 1_000)}, 0.025) == ["high"]
    assert tell_excess({**counts, "high": (50, 1_000)}, 0.025).endswith("**high (5.0 %)**.")
    assert tell_excess(counts, 0.025).endswith("**none**.")


def test_excess_steps_down_as_holm_does() -> None:
    """What is settled takes no further part: the next rate has one competitor less."""
    chances = {"first": (60, 1_000), "second": (37, 1_000)}  # the second alone: 0.0135
    assert find_excess(chances, 0.025, chance=0.02) == ["first", "second"]
    assert find_excess({"other": (25, 1_000), "second": (37, 1_000)}, 0.025, chance=0.02) == []


def test_the_page_is_of_the_designs_and_keeps_what_is_not_run_again() -> None:
    """The committed page has a part for each design; split and joined again it is the same."""
    page = OUTPUT.read_text()
    assert join_page(split_page(page)) == page
    assert list(split_page(page)) == list(find_designs())
