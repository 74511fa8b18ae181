"""Names of metrics, and what metrics files state of them, against the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn import metrics as sk

from mlgitops.model import Evidence
from mlgitops.statistics.estimate import Estimate, Undefined
from mlgitops.statistics.matching import match_predictions
from mlgitops.statistics.stored import (
    Contradiction,
    Predicted,
    Stored,
    contradict_new,
    find_lost,
)
from mlgitops.tables.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Values = dict[str, float]
ROWS = 600
LABELS: dict[str, NDArray[Any]] = {
    "two numbers": np.array([0, 1]),
    "two texts": np.array(["no", "yes"]),
    "three numbers": np.array([1, 2, 3]),
    "decimals": np.array([0.0, 1.0, 2.0]),
    "texts with dots": np.array(["v1.0", "v1.5", "v2"]),
}


def answer(labels: NDArray[Any], errors: Sequence[float], seed: int) -> NDArray[Any]:
    """Return a model's classes: wrong for each true class as often as ``errors`` says."""
    rng = np.random.default_rng(seed)
    target = true_classes(len(labels))
    wrong = rng.random(ROWS) < np.asarray(errors)[target]
    other = (target + rng.integers(1, len(labels), ROWS)) % len(labels)
    return labels[np.where(wrong, other, target)]


def true_classes(count: int) -> NDArray[np.intp]:
    """Return the true class of each row as a code; the first is the most frequent."""
    return np.minimum(np.arange(ROWS) % (count + 2), count - 1)[::-1]


def as_rows(labels: NDArray[Any], prediction: NDArray[Any], **more: Any) -> Predictions:  # noqa: ANN401
    """Return predictions as the reader of CSV gives them: texts are bytes."""
    columns = labels[true_classes(len(labels))], prediction
    target, predicted = (c.astype("S") if c.dtype.kind == "U" else c for c in columns)
    return Predictions(
        id=np.arange(ROWS), target=target, prediction=predicted, **({"scores": {}} | more)
    )


def flatten(tree: dict[str, Any], parents: str = "") -> Values:
    """Return the leaves of a report by their dotted names, as `compare` reads them."""
    leaves: Values = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves |= flatten(value, f"{parents}{key}.")
        elif key != "support":
            leaves[f"{parents}{key}"] = float(value)
    return leaves


def report(labels: NDArray[Any], prediction: NDArray[Any], names: list[str] | None) -> Values:
    """Return what `classification_report` writes."""
    target = labels[true_classes(len(labels))]
    texts = [column.astype(str) if column.dtype.kind == "U" else column
             for column in (target, prediction)]  # fmt: skip
    return flatten(sk.classification_report(*texts, output_dict=True, target_names=names))


def predict(base: Predictions, head: Predictions) -> Predicted:
    """Match both sides, as what metrics files are held against."""
    return Predicted(match_predictions(base, head), base, None)


@pytest.mark.parametrize(
    ("ids", "is_counted"),
    [(np.arange(ROWS), True), (np.arange(ROWS)[::-1], True), (np.arange(1, ROWS + 1)[::-1], False)],
    ids=["the same order", "another order", "other rows"],
)
def test_another_seed_is_of_the_rows_of_the_served_models(
    ids: NDArray[np.intp], *, is_counted: bool
) -> None:
    """Both sides' predictions of a seed have the rows in another order, or have others."""
    labels, rank = LABELS["two numbers"], ids - ids.min()
    served = [as_rows(labels, answer(labels, (0.2, 0.1), seed)) for seed in (1, 2)]
    others = [
        Predictions(
            id=ids,
            target=rows.target[rank],
            prediction=rows.prediction[rank],
            scores={},
        )
        for rows in (as_rows(labels, answer(labels, (0.2, 0.1), seed)) for seed in (3, 4))
    ]
    pair = match_predictions(*served)
    predicted = Predicted(pair, served[0], None, seeds=[match_predictions(*others)])
    base, head = (float(np.mean(rows.target == rows.prediction)) for rows in served)
    result = predicted.check(Stored(name="test.accuracy", base=base, head=head))
    assert isinstance(result, Estimate)
    assert ("2 seeds a side" in result.method) == is_counted
    assert ("not of the test rows that the served" in " ".join(result.warnings)) != is_counted


