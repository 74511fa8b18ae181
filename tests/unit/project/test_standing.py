"""What a trained model reaches: values, intervals, a constant beside them, the policy's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn import metrics as sk
from sklearn.dummy import DummyClassifier, DummyRegressor

from benchmarks.simulation import Binary, Multiclass, Regression
from mlgitops.model import Judgement, Policy, Rule, Verdict
from mlgitops.model.standing import Standing
from mlgitops.project.standing import keep_bounds, measure_standing, read_standing
from mlgitops.render.standing import render_judgement, render_standing
from mlgitops.statistics.alone import measure_constant
from mlgitops.tables.predictions import Predictions

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.statistics.matching import Pair

ROWS = 600
CLASSES = Binary(name="classes", prevalence=0.3, base=1.5, head=1.5, shared=0.8)
NUMBERS = Regression(name="numbers", base=1.0, head=1.0, shared=0.8, tail=0.3)
THREE = Multiclass(name="three", prevalence=(0.5, 0.3, 0.2), base=(1.5,) * 3, head=(1.5,) * 3,
                   shared=0.8)  # fmt: skip
POLICY = Policy(
    metrics={
        "test.roc_auc": Rule(greater_is_better=True, min_value=0.55, max_worsening=0.01),
        "test.log_loss": Rule(greater_is_better=False, max_value=0.6),
    }
)


def _read_head(pair: Pair) -> Predictions:
    return Predictions(id=np.arange(pair.rows), target=pair.target, prediction=pair.head,
                       scores=pair.head_scores, columns={})  # fmt: skip


def _draw(scenario: Binary | Multiclass | Regression, seed: int) -> Predictions:
    return _read_head(scenario.draw(ROWS, np.random.default_rng(seed))[0])


def test_the_constant_is_scikit_learns_dummy() -> None:
    """The best answer that is the same for every row, measured by another library."""
    predictions = _draw(CLASSES, 1)
    target, nothing = predictions.target, np.zeros((ROWS, 1))
    dummy = DummyClassifier(strategy="prior").fit(nothing, target)
    share, label = dummy.predict_proba(nothing)[:, 1], dummy.predict(nothing)
    expected = {
        "test.roc_auc": sk.roc_auc_score(target, share),
        "test.average_precision": sk.average_precision_score(target, share),
        "test.log_loss": sk.log_loss(target, share),
        "test.brier": sk.brier_score_loss(target, share),
        "test.accuracy": sk.accuracy_score(target, label),
        "test.balanced_accuracy": sk.balanced_accuracy_score(target, label),
    }
    assert measure_constant(predictions, list(expected)) == pytest.approx(expected)


def test_the_constant_of_several_classes_and_of_numbers() -> None:
    """The shares of three classes, and the mean of a number."""
    three = _draw(THREE, 2)
    _, rows = np.unique(three.target, return_counts=True)
    shares = rows / ROWS
    expected = {
        "log_loss": -(shares * np.log(shares)).sum(),
        "accuracy": shares.max(),
        "balanced_accuracy": 1 / 3,
    }
    assert measure_constant(three, list(expected)) == pytest.approx(expected)
    numbers = _draw(NUMBERS, 3)
    mean = DummyRegressor().fit(np.zeros((ROWS, 1)), numbers.target).predict(np.zeros((ROWS, 1)))
    values = {
        "rmse": sk.root_mean_squared_error(numbers.target, mean),
        "mae": sk.mean_absolute_error(numbers.target, mean),
        "r2": 0.0,
    }
    assert measure_constant(numbers, list(values)) == pytest.approx(values, abs=1e-9)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """The true area of these scores is known from very many rows; 95 % of intervals hold it."""
    policy = Policy(metrics={"test.roc_auc": Rule(min_value=0.5)})
    many = CLASSES.draw(200_000, np.random.default_rng(4))[0]
    truth = sk.roc_auc_score(many.target, many.head_scores[""])
    hits = 0
    for seed in range(200):
        (standing,) = measure_standing(_draw(CLASSES, 100 + seed), policy)
        hits += standing.low <= truth <= standing.high
    # 200 tries at 95 % give 177 or fewer once in a thousand.
    assert 178 <= hits <= 200


def test_metrics_share_the_policys_error_rate() -> None:
    """Two metrics at 95 % have intervals of 97.5 %, in the policy's order."""
    standings = measure_standing(_draw(CLASSES, 5), POLICY)
    assert [standing.metric for standing in standings] == ["test.roc_auc", "test.log_loss"]
    assert all(standing.confidence == pytest.approx(0.975) for standing in standings)
    assert all(standing.low < standing.value < standing.high for standing in standings)
    assert standings[0].constant == 0.5


