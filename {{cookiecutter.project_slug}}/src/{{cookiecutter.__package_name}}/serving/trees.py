"""Trees of scikit-learn, as parts of their answer: how far each split moved it.

A node's value is the mean of its leaves, each by the training rows in it. On its way down a row
moves from the root's value to its leaf's, and each move belongs to the column that was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_SINGLE = (
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreeClassifier",
    "ExtraTreeRegressor",
)
_FORESTS = (
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
)
_BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_HISTOGRAMS = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


class _Tree(NamedTuple):
    """Nodes of a tree; ``left`` and ``right`` of a leaf are itself."""

    column: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray  # (nodes, classes or 1)

    def add_parts(self, numbers: np.ndarray, parts: np.ndarray) -> None:
        """Add each row's moves to ``parts`` (rows, columns, classes or 1)."""
        rows = np.arange(len(numbers))
        node = np.zeros(len(numbers), dtype=int)
        while len(rows):
            asked = numbers[rows, self.column[node]]
            is_left = np.where(
                np.isnan(asked), self.missing_left[node], asked <= self.threshold[node]
            )
            child = np.where(is_left, self.left[node], self.right[node])
            moves = child != node
            rows, node, child = rows[moves], node[moves], child[moves]
            parts[rows, self.column[node]] += self.value[child] - self.value[node]
            node = child


def read_trees(estimator: Any) -> Callable[[np.ndarray], np.ndarray] | None:  # noqa: ANN401 - any
    """Return numbers → parts (rows, columns, classes or 1), or None where trees are unknown."""
    if not type(estimator).__module__.startswith("sklearn."):
        return None
    name = type(estimator).__name__
    if name in _HISTOGRAMS:
        trees = _read_histograms(estimator)
    elif name in _BOOSTED:
        trees = _read_boosted(estimator)
    elif name in _FORESTS:
        members = estimator.estimators_
        trees = [_read_tree(member.tree_, 1 / len(members)) for member in members]
    else:
        trees = [_read_tree(estimator.tree_, 1.0)] if name in _SINGLE else None
    if not trees:
        return None
    in_float32 = name not in _HISTOGRAMS  # as these read their input

    def parts(numbers: np.ndarray) -> np.ndarray:
        rows = numbers.astype("float32").astype("float64") if in_float32 else numbers
        total = np.zeros((*rows.shape, trees[0].value.shape[1]))
        for tree in trees:
            tree.add_parts(rows, total)
        return total

    return parts


def _read_tree(tree: Any, weight: float) -> _Tree:  # noqa: ANN401 - of scikit-learn
    value = tree.value[:, 0, :]
    if value.shape[1] > 1:  # of classes: shares
        value = value / value.sum(axis=1, keepdims=True)
    return _make_tree(
        column=tree.feature,
        threshold=tree.threshold,
        missing_left=tree.missing_go_to_left,
        left=tree.children_left,
        right=tree.children_right,
        value=weight * value,
        count=tree.weighted_n_node_samples,
        is_leaf=tree.children_left < 0,
    )


def _read_boosted(estimator: Any) -> list[_Tree]:  # noqa: ANN401 - of scikit-learn
    return [
        _spread(_read_tree(member.tree_, estimator.learning_rate), position, len(members))
        for members in estimator.estimators_
        for position, member in enumerate(members)
    ]


def _read_histograms(estimator: Any) -> list[_Tree] | None:  # noqa: ANN401 - of scikit-learn
    trees = []
    for members in estimator._predictors:  # noqa: SLF001 - scikit-learn shows them nowhere else
        for position, member in enumerate(members):
            nodes = member.nodes
            if nodes["is_categorical"].any():
                return None
            tree = _make_tree(
                column=nodes["feature_idx"].astype(int),
                threshold=nodes["num_threshold"],
                missing_left=nodes["missing_go_to_left"].astype(bool),
                left=nodes["left"].astype(int),
                right=nodes["right"].astype(int),
                value=nodes["value"][:, None],
                count=nodes["count"].astype("float64"),
                is_leaf=nodes["is_leaf"].astype(bool),
            )
            trees.append(_spread(tree, position, len(members)))
    return trees


def _make_tree(
    *, value: np.ndarray, count: np.ndarray, is_leaf: np.ndarray, **nodes: np.ndarray
) -> _Tree:
    """Return a tree whose inner values are the means of its leaves, by the training rows there."""
    own = np.arange(len(is_leaf))
    left, right = (np.where(is_leaf, own, nodes[side]) for side in ("left", "right"))
    weight = np.where(is_leaf, count, 0.0)[:, None]
    total = value.astype("float64") * weight
    for inner in reversed(_list_levels(left, right, is_leaf)):
        total[inner] = total[left[inner]] + total[right[inner]]
        weight[inner] = weight[left[inner]] + weight[right[inner]]
    return _Tree(
        column=np.where(is_leaf, 0, nodes["column"]),
        threshold=nodes["threshold"],
        missing_left=nodes["missing_left"].astype(bool),
        left=left,
        right=right,
        value=total / weight,
    )


def _list_levels(left: np.ndarray, right: np.ndarray, is_leaf: np.ndarray) -> list[np.ndarray]:
    """Return the inner nodes of a tree, those of each depth together, the root first."""
    levels = []
    level = np.array([0])
    while len(level := level[~is_leaf[level]]):
        levels.append(level)
        level = np.concatenate([left[level], right[level]])
    return levels


def _spread(tree: _Tree, position: int, classes: int) -> _Tree:
    """Return a tree that speaks for one of several classes."""
    value = np.zeros((len(tree.value), classes))
    value[:, position] = tree.value[:, 0]
    return tree._replace(value=value)
