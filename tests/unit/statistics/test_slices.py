"""Slices: values as scikit-learn and fairlearn have them, intervals, gaps, hostile columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fairlearn import metrics as fair  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from benchmarks.coverage.noise import Groups, run_task
from mlgitops.judgement.slices import judge_slices
from mlgitops.model import MAX_SLICES, OnInconclusive, SliceFacts, SliceRule, Statistic
from mlgitops.model.slice_metrics import BY_CLASS, DIRECTIONS
from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.gaps import bound_statistic
from mlgitops.statistics.groups import code_values, group_rows
from mlgitops.statistics.matching import Pair, match_predictions
from mlgitops.statistics.slices import measure_slices
from mlgitops.tables.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(7)
ROWS = 4_000
TARGET = (RNG.random(ROWS) < 0.3).astype(np.int64)
SCORES = [np.clip(0.3 + 0.3 * TARGET + RNG.normal(0, 0.2, ROWS), 0.001, 0.999) for _ in range(2)]
NUMBERS = RNG.gamma(2, 20, ROWS)
GUESSES = [NUMBERS + RNG.normal(0, 5, ROWS) for _ in range(2)]
COLUMNS = {
    "group": RNG.choice(np.array([b"a", b"bb", b"a longer name"]), ROWS, p=[0.5, 0.4, 0.1]),
    "sex": RNG.integers(0, 2, ROWS),
    "day": RNG.integers(0, 100, ROWS),
}


def make_side(
    target: object, prediction: object, scores: dict[str, object], columns: dict[str, object]
) -> Predictions:
    """Make one side's predictions with ids 0, 1, 2, …."""
    known = np.asarray(target)
    return Predictions(
        id=np.arange(len(known)),
        target=known,
        prediction=np.asarray(prediction),
        scores={name: np.asarray(score, dtype=float) for name, score in scores.items()},
        columns={name: np.asarray(column) for name, column in columns.items()},
    )


def make_pair(columns: dict[str, object] | None = None) -> Pair:
    """Make a pair of binary classifiers."""
    sides = [
        make_side(TARGET, (score > 0.5).astype(int), {"": score}, columns or dict(COLUMNS))
        for score in SCORES
    ]
    return match_predictions(*sides)


def make_numbers() -> Pair:
    """Make a pair of regressions."""
    return match_predictions(*(make_side(NUMBERS, guess, {}, dict(COLUMNS)) for guess in GUESSES))


def measure(
    pair: Pair, metric: str, statistic: Statistic | None = None, **rule: object
) -> SliceFacts:
    """Measure one rule by `group` unless another column is named."""
    by = rule.pop("by", ("group",))
    cluster = rule.pop("cluster", None)
    made = SliceRule(by=by, metric=metric, statistic=statistic, **rule)  # type: ignore[arg-type]
    (facts,) = measure_slices(pair, [made], confidence=0.95, cluster=cluster)  # type: ignore[arg-type]
    return facts


REFERENCES: dict[str, Callable[..., float]] = {
    "accuracy": sk.accuracy_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "selection_rate": fair.selection_rate,
    "true_positive_rate": fair.true_positive_rate,
    "true_negative_rate": fair.true_negative_rate,
    "false_positive_rate": fair.false_positive_rate,
    "false_negative_rate": fair.false_negative_rate,
}


@pytest.mark.parametrize("metric", REFERENCES)
def test_groups_and_gaps_are_fairlearns(metric: str) -> None:
    """Every group's value, and difference, ratio and extremes, are those of MetricFrame."""
    frame = fair.MetricFrame(
        metrics=REFERENCES[metric],
        y_true=TARGET,
        y_pred=(SCORES[1] > 0.5).astype(int),
        sensitive_features=np.char.decode(COLUMNS["group"]),
    )
    expected = {
        Statistic.DIFFERENCE: frame.difference(),
        Statistic.RATIO: frame.ratio(),
        Statistic.MINIMUM: frame.group_min(),
        Statistic.MAXIMUM: frame.group_max(),
    }
    for statistic, value in expected.items():
        facts = measure(make_pair(), metric, statistic)
        assert facts.head == pytest.approx(value, rel=1e-12)
        assert facts.interval is not None
        assert facts.interval.low <= facts.head <= facts.interval.high  # type: ignore[operator]
        found = {one.group[0]: one.head for one in facts.slices}
        assert found == pytest.approx(frame.by_group.to_dict(), rel=1e-12)


