"""The predictions that head's run stored, beside those that base's code makes of its model. Pure.

Stored predictions are not judged, but after a merge they are the base's, with which the next change
is compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mlgitops.tables.predictions import Column, Predictions

#: How far two computations of one number may lie apart, rounded as files are: a fraction, or in
#: its unit.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-6


def gives_same_answers(stored: Predictions, measured: Predictions) -> bool:
    """Tell whether both are the same answers to the same rows, but for order and rounding."""
    columns = [_list_columns(side) for side in (stored, measured)]
    if columns[0].keys() != columns[1].keys() or stored.rows != measured.rows:
        return False
    orders = [np.argsort(side.id, kind="stable") for side in (stored, measured)]
    return all(
        _is_same(column[orders[0]], columns[1][name][orders[1]])
        for name, column in columns[0].items()
    )


def _list_columns(side: Predictions) -> dict[tuple[str, str], Column]:
    own = {"id": side.id, "target": side.target, "prediction": side.prediction}
    return {
        **{("", name): column for name, column in own.items()},
        **{("score", name): column for name, column in side.scores.items()},
        **{("column", name): column for name, column in side.columns.items()},
    }


def _is_same(stored: Column, measured: Column) -> bool:
    texts = [column.dtype.kind not in "iuf" for column in (stored, measured)]
    if any(texts):
        return all(texts) and bool(np.array_equal(stored, measured))
    close = np.isclose(stored, measured, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True)
    return bool(close.all())
