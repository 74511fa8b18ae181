"""Read the predictions of one model: a CSV or Parquet file to checked columns.

One row per test example: `id,target,prediction`, then `score` (binary: the probability of the
positive class) or one `score_<class>` column per class, then any columns to slice or cluster
by. The file may come from a pull request: sizes are capped, and whatever cannot be read is a
:class:`MlgitopsError` that names the row.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MlgitopsError
from mlgitops.numeric import load_numpy
from mlgitops.parsing import refuse_pointer
from mlgitops.tables.predictions.checks import MAX_BYTES, REQUIRED, is_number, quote_text
from mlgitops.tables.predictions.csv_table import read_csv

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    #: A column: whole numbers, floats, or UTF-8 bytes.
    Column = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What one model said of each test row; every column has one entry per row."""

    id: Column
    target: Column
    prediction: Column
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # class → score
    columns: Mapping[str, Column] = field(default_factory=dict)  # to slice or cluster by

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return int(self.id.shape[0])


def read_predictions(source: Path | bytes, *, where: str | None = None) -> Predictions:
    """Read predictions from a file (`.csv`, `.parquet`) or from the bytes of one.

    ``where`` names the source in messages. Binary scores are found under the class "".
    Raises MlgitopsError when the file is too large, damaged, empty, or lacks a column.
    """
    load_numpy()
    where = where or (str(source) if isinstance(source, Path) else "predictions")
    try:
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
            start = stream.read(64)
            refuse_pointer(start, where)
            parquet = start.startswith(b"PAR1")
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            if size > MAX_BYTES:
                raise MlgitopsError(
                    f"The predictions are too large: {size:,} bytes", where=where,
                    hint=f"at most {MAX_BYTES:,} bytes are read: compare on a sample of the rows",
                )  # fmt: skip
            if parquet or where.endswith(".parquet"):
                from mlgitops.tables.predictions.parquet_table import read_parquet

                return _assemble(read_parquet(stream, where), where)
            return _assemble(read_csv(source, stream, where), where)
    except OSError as error:
        raise MlgitopsError(f"Cannot read the predictions: {error.strerror}", where=where) from None
    except MemoryError:
        raise MlgitopsError(
            "The predictions do not fit into memory",
            where=where,
            hint="compare on a sample of the rows",
        ) from None


def _assemble(table: dict[str, Column], where: str) -> Predictions:
    """Give the columns their roles; whole numbers are kept in as few bytes as they need."""
    scores = {
        name.removeprefix("score").removeprefix("_"): _as_score(column, name, where)
        for name, column in table.items()
        if name == "score" or name.startswith("score_")
    }
    rest = {
        name: shrink(column)
        for name, column in table.items()
        if name not in REQUIRED and name != "score" and not name.startswith("score_")
    }
    return Predictions(
        id=table["id"],
        target=shrink(table["target"]),
        prediction=shrink(table["prediction"]),
        scores=scores,
        columns=rest,
    )


def shrink(column: Column) -> Column:
    """Return whole numbers in the smallest type that holds them, others as they are."""
    import numpy as np

    if column.dtype.kind not in "iu":
        return column
    for kind in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(kind)
        if bounds.min <= int(column.min()) and int(column.max()) <= bounds.max:
            return column.astype(kind)
    return column


def _as_score(column: Column, name: str, where: str) -> NDArray[np.float64]:
    if column.dtype.kind == "S":
        row = next(row for row, text in enumerate(column.tolist()) if not is_number(text))
        raise MlgitopsError(
            f"{name} is not a number in row {row + 1}: {quote_text(column[row])}", where=where
        )
    return column.astype("f8", copy=False)