def test_crossings_are_fairlearns() -> None:
    """Two columns make the crossings of their values."""
    group = np.char.decode(COLUMNS["group"])
    frame = fair.MetricFrame(
        metrics=sk.accuracy_score,
        y_true=TARGET,
        y_pred=(SCORES[1] > 0.5).astype(int),
        sensitive_features={"group": group, "sex": COLUMNS["sex"]},
    )
    facts = measure(make_pair(), "accuracy", by=("group", "sex"))
    found = {(one.group[0], int(one.group[1])): one.head for one in facts.slices}
    assert found == pytest.approx(frame.by_group.to_dict())


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("mae", sk.mean_absolute_error),
        ("mse", sk.mean_squared_error),
        ("rmse", sk.root_mean_squared_error),
        ("mean_error", lambda target, guess: float(np.mean(guess - target))),
    ],
)
def test_errors_of_numbers_are_scikit_learns(metric: str, reference: Callable[..., float]) -> None:
    """A regression's errors in each group are scikit-learn's on the group's rows."""
    for one in measure(make_numbers(), metric).slices:
        own = COLUMNS["group"] == one.group[0].encode()
        assert one.base == pytest.approx(reference(NUMBERS[own], GUESSES[0][own]))
        assert one.head == pytest.approx(reference(NUMBERS[own], GUESSES[1][own]))


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("brier", sk.brier_score_loss),
        ("log_loss", sk.log_loss),
        ("roc_auc", sk.roc_auc_score),
        ("calibration", lambda target, score: float(np.mean(score - target))),
    ],
)
def test_scores_are_scikit_learns(metric: str, reference: Callable[..., float]) -> None:
    """Metrics of scores in each group are scikit-learn's on the group's rows."""
    for one in measure(make_pair(), metric).slices:
        own = COLUMNS["group"] == one.group[0].encode()
        assert one.head == pytest.approx(reference(TARGET[own], SCORES[1][own]))


@pytest.mark.parametrize("cluster", [None, "day"])
@pytest.mark.parametrize("metric", ["accuracy", "recall", "precision", "f1", "roc_auc", "brier"])
def test_intervals_are_those_of_the_whole_on_the_groups_rows(
    metric: str, cluster: str | None
) -> None:
    """A group's interval is nearly what the estimator of the whole says of its rows alone."""
    pair = make_pair()
    for one in measure(pair, metric, cluster=cluster).slices:
        own = COLUMNS["group"] == one.group[0].encode()
        sides = [
            make_side(
                TARGET[own],
                (score[own] > 0.5).astype(int),
                {"": score[own]},
                {"day": COLUMNS["day"][own]},
            )
            for score in SCORES
        ]
        alone = match_predictions(*sides)
        clusters = np.unique(alone.columns["day"], return_inverse=True)[1] if cluster else None
        found = Comparison(alone, clusters).estimate(metric)
        assert one.interval is not None
        low, high = found.interval(one.interval.confidence)
        width, room = high - low, 0.15 if cluster else 0.05  # shares have a least variance
        assert one.interval.low == pytest.approx(low, abs=room * width)
        assert one.interval.high == pytest.approx(high, abs=room * width)


