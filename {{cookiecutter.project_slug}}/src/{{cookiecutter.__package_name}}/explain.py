"""Sixth stage: how much the model loses when a column is shuffled → reports/importance.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .contract import find_text_columns, read_columns
from .estimators import select_features
from .params import read_params
from .plumbing import paths
from .plumbing.compute import run_tasks, runs_here
from .plumbing.documents import write_json
from .plumbing.errors import run_stage
from .plumbing.storing import read_model, read_trusted_types
from .plumbing.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import ArrayLike
    from sklearn.pipeline import Pipeline

    from .params import Params, Task

#: Task → the score whose loss is measured; scikit-learn's names, larger is better.
SCORES = {"binary": "roc_auc", "regression": "r2", "multiclass": "balanced_accuracy"}


def main() -> None:
    """Run the stage."""
    params = read_params(paths.PARAMS)
    table = read_table(paths.TEST, find_text_columns(read_columns(paths.CONTRACT)))
    model = read_model(paths.MODEL, read_trusted_types(paths.TRUSTED_TYPES))
    importance = measure_importance(model, table, params)
    write_json(importance, paths.IMPORTANCE)
    print("most important: " + ", ".join(item["name"] for item in importance["features"][:3]))


def measure_importance(model: Pipeline, table: pd.DataFrame, params: Params) -> dict[str, Any]:
    """Return the mean and standard deviation of the loss for each feature, largest first."""
    rows = min(len(table), params.explain.max_rows)
    chosen = np.random.default_rng(params.seed).permutation(len(table))[:rows]
    sample = table.iloc[np.sort(chosen)]
    features = select_features(sample, model)
    target = sample[params.data.target].to_numpy()
    target = target.astype(str) if target.dtype == object else target
    names = features.columns.tolist()
    tasks = [names] if runs_here(params.compute) else [[name] for name in names]
    measured = run_tasks(
        shuffle_columns, tasks, params.compute, shared=(model, features, target, params)
    )
    columns = [column for task in measured for column in task]
    items = [{"name": name, "mean": mean, "std": std} for name, mean, std in columns]
    return {
        "score": SCORES[params.task],
        "rows": rows,
        "repeats": params.explain.repeats,
        "features": sorted(items, key=lambda item: (-round(item["mean"], 9), item["name"])),
    }


def shuffle_columns(
    names: list[str], model: Pipeline, features: pd.DataFrame, target: pd.Series, params: Params
) -> list[tuple[str, float, float]]:
    """Return name, mean and standard deviation of the loss when one of these columns is shuffled.

    Every column is shuffled by the same seed, so that it does not matter which ones stand together.
    """
    from sklearn.inspection import permutation_importance

    scorer = find_scorer(params.task, target)

    def score(model: Pipeline, columns: pd.DataFrame, target: pd.Series) -> float:
        return float(scorer(model, features.assign(**columns), target))

    measured = permutation_importance(
        model,
        features[names],
        target,
        scoring=score,
        n_repeats=params.explain.repeats,
        random_state=params.seed,
    )
    means, deviations = measured.importances_mean.tolist(), measured.importances_std.tolist()
    return list(zip(names, means, deviations, strict=True))


def find_scorer(task: Task, target: ArrayLike) -> Callable[..., float]:
    """Return the score of a model on rows whose targets are these, as metrics.py measures it.

    scikit-learn's own `balanced_accuracy` warns where a class is predicted that no row has.
    """
    from sklearn.metrics import get_scorer, make_scorer, recall_score

    if task == "multiclass":
        settings = {"labels": np.unique(target), "average": "macro", "zero_division": 0.0}
        scorer: Callable[..., float] = make_scorer(recall_score, **settings)
    else:
        scorer = get_scorer(SCORES[task])
    return scorer


if __name__ == "__main__":
    run_stage(main)
