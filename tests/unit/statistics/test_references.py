"""Errors and intervals against independent references and published worked examples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar
from unit.statistics.test_points import BINARY, CLASSES, NUMBERS, SCORES

from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.matching import match_predictions
from mlgitops.statistics.ranking import leave_out_rows, place_rows, rank_scores

if TYPE_CHECKING:
    from unit.statistics.conftest import MakeBinary, MakeSides

    from mlgitops.statistics.estimate import Estimate
    from mlgitops.tables.predictions import Predictions


def estimate(base: Predictions, head: Predictions, name: str) -> Estimate:
    """Return the estimate of one metric."""
    return Comparison(match_predictions(base, head)).estimate(name)


# The aneurysmal subarachnoid haemorrhage study (Turck et al. 2010, Intensive Care Med. 36:107):
# 41 patients with a poor outcome, then 72 with a good one; the WFNS grade, and the rank of the
# S100B concentration. Published results: R package pROC 1.18, tests of `ci.auc`, `cov`,
# `roc.test` (Robin et al. 2011, BMC Bioinformatics 12:77).
WFNS = (
    "32455552521254425552525245441442255225555"
    "111151221221112121134141551124112212122111121211324214115422111312244111"
)
S100B = """
    9 6 12 8 26 31 29 3 20 5 3 24 22 28 31 16 31 31 31 3 31 18 1 5 14 31 16 31 4 16 9 6 7 14 31
    10 31 19 31 31 26
    9 10 6 2 27 13 6 6 2 4 2 5 7 3 13 3 7 9 13 2 12 10 21 5 30 27 12 3 25 27 7 4 5 4 2 9 6 10 11
    2 2 5 2 5 4 12 5 4 20 7 17 3 6 19 3 2 15 23 6 11 4 10 6 3 2 13 11 27 13 11 30 28
"""


@pytest.fixture(scope="module")
def asah(make_sides: MakeSides) -> tuple[Predictions, Predictions]:
    """Return S100B as base and WFNS as head."""
    target = np.repeat([1, 0], [41, 72])
    s100b = np.array(S100B.split(), dtype=float)
    wfns = np.array(list(WFNS), dtype=float)
    return make_sides(target, target, target, scores=(s100b, wfns))


def test_delong_reproduces_the_published_comparison(asah: tuple[Predictions, ...]) -> None:
    """AUCs, covariance and p-value are those that pROC publishes for the aSAH study."""
    base, head = asah
    positive = base.target == 1
    auc_s100b, of_s100b = place_rows(rank_scores(base.scores[""], positive))
    auc_wfns, of_wfns = place_rows(rank_scores(head.scores[""], positive))
    assert auc_s100b == pytest.approx(0.731368563685637, abs=1e-14)
    assert auc_wfns == pytest.approx(0.823678861788618, abs=1e-14)
    assert of_s100b @ of_wfns == pytest.approx(0.00119615567376754, abs=1e-16)
    found = estimate(base, head, "roc_auc")
    p_value = 2 * stats.norm.sf(found.delta / found.error)
    assert p_value == pytest.approx(0.0271757822291882, abs=1e-13)


def test_delong_reproduces_the_published_interval_of_one_auc(
    asah: tuple[Predictions, ...],
) -> None:
    """The 95 % interval of the WFNS grade's AUC is the one that pROC publishes."""
    auc, rows = place_rows(rank_scores(asah[1].scores[""], asah[1].target == 1))
    reach = stats.norm.ppf(0.975) * math.sqrt(rows @ rows)
    assert auc - reach == pytest.approx(0.748534887819453, abs=1e-14)
    assert auc + reach == pytest.approx(0.898822835757783, abs=1e-14)


def survey(
    make_sides: MakeSides, both: int, first: int, second: int, none: int
) -> tuple[Predictions, Predictions]:
    """Return two raters of the same people: right on both, only first, only second, none."""
    counts = [both, first, second, none]
    return make_sides(
        np.ones(sum(counts), dtype=int),
        np.repeat([1, 1, 0, 0], counts),
        np.repeat([1, 0, 1, 0], counts),
    )


