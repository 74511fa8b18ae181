"""Properties of the generated project's server, tried inside its serving environment.

    python serving_properties.py BUNDLED SEED

``BUNDLED`` is the template's folder of bundled tables. Prints what was counted, as JSON: a
property that accepted nothing has shown nothing. Run by test_server.py. That environment has no
Hypothesis, and another Python than ours: the examples are drawn by a seeded generator.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import yaml
from pandera.pandas import DataFrameSchema
from penguins import contract, params, scoring, train
from penguins.estimators import read_columns, shape_features
from penguins.plumbing.tables import read_table
from penguins.serve import ContractModel
from penguins.serving import explaining
from penguins.serving.compiled import CompiledContract
from penguins.serving.explaining import Explainer
from penguins.serving.transform import Transform

EXAMPLES = 2000
ROWS = 400
ESTIMATORS = {
    "binary": ["linear_model.LogisticRegression", "ensemble.HistGradientBoostingClassifier"],
    "multiclass": ["linear_model.LogisticRegression", "ensemble.RandomForestClassifier"],
    "regression": ["linear_model.Ridge", "ensemble.HistGradientBoostingRegressor"],
}
#: Estimator → how its answers are explained.
EXPLAINED = {
    "binary": {
        "linear_model.LogisticRegression": "linear",
        "ensemble.HistGradientBoostingClassifier": "trees",
        "ensemble.GradientBoostingClassifier": "trees",
        "ensemble.RandomForestClassifier": "trees",
        "naive_bayes.GaussianNB": "permutation",
    },
    "multiclass": {
        "linear_model.LogisticRegression": "linear",
        "ensemble.HistGradientBoostingClassifier": "trees",
        "ensemble.ExtraTreesClassifier": "trees",
        "tree.DecisionTreeClassifier": "trees",
        "neighbors.KNeighborsClassifier": "permutation",
    },
    "regression": {
        "linear_model.Ridge": "linear",
        "linear_model.PoissonRegressor": "permutation",
        "ensemble.HistGradientBoostingRegressor": "trees",
        "ensemble.GradientBoostingRegressor": "trees",
        "ensemble.RandomForestRegressor": "trees",
        "neighbors.KNeighborsRegressor": "permutation",
    },
}
COUNTED: Counter[str] = Counter()
#: A column of whole numbers, of which some are missing.
NUMBER = "flipper_length_mm"

#: Values as JSON has them, of every kind, many of them odd.
ODD: list[Any] = [None, True, False, float("nan"), "a", "10", "7.5", "", "nan", 0, -0.0, 10, 10.0]
ODD += [4, 7.5, 2**53, 2**53 + 1, 2**63, -(2**70), 1e308, 1e-320, -1, 3.5, [1], {"a": 1}]
TEXTS = ["a", "b", "ab", "ba", "a\n", "10", "True", "true", "False", "ä", "", "nan", "None"]
NUMBER_RULES: list[dict[str, Any]] = [
    {},
    {"in_range": {"min_value": 3, "max_value": 7.5}},
    {"in_range": {"min_value": 2, "max_value": 10, "include_min": False}},
    {"in_range": {"min_value": -1, "max_value": 4, "include_max": False}},
    {"greater_than": 3},
    {"greater_than_or_equal_to": 4},
    {"less_than": 7.5},
    {"less_than_or_equal_to": 7},
    {"isin": [3, 4, 10]},
    {"notin": [4]},  # not compiled
]
TEXT_RULES: list[dict[str, Any]] = [
    {},
    {"isin": ["a", "b", "10"]},
    {"isin": ["True", "False", "a"]},
    {"isin": ["True", "true"]},
    {"str_matches": "^a"},
    {"str_matches": "a$"},
    {"str_matches": "[A-Z]"},
    {"str_length": {"min_value": 1, "max_value": 2}},  # not compiled
]


def draw_column(draw: random.Random) -> dict[str, Any]:
    """Return a column's block of a contract."""
    dtype = draw.choice(["str", "float64", "float64", "int64"])
    block = dict(draw.choice(TEXT_RULES if dtype == "str" else NUMBER_RULES))
    block |= {"dtype": dtype, "nullable": draw.random() < 0.5, "coerce": draw.random() < 0.5}
    return block | ({"unique": True} if draw.random() < 0.05 else {})


