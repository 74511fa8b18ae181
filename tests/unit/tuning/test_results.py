"""Which trial is best, what it gains beyond noise, and which journals are believed."""

from __future__ import annotations

import math
import random
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from mlgitops.errors import MlgitopsError
from mlgitops.model.tuning import (
    Choices,
    Fold,
    NumberRange,
    Shard,
    ShardResult,
    Trial,
    TuneSettings,
)
from mlgitops.render.escape import escape_code
from mlgitops.render.tuning import describe_tuning, render_tuning, write_title
from mlgitops.statistics.quantiles import student_quantile
from mlgitops.tuning.inputs import Inputs
from mlgitops.tuning.results import is_better, measure_gain, summarise

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.model.tuning import Tuning

FOLDS = (Fold(train=80, test=20),) * 5
NOW = (0.70, 0.71, 0.69, 0.72, 0.70)
SETTINGS = TuneSettings(
    space={
        "train.settings.C": NumberRange(low=0.1, high=10.0),
        "train.settings.kind": Choices(choices=("a", "b")),
    }
)
INPUTS = Inputs(
    settings=SETTINGS,
    params=b"",
    current={"train.settings.C": 1.0, "train.settings.kind": "a"},
    metric="test.roc_auc",
    greater_is_better=True,
    package="line",
    train="data/split/train.csv",
    rows="md5:0",
    parts={"params.yaml": "0"},
)


def make_trial(number: int, *scores: float, shard: int = 1, size: float = 2.0) -> Trial:
    """Make a trial with these scores, or without any."""
    values: dict[str, Any] = {"train.settings.C": size, "train.settings.kind": "b"}
    return Trial(
        shard=shard,
        number=number,
        values=values,
        scores=scores or None,
        problem=None if scores else "it does not fit",
    )


def make_result(*trials: Trial, **changes: Any) -> ShardResult:  # noqa: ANN401 - fields
    """Make what a journal of one shard holds."""
    result = ShardResult(
        inputs=INPUTS.digest, shard=Shard(), folds=FOLDS, current=NOW, trials=trials
    )
    return structs.replace(result, **changes)


def merge(*results: ShardResult) -> Tuning:
    """Summarise journals, named by their place."""
    return summarise(INPUTS, [(f"journal {at}", result) for at, result in enumerate(results, 1)])


def shift(by: float) -> list[float]:
    """Return scores that are all better by this much, a little unevenly."""
    return [score + by + tiny for score, tiny in zip(NOW, (1e-4, 0, -1e-4, 0, 0), strict=True)]


def test_a_clear_gain_is_better() -> None:
    """The best is the one with the best mean, and its gain is in the metric's unit."""
    tuning = merge(make_result(make_trial(1, *shift(-0.1)), make_trial(2, *shift(0.05))))
    assert (tuning.winner and tuning.winner.number, is_better(tuning)) == (2, True)
    assert tuning.gain is not None
    assert tuning.gain.best == pytest.approx(0.05)


def test_where_less_is_better_the_least_wins() -> None:
    """The same scores, of an error: what was better is worse."""
    inputs = structs.replace(INPUTS, greater_is_better=False)
    trials = (make_trial(1, *shift(-0.1)), make_trial(2, *shift(0.05)))
    tuning = summarise(inputs, [("journal", make_result(*trials))])
    assert (tuning.winner and tuning.winner.number, is_better(tuning)) == (1, True)


def test_the_title_has_the_gain_without_the_luck_of_the_best() -> None:
    """It names what the folds that had no part in the choice say, or that this is nothing."""
    lucky = [score + extra for score, extra in zip(shift(0.05), (0.1, 0, 0, 0, 0), strict=True)]
    tuning = merge(make_result(make_trial(1, *lucky), make_trial(2, *shift(0.06))))
    assert tuning.gain is not None
    assert tuning.winner is not None
    assert tuning.winner.number == 1
    assert (tuning.gain.best, tuning.gain.honest) == pytest.approx((0.07, 0.052))
    title = write_title(tuning, tuning.winner)
    assert title == "Tune 2 values of params.yaml: 0.0520 better on folds of the training rows"
    noise = merge(make_result(make_trial(1, *NOW[::-1])))
    assert noise.winner is not None
    nothing = "Tune 2 values of params.yaml: no better beyond the folds' noise"
    assert write_title(noise, noise.winner) == nothing


@pytest.mark.parametrize("scores", [NOW, [score - 0.01 for score in NOW]])
def test_what_is_no_better_is_not_better(scores: list[float]) -> None:
    """Equal scores are no gain, however small the folds' noise."""
    assert not is_better(merge(make_result(make_trial(1, *scores))))


def test_without_scores_there_is_no_winner() -> None:
    """Trials that all failed are shown as such."""
    tuning = merge(make_result(make_trial(1), make_trial(2)))
    assert (tuning.winner, tuning.gain, is_better(tuning)) == (None, None, False)
    assert "No trial has scores." in describe_tuning(tuning)


def test_the_first_of_equal_trials_wins() -> None:
    """The same journals give the same proposal in any order."""
    shards = [
        make_result(make_trial(1, *shift(0.1), shard=at), shard=Shard(number=at, count=2))
        for at in (1, 2)
    ]
    assert merge(*shards) == merge(*reversed(shards)) == merge(*shards, shards[0])
    assert (merge(*shards).winner or make_trial(9)).shard == 1
    assert [trial.shard for trial in merge(*shards).trials] == [1, 2]


