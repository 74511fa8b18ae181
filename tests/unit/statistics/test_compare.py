from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from mlgitops.model import Rule
from mlgitops.statistics import compare_predictions, match_predictions
from mlgitops.statistics.counts import warn_of_class
from mlgitops.statistics.estimate import Estimate, Sides, Undefined
from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.stored import Predicted, Stored
from mlgitops.tables.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray
    from unit.statistics.conftest import MakeBinary, MakeSides

BINARY = (
    "accuracy", "average_precision", "balanced_accuracy", "brier", "cohen_kappa", "f1", "f1_macro",
    "log_loss", "mcc", "precision", "recall", "roc_auc",
)  # fmt: skip
NUMBERS = ("mae", "median_absolute_error", "mse", "pinball", "r2", "rmse")
RULES = {name: Rule() for name in (*BINARY, *NUMBERS)}


def rows_of(seed: int, rows: int, *, steps: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return target and two models' scores, tied when ``steps`` is small."""
    rng = np.random.default_rng(seed)
    target = np.arange(rows) % 3 == 0
    base, head = (
        np.round(np.clip(0.3 * target + rng.uniform(0.02, 0.68, rows), 0, 1) * steps) / steps
        for _ in range(2)
    )
    return target.astype(int), base, head


def build(
    target: NDArray[Any], base: NDArray[Any], head: NDArray[Any]
) -> tuple[Predictions, Predictions]:
    """Return predictions of classes and scores."""
    one, other = (
        Predictions(id=np.arange(len(target)), target=target,
                    prediction=(score > 0.5).astype(int), scores={"": score})
        for score in (base, head)
    )  # fmt: skip
    return one, other


def estimate_all(base: Predictions, head: Predictions) -> dict[str, Estimate]:
    """Return the estimate of each metric of two classes that these few rows can give."""
    comparison = Comparison(match_predictions(base, head))
    attempts = {name: comparison.attempt(name) for name in BINARY}
    return {name: found for name, found in attempts.items() if isinstance(found, Estimate)}


cases = st.tuples(st.integers(0, 2**32), st.integers(40, 120), st.sampled_from([5, 20, 10**6]))


@settings(deadline=None, max_examples=40)
@given(cases)
def test_swapping_the_sides_negates_the_difference(case: tuple[int, int, int]) -> None:
    """Swapping base and head negates every delta and keeps every error."""
    target, base, head = rows_of(*case[:2], steps=case[2])
    forward = estimate_all(*build(target, base, head))
    backward = estimate_all(*build(target, head, base))
    for name, one in forward.items():
        assert one.delta == pytest.approx(-backward[name].delta, abs=1e-12)
        assert one.error == pytest.approx(backward[name].error, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(cases)
def test_the_order_of_the_rows_is_irrelevant(case: tuple[int, int, int]) -> None:
    """The same rows in another order give the same estimates."""
    target, base, head = rows_of(*case[:2], steps=case[2])
    order = np.random.default_rng(case[0]).permutation(len(target))
    forward = estimate_all(*build(target, base, head))
    shuffled = estimate_all(*build(target[order], base[order], head[order]))
    for name, one in forward.items():
        assert one.delta == pytest.approx(shuffled[name].delta, abs=1e-12)
        assert one.error == pytest.approx(shuffled[name].error, rel=1e-9)


@settings(deadline=None, max_examples=20)
@given(cases)
def test_every_row_twice_keeps_the_difference_and_halves_the_variance(
    case: tuple[int, int, int],
) -> None:
    """Doubling the rows shrinks the error by about the square root of two."""
    target, base, head = rows_of(*case[:2], steps=case[2])
    once = estimate_all(*build(target, base, head))
    twice = estimate_all(*build(*(np.tile(column, 2) for column in (target, base, head))))
    for name, one in once.items():
        # The estimated bias of the average precision is halved along with the variance.
        tolerance = 0.02 if name == "average_precision" else 1e-12
        assert one.delta == pytest.approx(twice[name].delta, abs=tolerance)
        assert one.error == pytest.approx(twice[name].error * 2**0.5, rel=0.12)


def store(name: str, values: tuple[float, float]) -> Stored:
    """Return what the metrics files of both sides say."""
    return Stored(name=name, base=values[0], head=values[1])


def error_of(comparison: Comparison, name: str) -> float:
    """Return the error of the difference; a difference without any spread has none."""
    try:
        return comparison.estimate(name).error
    except Undefined:
        return 0.0


@settings(deadline=None, max_examples=20)
@given(cases)
def test_clusters_of_one_row_change_little(case: tuple[int, int, int]) -> None:
    """When every row is its own cluster, the cluster-robust error is the plain one."""
    target, base, head = rows_of(*case[:2], steps=case[2])
    pair = match_predictions(*build(target, base, head))
    plain = Comparison(pair)
    clustered = Comparison(pair, np.arange(pair.rows))
    factor = pair.rows / (pair.rows - 1)
    for name in BINARY:
        one, other = error_of(plain, name), error_of(clustered, name)
        assert other == pytest.approx(one * factor**0.5, rel=1e-9, abs=1e-12)


def test_evidence_states_rows_method_and_corrected_confidence(make_binary: MakeBinary) -> None:
    """Each interval says its confidence: 95 % alone, more when other metrics are judged too."""
    base, head = make_binary(2000)
    alone = compare_predictions(base, head, metrics={"test.f1": Rule()})["test.f1"]
    assert alone.rows == 2000
    assert alone.reason is None
    assert alone.interval is not None
    assert alone.interval.confidence == pytest.approx(0.95)
    assert alone.interval.method == "jackknife of joint cells"
    both = compare_predictions(
        base, head, metrics={"test.f1": Rule(), "test.brier": Rule(), "model.size_mb": Rule()}
    )
    assert both["model.size_mb"].interval is None
    assert both["model.size_mb"].reason == "no method is known for a metric of this name"
    levels = {e.interval.confidence for e in both.values() if e.interval}
    assert max(levels) == pytest.approx(0.975)


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        (lambda base, head: (base, head), True),
        (lambda base, head: (round(base, 4), round(head, 4)), True),  # as people write them
        (lambda base, head: (round(base, 1), round(head, 1)), False),  # rounded beyond the noise
        (lambda base, head: (base + 0.01, head + 0.01), False),  # the same change, other rows
        (lambda base, head: (base, head + 0.01), False),
        (lambda base, head: (100 * base, 100 * head), False),  # in percent
    ],
)
@pytest.mark.parametrize("metric", ["f1", "roc_auc", "average_precision", "log_loss"])
def test_a_metric_is_read_alone_where_the_predictions_give_its_values(
    make_binary: MakeBinary,
    metric: str,
    change: Callable[[float, float], tuple[float, float]],
    *,
    is_read: bool,
) -> None:
    """Without a correction, and only with the values that its file states, rounding aside."""
    base, head = make_binary(2000)
    pair = match_predictions(base, head)
    estimate = Comparison(pair).estimate(metric)
    found = Predicted(pair, base, None).read_alone(store(metric, change(*estimate.values)), 0.95)
    assert (found is not None) == is_read
    if found is not None and found.interval is not None:
        assert (found.interval.low, found.interval.high) == estimate.interval(0.95)
        assert found.interval.confidence == 0.95