def draw_cell(draw: random.Random, block: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Return a value that often keeps a block of a contract, and now and then does not."""
    kind = draw.random()
    if kind < 0.16:
        return draw.choice([None, None, True, False, float("nan")] if kind < 0.1 else ODD)
    if kind < 0.22 and block["dtype"] != "str":
        return draw.choice([-1, 2, 3, 4, 7, 7.5, 10, 2.0, 4.0, 10.0])  # at the ends of ranges
    if block["dtype"] == "str":
        return draw.choice([*TEXTS, *block.get("isin", []), *block.get("isin", [])])
    if block["dtype"] == "int64" or draw.random() < 0.3:
        return draw.randint(3, 7)
    return draw.choice([draw.uniform(3, 7), 3.0, 4.0, 7.5, 7.0])


def check_example(draw: random.Random) -> None:
    """Hold what the compiled contract accepts against pandera, and against what pandas reads."""
    blocks = {f"c{at}": draw_column(draw) for at in range(draw.randint(1, 3))}
    numeric = [
        name for name, block in blocks.items() if block["dtype"] != "str" and draw.random() < 0.8
    ]
    categorical = [name for name in blocks if name not in numeric]
    content = {"schema_type": "dataframe", "strict": True, "columns": blocks}
    schema = DataFrameSchema.from_yaml(yaml.safe_dump(content, sort_keys=False))
    rows = draw.randint(1, 2)
    cells = {name: [draw_cell(draw, block) for _ in range(rows)] for name, block in blocks.items()}
    features = CompiledContract(schema, numeric, categorical).read(cells)
    COUNTED["left to pandera" if features is None else "accepted"] += 1
    if features is None:
        return
    table = contract.spell_booleans(pd.DataFrame(cells), schema)
    assert contract.find_mistakes(table, schema) == [], (blocks, cells)
    shaped = shape_features(table, numeric, categorical)
    hold_features(features, shaped)


#: What looks like a column's kind of value and is none: a column's block, and its one value.
REFUSED: list[tuple[dict[str, Any], Any]] = [
    ({"dtype": "float64"}, float("nan")),
    ({"dtype": "float64"}, float("inf")),
    ({"dtype": "float64", "coerce": True}, 10**400),
    ({"dtype": "str", "str_matches": "a$"}, "ba"),
]


def check_refused() -> None:
    """Each of these is left to pandera, whatever the examples are."""
    for block, value in REFUSED:
        content = {"schema_type": "dataframe", "columns": {"c0": block}}
        schema = DataFrameSchema.from_yaml(yaml.safe_dump(content))
        names = (["c0"], []) if block["dtype"] != "str" else ([], ["c0"])
        compiled = CompiledContract(schema, *names)
        assert compiled.slow == []
        assert compiled.read({"c0": [value]}) is None, (block, value)


def hold_features(features: dict[str, Any], shaped: pd.DataFrame) -> None:
    """Hold the quick features against those that a stage of the pipeline reads, in their order."""
    read = pd.DataFrame(features, index=shaped.index)
    pd.testing.assert_frame_equal(read, shaped, check_exact=True)


def read_bundled(folder: Path) -> tuple[pd.DataFrame, Any]:
    """Return a bundled table and its parameters, once each of its rows took the quick way."""
    text_columns = contract.find_text_columns(contract.read_columns(folder / "contract.yaml"))
    table = read_table(folder / "data.csv", text_columns)
    table = table.sample(2 * ROWS, random_state=1, replace=True).reset_index(drop=True)
    chosen = params.read_params(folder / "params.yaml")
    numeric, categorical = chosen.features.numeric, chosen.features.categorical
    schema = contract.read_schema(folder / "contract.yaml")
    schema = contract.select_columns(schema, chosen.features.names)
    compiled = CompiledContract(schema, numeric, categorical)
    assert compiled.slow == []
    for at in range(0, len(table), 10):
        rows = table.iloc[at : at + 10].reset_index(drop=True)
        cells = {
            name: [None if pd.isna(cell) else cell for cell in rows[name].tolist()]
            for name in chosen.features.names
        }
        features = compiled.read(cells)
        assert features is not None, cells
        shaped = shape_features(rows, numeric, categorical)
        hold_features(features, shaped)
        COUNTED[f"{chosen.task}: rows"] += len(rows)
    return table, chosen


def check_memory(table: pd.DataFrame, chosen: Any) -> None:  # noqa: ANN401 - Params
    """Explain many rows at once, and a part of them at a time: equal sums, in less memory."""
    features = shape_features(table, chosen.features.numeric, chosen.features.categorical)
    many = as_arrays(features.sample(20_000, random_state=4, replace=True))
    for name in ("linear_model.LogisticRegression", "tree.DecisionTreeClassifier"):
        part = msgspec.structs.replace(chosen.train, estimator=f"sklearn.{name}", settings={})
        model = train.fit_model(table.head(ROWS), msgspec.structs.replace(chosen, train=part))
        transform = Transform(model, *read_columns(model))
        explainer = Explainer(model, transform, as_arrays(features.head(7)))
        answers, peaks = [], []
        for explaining.MOST_PARTS in (1_000, 2_000_000):
            tracemalloc.start()
            answers.append(explainer.explain(many))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        for key, values in answers[0].items():
            np.testing.assert_array_equal(answers[1][key], values, err_msg=f"{name}: {key}")
        all_parts = 8 * 20_000 * transform(many).shape[1] * len(model.classes_)
        assert peaks[0] < peaks[1] - all_parts / 2, (name, peaks)


def check_number_categories(table: pd.DataFrame, chosen: Any, folder: Path) -> None:  # noqa: ANN401
    """Read a number as the category that it was in training, however a request spells it.

    Whatever else is in the request, and whether pandera judges it or not.
    """
    names = [name for name in chosen.features.numeric if name != NUMBER]
    split = msgspec.structs.replace(
        chosen.features, numeric=names, categorical=[*chosen.features.categorical, NUMBER]
    )
    assert table[NUMBER].isna().any()  # so that pandas reads its whole numbers as floats
    model = train.fit_model(table.head(ROWS), msgspec.structs.replace(chosen, features=split))
    served = ContractModel("birds", model, contract.read_schema(folder / "contract.yaml"))
    assert served.compiled.slow == []
    rows = table[table[NUMBER].notna()].head(40).reset_index(drop=True)
    expected = shape_features(rows, split.numeric, split.categorical)
    cells = {
        name: [None if pd.isna(cell) else cell for cell in rows[name].tolist()]
        for name in split.names
    }
    numbers: list[float] = rows[NUMBER].tolist()
    spelled: list[list[Any]] = [
        numbers,
        [int(number) for number in numbers],
        [str(number) for number in numbers],
        [str(int(number)) for number in numbers],
        [(int, str, float)[at % 3](number) for at, number in enumerate(numbers)],
    ]
    for values in spelled:
        hold_features(served.read_features({**cells, NUMBER: values}), expected)
        for row in range(len(values)):  # alone, and beside one without a number
            own = {name: [cells[name][row]] for name in split.names} | {NUMBER: [values[row]]}
            beside = {name: cell * 2 for name, cell in own.items()} | {NUMBER: [values[row], None]}
            for request in (own, beside):
                read = served.read_features(request)
                hold_features({name: cell[:1] for name, cell in read.items()}, expected.iloc[[row]])
                COUNTED["numbers as categories"] += 1


def check_answers(table: pd.DataFrame, parameters: Any) -> None:  # noqa: ANN401 - Params
    """One transform gives the labels and scores of `predict` and `predict_proba`, bit for bit."""
    for chosen, name in itertools.product(list_sides(parameters), ESTIMATORS[parameters.task]):
        part = msgspec.structs.replace(chosen.train, estimator=f"sklearn.{name}", settings={})
        model = train.fit_model(table.head(ROWS), msgspec.structs.replace(chosen, train=part))
        columns = chosen.features.numeric, chosen.features.categorical
        features = shape_features(table.tail(ROWS), *columns)
        for rows in (features, spread_rows(features), features.head(1)):
            hold_answers(model, rows)
            COUNTED[f"{chosen.task}: answers"] += len(rows)


def list_sides(chosen: Any) -> list[Any]:  # noqa: ANN401 - Params
    """Return the parameters, of a binary task also with the other class as the positive one."""
    if chosen.task != "binary":
        return [chosen]
    data = msgspec.structs.replace(chosen.data, positive=1 - int(chosen.data.positive))
    return [chosen, msgspec.structs.replace(chosen, data=data)]


def spread_rows(features: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose values come from any row each, a fifth of them missing."""
    mixed = features.apply(lambda column: column.sample(frac=1, random_state=3).to_numpy())
    return mixed.mask(np.random.default_rng(2).random(mixed.shape) < 0.2)


def hold_answers(model: Any, features: pd.DataFrame) -> None:  # noqa: ANN401 - a Pipeline
    """Hold the answers of one transform against the pipeline's own methods."""
    transform = Transform(model, *read_columns(model))
    assert transform.is_quick
    numbers = transform({name: features[name].to_numpy() for name in features})
    assert numbers.tobytes() == model[:-1].transform(features).tobytes()
    answers = scoring.answer_numbers(model["estimator"], numbers)
    labels = answers.pop("prediction")
    np.testing.assert_array_equal(labels, model.predict(features), strict=True)
    if not hasattr(model, "predict_proba"):
        assert answers == {}
        return
    scores = dict(zip(model.classes_, model.predict_proba(features).T, strict=True))
    if hasattr(model["estimator"], "pos_label"):
        expected = {"score": scores[model["estimator"].pos_label]}
    else:
        expected = {f"score_{name}": values for name, values in scores.items()}
    assert answers.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(answers[name], values.round(scoring.DECIMALS), strict=True)


def check_explanations(table: pd.DataFrame, parameters: Any) -> None:  # noqa: ANN401 - Params
    """Contributions are by the method that fits the model, and say what they claim."""
    columns = parameters.features.numeric, parameters.features.categorical
    features = shape_features(table.tail(30), *columns)
    reference = shape_features(table.iloc[30:37], *columns)
    for chosen, (name, method) in itertools.product(
        list_sides(parameters), EXPLAINED[parameters.task].items()
    ):
        part = msgspec.structs.replace(chosen.train, estimator=f"sklearn.{name}", settings={})
        model = train.fit_model(table.head(ROWS), msgspec.structs.replace(chosen, train=part))
        explainer = Explainer(model, Transform(model, *read_columns(model)), as_arrays(reference))
        assert explainer.method == method, name
        assert explainer.rows == 7
        answers = explainer.explain(as_arrays(features))
        contributions = {
            column: answers[f"contribution_{column}"] for column in chosen.features.names
        }
        expected = find_output(model, features, features, explainer.scale)
        if method != "permutation":
            total = answers["base"] + sum(contributions.values())
            np.testing.assert_allclose(total, expected, rtol=1e-6, atol=1e-9)
        if method == "trees":
            assert np.ptp(answers["base"]) < 1e-9 or chosen.task == "multiclass"
        else:  # in a linear model, too, it is what the reference's values would change
            hold_replacements(model, features, reference, contributions, explainer.scale)
        COUNTED[f"{method}: explained"] += len(features)


def as_arrays(features: pd.DataFrame) -> dict[str, Any]:
    """Return column name → its values."""
    return {name: features[name].to_numpy() for name in features}


def find_output(
    model: Any,  # noqa: ANN401 - a Pipeline
    rows: pd.DataFrame,
    of: Any,  # noqa: ANN401 - features whose answers are explained
    scale: str,
) -> Any:  # noqa: ANN401 - an array
    """Return what is explained of rows: for the class that the model answers to ``of``."""
    estimator, numbers = model["estimator"], model[:-1].transform(rows)
    if not hasattr(estimator, "classes_"):
        return estimator.predict(numbers)
    inner = estimator.estimator_ if hasattr(estimator, "pos_label") else estimator
    values = getattr(inner, "decision_function" if scale == "log-odds" else "predict_proba")(
        numbers
    )
    classes = model.classes_.tolist()
    if hasattr(estimator, "pos_label"):
        positive = classes.index(estimator.pos_label)
        return values[:, positive] if values.ndim > 1 else values * (1 if positive else -1)
    explained = model.predict(of)
    return values[np.arange(len(rows)), [classes.index(label) for label in explained]]


def hold_replacements(
    model: Any,  # noqa: ANN401 - a Pipeline
    features: pd.DataFrame,
    reference: pd.DataFrame,
    contributions: dict[str, Any],
    scale: str,
) -> None:
    """Hold each contribution against rows that have the reference's values in one column."""
    own = find_output(model, features, features, scale)
    for name, values in contributions.items():
        replaced = [
            find_output(model, features.assign(**{name: value}), features, scale)
            for value in reference[name]
        ]
        np.testing.assert_allclose(values, own - np.mean(replaced, axis=0), rtol=1e-6, atol=1e-9)


def main() -> None:
    """Try all of them."""
    warnings.simplefilter("ignore")
    draw = random.Random(int(sys.argv[2]))  # noqa: S311 - examples, no secrets
    check_refused()
    for _ in range(EXAMPLES):
        check_example(draw)
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        table, chosen = read_bundled(folder)
        check_answers(table, chosen)
        if folder.name == "penguins":
            check_number_categories(table, chosen, folder)
            check_memory(table, chosen)
        check_explanations(table, chosen)
    sys.stdout.write(json.dumps(COUNTED))


if __name__ == "__main__":
    main()