@pytest.mark.parametrize("names", [None, "target_names"])
@pytest.mark.parametrize("prefix", ["", "test.report."])
@pytest.mark.parametrize("kind", LABELS)
def test_each_line_of_a_classification_report_is_its_own_metric(
    kind: str, prefix: str, names: str | None
) -> None:
    """Class, average and alias are understood: values are scikit-learn's, and no line is refused.

    A report of other names than the predictions' is told by base's values.
    """
    labels = LABELS[kind]
    target_names = [f"kind {label}" for label in labels] if names else None
    base, head = (answer(labels, errors, seed)
                  for errors, seed in (((0.2, 0.1, 0.25), 1), ((0.1, 0.15, 0.3), 2)))  # fmt: skip
    predicted = predict(as_rows(labels, base), as_rows(labels, head))
    values = [report(labels, side, target_names) for side in (base, head)]
    assert len(values[0]) == 3 * (len(labels) + 2) + 1
    for name, value in values[0].items():
        stored = Stored(name=f"{prefix}{name}", base=value, head=values[1][name])
        result = predicted.check(stored)
        assert isinstance(result, Estimate), (stored, result)
        assert result.values == pytest.approx((stored.base, stored.head), abs=1e-12)
        alone = predicted.read_alone(stored, 0.95)
        assert isinstance(alone, Evidence)
        assert alone.interval is not None


@pytest.mark.parametrize(
    "name", ["0.recall", "1.precision", "macro avg.recall", "weighted avg.f1-score", "class_0.f1"]
)
def test_a_line_that_heads_predictions_do_not_give_is_refused(name: str) -> None:
    """A better number of one class or average is held against that class, not another one."""
    labels = LABELS["two numbers"]
    base, head = (answer(labels, (0.2, 0.1), 1), answer(labels, (0.25, 0.1), 2))
    values = [report(labels, side, None) for side in (base, head)]
    key = name.replace("class_", "").replace(".f1", ".f1-score").replace("-score-score", "-score")
    predicted = predict(as_rows(labels, base), as_rows(labels, head))
    true = Stored(name=name, base=values[0][key], head=values[1][key])
    assert isinstance(predicted.check(true), Estimate)
    false = Stored(name=name, base=values[0][key], head=values[1][key] + 0.05)
    assert isinstance(predicted.check(false), Contradiction)
    both = Stored(name=name, base=values[0][key] + 0.1, head=values[1][key] + 0.1)
    assert isinstance(predicted.check(both), Contradiction)


def test_one_class_improves_while_the_other_does_not() -> None:
    """Both recalls were 0.90; class 0 gains a point, and class 1 loses one."""
    labels = LABELS["two numbers"]
    target = labels[true_classes(2)]
    base, head = target.copy(), target.copy()
    for side, misses in ((base, (15, 45)), (head, (9, 48))):
        for label, count in enumerate(misses):
            side[np.flatnonzero(target == label)[:count]] = 1 - label
    predicted = predict(as_rows(labels, base), as_rows(labels, head))
    recalls = [sk.recall_score(target, side, average=None) for side in (base, head)]
    assert recalls[0][0] == pytest.approx(recalls[0][1])
    for label in (0, 1):
        stored = Stored(name=f"{label}.recall", base=recalls[0][label], head=recalls[1][label])
        result = predicted.check(stored)
        assert isinstance(result, Estimate)
        assert result.delta == pytest.approx(stored.head - stored.base)
        assert np.sign(result.delta) == (1, -1)[label]