def test_a_class_of_several_is_set_against_the_rest() -> None:
    """`recall_b` is the recall of class b; without a class the reason names one."""
    target = np.array([b"a", b"b", b"c"] * 40)
    guess = np.where(np.arange(120) % 5 == 1, b"a", target)
    side = make_side(target, guess, {}, {"group": np.repeat([0, 1], 60)})
    pair = match_predictions(side, side)
    expected = [
        sk.recall_score(target[own] == b"b", guess[own] == b"b")
        for own in (slice(0, 60), slice(60, 120))
    ]
    facts = measure(pair, "recall_b", Statistic.DIFFERENCE)
    assert sorted(one.head or 0.0 for one in facts.slices) == pytest.approx(sorted(expected))
    assert "write `recall_a`" in (measure(pair, "recall").reason or "")
    assert measure(pair, "recall_z").reason == "no class is named `z`"


@pytest.mark.parametrize("statistic", Statistic)
def test_the_interval_of_a_gap_holds_the_truth(statistic: Statistic) -> None:
    """Over 400 draws the interval of a statistic holds its true value in at least 95 %."""
    rng = np.random.default_rng(3)
    truth, rows, draws = np.array([0.8, 0.8, 0.75, 0.9]), 150, 400
    true = {
        Statistic.DIFFERENCE: 0.15,
        Statistic.RATIO: 0.75 / 0.9,
        Statistic.MINIMUM: 0.75,
        Statistic.MAXIMUM: 0.9,
    }[statistic]
    held = 0
    for _ in range(draws):
        shares = rng.binomial(rows, truth) / rows
        covariance = np.diag(shares * (1 - shares) / (rows - 1))
        found = bound_statistic(statistic, shares, covariance, freedom=rows - 1, confidence=0.95)
        assert found is not None
        held += found[0] <= true <= found[1]
    assert held >= 0.95 * draws


def test_no_difference_is_seldom_called_one() -> None:
    """Over 300 pairs without a difference, any of six slices is called moved in at most 6 %."""
    rng = np.random.default_rng(5)
    group, called = np.arange(900) % 6, 0
    for _ in range(300):
        target = rng.integers(0, 2, 900)
        sides = [
            make_side(
                target, np.where(rng.random(900) < 0.2, 1 - target, target), {}, {"group": group}
            )
            for _ in range(2)
        ]
        facts = measure(match_predictions(*sides), "accuracy")
        called += any(
            one.interval and (one.interval.low > 0 or one.interval.high < 0) for one in facts.slices
        )
    assert called <= 18


@given(st.lists(st.integers(-3, 6), min_size=1, max_size=200))
def test_groups_partition_the_rows(values: list[int]) -> None:
    """Every row is in the group of its own value, and the groups' rows sum to all."""
    column = np.array(values)
    groups = group_rows({"c": column}, ["c"])
    assert int(groups.rows.sum()) == len(values)
    names = [groups.name(code) for code in groups.codes.tolist()]
    assert names == [(str(value),) for value in values]


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=60))
def test_equal_texts_and_only_they_share_a_number(texts: list[bytes]) -> None:
    """Codes of a text column are equal exactly where the texts are."""
    column = np.array(texts)
    codes = code_values(column)
    assert ((column[:, None] == column) == (codes[:, None] == codes)).all()


@given(st.data())
def test_swapping_sides_negates_every_delta(data: st.DataObject) -> None:
    """Base beside head and head beside base have the same gaps and opposite deltas."""
    rows = data.draw(st.integers(4, 60))
    bits = st.lists(st.integers(0, 1), min_size=rows, max_size=rows)
    target, one, two = (data.draw(bits) for _ in range(3))
    group = data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    sides = [make_side(target, guess, {}, {"group": group}) for guess in (one, two)]
    rule = SliceRule(by=("group",), metric="accuracy", statistic=Statistic.DIFFERENCE)
    (here,) = measure_slices(match_predictions(*sides), [rule], confidence=0.95)
    (there,) = measure_slices(match_predictions(*sides[::-1]), [rule], confidence=0.95)
    assert (here.base, here.head) == (there.head, there.base)
    deltas = {found.group: found.delta for found in here.slices}
    assert deltas == {found.group: -(found.delta or 0.0) for found in there.slices}