def test_without_predictions_there_is_nothing_to_show(tmp_path: Path) -> None:
    """No file, or one that lies outside of the project by a link, is not read."""
    policy = Policy(metrics=POLICY.metrics)
    assert read_standing(tmp_path, policy) == []
    project = tmp_path / "project"
    (project / "reports").mkdir(parents=True)
    (tmp_path / "outside.csv").write_text("id,target,prediction,score\n1,1,1,0.5\n")
    (project / "reports/predictions.csv").symlink_to(tmp_path / "outside.csv")
    assert read_standing(project, policy) == []
    assert render_standing([], policy, 80) == []


def test_a_first_model_is_held_to_bounds_alone() -> None:
    """What base lacks cannot be lost: margins are dropped, and every bound stays."""
    bounds = keep_bounds(POLICY)
    assert bounds.metrics["test.roc_auc"] == Rule(greater_is_better=True, min_value=0.55)
    assert bounds.metrics["test.log_loss"] == POLICY.metrics["test.log_loss"]


STANDING = Standing(metric="test.roc_auc", rows=1567, value=0.63489, low=0.56173, high=0.71027,
                    confidence=0.975, constant=0.5)  # fmt: skip


def test_lines_fit_the_window() -> None:
    """Wide or narrow, no line is wider than the window, and all figures are there."""
    standings = [STANDING, STANDING.__class__(metric="test.log_loss", rows=1567, value=0.4912,
                 low=0.4327, high=0.5494, confidence=0.975, constant=None)]  # fmt: skip
    for width in (40, 60, 120):
        lines = render_standing(standings, POLICY, width)
        assert max(map(len, lines)) <= width
        text = " ".join(" ".join(lines).split())
        for words in ("on 1,567 test rows", "0.635", "0.562 to 0.710", "at least 0.55", "97.5%"):
            assert words in text
        assert "share the policy's 95%" in text


def test_what_does_not_beat_a_constant_is_named() -> None:
    """The policy may pass it all the same: its bounds know the train rows alone."""
    beaten = replace(STANDING, metric="test.log_loss", value=0.9, low=0.8, high=1.0, constant=1.1)
    worse = replace(beaten, value=1.2, high=1.3)
    level = replace(STANDING, value=0.5)
    said = [
        " ".join(render_standing(standings, POLICY, 120)).partition("every row.")[2].strip()
        for standings in ([STANDING, beaten], [STANDING, worse], [level, worse])
    ]
    assert said == [
        "",
        "Not better than that: test.log_loss.",
        "Not better than that: test.roc_auc, test.log_loss.",
    ]


@pytest.mark.parametrize(
    ("verdict", "base", "text"),
    [
        (Verdict.PASS, "main", "policy: would pass (against main)"),
        (Verdict.FAIL, "main", "policy: would fail (against main)"),
        (Verdict.PASS, None, "policy: would pass (its bounds: there is no model before it)"),
        (Verdict.UNDECIDED, "main", "policy: could not decide (against main)"),
        (Verdict.SKIP, "main", "policy: judges nothing"),
    ],
)
def test_the_policys_word_is_said(verdict: Verdict, base: str | None, text: str) -> None:
    """One line for the verdict, and against what."""
    assert render_judgement(Judgement(verdict=verdict), base, 80) == [text]
    assert render_judgement(None, base, 80) == ["policy: judges nothing"]


def test_what_fails_is_listed_and_harmless() -> None:
    """Each reason on a line of its own, at most ten, with nothing that steers a terminal."""
    failures = tuple(f"`m{at}` \x1b[2J fails" for at in range(12))
    lines = render_judgement(Judgement(verdict=Verdict.FAIL, failures=failures), "main", 80)
    assert len(lines) == 12
    assert lines[-1] == "  and 2 more"
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("width", [40, 60, 120])
def test_what_fails_fits_the_window(width: int) -> None:
    """A long reason goes on in the next line, below its own words and not below its mark."""
    failures = tuple(f"`m{at}` lost more than the {at} that it may lose " * 3 for at in range(3))
    judgement = Judgement(verdict=Verdict.FAIL, failures=failures)
    lines = render_judgement(judgement, None, width)
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("  ✗ ") for line in lines) == 3
    reasons = lines[lines.index(next(line for line in lines if line.startswith("  ✗ "))) :]
    assert all(line.startswith(("  ✗ ", "    ")) for line in reasons)
    words = " ".join(" ".join(lines).replace("✗", "").split())
    assert " ".join("".join(failures).split()) in words
