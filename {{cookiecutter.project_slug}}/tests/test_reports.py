from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import auc, roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from {{ cookiecutter.__package_name }} import (
    explain,
    metrics,
    scoring,
)
from {{ cookiecutter.__package_name }}.params import Params, Task
from {{ cookiecutter.__package_name }}.plumbing import (
    card,
    curves,
    documents,
    paths,
    storing,
)

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ROOT = Path(__file__).parents[1]

PERFECT: dict[Task, pd.DataFrame] = {
    "binary": pd.DataFrame(
        {"target": [0, 1, 1], "prediction": [0, 1, 1], "score": [0.1, 0.8, 0.9]}
    ),
    "regression": pd.DataFrame({"target": [1.0, 2.0, 4.0], "prediction": [1.0, 2.0, 4.0]}),
    "multiclass": pd.DataFrame(
        {
            "target": ["a", "b", "c"],
            "prediction": ["a", "b", "c"],
            "score_a": [1.0, 0.0, 0.0],
            "score_b": [0.0, 1.0, 0.0],
            "score_c": [0.0, 0.0, 1.0],
        }
    ),
}
BEST: dict[Task, dict[str, float]] = {
    "binary": {"roc_auc": 1, "average_precision": 1, "accuracy": 1, "f1": 1, "mcc": 1},
    "regression": {"mae": 0, "rmse": 0, "r2": 1, "median_absolute_error": 0},
    "multiclass": {"accuracy": 1, "f1_macro": 1, "mcc": 1, "cohen_kappa": 1, "log_loss": 0},
}


@pytest.mark.parametrize("task", list(PERFECT))
def test_perfect_predictions_get_the_best_metrics(task: Task) -> None:
    """Each metric of the task has its best value when every prediction is right."""
    measured = metrics.measure(PERFECT[task], task)
    assert {name: measured[name] for name in BEST[task]} == pytest.approx(BEST[task], abs=1e-9)


def test_binary_metrics_agree_with_counts_by_hand() -> None:
    """One true and one false positive, one missed: precision, recall and the rest follow."""
    predictions = pd.DataFrame(
        {"target": [1, 0, 1, 0], "prediction": [1, 1, 0, 0], "score": [0.9, 0.8, 0.3, 0.1]}
    )
    measured = metrics.measure(predictions, "binary")
    expected = {"precision": 0.5, "recall": 0.5, "accuracy": 0.5, "mcc": 0.0, "roc_auc": 0.75}
    assert {name: measured[name] for name in expected} == pytest.approx(expected)
    assert measured["brier"] == pytest.approx((0.01 + 0.64 + 0.49 + 0.01) / 4)


def test_curves_are_small_and_whole(
    model: Pipeline, test_rows: pd.DataFrame, params: Params
) -> None:
    """Curves keep their ends, counts keep every row, nothing is large enough to bother git."""
    scored = scoring.score_table(model, test_rows, params)
    traced = curves.trace_curves(scored, params.task)
    assert max(len(table) for table in traced.values()) <= 5 * curves.ROWS
    if params.task == "regression":
        assert traced["calibration"]["rows"].sum() == len(test_rows)
        return
    assert traced["confusion"]["rows"].sum() == len(test_rows)
    ends = traced["roc"][["false_positive_rate", "true_positive_rate"]].iloc[[0, -1]]
    assert ends.to_numpy().tolist() == [[0, 0], [1, 1]]


def test_the_curve_of_several_classes_is_their_mean() -> None:
    """One value at each rate, and the mean area; a class without test rows is not among them."""
    rng = np.random.default_rng(0)
    target = rng.choice(["a", "b", "c"], 400, p=[0.6, 0.3, 0.1])
    scores = {f"score_{name}": rng.random(400) + (target == name) / 2 for name in "abcd"}
    scored = pd.DataFrame({"target": target, "prediction": target, **scores})
    curve = curves.trace_curves(scored, "multiclass")["roc"]
    areas = [roc_auc_score(target == name, scores[f"score_{name}"]) for name in "abc"]
    assert curve["false_positive_rate"].is_monotonic_increasing
    assert curve["false_positive_rate"].is_unique
    assert auc(*curve.to_numpy().T) == pytest.approx(np.mean(areas), abs=0.005)