def test_accuracy_reproduces_the_published_approval_ratings(make_sides: MakeSides) -> None:
    """Agresti 1990, Categorical Data Analysis, p. 350: -0.04, error 0.0095, z^2 = 17.36.

    The published error is (q - d^2) / n without the n - 1 that the jackknife divides by.
    """
    found = estimate(*survey(make_sides, 794, 150, 86, 570), "accuracy")
    assert found.delta == pytest.approx(-0.04)
    assert found.error * math.sqrt(1599 / 1600) == pytest.approx(0.0095, abs=5e-5)
    assert found.interval(0.95) == pytest.approx((-0.06, -0.02), abs=5e-3)
    assert pytest.approx(17.356, abs=5e-4) == (150 - 86) ** 2 / (150 + 86)


@pytest.mark.parametrize(
    ("first", "second"),
    [(150, 86), (12, 2), (20, 5), (30, 28), (9, 9), (40, 18), (4, 0)],
)
def test_accuracy_decides_as_mcnemar_does(make_sides: MakeSides, first: int, second: int) -> None:
    """Away from the edge, zero lies outside the interval when McNemar's test rejects."""
    sides = survey(make_sides, 794, first, second, 570)
    low, high = estimate(*sides, "accuracy").interval(0.95)
    table = [[794, first], [second, 570]]
    p_value = mcnemar(table, exact=False, correction=False).pvalue
    assert (low > 0 or high < 0) == (p_value < 0.05)


@pytest.mark.parametrize("name", ["mae", "mse", "pinball_90", "log_loss", "brier"])
def test_means_are_the_paired_t_interval(
    make_sides: MakeSides, make_binary: MakeBinary, name: str
) -> None:
    """The interval of a mean's difference is scipy's paired t interval."""
    if name in SCORES:
        base, head = make_binary(300)
        y, p = base.target.astype(float), (base.scores[""], head.scores[""])
        losses = {
            "log_loss": [-np.log(np.where(y == 1, s, 1 - s)) for s in p],
            "brier": [(s - y) ** 2 for s in p],
        }[name]
    else:
        rng = np.random.default_rng(4)
        y = rng.standard_normal(250)
        p = (y + rng.standard_normal(250), y + 0.9 * rng.standard_normal(250))
        base, head = make_sides(y, *p)
        losses = {
            "mae": [np.abs(s - y) for s in p],
            "mse": [(s - y) ** 2 for s in p],
            "pinball_90": [np.maximum(0.9 * (y - s), -0.1 * (y - s)) for s in p],
        }[name]
    expected = stats.ttest_rel(losses[1], losses[0]).confidence_interval(0.9)
    found = estimate(base, head, name)
    plain = replace(found, acceleration=0.0)  # of contributions that lean to no side
    assert plain.interval(0.9) == pytest.approx(tuple(expected), rel=1e-9)
    low, high = found.interval(0.9)
    assert low <= expected.low + 1e-12
    assert high >= expected.high - 1e-12


@pytest.mark.parametrize("steps", [0, 15])
def test_leaving_one_row_out_is_exact(make_binary: MakeBinary, steps: int) -> None:
    """The average precision without each row equals scikit-learn's without that row."""
    base, _ = make_binary(120, seed=5, steps=steps)
    score, target = base.scores[""], base.target
    value, without = leave_out_rows(rank_scores(score, target == 1))
    assert value == pytest.approx(sk.average_precision_score(target, score), abs=1e-14)
    expected = [
        sk.average_precision_score(np.delete(target, row), np.delete(score, row))
        for row in range(120)
    ]
    assert without == pytest.approx(np.array(expected), abs=1e-13)


@pytest.mark.parametrize(
    "name", ["f1", "mcc", "f1_macro", "cohen_kappa", "precision", "rmse", "r2"]
)
def test_jackknife_errors_agree_with_leaving_out_by_hand(
    make_binary: MakeBinary, make_sides: MakeSides, name: str
) -> None:
    """The error is the jackknife's: sqrt((n - 1) / n * sum of squared deviations), row by row."""
    rows = 150
    if name in NUMBERS:
        rng = np.random.default_rng(6)
        y = rng.standard_normal(rows)
        base, head = make_sides(
            y, y + rng.standard_normal(rows), y + 0.9 * rng.standard_normal(rows)
        )
    else:
        base, head = make_binary(rows, seed=7)
    metric = (CLASSES | BINARY | NUMBERS)[name]
    without = np.array([
        metric(np.delete(head.target, row), np.delete(head.prediction, row))
        - metric(np.delete(base.target, row), np.delete(base.prediction, row))
        for row in range(rows)
    ])  # fmt: skip
    expected = math.sqrt((rows - 1) / rows * ((without - without.mean()) ** 2).sum())
    assert estimate(base, head, name).error == pytest.approx(expected, rel=1e-9)


