"""Tests of what a test set can see: the stated loss, its formula, and that it holds."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from benchmarks.power_study import CHOICES, METRICS, Tally, Task, run_task
from mlgitops.judgement.power import weigh_margin
from mlgitops.model import Interval, OnInconclusive, SeedNoise
from mlgitops.statistics.power import Noise, find_growth, read_noise

Z, Z80 = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(0.8)
STATED = Noise(error=0.01, quantile=Z)
PASS, FAIL = OnInconclusive.PASS, OnInconclusive.FAIL


@pytest.mark.parametrize(
    ("margin", "mode", "rough", "stopped"),
    [
        (0.005, PASS, False, (Z + Z80) * 0.01),  # noise decides: the loss leaves out zero
        (0.05, PASS, False, 0.05 + Z80 * 0.01),  # the margin decides
        (0.05, PASS, True, 0.05 + Z80 * 0.01),  # a rough interval fails no less
        (0.05, FAIL, False, 0.05 - (Z - Z80) * 0.01),  # the interval's worse end decides
        (0.05, FAIL, True, 0.0),  # a rough interval proves nothing but a gain
        (0.01, FAIL, False, 0.0),  # wider than the margin: what loses nothing fails as well
    ],
)
def test_the_stated_loss_is_the_textbook_formula(
    margin: float, mode: OnInconclusive, rough: bool, stopped: float
) -> None:
    """Without growth of the noise it is the threshold and z of 80 % errors more."""
    power = weigh_margin(STATED, margin, mode, rough=rough)
    assert power.stopped == pytest.approx(stopped, abs=1e-9)


@pytest.mark.parametrize(
    ("margin", "mode", "neutral"),
    [(0.005, PASS, 0.975), (0.0196, FAIL, 0.5), (0.028016, FAIL, 0.8)],
)
def test_the_chance_of_a_change_that_loses_nothing(
    margin: float, mode: OnInconclusive, neutral: float
) -> None:
    """By the default, half of the error rate; where proof is asked for, room for 2.8 errors."""
    assert weigh_margin(STATED, margin, mode).neutral == pytest.approx(neutral, abs=1e-4)


def test_few_rows_that_differ_do_not_promise_too_much() -> None:
    """Where two models answer nearly alike, a larger loss needs rows that differ by then."""
    interval = Interval(low=-0.0002, high=0.0002, confidence=0.95, method="score interval")
    noise = read_noise("test.accuracy", 0.9, interval, 6_000)
    assert noise is not None
    loss = weigh_margin(noise, 0.005, PASS).stopped
    assert loss == pytest.approx(0.005 + Z80 * math.sqrt(loss / 6_000))


def test_models_that_answer_alike_leave_the_loss_itself() -> None:
    """Of 150 rows on which nothing differs, a loss is seen once about six rows are lost."""
    interval = Interval(
        low=-0.0243, high=0.0243, confidence=0.95, method="identical, rule of three"
    )
    noise = read_noise("test.accuracy", 0.9, interval, 150)
    assert noise is not None
    assert 5 < 150 * weigh_margin(noise, 0.0, PASS).stopped < 6.5


@pytest.mark.parametrize("ends", [(0.0, 0.0), (-math.inf, math.inf), (math.nan, math.nan)])
def test_an_interval_without_a_width_says_nothing(ends: tuple[float, float]) -> None:
    """Nor does one that no report can hold."""
    interval = Interval(low=ends[0], high=ends[1], confidence=0.95, method="paired t")
    assert read_noise("test.mae", 1.0, interval, 500) is None


@pytest.mark.parametrize(
    ("half", "noise"),
    [
        (0.005, SeedNoise(seeds=5, delta=0.0, by_rows=0.0, by_seeds=5e-324)),
        (0.005, SeedNoise(seeds=5, delta=0.0, by_rows=1e-300, by_seeds=1e-300)),
        (0.005, SeedNoise(seeds=5, delta=0.0, by_rows=1.7e308, by_seeds=1.7e308)),
        (1e200, SeedNoise(seeds=5, delta=0.0, by_rows=1.0, by_seeds=1.0)),
    ],
)
def test_rows_and_seeds_that_are_not_of_the_interval_say_nothing(
    half: float, noise: SeedNoise
) -> None:
    """What a report claims of them may be anything: no number is made of it, and nothing ends."""
    interval = Interval(low=-half, high=half, confidence=0.95, method="paired t")
    assert read_noise("test.log_loss", 0.4, interval, 2_000, noise) is None


def test_noise_grows_as_heads_own_error_does() -> None:
    """A share nearer to a half is noisier, a larger error too, and most at twice the noise."""
    assert find_growth("accuracy", 0.9)(0.1) == pytest.approx(math.sqrt(0.4 / 0.3))
    assert find_growth("mae", 2.0)(0.5) == pytest.approx(math.sqrt(1.25))
    assert find_growth("pinball_90", 2.0)(0.5) == pytest.approx(math.sqrt(1.25))
    assert find_growth("r2", 0.5)(0.1) == pytest.approx(math.sqrt(1.2))
    assert find_growth("mae", 2.0)(1e9) == 2
    assert find_growth("log_loss", 0.4)(0.1) == 1
    assert find_growth("accuracy", 1.0)(0.1) == 1


def test_a_change_of_the_stated_loss_is_stopped() -> None:
    """Over simulated test sets, 80 % ± 3 of them: accuracy, AUC, log loss, MAE; fixed seeds."""
    total = Tally()
    for metric in METRICS:
        for choice in range(len(CHOICES)):
            total.add(run_task(Task(metric, rows=500, choice=choice, chunk=0, runs=50)))
    assert abs(total.stopped / total.runs - 0.8) < 0.03
    assert abs(total.neutral - total.stated_neutral) / total.runs < 0.02


def test_few_seeds_reach_farther_for_the_same_error() -> None:
    """Five trainings have 4 degrees of freedom: the interval is wide, the estimate less so."""
    seeds = SeedNoise(seeds=5, delta=0.0, by_rows=0.003, by_seeds=0.004)
    interval = Interval(low=-0.005, high=0.005, confidence=0.95, method="paired t")
    noise = read_noise("test.log_loss", 0.4, interval, 2_000, seeds)
    assert noise is not None
    assert noise.error == pytest.approx(math.hypot(0.003 / Z, 0.004 / 2.776445), rel=1e-4)
    assert noise.find_beyond_zero() == pytest.approx(0.005)