def test_a_column_of_many_values_is_capped() -> None:
    """Of 4,000 groups a few are listed: the extremes first; the rest is counted."""
    pair = make_pair({"group": np.arange(ROWS)})
    facts = measure(pair, "accuracy", Statistic.DIFFERENCE)
    assert (len(facts.slices), facts.omitted) == (MAX_SLICES, ROWS - MAX_SLICES)
    assert {one.head for one in facts.slices[:2]} == {0.0, 1.0}
    assert facts.head == 1.0
    assert facts.interval is None


def test_small_groups_are_told_and_not_judged() -> None:
    """A group below min_rows is listed without an interval and takes no part in the gap."""
    target = np.array([0, 1] * 60 + [0, 1])
    guess = np.concatenate([target[:120], 1 - target[120:]])
    group = np.array([b"x"] * 60 + [b"y"] * 60 + [b"tiny"] * 2)
    side = make_side(target, guess, {}, {"group": group})
    facts = measure(match_predictions(side, side), "accuracy", Statistic.DIFFERENCE, min_rows=50)
    tiny = next(one for one in facts.slices if one.group == ("tiny",))
    assert (facts.head, facts.small, tiny.head, tiny.interval) == (0.0, 1, 0.0, None)


def test_a_share_of_all_is_not_known_without_error() -> None:
    """Where every row is right, head's interval still leaves room for one that is not."""
    side = make_side([0, 1] * 40, [0, 1] * 40, {}, {"group": [0] * 40 + [1] * 40})
    facts = measure(match_predictions(side, side), "accuracy", Statistic.MINIMUM)
    assert facts.interval is not None
    assert facts.interval.low < 0.99 < facts.interval.high == 1.0


@pytest.mark.parametrize(
    ("metric", "statistic", "rule", "reason"),
    [
        ("accuracy", None, {"by": ("gone",)}, "the predictions have no column `gone`"),
        ("accuracy", None, {"min_rows": 9_999}, "no group has 9,999 rows: the largest has 1,997"),
        ("accuracy", None, {"cluster": "gone"}, "have no column `gone` to cluster by"),
        ("calibration_z", None, {}, "no class is named `z`"),
        ("accuracy", "difference", {"min_rows": 1_900}, "only one group has 1,900 rows"),
    ],
)
def test_what_cannot_be_measured_has_its_reason(
    metric: str, statistic: str | None, rule: dict[str, object], reason: str
) -> None:
    """A rule that cannot be evaluated has a reason and no numbers."""
    made = Statistic(statistic) if statistic else None
    facts = measure(make_pair(), metric, made, **rule)
    assert reason in (facts.reason or "")
    assert (facts.head, facts.slices) == (None, ())


@pytest.mark.parametrize("metric", DIRECTIONS)
def test_broken_numbers_never_escape(metric: str) -> None:
    """NaN, infinities and constant columns give a reason or finite numbers."""
    bad = np.array([0.0, math.nan, math.inf, 1.0] * 10)
    for target, guess, score in (
        (bad, bad, bad),
        (np.zeros(40), np.zeros(40), bad),
        (np.zeros(40, dtype=int), np.zeros(40, dtype=int), np.zeros(40)),
        (np.full(40, 1e300), np.full(40, -1e300), np.full(40, 2.0)),
    ):
        side = make_side(target, guess, {"": score}, {"group": np.arange(40) % 2})
        facts = measure(match_predictions(side, side), metric)
        values = [value for one in facts.slices for value in (one.base, one.head) if value]
        assert facts.reason or np.isfinite(values).all()


def test_every_metric_by_class_has_a_direction_of_its_own() -> None:
    """Metrics that take a class are among those that are known."""
    assert set(BY_CLASS) <= set(DIRECTIONS)


def make_noise(
    target: object, base: object, head: object, group: object, **columns: object
) -> Pair:
    """Make a pair of answers in groups."""
    named = {"group": group, **columns}
    return match_predictions(*(make_side(target, side, {}, named) for side in (base, head)))


