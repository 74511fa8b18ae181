"""Parameters → one scikit-learn Pipeline, from validated columns to prediction."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from .plumbing.errors import StageError

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from .params import Features, Params

#: Name in params.yaml → class for classes, class for numbers (None: can't do that).
ESTIMATORS = {
    "logistic_regression": ("sklearn.linear_model.LogisticRegression", None),
    "ridge": (None, "sklearn.linear_model.Ridge"),
    "hist_gradient_boosting": (
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.ensemble.HistGradientBoostingRegressor",
    ),
    "random_forest": (
        "sklearn.ensemble.RandomForestClassifier",
        "sklearn.ensemble.RandomForestRegressor",
    ),
}

#: Estimators that read missing numbers themselves, and don't care for scale.
_READS_MISSING = ("hist_gradient_boosting",)


def make_model(params: Params, classes: list[Any]) -> Pipeline:
    """Return the pipeline, not fitted yet.

    ``classes`` are the target's values, empty for a regression. Raises :class:`StageError`
    when the estimator or one of its settings does not exist.
    """
    from sklearn.pipeline import Pipeline

    estimator = _make_estimator(params)
    if params.task == "binary":
        from sklearn.model_selection import FixedThresholdClassifier

        estimator = FixedThresholdClassifier(
            estimator,
            threshold=params.train.decision_boundary,
            pos_label=find_positive(classes, params.data.positive),
            response_method="predict_proba",
        )
    reads_missing = params.train.estimator in _READS_MISSING
    columns = _make_columns(params.features, reads_missing=reads_missing)
    return Pipeline([("columns", columns), ("estimator", estimator)])


def _make_estimator(params: Params) -> Any:  # noqa: ANN401 - any scikit-learn estimator
    name = params.train.estimator
    position = int(params.task == "regression")
    fitting = [key for key, classes in ESTIMATORS.items() if classes[position]]
    if name not in fitting:
        raise StageError(
            f"train.estimator: {name!r} can't do {params.task}; choose {', '.join(fitting)}"
        )
    module, _, class_name = str(ESTIMATORS[name][position]).rpartition(".")
    estimator = getattr(importlib.import_module(module), class_name)()
    settings = {**getattr(params.train, name)}
    known = estimator.get_params()
    if "random_state" in known:
        settings.setdefault("random_state", params.seed)
    unknown = sorted(settings.keys() - known.keys())
    if unknown:
        raise StageError(f"train.{name}: {class_name} has no setting {', '.join(unknown)}")
    return estimator.set_params(**settings)


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
        shaped[name] = shaped[name].astype(str).astype(object).where(present, np.nan)
    return shaped
