"""The long-run error of a ratio of daily sums: against statsmodels, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.statistics.longrun import ALPHA, CLUSTERS, LAGS, PERIODS, measure_ratio
from mlgitops.statistics.quantiles import student_quantile


def draw(days: int, seed: int) -> tuple[list[float], list[float]]:
    """Draw daily sums of rows that resemble those of the day before."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(20, 200, days).astype(float)
    noise = np.convolve(rng.standard_normal(days + 2), [1, 0.7, 0.3], "valid")
    return list(rows * (0.2 + 0.05 * noise)), list(rows)


@pytest.mark.parametrize("seed", range(5))
def test_one_period_is_statsmodels_newey_west(seed: int) -> None:
    """A ratio is a weighted regression on a constant: statsmodels gives the same error."""
    numerators, denominators = draw(CLUSTERS, seed)
    figure = measure_ratio(numerators, denominators)
    ratios = np.array(numerators) / denominators
    fit = sm.WLS(ratios, np.ones(CLUSTERS), weights=denominators).fit(
        cov_type="HAC", cov_kwds={"maxlags": LAGS, "use_correction": True}, use_t=True
    )
    assert figure.value == pytest.approx(fit.params[0])
    assert figure.error == pytest.approx(fit.bse[0])
    low, high = fit.conf_int(alpha=0.01)[0]
    assert figure.value - figure.reach(0.005) == pytest.approx(low)
    assert figure.value + figure.reach(0.005) == pytest.approx(high)


def test_a_level_that_moves_between_periods_is_no_noise() -> None:
    """Each period is taken around its own figure, and the figure is the last one's."""
    numerators, denominators = draw(4 * CLUSTERS, 7)
    moved = [
        a + 0.3 * b * (at // CLUSTERS)
        for at, (a, b) in enumerate(zip(numerators, denominators, strict=True))
    ]
    still, moving = measure_ratio(numerators, denominators), measure_ratio(moved, denominators)
    assert moving.error == pytest.approx(still.error)
    assert moving.value == pytest.approx(still.value + 0.9)
    assert still.freedom == 4 * (CLUSTERS - 1)


def test_only_whole_periods_and_only_the_last_ones_count() -> None:
    """What is older than six periods, or no whole one, changes nothing."""
    numerators, denominators = draw(PERIODS * CLUSTERS, 3)
    figure = measure_ratio(numerators, denominators)
    assert measure_ratio([9e9, *numerators], [1.0, *denominators]) == figure
    short = measure_ratio(numerators[-40:], denominators[-40:])
    assert short == measure_ratio(numerators[-CLUSTERS:], denominators[-CLUSTERS:])


def test_a_difference_has_the_error_of_its_clusters_together() -> None:
    """A figure minus itself is nothing, for sure."""
    figure = measure_ratio(*draw(CLUSTERS, 1))
    nothing = figure.minus(figure)
    assert (nothing.value, nothing.error) == (0, 0)
    other = measure_ratio(*draw(CLUSTERS, 2))
    numbers = np.array(figure.contributions) - 2 * np.array(other.contributions)
    assert figure.minus(other, 2).contributions == pytest.approx(numbers)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)), min_size=2, max_size=90))
def test_an_error_is_never_negative_nor_lost(days: list[tuple[float, float]]) -> None:
    """Bartlett's weights keep the variance from falling below zero, whatever comes."""
    figure = measure_ratio([a for a, _ in days], [b for _, b in days])
    assert 0 <= figure.error < float("inf")
    assert figure.reach() == pytest.approx(
        student_quantile(1 - ALPHA, figure.freedom) * figure.error
    )


@pytest.mark.parametrize(("numerators", "denominators"), [([], []), ([1.0], [2.0])])
def test_one_cluster_says_nothing(numerators: list[float], denominators: list[float]) -> None:
    """There is no error of one cluster."""
    with pytest.raises(ValueError, match="two clusters"):
        measure_ratio(numerators, denominators)


def test_nothing_to_divide_by_is_no_figure() -> None:
    """A period without rows has no figure."""
    with pytest.raises(ValueError, match="something to divide by"):
        measure_ratio([0.0, 0.0], [0.0, 0.0])