def judge(
    pair: Pair, metric: str, *, cluster: str | None = None, strict: bool = False
) -> list[str]:
    """Return why a rule that lets no group lose anything fails."""
    rule = SliceRule(by=("group",), metric=metric, max_worsening=0.0)
    facts = measure_slices(pair, [rule], confidence=0.95, cluster=cluster)
    mode = OnInconclusive.FAIL if strict else OnInconclusive.PASS
    return list(judge_slices([rule], facts, mode)[0].reasons)


#: Target, base, head, of one group; what each is too small for.
SMALL = {
    "one row": ("accuracy", [1], [1], [0], "it has only 1 row"),
    "four positive rows": (
        *("recall", [1] * 4 + [0] * 60, [1] * 4 + [0] * 60, [0] * 64),
        "it has only 4 positive rows; 5 are needed",
    ),
    "nine answers": (
        *("precision", [1] * 9 + [0] * 60, [1] * 9 + [0] * 60, [0] * 9 + [1] * 60),
        "it has only 9 rows that base predicts as positive; 10 are needed",
    ),
    "four and a half to F1": (
        *("f1", [1] * 4 + [0] * 60, [1] * 5 + [0] * 59, [0] * 64),
        "it has only 4 rows that are positive or predicted so at base, half of each; 5 are needed",
    ),
}


@pytest.mark.parametrize("case", SMALL)
def test_a_group_with_too_little_to_count_is_not_judged_and_said(case: str) -> None:
    """Where no loss could be told from noise there is a reason; only the strict mode fails."""
    metric, target, base, head, reason = SMALL[case]
    other = [0, 1] * 20  # a group that is large enough
    pair = make_noise(
        [*target, *other], [*base, *other], [*head, *other], [0] * len(target) + [1] * 40
    )
    small = next(one for one in measure(pair, metric).slices if one.group == ("0",))
    assert (small.interval, small.reason) == (None, reason)
    assert small.delta is not None
    assert small.delta < 0
    assert judge(pair, metric) == []
    (failure,) = judge(pair, metric, strict=True)
    assert failure.endswith(f"`0` may have lost more than 0: {reason}")


def test_a_group_that_is_one_cluster_is_not_judged() -> None:
    """All of a group's rows in one cluster have no spread: not judged, and said."""
    target = [0, 1] * 40
    head = [1 - answer for answer in target[:40]] + target[40:]
    clusters = [0] * 40 + list(range(1, 41))
    pair = make_noise(target, target, head, [0] * 40 + [1] * 40, day=clusters)
    lost = next(one for one in measure(pair, "accuracy", cluster="day").slices if one.delta)
    assert (lost.interval, lost.reason) == (None, "all its rows belong to one cluster")
    assert judge(pair, "accuracy", cluster="day") == []
    assert judge(pair, "accuracy") != []


def test_what_head_took_away_is_a_loss() -> None:
    """Where base predicts enough positives and head none, precision is lost as it is."""
    target, base = [1] * 20 + [0] * 80, [1] * 12 + [0] * 88
    pair = make_noise(target * 2, base * 2, base + [0] * 100, [0] * 100 + [1] * 100)
    lost = next(one for one in measure(pair, "precision").slices if one.delta)
    assert (lost.interval, lost.reason, lost.delta) == (None, None, -1.0)
    assert "`1` lost more than the 0 that a group may lose" in judge(pair, "precision")[0]