Change = dict[str, Any]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"inputs": "0" * 64}, "other parameters, rows, settings or code"),
        ({"shard": Shard(number=3, count=2)}, "shard 3 of 2"),
        ({"shard": Shard(number=2, count=2)}, "another number of shards"),
        ({"folds": (*FOLDS[:4], Fold(train=79, test=21))}, "its folds are other ones"),
        ({"current": (*NOW[:4], 0.71)}, "measures params.yaml as it is differently"),
        ({"current": (*NOW[:4], math.nan)}, "a score is no finite number"),
        ({"trials": (make_trial(1, *NOW[:4]),)}, "does not have 5 folds everywhere"),
        ({"trials": (make_trial(1, *NOW[:4], math.nan),)}, "a score is no finite number"),
        ({"trials": (make_trial(1, *NOW, size=99.0),)}, "values that tune.yaml does not name"),
        ({"trials": (make_trial(1, *NOW, size=True),)}, "values that tune.yaml does not name"),
        ({"trials": (make_trial(1, *NOW, size=5),)}, "values that tune.yaml does not name"),
        ({"trials": (make_trial(1, *shift(0.2)),)}, "another journal has another trial 1"),
    ],
)
def test_a_journal_that_does_not_belong_is_refused(change: Change, problem: str) -> None:
    """Nothing of it is merged; the message names the file."""
    with pytest.raises(MlgitopsError, match=problem) as caught:
        merge(make_result(make_trial(1, *NOW)), make_result(**change))
    assert caught.value.where == "journal 2"


@pytest.mark.parametrize(("count", "rows"), [(2, 1), (2, 2), (3, 1)])
def test_equal_gains_of_a_few_rows_are_no_certainty(count: int, rows: int) -> None:
    """Accuracy comes in steps of a row: that few folds gain as many rows each happens by chance."""
    now = (0.70, 0.72, 0.71)[:count]
    worse, better = ([score + by / 100 for score in now] for by in (rows - 1, rows))
    trials = [make_trial(1, *worse), make_trial(2, *better), make_trial(3, *now)]
    gain = measure_gain(trials, now, (Fold(train=100, test=100),) * count, 1)
    assert gain.honest == pytest.approx(rows / 100)
    assert gain.least < 0


def test_equal_gains_of_many_steps_are_better() -> None:
    """What a step may hide is little beside them."""
    now, folds = (0.70, 0.72, 0.71), (Fold(train=200, test=100),) * 3
    trials = [make_trial(at, *(score + at / 100 for score in now)) for at in range(1, 11)]
    gain = measure_gain(trials, now, folds, 1)
    assert gain.best == pytest.approx(0.1)
    assert gain.least > 0.08


def draw_trials(source: random.Random, count: int, gain: float) -> tuple[list[float], list[Trial]]:
    """Draw scores of params.yaml and of trials of which one is better by ``gain``.

    Folds differ much and trials little, as they do: all are measured on the same rows.
    """
    folds = [source.gauss(0.7, 0.05) for _ in FOLDS]
    now, *others = ([fold + source.gauss(0, 0.01) for fold in folds] for _ in range(count + 1))
    others[0] = [score + gain for score in others[0]]
    return now, [make_trial(at, *scores) for at, scores in enumerate(others, 1)]


def count_proposed(gain: float, rule: Callable[[list[float], list[Trial]], bool]) -> float:
    """Return the share of 400 searches of 20 trials that a rule proposes."""
    source = random.Random(5)  # noqa: S311 - the same each time
    return fmean(rule(*draw_trials(source, 20, gain)) for _ in range(400))


def propose(now: list[float], trials: list[Trial]) -> bool:
    """Apply the rule."""
    gain = measure_gain(trials, tuple(now), FOLDS, 1)
    return gain.best > 0 and gain.least > 0


def propose_naively(now: list[float], trials: list[Trial]) -> bool:
    """Hold the best trial's own folds against a plain interval of their mean."""
    rows = [[a - b for a, b in zip(trial.scores or (), now, strict=True)] for trial in trials]
    best = max(rows, key=fmean)
    return fmean(best) > student_quantile(0.95, 4) * stdev(best) / math.sqrt(5)


def test_chance_is_seldom_proposed_and_a_gain_mostly() -> None:
    """Of 20 trials that are no better, the luckiest is proposed in at most 5 % of searches.

    The plain rule proposes it in most of them. A gain of four times the noise is seen in 95 %.
    """
    assert count_proposed(0.0, propose) <= 0.05
    assert count_proposed(0.0, propose_naively) >= 0.3
    assert count_proposed(0.04, propose) >= 0.95


def test_what_a_project_named_is_escaped() -> None:
    """A path or a text of tune.yaml is no markup in a pull request."""
    tuning = merge(make_result(make_trial(1, *shift(0.1)), make_trial(2)))
    path = "train.<img src=x>|`@all`"
    values = {path: "![](https://example.org)"}
    hostile = structs.replace(
        tuning,
        current_values={path: "</details>"},
        trials=tuple(structs.replace(trial, values=values) for trial in tuning.trials),
        winner=structs.replace(tuning.winner, values=values) if tuning.winner else None,
    )
    body = render_tuning(hostile)
    shown = escape_code(path, cell=True)
    assert (shown in body, "<img" in body.replace(shown, ""), "@all" in body) == (
        True,
        False,
        False,
    )
    assert "1 trial could not be measured." in body