@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
@pytest.mark.parametrize("metric", ["f1", "precision", "recall_score"])
@pytest.mark.parametrize("kind", ["two numbers", "three numbers"])
def test_base_says_which_average_a_bare_name_is_of(kind: str, metric: str, average: str) -> None:
    """`f1` that is a macro average at base is one at head; a number that is none is refused."""
    labels = LABELS[kind]
    target = labels[true_classes(len(labels))]
    base, head = (answer(labels, errors, seed)
                  for errors, seed in (((0.2, 0.1, 0.25), 1), ((0.1, 0.15, 0.3), 2)))  # fmt: skip
    score = getattr(sk, f"{metric.removesuffix('_score')}_score")
    values = [score(target, side, average=average) for side in (base, head)]
    predicted = predict(as_rows(labels, base), as_rows(labels, head))
    name = f"test.{metric}"
    result = predicted.check(Stored(name=name, base=values[0], head=values[1]))
    assert isinstance(result, Estimate)
    assert result.values == pytest.approx(values, abs=1e-12)
    assert f", of {metric.removesuffix('_score')}_" in result.method
    false = predicted.check(Stored(name=name, base=values[0], head=values[1] + 0.03))
    assert isinstance(false, Contradiction)
    assert "while base's agree" in str(false)


def test_an_area_may_be_of_another_curve() -> None:
    """`auc` is what base's file says it is: of either curve, or of the classes alone."""
    rng = np.random.default_rng(5)
    labels, target = LABELS["two numbers"], true_classes(2)
    scores = [np.clip(0.3 * target + rng.random(ROWS) * spread, 0, 1) for spread in (0.7, 0.6)]
    rows = [as_rows(labels, (side > 0.5).astype(int), scores={"": side}) for side in scores]
    predicted = predict(*rows)
    areas = {
        "roc_auc": [sk.roc_auc_score(target, side) for side in scores],
        "average_precision": [sk.average_precision_score(target, side) for side in scores],
        "balanced_accuracy": [sk.roc_auc_score(target, side > 0.5) for side in scores],
    }
    for estimator, values in areas.items():
        result = predicted.check(Stored(name="auc", base=values[0], head=values[1]))
        assert isinstance(result, Estimate)
        assert result.values == pytest.approx(values, abs=1e-12)
        assert result.method.endswith(f", of {estimator}") is (estimator != "roc_auc")
        false = predicted.check(Stored(name="auc", base=values[0], head=values[1] + 0.05))
        assert isinstance(false, Contradiction)
    unknown = predicted.check(Stored(name="auc", base=0.31, head=0.32))
    assert not isinstance(unknown, Contradiction)
    assert "`auc` does not say which curve it is of" in str(unknown)
    named = predicted.check(Stored(name="roc_auc", base=0.31, head=0.32))
    assert isinstance(named, Contradiction)


@pytest.mark.parametrize(
    ("name", "doubt"),
    [
        ("f1", "`f1` does not say which class or average it is of"),
        ("7.recall", "`7.recall` does not say which class or average it is of"),
        ("7.accuracy", "`7.accuracy` may be of a part of the test rows"),
        ("1.f1_macro", "`1.f1_macro` may be of a part of the test rows"),
    ],
)
def test_what_a_name_leaves_open_is_not_judged_and_says_so(name: str, doubt: str) -> None:
    """A value that no known meaning of a name gives, at base either, is a claim with a reason."""
    labels = LABELS["two numbers"]
    sides = [as_rows(labels, answer(labels, (0.2, 0.1), seed)) for seed in (1, 2)]
    predicted = predict(*sides)
    result = predicted.check(Stored(name=name, base=0.611, head=0.622))
    assert isinstance(result, Undefined)
    assert not isinstance(result, Contradiction)
    assert doubt in str(result)


def _tie() -> tuple[Predicted, Values, Values]:
    """Return three classes of 0.90 recall at base, of which head keeps one and loses one."""
    labels = np.array(["a", "b", "c"])
    target = labels[np.arange(ROWS) % 3]
    base, head = target.copy(), target.copy()
    for side, misses in ((base, (20, 20, 20)), (head, (18, 30, 26))):
        for label, other, count in zip(labels, np.roll(labels, 1), misses, strict=True):
            side[np.flatnonzero(target == label)[:count]] = other
    rows = [
        Predictions(
            id=np.arange(ROWS), target=target.astype("S"), prediction=side.astype("S"), scores={}
        )
        for side in (base, head)
    ]
    before, after = (
        dict(zip("abc", sk.recall_score(target, side, average=None), strict=True))
        for side in (base, head)
    )
    return predict(*rows), before, after


