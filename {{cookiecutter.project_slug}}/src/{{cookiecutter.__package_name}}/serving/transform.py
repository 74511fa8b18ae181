"""The model's transformers, asked with arrays: the same numbers as by tables, in a third of the time.

scikit-learn takes a table apart, checks its names and puts it together again at each step of each
group of columns. Here each step gets the array that it would make of it anyway. Only steps of
which that is known are asked so, and only after both ways gave equal bytes for a first few rows.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sklearn.pipeline import Pipeline

#: Classes of scikit-learn that read an array as they read a table.
_KNOWN = ("SimpleImputer", "StandardScaler", "OneHotEncoder")


class Transform:
    """What turns a model's features into the numbers that its estimator reads.

    ``numeric`` and ``categorical`` are the columns, as `read_columns` names them.
    """

    def __init__(self, model: Pipeline, numeric: list[str], categorical: list[str]) -> None:
        self._whole = model[:-1]
        self._groups = _compile(model)
        if self._groups and not self._is_same(_make_examples(model, numeric, categorical)):
            self._groups = None

    @property
    def is_quick(self) -> bool:
        """Tell whether the steps are asked with arrays."""
        return self._groups is not None

    def find_sources(self) -> list[str] | None:
        """Find the column that each of the estimator's inputs is made of; None: not known."""
        if self._groups is None:
            return None
        sources = []
        for names, steps in self._groups:
            made = [str(position) for position in range(len(names))]
            for step in steps:
                made = step.get_feature_names_out(made)
            sources += [names[int(text.partition("_")[0])] for text in made]
        return sources

    def __call__(self, features: Mapping[str, np.ndarray]) -> Any:  # noqa: ANN401 - dense or sparse
        """Return the estimator's input; ``features`` is name → one value for each row."""
        if self._groups is None:
            return self._whole.transform(pd.DataFrame(dict(features)))
        blocks = []
        for names, steps in self._groups:
            block = np.column_stack([features[name] for name in names])
            for step in steps:
                block = step.transform(block)
            blocks.append(block)
        return np.hstack(blocks)

    def _is_same(self, examples: Mapping[str, np.ndarray]) -> bool:
        """Tell whether both ways give equal bytes."""
        expected = self._whole.transform(pd.DataFrame(dict(examples)))
        try:
            numbers = self(examples)
        except (TypeError, ValueError):
            return False
        if not isinstance(expected, np.ndarray) or expected.dtype != numbers.dtype:
            return False
        return bool(expected.tobytes() == numbers.tobytes())


def _compile(model: Pipeline) -> list[tuple[list[str], list[Any]]] | None:
    """Return the names and the steps of each group of columns, or None for the usual way."""
    columns = model["columns"]
    if len(model) != 2 or getattr(columns, "transformer_weights", None):  # noqa: PLR2004 - columns, estimator
        return None
    groups = []
    for _, transformer, names in columns.transformers_:
        if len(names) == 0 or transformer == "drop":
            continue
        steps = _list_steps(transformer)
        if any(type(step).__name__ not in _KNOWN for step in steps):
            return None
        if not all(type(step).__module__.startswith("sklearn.") for step in steps):
            return None
        groups.append((list(names), [_without_names(step) for step in steps]))
    return groups


def _list_steps(transformer: Any) -> list[Any]:  # noqa: ANN401 - of scikit-learn
    """Return the steps of a group; none where columns pass as they are."""
    if type(transformer).__name__ == "FunctionTransformer" and transformer.func is None:
        return []
    steps = getattr(transformer, "steps", None)
    return [transformer] if steps is None else [step for _, step in steps]


def _without_names(step: Any) -> Any:  # noqa: ANN401 - of scikit-learn
    """Return a copy that does not warn about an array, which has no names."""
    unnamed = copy.deepcopy(step)
    if hasattr(unnamed, "feature_names_in_"):
        del unnamed.feature_names_in_
    return unnamed


def _make_examples(
    model: Pipeline, numeric: list[str], categorical: list[str]
) -> dict[str, np.ndarray]:
    """Return two rows: one without any value, one of numbers and categories never seen."""
    numbers = {name: np.array([np.nan, 0.1 * at]) for at, name in enumerate(numeric, start=1)}
    texts = {name: np.array([np.nan, "(example)"], dtype=object) for name in categorical}
    examples = {**numbers, **texts}
    return {name: examples[name] for name in model.feature_names_in_}
