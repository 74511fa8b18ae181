from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn import metrics as sk

from mlgitops.model import Rule
from mlgitops.statistics import compare_predictions
from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.matching import match_predictions
from mlgitops.statistics.names import find_estimator
from mlgitops.tables.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.statistics.conftest import MakeBinary, MakeSides

    Metric = Callable[..., float]

CLASSES: dict[str, Metric] = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "cohen_kappa": sk.cohen_kappa_score,
    "mcc": sk.matthews_corrcoef,
    **{
        f"{name}_{average}": lambda t, p, score=score, average=average: score(
            t, p, average=average, zero_division=0
        )
        for name, score, averages in (
            ("f1", sk.f1_score, ("macro", "micro", "weighted")),
            ("precision", sk.precision_score, ("macro", "micro", "weighted")),
            ("recall", sk.recall_score, ("macro", "micro", "weighted")),
        )
        for average in averages
    },
}
BINARY: dict[str, Metric] = {
    "f1": sk.f1_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
}
SCORES: dict[str, Metric] = {
    "average_precision": sk.average_precision_score,
    "brier": sk.brier_score_loss,
    "log_loss": sk.log_loss,
    "roc_auc": sk.roc_auc_score,
}
NUMBERS: dict[str, Metric] = {
    "mae": sk.mean_absolute_error,
    "median_absolute_error": sk.median_absolute_error,
    "mse": sk.mean_squared_error,
    "pinball": sk.mean_pinball_loss,
    "pinball_90": lambda t, p: sk.mean_pinball_loss(t, p, alpha=0.9),
    "r2": sk.r2_score,
    "rmse": sk.root_mean_squared_error,
}


def measure_both(base: Predictions, head: Predictions, name: str) -> tuple[float, float, float]:
    """Return the metric at base, at head, and the estimated difference."""
    found = Comparison(match_predictions(base, head)).estimate(name)
    return (*found.values, found.delta)


def expect(base: float, head: float, tolerance: float) -> object:
    """Return what both values and the difference must be."""
    return pytest.approx((base, head, head - base), abs=tolerance)


@pytest.mark.parametrize("name", [*CLASSES, *BINARY])
def test_differences_of_two_classes_agree_with_scikit_learn(
    make_binary: MakeBinary, name: str
) -> None:
    """The difference in the middle of the interval is scikit-learn's, for two classes."""
    base, head = make_binary(700)
    metric = (CLASSES | BINARY)[name]
    values = [metric(side.target, side.prediction) for side in (base, head)]
    assert measure_both(base, head, name) == expect(values[0], values[1], 1e-12)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], ["a", "bb", "ccc", "é"], [0.5, 1.5, 2.5, 9.0]])
@pytest.mark.parametrize("name", CLASSES)
def test_differences_of_many_classes_agree_with_scikit_learn(
    make_sides: MakeSides, name: str, labels: list[object]
) -> None:
    """The same holds for more classes, whatever the labels are, with a class never predicted."""
    rng = np.random.default_rng(1)
    target = rng.choice(4, 400, p=[0.5, 0.3, 0.15, 0.05])
    base = np.where(rng.random(400) < 0.7, target, rng.integers(0, 3, 400))
    head = np.where(rng.random(400) < 0.75, target, rng.integers(0, 4, 400))
    base[base == 3] = 0
    names = np.array([x.encode() if isinstance(x, str) else x for x in labels])
    metric = CLASSES[name]
    sides = make_sides(names[target], names[base], names[head])
    values = metric(target, base), metric(target, head)
    assert measure_both(*sides, name) == expect(*values, 1e-12)


@pytest.mark.parametrize("steps", [0, 20])
@pytest.mark.parametrize("name", SCORES)
def test_differences_of_scores_agree_with_scikit_learn(
    make_binary: MakeBinary, name: str, steps: int
) -> None:
    """Ranking metrics and probability losses agree with scikit-learn, with and without ties."""
    base, head = make_binary(2000, steps=steps)
    metric = SCORES[name]
    values = [metric(side.target, side.scores[""]) for side in (base, head)]
    *found, delta = measure_both(base, head, name)
    assert found == pytest.approx(values, abs=1e-12)
    # The average precision is less its estimated bias, which shrinks with the rows.
    tolerance = 2e-3 if name == "average_precision" else 1e-12
    assert delta == pytest.approx(values[1] - values[0], abs=tolerance)