BOOTSTRAPPED = {
    "accuracy": CLASSES["accuracy"],
    "f1_macro": CLASSES["f1_macro"],
    "mcc": CLASSES["mcc"],
    "roc_auc": SCORES["roc_auc"],
    "average_precision": SCORES["average_precision"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOTSTRAPPED)
def test_intervals_agree_with_scipys_bootstrap(make_binary: MakeBinary, name: str) -> None:
    """On 2,000 rows our bounds are within a tenth of the width of the bootstrap's."""
    base, head = make_binary(2000, seed=8)
    metric = BOOTSTRAPPED[name]
    columns = (
        (base.target, base.scores[""], head.scores[""])
        if name in SCORES
        else (base.target, base.prediction, head.prediction)
    )
    reference = stats.bootstrap(
        columns,
        lambda t, one, other: metric(t, other) - metric(t, one),
        paired=True, vectorized=False, n_resamples=1000, method="percentile",
        rng=np.random.default_rng(9),
    ).confidence_interval  # fmt: skip
    low, high = estimate(base, head, name).interval(0.95)
    width = reference.high - reference.low
    assert low == pytest.approx(reference.low, abs=0.1 * width)
    assert high == pytest.approx(reference.high, abs=0.1 * width)


@pytest.mark.parametrize("name", ["rmse", "r2", "median_absolute_error"])
def test_intervals_of_numbers_agree_with_scipys_bootstrap(make_sides: MakeSides, name: str) -> None:
    """The same for metrics that scipy can resample in vectorised form."""
    rng = np.random.default_rng(10)
    y = rng.standard_normal(2000)
    shared = rng.standard_normal(2000)
    sides = [y + size * (shared + rng.standard_normal(2000)) for size in (0.7, 0.65)]

    def metric(t: np.ndarray, p: np.ndarray, axis: int) -> np.ndarray:
        if name == "median_absolute_error":
            return np.asarray(np.median(np.abs(p - t), axis=axis))
        square = ((p - t) ** 2).mean(axis=axis)
        return np.asarray(np.sqrt(square) if name == "rmse" else 1 - square / t.var(axis=axis))

    reference = stats.bootstrap(
        (y, *sides), lambda t, b, h, axis: metric(t, h, axis) - metric(t, b, axis),
        paired=True, vectorized=True, n_resamples=2000, method="percentile", batch=200,
        rng=np.random.default_rng(11),
    ).confidence_interval  # fmt: skip
    low, high = estimate(*make_sides(y, *sides), name).interval(0.95)
    width = reference.high - reference.low
    # A median's bootstrap jumps from row to row: its bounds are that much rougher.
    tolerance = 0.2 if name == "median_absolute_error" else 0.1
    assert low == pytest.approx(reference.low, abs=tolerance * width)
    assert high == pytest.approx(reference.high, abs=tolerance * width)


def test_clustered_errors_agree_with_statsmodels(make_sides: MakeSides) -> None:
    """By cluster, the error of a mean is that of statsmodels' cluster-robust regression."""
    rng = np.random.default_rng(12)
    day = np.arange(600) % 60  # of one size, where CR2 is G / (G - 1) times the plain one
    effect = rng.standard_normal(60)[day]
    y = rng.standard_normal(600)
    base, head = make_sides(
        y, y + rng.standard_normal(600), y + effect + rng.standard_normal(600),
        columns={"day": day},
    )  # fmt: skip
    pair = match_predictions(base, head)
    found = Comparison(pair, day).estimate("mae")
    difference = np.abs(head.prediction - y) - np.abs(base.prediction - y)
    model = sm.OLS(difference, np.ones(600)).fit(
        cov_type="cluster", cov_kwds={"groups": day, "use_correction": False}
    )
    # Ours carries G / (G - 1) for the clusters and n / (n - 1) for the mean.
    expected = model.bse[0] * math.sqrt(60 / 59 * 600 / 599)
    assert found.error == pytest.approx(expected, rel=1e-9)
    assert found.error > 1.3 * Comparison(pair).estimate("mae").error
    assert found.freedom == pytest.approx(59)
