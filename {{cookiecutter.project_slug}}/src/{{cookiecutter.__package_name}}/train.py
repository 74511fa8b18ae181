"""Fourth stage: data/split/train.{{ cookiecutter._data_format }} → model/model.skops, and model/model.json about it.

With `--seed N` it fits the same model with another seed, to model/seeds/N.skops: how far a metric
moves by that is how far chance moves it.
"""

from __future__ import annotations

import argparse
import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from .contract import find_text_columns, read_columns
from .estimators import make_model, shape_features
from .params import read_params
from .plumbing import paths
from .plumbing.compute import describe_libraries
from .plumbing.documents import write_json
from .plumbing.errors import StageError, run_stage
from .plumbing.storing import (
    dump_model,
    find_unknown_types,
    propose_types,
    read_trusted_types,
)
from .plumbing.tables import read_table

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from .params import Params


def main(seed: int | None = None) -> None:
    """Run the stage; with ``seed`` that of a model that is not served."""
    params = read_params(paths.PARAMS)
    path = paths.MODEL
    if seed is not None:
        params = msgspec.structs.replace(params, seed=seed)
        path = paths.MODEL_SEEDS / f"{seed}.skops"
    table = read_table(paths.TRAIN, find_text_columns(read_columns(paths.CONTRACT)))
    model = fit_model(table, params)
    data = dump_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if seed is None:
        write_json(describe_model(model, data, params, rows=len(table)), paths.MODEL_FACTS)
    print(f"{params.train.estimator} on {len(table)} rows, {len(data)} bytes")
    trusted = read_trusted_types(paths.TRUSTED_TYPES)
    unknown = find_unknown_types(data, trusted, name=str(path))
    if unknown:  # the next stage refuses the file, whatever is said here
        print(propose_types(unknown, name=str(path)))


def fit_model(table: pd.DataFrame, params: Params) -> Pipeline:
    """Return the model fitted on a table.

    Raises :class:`StageError` when the table and the parameters do not fit together.
    """
    features = shape_features(table, params.features.numeric, params.features.categorical)
    target = table[params.data.target]
    if target.isna().any():
        raise StageError(f"data.target: {target.isna().sum()} rows have no {target.name}")
    if params.task == "regression":
        return make_model(params, []).fit(features, target.to_numpy(dtype="float64"))
    labels = target.to_numpy()
    if labels.dtype == object:
        labels = labels.astype(str)
    classes = sorted(set(labels.tolist()))
    return make_model(params, classes).fit(features, labels)


def describe_model(model: Pipeline, data: bytes, params: Params, *, rows: int) -> dict[str, Any]:
    """Return what git keeps about the model: identity, inputs, outputs, versions."""
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "task": params.task,
        "target": params.data.target,
        "estimator": params.train.estimator,
        "decision_boundary": params.train.decision_boundary,
        "classes": model.classes_.tolist() if params.task != "regression" else [],
        "features": {
            "numeric": params.features.numeric,
            "categorical": params.features.categorical,
        },
        "train_rows": rows,
        "versions": describe_libraries(),
    }


def parse_seed(arguments: list[str] | None = None) -> int | None:
    """Return the seed that the command line names; None for the model that is served."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}.train", description=__doc__)
    parser.add_argument("--seed", type=int, metavar="N", help="one of other_seeds in params.yaml")
    seed: int | None = parser.parse_args(arguments).seed
    return seed


if __name__ == "__main__":
    run_stage(partial(main, parse_seed()))