@pytest.mark.parametrize("metric", [*BINARY, "mae", "mse", "pinball", "r2", "rmse"])
def test_models_that_answer_alike_have_the_value_of_their_answers(
    make_binary: MakeBinary, metric: str
) -> None:
    """The value is measured where there is no difference, so a metric of other rows is told."""
    base, other = make_binary(300)
    comparison = Comparison(match_predictions(base, base))
    between = Comparison(match_predictions(base, other)).estimate(metric)
    found = comparison.estimate(metric)
    assert found.values == pytest.approx((between.values[0], between.values[0]), rel=1e-12)
    predicted = Predicted(comparison.pair, base, None)
    assert predicted.read_alone(store(metric, (0.123, 0.123)), 0.95) is None


def test_what_cannot_be_estimated_is_not_read_alone(make_binary: MakeBinary) -> None:
    """A metric without a method, or without its columns, has no evidence of its own."""
    base, head = make_binary(300)
    predicted = Predicted(match_predictions(base, head), base, None)
    for name in ("gini", "pinball_900"):
        assert predicted.read_alone(store(name, (0.5, 0.6)), 0.95) is None


def test_equal_input_gives_equal_output(make_binary: MakeBinary) -> None:
    """No method draws random numbers: the same rows give the same bits."""
    one = compare_predictions(*make_binary(500), metrics=RULES)
    assert one == compare_predictions(*make_binary(500), metrics=dict(reversed(RULES.items())))
    assert list(one) == sorted(RULES)


def test_a_pair_is_compared_without_matching_again(make_binary: MakeBinary) -> None:
    """A pair that was matched before gives the same evidence."""
    base, head = make_binary(300)
    rules = {"test.mcc": Rule()}
    pair = match_predictions(base, head)
    assert compare_predictions(pair, metrics=rules) == compare_predictions(
        base, head, metrics=rules
    )
    with pytest.raises(TypeError, match="head is needed unless base is a Pair"):
        compare_predictions(base, metrics=rules)


