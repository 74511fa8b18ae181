"""Predictions of base and head, matched, to the charts that suit the task. Pure; numpy only.

Every point of a curve is exact: it belongs to a score that occurs. Which points are kept is
decided by :mod:`mlgitops.comparison.charts.curves`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgitops.comparison.charts.curves import round_numbers
from mlgitops.comparison.charts.errors import draw_errors
from mlgitops.comparison.charts.scores import draw_scores
from mlgitops.model import Chart, ChartKind, Series
from mlgitops.statistics.estimate import Undefined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mlgitops.comparison.charts.series import Floats, SideName
    from mlgitops.statistics.labels import Coded
    from mlgitops.statistics.matching import Pair

#: Labels beyond which a confusion matrix can't be read, and bars can't be told apart.
MOST_MATRIX_LABELS = 10
MOST_BARS = 30
_FEW_VALUES = 20  # whole numbers with at most so many values, and no scores, are classes
_LABEL_LENGTH = 60


def draw_charts(pair: Pair) -> tuple[Chart, ...]:
    """Return the charts of a matched pair: binary, multiclass or regression, as it is.

    What cannot be drawn (no scores, values that are not finite, one class only) is left out:
    the metrics say why.
    """
    if pair.rows < 2:  # noqa: PLR2004 - a line needs two points
        return ()
    with np.errstate(all="ignore"):  # what overflows is not drawn
        if _is_regression(pair):
            return tuple(draw_errors(pair))
        try:
            coded = pair.coded
        except Undefined:
            return ()
        return (*draw_scores(pair), *_draw_classes(coded))


def _is_regression(pair: Pair) -> bool:
    """Tell numbers from classes, as nothing in the file says which they are."""
    columns = (pair.target, pair.base, pair.head)
    if pair.base_scores or pair.head_scores or any(c.dtype.kind == "S" for c in columns):
        return False
    if any(column.dtype.kind == "f" for column in columns):
        return True
    return int(pair.target.max()) - int(pair.target.min()) >= _FEW_VALUES


def _draw_classes(coded: Coded) -> Iterator[Chart]:
    """Draw which class was taken for which, and how well each is found."""
    size = len(coded.labels)
    if size < 2:  # noqa: PLR2004 - one class can't be mistaken
        return
    sides: dict[SideName, NDArray[np.intp]] = {
        "base": _count_pairs(coded.target, coded.base, size),
        "head": _count_pairs(coded.target, coded.head, size),
    }
    names = tuple(_shorten(name) for name in coded.names)
    if size <= MOST_MATRIX_LABELS:
        yield Chart(
            name="confusion",
            kind=ChartKind.MATRIX,
            title="Confusion: rows by actual and predicted class",
            x_label="Predicted",
            y_label="Actual",
            labels=names,
            series=tuple(
                Series(side=side, y=tuple(counts.ravel().tolist()))
                for side, counts in sides.items()
            ),
        )
    if size > 2:  # noqa: PLR2004 - for two classes the metrics say it
        kept = np.sort(np.argsort(-sides["head"].sum(axis=1), kind="stable")[:MOST_BARS])
        for title, measure in (("F1", _measure_f1), ("Recall", _measure_recall)):
            yield Chart(
                name=f"{title.lower()}_by_class",
                kind=ChartKind.BARS,
                title=f"{title} of each class",
                x_label="Class" if size <= MOST_BARS else f"The {MOST_BARS} largest classes",
                y_label=title,
                labels=tuple(names[at] for at in kept),
                series=tuple(
                    Series(side=side, y=round_numbers(measure(counts)[kept]))
                    for side, counts in sides.items()
                ),
            )


def _count_pairs(
    target: NDArray[np.integer], predicted: NDArray[np.integer], size: int
) -> NDArray[np.intp]:
    """Count rows by actual (down) and predicted class (across)."""
    cells = target.astype(np.min_scalar_type(size * size - 1)) * size + predicted
    return np.bincount(cells, minlength=size * size).reshape(size, size)


def _measure_recall(counts: NDArray[np.intp]) -> Floats:
    return np.asarray(np.diag(counts) / np.maximum(counts.sum(axis=1), 1))


def _measure_f1(counts: NDArray[np.intp]) -> Floats:
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return np.asarray(2 * np.diag(counts) / np.maximum(both, 1))


def _shorten(name: str) -> str:
    return name if len(name) <= _LABEL_LENGTH else name[: _LABEL_LENGTH - 1] + "…"