def test_scoring_command_writes_one_line_for_each_row(
    model: Pipeline, test_rows: pd.DataFrame, params: Params, tmp_path: Path
) -> None:
    """The command scores any stored model on any table: id, target, prediction, scores, slices."""
    (tmp_path / "model.skops").write_bytes(storing.dump_model(model))
    test_rows.head(30).to_csv(tmp_path / "rows.csv", index=False)
    options = {
        "--model": tmp_path / "model.skops",
        "--data": tmp_path / "rows.csv",
        "--output": tmp_path / "predictions.csv",
        "--params": ROOT / paths.PARAMS,
        "--contract": ROOT / paths.CONTRACT,
        "--trusted-types": ROOT / paths.TRUSTED_TYPES,
    }
    scoring.main([str(word) for pair in options.items() for word in pair])
    written = pd.read_csv(tmp_path / "predictions.csv")
    assert list(written.columns[:3]) == ["id", "target", "prediction"]
    assert set(params.evaluate.slices) <= set(written.columns)
    assert written["id"].is_unique
    assert len(written) == 30
    if params.task == "binary":
        assert set(written["target"]) | set(written["prediction"]) <= {0, 1}
        assert written["score"].between(0, 1).all()


def test_importance_names_every_feature(
    model: Pipeline, test_rows: pd.DataFrame, params: Params
) -> None:
    """Each feature has a place in the list, which starts with the most important."""
    measured = explain.measure_importance(model, test_rows.head(300), params)
    means = [item["mean"] for item in measured["features"]]
    assert {item["name"] for item in measured["features"]} == set(params.features.names)
    assert means == sorted(means, reverse=True)


def test_a_class_that_only_train_rows_have_is_no_mistake() -> None:
    """The mean recall goes over the classes of the test rows, where another one is predicted."""
    model = DecisionTreeClassifier().fit([[0], [1], [2]], ["a", "b", "c"])
    target = np.array(["a", "b"])
    score = explain.find_scorer("multiclass", target)
    assert score(model, [[0], [2]], target) == 0.5


def test_model_card_repeats_the_numbers_it_is_given(params: Params) -> None:
    """The card shows the metrics of the run, and the limits that the data card names."""
    shown = card.render_metrics(params, {"test": {"made_up": 0.12345}})
    assert "| `made_up` | 0.1235 |" in shown
    limits = card.render_limits("# Data\n\n## Limits\n\n* Few rows.\n\n## More\n\ntext\n")
    assert "* Few rows." in limits
    assert "text" not in limits


def test_the_card_names_the_owner_or_says_that_nobody_did() -> None:
    """The template's place for a name is nobody's."""
    assert card.name_owner("octocat") == "octocat"
    assert "**TO FILL IN**" in card.name_owner(card.UNNAMED)


def test_the_card_says_what_model_hubs_read(params: Params) -> None:
    """Its front matter is YAML that names the task, the file and the run's own metrics."""
    front = card.render_front_matter(params, {"test": {"made_up": 0.12345}})
    first, text, rest = front.split("---\n")
    content = yaml.safe_load(text)
    assert (first, rest) == ("", "")
    assert content["pipeline_tag"] in ("tabular-classification", "tabular-regression")
    (result,) = content["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "made_up", "value": 0.12345}]


def test_text_of_the_data_cannot_format_the_card() -> None:
    """A value from the data stays text in the card's table."""
    rows = [{"column": "c", "value": "<b>|[x](y)", "rows": "5", "accuracy": "0.5"}]
    assert r"\<b\>\|\[x\](y)" in card.render_slices(rows)


def test_json_is_the_same_for_the_same_values(tmp_path: Path) -> None:
    """Keys are sorted and floats cut to what is significant; NaN is refused."""
    documents.write_json({"b": 0.1 + 0.2, "a": [1]}, tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": [1], "b": 0.3}
    assert text.index('"a"') < text.index('"b"')
    with pytest.raises(ValueError, match="not JSON compliant"):
        documents.write_json({"a": np.nan}, tmp_path / "y.json")