@pytest.mark.parametrize("metric", ["accuracy", "recall", "precision", "f1"])
@pytest.mark.parametrize("cluster", [None, "day"])
def test_a_real_loss_in_one_group_of_many_fails(metric: str, cluster: str | None) -> None:
    """Of 20 groups of 200 rows, the one that lost a third of what it had right fails."""
    rng = np.random.default_rng(4)
    target = (rng.random(4_000) < 0.5).astype(int)
    base = np.where(rng.random(4_000) < 0.1, 1 - target, target)
    group = np.arange(4_000) % 20
    head = np.where((group == 3) & (rng.random(4_000) < 0.4), 1 - base, base)
    pair = make_noise(target, base, head, group, day=np.arange(4_000) // 20)
    (failure,) = judge(pair, metric, cluster=cluster)
    assert "`3` lost more than" in failure


def test_what_all_rows_say_is_a_loss_without_spread() -> None:
    """Errors that all grew by the same are no less certain for it; five of them are too few."""
    target = np.arange(100.0)
    group = np.arange(100) >= 95
    pair = make_noise(target, target + 1, target + np.where(group, 1.0, 2.0), group.astype(int))
    lost = next(one for one in measure(pair, "mae").slices if one.delta)
    assert lost.interval is not None
    assert 0 < lost.interval.low < 1 < lost.interval.high
    few = make_noise(target, target + 1, target + np.where(group, 1.5, 1.0), group.astype(int))
    assert judge(pair, "mae") != []
    assert judge(few, "mae") == []


@pytest.mark.parametrize(
    "draws",
    [
        Groups(rows=200, groups=20, rate=0.02),
        Groups(rows=200, groups=1, rate=0.1),
        Groups(rows=20, groups=20, rate=0.5, shared=0.8),
        Groups(rows=20, groups=20, rate=0.5, cluster_rows=5),
        Groups(rows=20, groups=20, rate=0.0, shared=0.5),
    ],
    ids=lambda draws: f"{draws.name}{', clustered' * bool(draws.cluster_rows)}",
)
def test_pure_noise_seldom_fails_a_rule(draws: Groups) -> None:
    """With two equally good models, each metric's rule fails in few of 50 runs."""
    found = run_task((draws, 50))
    for metric, tally in found.metrics.items():
        assert tally.fails <= 7, metric  # 5 % and three Monte Carlo errors


@pytest.mark.parametrize("value", [math.inf, 1e200])
def test_a_group_whose_value_is_endless_cannot_be_left_out(value: float) -> None:
    """A prediction that makes a group's error infinite does not take it out of the rule."""
    target = np.arange(80.0)
    head = target + 1.0
    head[7] = value
    pair = make_noise(target, target + 1.0, head, np.arange(80) % 2)
    assert "not" in (measure(pair, "mse", Statistic.MAXIMUM).reason or "")
    (failure,) = judge(pair, "mse")
    assert "cannot be judged: head" in failure


@pytest.mark.parametrize("metric", ["accuracy", "precision", "f1"])
def test_one_row_more_is_added_where_rows_differ(metric: str) -> None:
    """Five rows that all went wrong are one case of 32: in one group alone, not beyond noise."""
    target = [1] * 60 + [0] * 60
    head = [1] * 60 + [0] * 55 + [1] * 5
    pair = make_noise(target, target, head, [0] * 120)
    (found,) = measure(pair, metric).slices
    assert found.interval is not None
    error = abs(found.delta or 0.0) / math.sqrt(5 * 5 / 6)  # McNemar's, with a sixth row
    reach = error * 1.96
    assert found.interval.high - (found.delta or 0.0) >= 0.95 * reach


def test_the_linearised_error_alone_does_not_make_a_loss() -> None:
    """Of base's ten answers all are right, of head's three one: noise may do that."""
    target, base = [1] * 10 + [0] * 90, [1] * 10 + [0] * 90
    head = [1] + [0] * 97 + [1] * 2
    (found,) = measure(make_noise(target, base, head, [0] * 100), "precision").slices
    assert found.interval is not None
    assert found.delta == pytest.approx(-2 / 3)
    assert found.interval.low < -2 / 3
    assert found.interval.high > 0


def test_every_row_of_a_group_counts_for_its_accuracy() -> None:
    """A group of three rows is compared where all of them count; its interval is wide."""
    target = [1, 0, 1] + [0, 1] * 20
    pair = make_noise(target, target, [1, 0, 0] + [0, 1] * 20, [0] * 3 + [1] * 40)
    small = next(one for one in measure(pair, "accuracy").slices if one.rows == 3)
    assert small.reason is None
    assert small.interval is not None
    assert small.interval.low < 0 < small.interval.high
