from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.dummy import DummyClassifier, DummyRegressor

from {{ cookiecutter.__package_name }} import (
    contract,
    metrics,
    scoring,
    train,
)
from {{ cookiecutter.__package_name }}.params import Params
from {{ cookiecutter.__package_name }}.plumbing import (
    golden,
    paths,
    storing,
)
from {{ cookiecutter.__package_name }}.plumbing.errors import StageError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

ROOT = Path(__file__).parents[1]


def test_model_beats_a_guess(
    model: Pipeline,
    sides: tuple[pd.DataFrame, pd.DataFrame],
    params: Params,
) -> None:
    """The model's error is below that of always answering what is most common, or the mean."""
    train_rows, test_rows = sides
    scored = scoring.score_table(model, test_rows, params)
    guess = DummyRegressor() if params.task == "regression" else DummyClassifier()
    guess.fit(train_rows[[params.data.target]], train_rows[params.data.target])
    guessed = guess.predict(test_rows[[params.data.target]])
    target = test_rows[params.data.target].to_numpy()
    measured = metrics.measure(scored, params.task)
    if params.task == "regression":
        assert measured["mae"] < np.abs(target - guessed).mean()
    elif params.task == "binary":
        assert measured["roc_auc"] > 0.55
        assert measured["log_loss"] < constant_log_loss(scored["target"].to_numpy())
    else:
        assert measured["accuracy"] > (target == guessed).mean()


def constant_log_loss(target: np.ndarray) -> float:
    """Return the log loss of always answering the share of positives, plus a tenth."""
    share = target.mean()
    return float(-(share * np.log(share) + (1 - share) * np.log(1 - share)) * 1.1)


def test_prediction_does_not_depend_on_neighbours(model: Pipeline, test_rows: pd.DataFrame) -> None:
    """Other rows, and their order, change no row's prediction."""
    some = test_rows.head(50)
    whole = scoring.predict(model, some)
    turned = scoring.predict(model, some.iloc[::-1]).loc[some.index]
    alone = scoring.predict(model, some.head(1))
    pd.testing.assert_frame_equal(whole, turned)
    pd.testing.assert_frame_equal(whole.head(1), alone)


def test_prediction_uses_the_features_alone(
    model: Pipeline, test_rows: pd.DataFrame, params: Params
) -> None:
    """Id, target and every other column that is no feature leave the prediction as it was."""
    some = test_rows.head(20)
    others = [name for name in some.columns if name not in params.features.names]
    pd.testing.assert_frame_equal(
        scoring.predict(model, some), scoring.predict(model, some.drop(columns=others))
    )


def test_category_never_seen_is_answered(
    model: Pipeline, test_rows: pd.DataFrame, params: Params
) -> None:
    """A new value in each column of categories gives a finite answer, not an error."""
    strange = test_rows.head(3).assign(**dict.fromkeys(params.features.categorical, "new one"))
    answers = scoring.predict(model, strange)
    assert np.isfinite(answers.select_dtypes("number").to_numpy()).all()
    assert len(answers) == 3


def test_missing_values_are_answered(
    model: Pipeline, test_rows: pd.DataFrame, params: Params
) -> None:
    """A row without any value gives a finite answer."""
    empty = test_rows.head(2).assign(**dict.fromkeys(params.features.names, np.nan))
    answers = scoring.predict(model, empty)
    assert np.isfinite(answers.select_dtypes("number").to_numpy()).all()


def test_training_again_gives_the_same_file(
    model: Pipeline, sides: tuple[pd.DataFrame, pd.DataFrame], params: Params
) -> None:
    """Equal rows and parameters give a model file of equal bytes."""
    again = train.fit_model(sides[0], params)
    assert storing.dump_model(again) == storing.dump_model(model)


def test_stored_model_answers_alike(model: Pipeline, test_rows: pd.DataFrame) -> None:
    """The model read back from its file predicts exactly what it did before."""
    trusted = storing.read_trusted_types(ROOT / paths.TRUSTED_TYPES)
    loaded = storing.load_model(storing.dump_model(model), trusted, name="model")
    some = test_rows.head(100)
    pd.testing.assert_frame_equal(scoring.predict(model, some), scoring.predict(loaded, some))


