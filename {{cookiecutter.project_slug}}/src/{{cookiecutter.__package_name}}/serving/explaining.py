"""Why a row got its answer: how much each input column moved it from a base.

Linear models: coefficient times the distance from the mean of the reference rows. Trees: the step
of the mean at each split on the row's way down. Both add up to the answer: base + contributions
is the decision function or the probability. Any other model: the score, less its mean with the
column's value taken from each reference row; these need not add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..scoring import answer_numbers
from .trees import read_trees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sklearn.pipeline import Pipeline

    from .transform import Transform

    #: Numbers (rows, outputs of the transform) → parts (rows, those outputs, classes or 1).
    Parts = Callable[[np.ndarray], np.ndarray]

#: Rows that may be scored for one request where values are taken from the reference.
MOST_SCORED = 50_000
#: Parts that are in memory at once, of 8 bytes each; a model of many inputs and classes has many.
MOST_PARTS = 2_000_000


class Explainer:
    """What explains the answers of a model.

    ``reference`` is column name → values of the reference rows, at least one. ``method`` is
    `linear`, `trees` or `permutation`; ``scale`` says in which unit contributions are.
    """

    def __init__(
        self, model: Pipeline, transform: Transform, reference: Mapping[str, np.ndarray]
    ) -> None:
        self._estimator = model["estimator"]
        self._transform = transform
        self._reference = reference
        self._columns = list(reference)
        self.rows = len(next(iter(reference.values())))
        self._sources = transform.find_sources()
        self._parts: Parts | None = None
        self.method, self.scale = "permutation", self._name_score()
        if self._sources is not None:
            self._find_parts(transform(reference))

    def explain(self, features: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return the answers, `base`, and `contribution_<column>`: one value for each row.

        A classifier's explained class is the positive one, or of several the predicted one.
        """
        numbers = self._transform(features)
        answers = answer_numbers(self._estimator, numbers)
        classes = self._find_classes(answers["prediction"])
        if self._parts is None:
            base, contributions = self._replace_columns(features, classes)
        else:
            base, contributions = self._add_up(self._parts, numbers, classes)
        named = {f"contribution_{name}": values for name, values in contributions.items()}
        return {**answers, "base": base, **named}

    def describe(self) -> dict[str, str | int]:
        """Return how answers are explained."""
        return {"method": self.method, "scale": self.scale, "reference_rows": self.rows}

    def count_scored(self, rows: int) -> int:
        """Return how many rows the model scores to explain ``rows`` rows."""
        return rows if self._parts is not None else rows * len(self._columns) * self.rows

    def _find_parts(self, numbers: np.ndarray) -> None:
        """Take the method whose parts and the model's output differ by one base for all rows."""
        # A decision boundary is wrapped around the estimator; an ensemble has an `estimator_` too.
        has_boundary = hasattr(self._estimator, "pos_label")
        inner = self._estimator.estimator_ if has_boundary else self._estimator
        for method, parts in (
            ("linear", _read_linear(inner, numbers)),
            ("trees", read_trees(inner)),
        ):
            if parts is None:
                continue
            probability = method == "trees" and not hasattr(inner, "decision_function")
            output = _find_output(inner, probability=probability)
            examples = np.vstack([numbers, numbers.mean(axis=0), np.zeros_like(numbers[:1])])
            bases = output(examples) - parts(examples).sum(axis=1)
            if np.allclose(bases, bases[:1], rtol=1e-6, atol=1e-9):
                self._parts, self._output, self.method = parts, output, method
                self.scale = self._name_score() if probability else _name_output(inner)
                return

    def _add_up(
        self, find_parts: Parts, numbers: np.ndarray, classes: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        base = self._choose(self._output(numbers), classes)
        contributions = {name: np.empty(len(numbers)) for name in self._columns}
        sources = np.array(self._sources)
        step = max(1, MOST_PARTS // (numbers.shape[1] * self._count_classes()))
        for start in range(0, len(numbers), step):
            rows = slice(start, start + step)
            parts = self._choose(find_parts(numbers[rows]), classes[rows])
            base[rows] -= parts.sum(axis=1)
            for name, values in contributions.items():
                values[rows] = parts[:, sources == name].sum(axis=1)
        return base, contributions

    def _choose(self, values: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return what of ``values`` (rows, ..., classes or 1) speaks for each row's class."""
        if values.shape[-1] > 1:
            return values[np.arange(len(values)), ..., classes]
        # of a regression, or of the second of two classes
        sign = np.where(classes == 0, -1.0, 1.0) if self._is_classifier else np.ones(len(values))
        chosen: np.ndarray = (values[..., 0].T * sign).T
        return chosen

    def _count_classes(self) -> int:
        return len(self._estimator.classes_) if self._is_classifier else 1

    def _replace_columns(
        self, features: Mapping[str, np.ndarray], classes: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the mean score of the reference, and what each column's own value adds."""
        rows = len(classes)
        repeated = {name: np.repeat(values, self.rows) for name, values in features.items()}
        repeated_classes = np.repeat(classes, self.rows)
        own = self._score(features, classes)
        contributions = {}
        for name in self._columns:
            replaced = {**repeated, name: np.tile(self._reference[name], rows)}
            scores = self._score(replaced, repeated_classes)
            contributions[name] = own - scores.reshape(rows, self.rows).mean(axis=1)
        reference = {name: np.tile(values, rows) for name, values in self._reference.items()}
        scores = self._score(reference, repeated_classes)
        return scores.reshape(rows, self.rows).mean(axis=1), contributions

    def _score(self, features: Mapping[str, np.ndarray], classes: np.ndarray) -> np.ndarray:
        output = _find_output(self._estimator, probability=True)(self._transform(features))
        scores: np.ndarray = output[np.arange(len(classes)), classes]
        return scores

    @property
    def _is_classifier(self) -> bool:
        return hasattr(self._estimator, "classes_")

    def _find_classes(self, predictions: np.ndarray) -> np.ndarray:
        """Return the position of each row's explained class; 0 for a regression."""
        if not self._is_classifier:
            return np.zeros(len(predictions), dtype=int)
        classes = self._estimator.classes_.tolist()
        if hasattr(self._estimator, "pos_label"):
            return np.full(len(predictions), classes.index(self._estimator.pos_label))
        return np.array([classes.index(label) for label in predictions.tolist()])

    def _name_score(self) -> str:
        return "probability" if self._is_classifier else "prediction"


def _find_output(estimator: Any, *, probability: bool) -> Parts:  # noqa: ANN401 - any estimator
    """Return numbers → what is explained (rows, classes or 1)."""
    methods = ("predict_proba",) if probability else ("decision_function",)
    name = next((name for name in methods if hasattr(estimator, name)), "predict")

    def output(numbers: np.ndarray) -> np.ndarray:
        values = np.asarray(getattr(estimator, name)(numbers), dtype="float64")
        return values.reshape(len(numbers), -1)

    return output


def _read_linear(estimator: Any, numbers: np.ndarray) -> Parts | None:  # noqa: ANN401 - any
    """Return what reads the parts of a linear model; ``numbers`` are those of the reference."""
    weights = getattr(estimator, "coef_", None)
    if not isinstance(weights, np.ndarray) or weights.size == 0:
        return None
    weights = np.atleast_2d(weights)
    if weights.shape[1] != numbers.shape[1]:
        return None
    center = numbers.mean(axis=0)
    return lambda rows: (rows - center)[:, :, None] * weights.T[None]


def _name_output(estimator: Any) -> str:  # noqa: ANN401 - any estimator
    return "log-odds" if hasattr(estimator, "decision_function") else "prediction"
