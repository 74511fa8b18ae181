"""Parameters → one scikit-learn Pipeline, from validated columns to prediction."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .plumbing.errors import StageError

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from .params import Features, Params

#: What every class that is chosen must offer.
_METHODS = ("fit", "predict", "get_params", "set_params")

#: Where a class of one's own stands: dvc.yaml watches this module, and no other of them.
_OWN = f"{__package__}.estimators"


def make_model(params: Params, classes: list[Any]) -> Pipeline:
    """Return the pipeline, not fitted yet.

    ``classes`` are the target's values, empty for a regression. Raises :class:`StageError`
    when the estimator or one of its settings does not exist.
    """
    from sklearn.pipeline import Pipeline
    from sklearn.utils import get_tags

    estimator = _make_estimator(params)
    reads_missing = get_tags(estimator).input_tags.allow_nan
    if params.task == "binary":
        from sklearn.model_selection import FixedThresholdClassifier

        estimator = FixedThresholdClassifier(
            estimator,
            threshold=params.train.decision_boundary,
            pos_label=find_positive(classes, params.data.positive),
            response_method="predict_proba",
        )
    columns = _make_columns(params.features, reads_missing=reads_missing)
    return Pipeline([("columns", columns), ("estimator", estimator)])


def _make_estimator(params: Params) -> Any:  # noqa: ANN401 - any scikit-learn estimator
    path, settings = params.train.estimator, dict(params.train.settings)
    try:
        estimator = _find_class(path)()
    except TypeError as error:
        raise StageError(
            f"train.estimator: {path} is not made from settings alone ({error}); write a class "
            f"that makes it in estimators.py, and name it {_OWN}.<class>"
        ) from None
    known = estimator.get_params()
    unknown = sorted(settings.keys() - known.keys())
    if unknown:
        raise StageError(
            f"train.settings: {path} has no setting {', '.join(unknown)}; "
            f"it has {', '.join(sorted(known))}"
        )
    if "random_state" in known:
        settings.setdefault("random_state", params.seed)
    estimator.set_params(**settings)
    _check_task(estimator, params)
    return estimator


def _find_class(path: str) -> Any:  # noqa: ANN401 - a class of any library
    """Find the class at a dotted path, in a library or in this module."""
    where, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(where)
        found = getattr(module, name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise StageError(
            f"train.estimator: there is no {path} ({error}); write the dotted path of a class, "
            "such as sklearn.linear_model.Ridge; `requirements/pipeline.in` says what is installed"
        ) from None
    missing = [method for method in _METHODS if not callable(getattr(found, method, None))]
    if not isinstance(found, type) or missing:
        raise StageError(f"train.estimator: {path} is no class with {', '.join(_METHODS)}")
    file = getattr(module, "__file__", None)
    own = file is not None and Path(file).is_relative_to(Path(__file__).parents[1])
    if own and module.__name__ != _OWN:
        raise StageError(
            f"train.estimator: no stage of dvc.yaml watches {where}; import the class in "
            f"estimators.py, and name it {_OWN}.{name}"
        )
    return found


def _check_task(estimator: Any, params: Params) -> None:  # noqa: ANN401 - any estimator
    from sklearn.base import is_classifier, is_regressor

    path, task = params.train.estimator, params.task
    kind, fits = (
        ("regressor", is_regressor(estimator))
        if task == "regression"
        else ("classifier", is_classifier(estimator))
    )
    if not fits:
        raise StageError(f"train.estimator: task {task} needs a {kind}, and {path} is none")
    if kind == "classifier" and not hasattr(estimator, "predict_proba"):
        raise StageError(
            f"train.estimator: {path} gives no probabilities as it is set; "
            "choose another setting, or another class"
        )


def _make_columns(features: Features, *, reads_missing: bool) -> Any:  # noqa: ANN401 - untyped
    """Return the transformer of the feature columns; a category never seen is no error."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    scaled = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=features.min_category_rows,
        sparse_output=False,
    )
    known = make_pipeline(SimpleImputer(strategy="constant", fill_value="(missing)"), encoder)
    return ColumnTransformer(
        [
            ("numeric", "passthrough" if reads_missing else scaled, features.numeric),
            ("categorical", known, features.categorical),
        ]
    )


def find_positive(classes: list[Any], positive: object) -> Any:  # noqa: ANN401 - text or number
    """Return the one of two classes that counts as positive."""
    if len(classes) != 2:  # noqa: PLR2004
        raise StageError(f"data.target: task binary needs 2 classes, the data has {len(classes)}")
    for value in classes:
        if str(value) == str(positive):
            return value
    raise StageError(f"data.positive: {positive!r} is neither {classes[0]!r} nor {classes[1]!r}")


def select_features(table: pd.DataFrame, model: Pipeline) -> pd.DataFrame:
    """Return the columns that a fitted model reads, in the form it was fitted on.

    They are the model's own, not those of params.yaml: an older model may read others.
    """
    return shape_features(table, *read_columns(model))


def read_columns(model: Pipeline) -> tuple[list[str], list[str]]:
    """Return the numbers and the categories that a fitted model reads."""
    named = {name: list(columns) for name, _, columns in model["columns"].transformers_}
    return named.get("numeric", []), named.get("categorical", [])


def find_shared_categories(model: Pipeline, name: str) -> list[str]:
    """Find the categories of a column that enough rows share to have an indicator of their own."""
    encoder = model["columns"].named_transformers_["categorical"][-1]
    place = list(read_columns(model)[1]).index(name)
    rare = encoder.infrequent_categories_[place]
    hidden = {"(missing)", *(() if rare is None else rare)}
    return [str(value) for value in encoder.categories_[place] if value not in hidden]


def shape_features(table: pd.DataFrame, numeric: list[str], categorical: list[str]) -> pd.DataFrame:
    """Return numbers as float64 and categories as text, whatever pandas made of the file.

    A category that is a whole number has one text, be the column one of floats or not: a missing
    value in another row makes it one.

    Raises :class:`StageError` naming the columns that are missing.
    """
    missing = [name for name in [*numeric, *categorical] if name not in table.columns]
    if missing:
        raise StageError(f"the table has no column {', '.join(missing)}")
    shaped = table[[*numeric, *categorical]].copy()
    for name in numeric:
        shaped[name] = shaped[name].astype("float64")
    for name in categorical:
        present = shaped[name].notna()
        shaped[name] = shaped[name].map(write_category).astype(object).where(present, np.nan)
    return shaped


def write_category(cell: Any) -> str:  # noqa: ANN401 - a value of any type
    """Return the text of a value that is read as a category.

    >>> write_category(3.0), write_category(3), write_category(2.5), write_category("3.0")
    ('3', '3', '2.5', '3.0')
    """
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell)
