"""A model and a table → one prediction for each row. Used by evaluate, and as a command.

    python -m PACKAGE.scoring --model model/model.skops --data data/split/test.{{ cookiecutter._data_format }} \
        --output predictions.csv

scores any model of this project, an older one too, on any table that keeps the contract. The
columns: id, target, prediction, score (binary: probability of the positive class; multiclass:
`score_<class>` for each class; regression: none), then slice and cluster columns. With
`--distribute` the parts of a large table run where `compute:` in params.yaml says. With `--time` in
place of `--output` it prints how long the model takes, as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .contract import find_text_columns, read_columns
from .estimators import find_positive, select_features
from .params import Compute, read_params
from .plumbing import paths
from .plumbing.compute import run_tasks
from .plumbing.errors import StageError, run_stage
from .plumbing.storing import read_model, read_trusted_types
from .plumbing.tables import ID, read_table, write_table

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from .params import Params

#: A timing repeats until it has lasted so many seconds, and at least so often.
TIMED_SECONDS = 0.2
TIMED_CALLS = 5

#: Rows that are answered together: a larger table is answered in parts, here as on a cluster.
PART_ROWS = 100_000

#: Decimals of a score: enough to order rows, few enough to be the same on every machine.
DECIMALS = 9


def predict(model: Pipeline, table: pd.DataFrame) -> pd.DataFrame:
    """Return `prediction` and the scores for each row, as the server answers them.

    Binary predictions are labels of the data here; `score` is for the positive class.
    """
    numbers = model[:-1].transform(select_features(table, model))
    return pd.DataFrame(answer_numbers(model["estimator"], numbers), index=table.index)


def answer_numbers(estimator: Any, numbers: Any) -> dict[str, Any]:  # noqa: ANN401 - untyped
    """Return name → one value for each row: `prediction`, then the scores as :func:`predict`.

    ``numbers`` are the transformed features. They are made once, and a binary label follows from
    score and boundary: equal to the pipeline's own `predict` and `predict_proba`.
    """
    if not hasattr(estimator, "predict_proba"):
        return {"prediction": estimator.predict(numbers)}
    scores = estimator.predict_proba(numbers)
    classes = estimator.classes_
    if hasattr(estimator, "pos_label"):
        positive = classes.tolist().index(estimator.pos_label)
        score = scores[:, positive]
        labels = classes[np.where(score >= estimator.threshold, positive, 1 - positive)]
        return {"prediction": labels, "score": score.round(DECIMALS)}
    names = [f"score_{name}" for name in classes]
    by_class = zip(names, scores.round(DECIMALS).T, strict=True)
    return {"prediction": estimator.predict(numbers), **dict(by_class)}


def predict_parts(
    model: Pipeline, table: pd.DataFrame, compute: Compute, rows: int = PART_ROWS
) -> pd.DataFrame:
    """Return what :func:`predict` does, ``rows`` of the table at a time."""
    if len(table) <= rows:
        return predict(model, table)
    parts = [table.iloc[start : start + rows] for start in range(0, len(table), rows)]
    return pd.concat(run_tasks(predict_part, parts, compute, shared=(model,)))


def predict_part(part: pd.DataFrame, model: Pipeline) -> pd.DataFrame:
    """Return the predictions of one part of a table."""
    return predict(model, part)


def score_table(
    model: Pipeline, table: pd.DataFrame, params: Params, compute: Compute | None = None
) -> pd.DataFrame:
    """Return predictions with id, target, slice and cluster columns, in the table's order.

    Binary targets and predictions are 0 and 1, where 1 is the positive class. Parts of a large
    table are answered where ``compute`` says, else here: who measures another's model must not
    ask the cluster that its params.yaml names.
    """
    extra = list(dict.fromkeys([*params.evaluate.slices, params.evaluate.cluster]))
    named = [params.data.id or ID, params.data.target, *(name for name in extra if name)]
    missing = [name for name in named if name not in table.columns]
    if missing:
        raise StageError(f"the table has no column {', '.join(missing)}")
    scored = predict_parts(model, table, compute or Compute())
    target = table[params.data.target]
    if params.task == "binary":
        positive = find_positive(model.classes_.tolist(), params.data.positive)
        target = (target == positive).astype(int)
        scored["prediction"] = (scored["prediction"] == positive).astype(int)
    scored.insert(0, "id", table[named[0]])
    scored.insert(1, "target", target)
    return scored.assign(**{name: table[name] for name in named[2:]})


def time_model(model: Pipeline, table: pd.DataFrame) -> dict[str, float]:
    """Return the milliseconds, warm, that one row takes alone and a thousand rows together.

    A shorter table is repeated; medians, so that one slow call does not decide.
    """
    if table.empty:
        raise StageError("the table has no rows to time the model with")
    thousand = pd.concat([table] * -(-1000 // len(table)), ignore_index=True).head(1000)
    return {
        "row_ms": _time_calls(model, table.head(1)),
        "thousand_rows_ms": _time_calls(model, thousand),
    }


def _time_calls(model: Pipeline, table: pd.DataFrame) -> float:
    predict(model, table)  # the first call is slower: it fills caches
    times: list[float] = []
    while sum(times) < TIMED_SECONDS or len(times) < TIMED_CALLS:
        start = time.perf_counter()
        predict(model, table)
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times), 3)


def main(arguments: list[str] | None = None) -> None:
    """Score a table with a model, from the command line."""
    options = _parse_options(arguments)
    text_columns = find_text_columns(read_columns(options.contract))
    table = read_table(options.data, text_columns)
    model = read_model(options.model, read_trusted_types(options.trusted_types))
    if options.time:
        print(json.dumps(time_model(model, table)))
        return
    params = read_params(options.params)
    compute = params.compute if options.distribute else None
    write_table(score_table(model, table, params, compute), options.output)
    print(f"{len(table)} rows scored")


def _parse_options(arguments: list[str] | None) -> Any:  # noqa: ANN401 - argparse
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}.scoring",
        description="Score a table with a model and write one prediction for each row.",
    )
    parser.add_argument("--model", type=Path, default=paths.MODEL)
    parser.add_argument("--data", type=Path, required=True, help="table that keeps the contract")
    result = parser.add_mutually_exclusive_group(required=True)
    result.add_argument("--output", type=Path, help="CSV to write")
    result.add_argument("--time", action="store_true", help="print milliseconds, write nothing")
    parser.add_argument(
        "--distribute", action="store_true", help="as `compute:` in params.yaml says"
    )
    parser.add_argument("--params", type=Path, default=paths.PARAMS)
    parser.add_argument("--contract", type=Path, default=paths.CONTRACT)
    parser.add_argument("--trusted-types", type=Path, default=paths.TRUSTED_TYPES)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_stage(main)