@pytest.mark.parametrize("name", NUMBERS)
def test_differences_of_numbers_agree_with_scikit_learn(make_sides: MakeSides, name: str) -> None:
    """Regression metrics agree with scikit-learn."""
    rng = np.random.default_rng(2)
    target = 50 + 10 * rng.standard_normal(301)
    base, head = (target + size * rng.standard_normal(301) for size in (3, 2.5))
    metric = NUMBERS[name]
    values = metric(target, base), metric(target, head)
    assert measure_both(*make_sides(target, base, head), name) == expect(*values, 1e-11)


@pytest.mark.parametrize("name", ["log_loss", "brier"])
def test_differences_of_class_probabilities_agree_with_scikit_learn(name: str) -> None:
    """Multiclass log loss and Brier score read the `score_<class>` columns by name."""
    rng = np.random.default_rng(3)
    labels = np.array([b"x", b"y", b"z"])
    target = rng.integers(0, 3, 200)
    sides, values = [], []
    for sharpness in (1.0, 2.0):
        raw = rng.random((200, 3)) + sharpness * np.eye(3)[target]
        table = raw / raw.sum(1, keepdims=True)
        metric = sk.log_loss if name == "log_loss" else sk.brier_score_loss
        values.append(metric(target, table, labels=[0, 1, 2]))
        sides.append(
            Predictions(
                id=np.arange(200),
                target=labels[target],
                prediction=labels[table.argmax(1)],
                scores={label: table[:, k] for k, label in ((2, "z"), (0, "x"), (1, "y"))},
            )
        )
    assert measure_both(sides[0], sides[1], name) == expect(values[0], values[1], 1e-12)


@pytest.mark.parametrize(
    ("metric", "estimator"),
    [
        ("test.roc_auc", "roc_auc"),
        ("roc_auc", "roc_auc"),
        ("a.b.f1_macro", "f1_macro"),
        ("test.root_mean_squared_error", "rmse"),
        ("test.matthews_corrcoef", "mcc"),
        ("test.f1_score", "f1"),
        ("test.pinball_05", "pinball_05"),
        ("test.pinball_900", None),
        ("test.roc_auc.by_day", None),
        ("model.size_mb", None),
        ("", None),
    ],
)
def test_the_last_part_of_a_name_says_the_estimator(metric: str, estimator: str | None) -> None:
    """The part after the last dot names the estimator; others have none."""
    assert find_estimator(metric) == estimator


def test_positive_is_the_last_of_two_labels(make_sides: MakeSides) -> None:
    """Of two text labels the last in order is positive, as in scikit-learn's `classes_`."""
    target = np.array([b"late", b"on time"] * 20)
    base = np.where(np.arange(40) % 5 == 0, b"late", target)
    head = np.where(np.arange(40) % 7 == 0, b"late", target)
    positive = target == b"on time"
    values = [float((side[positive] == b"on time").mean()) for side in (base, head)]
    sides = make_sides(target, base, head)
    assert measure_both(*sides, "recall") == expect(values[0], values[1], 1e-12)
    evidence = compare_predictions(*sides, metrics={"test.recall": Rule()})["test.recall"]
    assert evidence.interval is not None


@pytest.mark.parametrize("answer", [0, 1])
@pytest.mark.parametrize("metric", ["f1", "precision", "recall"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_where_one_class_occurs_the_value_is_scikit_learns(
    make_sides: MakeSides, metric: str, answer: int
) -> None:
    """F1 of all-zero targets and answers is 0, and of all-one 1: `pos_label` is 1."""
    column = np.full(300, answer)
    base, head = make_sides(column, column, column)
    found = Comparison(match_predictions(base, head)).estimate(metric)
    reference = {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score}
    assert found.values[1] == reference[metric](column, column) == answer