def test_type_that_is_not_trusted_is_refused(model: Pipeline) -> None:
    """Without our list the same file is refused, and the type is named."""
    with pytest.raises(StageError, match=r"not trusted: numpy\.dtype"):
        storing.load_model(storing.dump_model(model), [], name="model")


def test_refused_types_are_proposed_line_by_line(model: Pipeline, tmp_path: Path) -> None:
    """The lines that the refusal shows are a list with which the same file is read."""
    data = storing.dump_model(model)
    with pytest.raises(StageError, match="add these lines") as caught:
        storing.load_model(data, [], name="model")
    lines = str(caught.value).partition("of its own:\n")[2]
    (tmp_path / "types.txt").write_text(lines, encoding="utf-8")
    storing.load_model(data, storing.read_trusted_types(tmp_path / "types.txt"), name="model")


def test_pickle_is_refused() -> None:
    """A file of another format is refused by its content."""
    with pytest.raises(StageError, match="not a model stored with skops"):
        storing.load_model(pickle.dumps({"a": 1}), [], name="model")


def test_slices_of_the_policy_are_large_enough(test_rows: pd.DataFrame) -> None:
    """Each slice rule of the policy has at least two groups that it can judge."""
    policy = yaml.safe_load((ROOT / "policy.yaml").read_text(encoding="utf-8"))
    for rule in policy.get("slices") or []:
        sizes = test_rows.groupby(rule["by"]).size()
        assert (sizes >= rule.get("min_rows", 1)).sum() >= 2, rule


def test_slices_cover_every_row(model: Pipeline, test_rows: pd.DataFrame, params: Params) -> None:
    """The groups of each slice column add up to the test rows, missing values included."""
    scored = scoring.score_table(model, test_rows, params)
    table = metrics.measure_slices(scored, params.task, params.evaluate.slices)
    for column in params.evaluate.slices:
        assert table.loc[table["column"] == column, "rows"].sum() == len(test_rows)


def test_golden_rows_are_answered_as_written(model: Pipeline, test_rows: pd.DataFrame) -> None:
    """The request in golden.json, read back, gets the answer in golden.json."""
    made = golden.make_golden(model, golden.pick_rows(model, test_rows))
    asked = pd.DataFrame({item["name"]: item["data"] for item in made["request"]["inputs"]})
    assert golden.make_tensors(scoring.predict(model, asked)) == made["outputs"]


def test_synthetic_golden_rows_keep_the_contract(
    model: Pipeline,
    schema: Any,  # noqa: ANN401 - pandera has no types
) -> None:
    """They are made of the contract alone, so the server answers them."""
    columns = contract.read_columns(ROOT / paths.CONTRACT)
    rows = golden.make_rows(model, columns)
    assert len(rows) == golden.ROWS
    assert list(rows.columns) == list(model.feature_names_in_)
    assert contract.find_mistakes(rows, contract.select_columns(schema, list(rows.columns))) == []
    assert golden.make_golden(model, rows)["outputs"]
{%- if not cookiecutter._dataset %}


def test_prediction_moves_as_experts_expect(
    model: Pipeline, test_rows: pd.DataFrame, params: Params
) -> None:
    """{{ {'binary': 'Flights are late more often an hour of delays later.', 'regression': 'An advanced degree pays more than no degree, all else equal.', 'multiclass': 'Longer flippers make a Gentoo more likely.'}[cookiecutter.task] }}

    A column that is no feature any more changes nothing.
    """
{%- if cookiecutter.task == 'binary' %}
    name, answer = "recent_delay", "score"
    low, high = test_rows, test_rows.assign(recent_delay=test_rows["recent_delay"] + 60)
{%- elif cookiecutter.task == 'regression' %}
    name, answer = "education", "prediction"
    low, high = (test_rows.assign(education=level) for level in ("< HS Grad", "Advanced Degree"))
{%- else %}
    name, answer = "flipper_length_mm", "score_Gentoo"
    low, high = (test_rows.assign(flipper_length_mm=length) for length in (190.0, 225.0))
{%- endif %}
    change = scoring.predict(model, high)[answer] - scoring.predict(model, low)[answer]
    if name in params.features.names:
        assert change.mean() > 0
    else:
        assert (change == 0).all()
{%- endif %}