def test_clusters_widen_the_interval_and_are_named(make_binary: MakeBinary) -> None:
    """A column to cluster by is used, and the method says so."""
    base, head = make_binary(2000)
    found = compare_predictions(base, head, metrics={"test.f1": Rule()}, cluster="day")["test.f1"]
    assert found.interval is not None
    assert found.interval.method == "jackknife of joint cells, by cluster"


NAN, INF = float("nan"), float("inf")
ONES, MIXED = [1] * 300, [0, 1] * 150
OTHER = [0, 1, 1, 0, 1, 0] * 50
SPREAD = np.linspace(0.1, 0.9, 300)


@pytest.mark.parametrize(
    ("metric", "target", "base", "head", "scores", "reason"),
    [
        ("roc_auc", MIXED, MIXED, OTHER, ([NAN] * 300, SPREAD), "base has 300 value(s) that are"),
        ("roc_auc", MIXED, MIXED, OTHER, (SPREAD, [INF, *SPREAD[1:]]), "head has 1 value(s) that"),
        ("log_loss", MIXED, MIXED, OTHER, (SPREAD, SPREAD + 1), "head's scores leave the range"),
        ("brier", MIXED, MIXED, OTHER, (SPREAD - 1, SPREAD), "base's scores leave the range"),
        ("roc_auc", MIXED, MIXED, OTHER, ([0.5] * 300, SPREAD), "base gives the same score to"),
        ("average_precision", MIXED, MIXED, OTHER, (SPREAD, [1] * 300), "head gives the same"),
        ("roc_auc", ONES, ONES, ONES, (SPREAD, SPREAD[::-1]), "a single score needs two classes"),
        ("roc_auc", ONES, ONES, MIXED, (SPREAD, SPREAD[::-1]), "300 positive and 0 negative"),
        ("roc_auc", [0] * 299 + [1], MIXED, OTHER, (SPREAD, SPREAD[::-1]), "1 positive and 299"),
        ("roc_auc", MIXED, MIXED, OTHER, None, "base has no column `score`"),
        ("log_loss", MIXED, MIXED, OTHER, None, "base has no column score_0"),
        ("f1", [0, 1, 2] * 100, [0, 1, 1] * 100, [0, 2, 2] * 100, None, "f1 needs two classes"),
        ("roc_auc", [0, 1, 2] * 100, MIXED, OTHER, (SPREAD, SPREAD**2), "a single score needs two"),
        ("accuracy", SPREAD * 1e6, SPREAD, SPREAD, None, None),
        ("accuracy", np.arange(2000), np.arange(2000), np.arange(2000) + 1, None, "2,001 distinct"),
        ("accuracy", [NAN, *MIXED[1:]], MIXED, OTHER, None, "target is not a finite number"),
        ("accuracy", MIXED, [INF, *MIXED[1:]], OTHER, None, "base's prediction is not a finite"),
        ("r2", [7.0] * 300, SPREAD, SPREAD**2, None, "the target is constant"),
        ("r2", [1.0] + [0.0] * 299, SPREAD, SPREAD**2, None, "one test row holds all the spread"),
        ("mae", [b"x"] * 300, [b"x"] * 300, [b"y"] * 300, None, "and target holds text"),
        ("mae", SPREAD, SPREAD + 1, SPREAD + 2, None, "no spread over the test rows"),
        ("rmse", SPREAD, SPREAD + 1, SPREAD + 2, None, "no spread over the test rows"),
        ("mse", SPREAD, SPREAD * 1e200, SPREAD * 1e190, None, "too large to compute with"),
        ("mae", SPREAD, [NAN] * 300, SPREAD, None, "base has 300 value(s) that are not finite"),
        ("median_absolute_error", [0.0] * 300, [1.0] * 300, [2.0] * 300, None, "no spread"),
        ("roc_auc", MIXED, MIXED, MIXED, (np.array(MIXED) * 0.5 + SPREAD / 9,
                                         np.array(MIXED) * 0.7 + SPREAD / 9), "no spread"),
        ("mae", [1.0], [1.0], [2.0], None, "1 matched test row(s)"),
        ("f1", [], [], [], None, "0 matched test row(s)"),
        ("shoe_size", MIXED, MIXED, OTHER, None, "no method is known"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_has_a_reason(  # noqa: PLR0917 - the columns of the table
    make_sides: MakeSides,
    metric: str,
    target: ArrayLike,
    base: ArrayLike,
    head: ArrayLike,
    scores: tuple[ArrayLike, ArrayLike] | None,
    reason: str | None,
) -> None:
    """Broken or degenerate input gives no interval and says why; nothing raises."""
    sides = make_sides(target, base, head, scores=scores)
    evidence = compare_predictions(*sides, metrics={f"test.{metric}": Rule()})[f"test.{metric}"]
    if reason is None:
        assert evidence.interval is not None
        return
    assert evidence.interval is None
    assert evidence.reason is not None
    assert reason in evidence.reason


@pytest.mark.parametrize("metric", [*BINARY, *NUMBERS])
def test_models_that_answer_alike_differ_by_exactly_zero(
    make_sides: MakeSides, metric: str
) -> None:
    """Identical answers: no difference, and no more room than rows that were not seen have."""
    sides = make_sides(MIXED, OTHER, OTHER, scores=(SPREAD, SPREAD))
    evidence = compare_predictions(*sides, metrics={metric: Rule()})[metric]
    assert evidence.interval is not None
    assert evidence.interval.low == -evidence.interval.high
    # Where rows tie at the median, one of another error does not move it.
    assert (evidence.interval.low < 0) == (metric != "median_absolute_error")
    assert evidence.interval.method == "identical, rule of three"
    assert "every test row" in str(evidence.reason)


@pytest.mark.parametrize(
    ("rows", "metric", "warning"),
    [
        (60, "accuracy", "only 60 test rows; the method is shown to hold from 200"),
        (60, "brier", "only 60 test rows"),
        (60, "roc_auc", "a class has only"),
        (30, "f1", "the models differ on only"),
        (400, "f1", None),
        (400, "roc_auc", None),
    ],
)
def test_little_ground_is_told_beside_the_interval(
    make_binary: MakeBinary, rows: int, metric: str, warning: str | None
) -> None:
    """With few rows, positives or disagreements there is an interval, marked as rough."""
    base, head = make_binary(rows, seed=3)
    evidence = compare_predictions(base, head, metrics={metric: Rule()})[metric]
    assert evidence.interval is not None
    assert evidence.interval.method.endswith(", rough") == (warning is not None)
    if warning:
        assert warning in str(evidence.reason)


def test_scores_of_zero_or_one_and_lone_outliers_are_told(make_sides: MakeSides) -> None:
    """A log loss that could be infinite, and an error that one row makes up, are marked."""
    score = SPREAD.copy()
    score[0] = 0
    sides = make_sides(MIXED, MIXED, OTHER, scores=(SPREAD[::-1], score))
    evidence = compare_predictions(*sides, metrics={"log_loss": Rule()})["log_loss"]
    assert "scores of exactly 0 or 1" in str(evidence.reason)
    far = SPREAD.copy()
    far[0] = 1e6
    sides = make_sides(SPREAD, SPREAD + 0.1 * (SPREAD > 0.5), far)
    evidence = compare_predictions(*sides, metrics={"mse": Rule()})["mse"]
    assert "about 1 test row(s) make up most of the spread" in str(evidence.reason)


@pytest.mark.parametrize("size", [1e-160, 1e-80, 1e-40, 1e40, 1e80, 1e160])
@pytest.mark.parametrize("metric", NUMBERS)
def test_very_small_and_very_large_numbers_do_no_harm(
    make_sides: MakeSides, metric: str, size: float
) -> None:
    """Where squares would vanish or overflow, there is a reason; else an interval."""
    noise = np.random.default_rng(5).standard_normal((3, 300)) * size
    sides = make_sides(noise[0], noise[0] + noise[1], noise[0] + 0.9 * noise[2])
    evidence = compare_predictions(*sides, metrics={metric: Rule()})[metric]
    assert evidence.interval is not None or evidence.reason


@pytest.mark.parametrize(
    ("cluster", "column", "reason"),
    [
        ("week", MIXED, "no column 'week'"),
        ("day", [1] * 300, "one cluster"),
        ("day", MIXED, "only 2 clusters"),
        ("day", np.arange(300) // 3, None),
        ("day", np.array([b"a", b"b", b"c"] * 100), "only 3 clusters"),
    ],
)
def test_bad_clusters_are_explained(
    make_sides: MakeSides, cluster: str, column: ArrayLike, reason: str | None
) -> None:
    """A missing column, or too few clusters, is told."""
    sides = make_sides(MIXED, MIXED, OTHER, columns={"day": column})
    found = compare_predictions(*sides, metrics={"f1": Rule()}, cluster=cluster)["f1"]
    assert found.reason is None if reason is None else reason in str(found.reason)


def test_rows_left_out_are_told_with_every_metric(make_binary: MakeBinary) -> None:
    """What could not be matched stands beside each metric."""
    base, head = make_binary(400)
    fewer = Predictions(id=head.id[5:], target=head.target[5:], prediction=head.prediction[5:],
                        scores={"": head.scores[""][5:]})  # fmt: skip
    found = compare_predictions(base, fewer, metrics={"f1": Rule(), "roc_auc": Rule()})
    for evidence in found.values():
        assert evidence.rows == 395
        assert "5 test rows found only at base are left out" in str(evidence.reason)


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        ("precision", "a model says a class of only 12 rows; 20 or more are needed"),
        ("mcc", "a model says a class of only 12 rows; 20 or more are needed"),
        ("recall", None),
        ("accuracy", None),
    ],
)
def test_a_class_that_is_seldom_said_is_told(
    make_sides: MakeSides, metric: str, text: str | None
) -> None:
    """Precision and MCC rest on the rows that a model says a class of; others do not."""
    target = (np.arange(400) < 60).astype(int)
    base = (np.arange(400) % 20 == 0).astype(int)
    head = (np.arange(400) < 12).astype(int)
    found = compare_predictions(*make_sides(target, base, head), metrics={metric: Rule()})[metric]
    assert found.reason == text


@pytest.mark.parametrize(
    ("metric", "rare"),
    [
        *[(name, True) for name in ("mcc", "cohen_kappa", "f1_weighted", "brier", "log_loss")],
        *[(name, False) for name in ("accuracy", "f1_micro", "recall_weighted")],
    ],
)
def test_few_rows_of_a_class_are_told_where_they_count(metric: str, *, rare: bool) -> None:
    """With 20 positive rows an interval that rests on them is rough, and a share of all is not."""
    rng = np.random.default_rng(6)
    target = np.arange(600) < 20
    base, head = (
        np.clip(0.3 + 0.4 * target + 0.2 * rng.standard_normal(600), 0.01, 0.99) for _ in range(2)
    )
    sides = build(target.astype(int), base, head)
    found = compare_predictions(*sides, metrics={metric: Rule()})[metric]
    assert ("a class has only 20 rows; 30 or more are needed" in (found.reason or "")) == rare


def test_a_class_without_rows_is_told_as_such() -> None:
    """A split by time may leave a class in the train rows alone."""
    assert warn_of_class(0) == ("a class has no rows; 30 or more are needed",)
    assert warn_of_class(1) == ("a class has only 1 row; 30 or more are needed",)
    assert warn_of_class(30) == ()


def _rank(positives: int, misplaced: tuple[int, int]) -> tuple[Predictions, Predictions]:
    """Rank 1,000 rows so that each side has this many positive rows below every other."""
    target = np.arange(1_000) < positives
    rng = np.random.default_rng(9)
    sides = []
    for count in misplaced:
        score = 0.2 + 0.3 * rng.random(1_000) + 0.4 * target
        score[:count] = 0.1
        sides.append(score)
    return build(target.astype(int), *sides)


@pytest.mark.parametrize(("misplaced", "warned"), [((9, 9), False), ((9, 1), True), ((1, 9), True)])
def test_the_better_ranking_is_the_one_that_warns(
    misplaced: tuple[int, int], *, warned: bool
) -> None:
    """Where either side misplaces hardly a row, the next one could outweigh the rest."""
    found = compare_predictions(*_rank(60, misplaced), metrics={"roc_auc": Rule()})["roc_auc"]
    assert ("nearly all are ranked right" in (found.reason or "")) == warned


def test_average_precision_stays_between_its_ends() -> None:
    """Each side's interval is symmetric on the logit scale, and MOVER joins the two."""
    sides = Sides(errors=(0.05, 0.02), correlation=0.3)
    reach = sides.reach((0.5, 0.95), 2.0)
    ends = [
        [abs(expit(logit(value) + sign * 2 * error / (value * (1 - value))) - value)
         for sign in (-1, 1)]
        for value, error in ((0.5, 0.05), (0.95, 0.02))
    ]  # fmt: skip
    expected = [
        np.sqrt(head**2 + base**2 - 2 * 0.3 * head * base)
        for head, base in ((ends[1][0], ends[0][1]), (ends[1][1], ends[0][0]))
    ]
    assert reach == pytest.approx(expected, rel=1e-9)
    estimated = Comparison(match_predictions(*_rank(60, (20, 4)))).estimate("average_precision")
    low, high = estimated.interval(0.95)
    assert high - estimated.delta != pytest.approx(estimated.delta - low, rel=1e-3)
