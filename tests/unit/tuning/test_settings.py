"""`tune.yaml`: what it may say, and every mistake with its line."""

from __future__ import annotations

import pytest

from mlgitops.errors import MistakesError
from mlgitops.model.tuning import Choices, NumberRange
from mlgitops.tuning.settings import parse_settings

SPACE = "space: {train.settings.C: {low: 0.1, high: 10.0}}\n"


def test_what_is_written_is_read() -> None:
    """Whole numbers stay whole, choices keep their kinds, and defaults fill the rest."""
    settings = parse_settings(
        b"version: 1\nmetric: null\ntrials: 7\nspace:\n"
        b"  train.settings.C: {low: 0.1, high: 10, log: true}\n"
        b"  train.settings.leaves: {low: 4, high: 63}\n"
        b"  features.min_category_rows: {choices: [5, sqrt, 0.5, true]}\n"
    )
    assert settings.space == {
        "train.settings.C": NumberRange(low=0.1, high=10, log=True),
        "train.settings.leaves": NumberRange(low=4, high=63, is_whole=True),
        "features.min_category_rows": Choices(choices=(5, "sqrt", 0.5, True)),
    }
    assert (settings.trials, settings.folds, settings.metric, settings.minutes) == (7, 5, None, 30)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "space must name 1 to 50 paths"),
        ("space: {}", "space must name 1 to 50 paths"),
        ("space: [a]", "space must be a mapping, not a list"),
        (SPACE + "trails: 5", "did you mean `trials`"),
        (SPACE + "version: 2", "version must be 1"),
        (SPACE + "trials: 0", "trials must be a whole number from 1 to 10000"),
        (SPACE + "trials: true", "trials must be a whole number"),
        (SPACE + "folds: 1", "folds must be a whole number from 2 to 50"),
        (SPACE + "minutes: 0", "minutes must be above 0"),
        (SPACE + "minutes: .inf", "minutes must be a finite number"),
        (SPACE + "metric: 5", "metric must be text"),
        ("space: {split.seed: {choices: [1, 2]}}", "`split.seed` is no path below features"),
        ("space: {data.target: {choices: [a, b]}}", "`data.target` is no path below features"),
        ("space: {evaluate.slices: {choices: [a, b]}}", "is no path below features or train"),
        ("space: {train: {choices: [a, b]}}", "`train` is no path below features or train"),
        ("space: {train..C: {choices: [1, 2]}}", "is no path below features or train"),
        ("space: {train.C: {low: 1}}", "needs `low` and `high`, or `choices`"),
        ("space: {train.C: {low: 2, high: 1}}", "low must be below high"),
        ("space: {train.C: {low: 0, high: 1, log: true}}", "low must be above 0"),
        ("space: {train.C: {low: 0, high: 1, log: 1}}", "log must be true or false"),
        ("space: {train.C: {low: .nan, high: 1}}", "low must be a finite number"),
        ("space: {train.C: {choices: [1]}}", "choices must be a list of 2 to 100 values"),
        ("space: {train.C: {choices: [1, 1.0]}}", "a value stands in choices twice"),
        ("space: {train.C: {choices: [1, true]}}", "a value stands in choices twice"),
        ("space: {train.C: {choices: [1, [2]]}}", "must be a number, not a list"),
        ("space: {train.C: {choices: [1, null]}}", "must be a number, not empty"),
        ("space: {train.C: {choices: [1, 2], low: 0}}", "unknown key `low`"),
        ("space: {train.C: 5}", "must be a mapping, not the number 5"),
    ],
)
def test_a_mistake_is_named(text: str, problem: str) -> None:
    """Nothing that could choose the question, or the test rows, is tried."""
    with pytest.raises(MistakesError, match=r"in tune\.yaml") as caught:
        parse_settings(text.encode())
    assert problem in str(caught.value)


def test_all_mistakes_come_at_once_with_their_lines() -> None:
    """A person mends the file in one go."""
    with pytest.raises(MistakesError, match="2 mistakes") as caught:
        parse_settings(b"trials: 0\nspace:\n  train.C: {low: 2, high: 1}\n")
    assert [error.where for error in caught.value.errors] == ["tune.yaml:1", "tune.yaml:3"]
