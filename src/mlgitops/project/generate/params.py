"""What was inferred, to `params.yaml`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.project.generate.yaml_text import flow

if TYPE_CHECKING:
    from mlgitops.project.generate.column_types import Facts

#: From so many rows on, half of what the smaller tables get is still a large test set.
_MANY_ROWS = 10_000

_TEXT = """\
# The knobs of the pipeline. Change one, run `make train`, commit, open a pull request.

task: {task} # binary, regression or multiclass; decides metrics, plots and estimators
seed: 0 # of everything random after the split: estimators, permutation importance
other_seeds: [] # such as [1, 2, 3, 4]: as many models more, to tell a change from a lucky seed

data:
  target: {target} # the column to predict
  positive: {positive} # binary only: the target's value that counts as positive
  id: {key} # unique key of a row; null: the ingest stage makes one from the row's content

features: # what the model sees; columns of contract.yaml
  numeric: {numeric}
  categorical: {categorical}
  min_category_rows: {rare} # rarer categories share one indicator, as do those never seen
{left_out}
split:{why}
  method: {method} # time: the latest rows are the test; hash: chosen by id; group: by whole groups
  column: {column} # what time or group reads; null for hash
  test_fraction: 0.3
  seed: {seed} # hash and group; another seed is another test set

train:
{train}
evaluate:
  slices: {slices} # metrics are also written for each value of these columns
  cluster: {cluster} # rows with the same value here are not independent; null: all are
  golden: {golden} # rows in reports/golden.json, which git keeps: synthetic, or real ones

explain:
  repeats: 5 # permutations of each feature
  max_rows: 2000 # test rows to permute; more is slower and steadier

compute: # changes no result: where importance, folds and large tables to score are worked on
  backend: local # here; dask, ray: a cluster (docs/how-to/compute.md of the toolkit)
  address: null # of its scheduler; null: one of this machine alone
"""

_TRAIN = """\
  estimator: {estimator} # any class of the kind of scikit-learn's
  settings: {settings}
  decision_boundary: {boundary} # binary only: predict positive from this probability on
  # others to try:
  #   estimator: sklearn.ensemble.HistGradientBoosting{kind}
  #   settings: {{learning_rate: 0.1, max_iter: 100, max_leaf_nodes: 15, min_samples_leaf: {leaf}}}
  #   estimator: sklearn.ensemble.RandomForest{kind}
  #   settings: {{n_estimators: 100, min_samples_leaf: {leaf}, max_features: {max_features}}}
"""

_CLASSIFY = {
    "estimator": "sklearn.linear_model.LogisticRegression",
    "settings": "{C: 1.0, max_iter: 1000} # of that class; smaller C is more regularised",
    "kind": "Classifier",
    "max_features": "sqrt",
}

_REGRESS = {
    "estimator": "sklearn.linear_model.Ridge",
    "settings": "{alpha: 1.0} # of that class; larger alpha is more regularised",
    "kind": "Regressor",
    "max_features": "0.5",
}


def render_params(facts: Facts, *, golden: str = "synthetic") -> str:
    """Return the parameters; what the model is not to see stands there with its reason.

    ``golden``: synthetic or real, the rows by which a deployed model is recognised.
    """
    positive = None if facts.positive is None else facts.label(facts.positive)
    return _TEXT.format(
        task=facts.task,
        target=flow(facts.target.name),
        positive=flow(positive),
        key=flow(facts.key),
        numeric=flow(list(facts.numeric)),
        categorical=flow(list(facts.categorical)),
        rare=_scale(facts.rows, low=5, high=20),
        left_out=_render_left_out(facts),
        why="".join(f"\n  # {sentence}" for sentence in facts.split.why),
        method=facts.split.method,
        column=flow(facts.split.column),
        seed=facts.split.seed,
        cluster=flow(facts.split.cluster),
        train=_render_train(facts),
        golden=golden,
        slices=flow(list(facts.slices)),
    )


def _scale(rows: int, *, low: int, high: int) -> int:
    """Return one row in 500, within bounds."""
    return max(low, min(high, rows // 500))


def _render_left_out(facts: Facts) -> str:
    if not facts.left_out:
        return ""
    lines = [f"  #   {flow(name)}: {reason}" for name, reason in facts.left_out.items()]
    return (
        "\n".join(["  # Left out; move one into a list above if you know better:", *lines]) + "\n"
    )


def _render_train(facts: Facts) -> str:
    chosen = _REGRESS if facts.task == "regression" else _CLASSIFY
    boundary = 0.5 if facts.task == "binary" else None
    leaf = _scale(facts.rows, low=2, high=50)
    return _TRAIN.format(leaf=leaf, boundary=flow(boundary), **chosen)