def test_where_base_fits_two_meanings_neither_is_verified() -> None:
    """Of classes that are equal at base, head's file chooses none; what none gives is refused."""
    predicted, base, head = _tie()
    for label in "abc":
        result = predicted.check(Stored(name="kind 1.recall", base=base[label], head=head[label]))
        assert isinstance(result, Undefined)
        assert not isinstance(result, Contradiction)
        assert "does not say which class or average it is of, and head's" in str(result)
    false = predicted.check(Stored(name="kind 1.recall", base=base["a"], head=0.97))
    assert isinstance(false, Contradiction)


def test_head_chooses_no_meaning_by_its_digits() -> None:
    """More digits at head do not make base's rounded value unknown, and so any number true."""
    labels = LABELS["two numbers"]
    target = labels[true_classes(2)]
    base, head = (answer(labels, (0.3, 0.1), 1), answer(labels, (0.3, 0.1), 2))
    macro = round(sk.f1_score(target, base, average="macro"), 3)
    assert abs(macro - sk.f1_score(target, base)) > 0.02
    predicted = predict(as_rows(labels, base), as_rows(labels, head))
    result = predicted.check(Stored(name="f1", base=macro, head=0.9512345678901234))
    assert isinstance(result, Contradiction)


def test_head_chooses_no_meaning_by_its_classes() -> None:
    """A class that only head predicts is no part of a metric's name."""
    labels = LABELS["two texts"]
    base, head = answer(labels, (0.2, 0.1), 1), answer(labels, (0.2, 0.1), 2).astype("U4")
    head[0] = "test"
    value = sk.recall_score(labels[true_classes(2)], base, pos_label="yes")
    rows, others = as_rows(labels, base), as_rows(labels, head)
    stored = Stored(name="test.recall", base=value, head=0.99)
    assert not isinstance(predict(rows, others).check(stored), Estimate)
    assert find_lost(rows, others, [stored], None) == {"test.recall"}


def test_a_class_that_head_leaves_out_is_lost() -> None:
    """Without the rows of a class its recall is not given, however well head's other rows do."""
    labels = LABELS["two numbers"]
    base, head = answer(labels, (0.2, 0.1), 1), answer(labels, (0.2, 0.1), 2)
    rows, others = as_rows(labels, base), as_rows(labels, head)
    kept = others.target != 0
    fewer = Predictions(
        id=others.id[kept],
        target=others.target[kept],
        prediction=np.ones(int(kept.sum()), dtype=int),
        scores={},
    )
    value = report(labels, base, None)["0.recall"]
    stored = Stored(name="0.recall", base=value, head=0.99)
    assert isinstance(predict(rows, fewer).check(stored), Contradiction)
    assert find_lost(rows, fewer, [stored], None) == {"0.recall"}
    assert find_lost(rows, others, [stored], None) == set()
    assert find_lost(rows, None, [stored], None) == {"0.recall"}


def test_a_new_number_is_denied_only_where_its_name_is_plain() -> None:
    """Scores that were rounded, curves without scores and names that say little deny nothing."""
    labels = LABELS["two numbers"]
    answers = answer(labels, (0.2, 0.3), 3)
    plain = as_rows(labels, answers)
    target = labels[true_classes(2)]
    accuracy, recall = sk.accuracy_score(target, answers), sk.recall_score(target, answers)
    scores = np.clip(0.5 * answers + np.random.default_rng(3).random(ROWS) / 2, 0.01, 0.99)
    area = sk.roc_auc_score(target, scores)
    scored = as_rows(labels, answers, scores={"": scores.round(3)})
    allowed = [
        (plain, {"accuracy": accuracy, "1.recall": recall, "0.accuracy": 0.99, "recall": 0.99}),
        (plain, {"roc_auc": area, "val.accuracy": 0.99, "top_5": 0.99, "mae": 1 - accuracy}),
        (scored, {"roc_auc": area, "auc": 0.99, "log_loss": sk.log_loss(target, scores)}),
    ]
    for head, values in allowed:
        for name, value in values.items():
            assert contradict_new(head, name, value) is None, name
    for head, name in ((plain, "accuracy"), (plain, "1.recall"), (scored, "roc_auc")):
        reason = contradict_new(head, name, 0.99)
        assert reason is not None
        assert "and its metrics file says 0.99" in reason
