"""Parquet files ↔ data frames whose cells are those of the same table as CSV.

What the stages make of a table then does not depend on how it is kept: its cells become text, and
numbers are read from that as pandas reads them from a CSV file.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .errors import StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

#: Types of Arrow beside the plain ones whose values have a text.
TEXT_EXTENSIONS = frozenset(["arrow.uuid", "arrow.json", "arrow.bool8"])


def read_names(path: Path) -> list[str]:
    """Return the names of a table's columns."""
    with _open(path) as file:
        names: list[str] = file.schema_arrow.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StageError(f"{path}: several columns are called {twice[0]!r}")
    return names


def read_text_parts(
    path: Path, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pd.DataFrame]:
    """Yield ``rows`` rows at a time, every cell as text; an empty one where it is missing."""
    for part, start in _read_batches(path, rows, columns):
        index = pd.RangeIndex(start, start + part.num_rows)
        texts = {name: _write_cells(part, name, path) for name in part.schema.names}
        yield pd.DataFrame(
            {name: _make_series(cells, index, missing="") for name, cells in texts.items()}
        )


def read_parts(path: Path, rows: int, text_columns: Collection[str]) -> Iterator[pd.DataFrame]:
    """Yield ``rows`` rows at a time: these columns as text, others as pandas reads their cells."""
    for part, start in _read_batches(path, rows, None):
        index = pd.RangeIndex(start, start + part.num_rows)
        texts = {name: _write_cells(part, name, path) for name in part.schema.names}
        yield pd.DataFrame(
            {name: _read_cells(cells, index, name in text_columns) for name, cells in texts.items()}
        )


def read_table(path: Path, text_columns: Collection[str]) -> pd.DataFrame:
    """Return the whole table as :func:`read_parts` does, a column after the other."""
    columns = {}
    with _open(path) as file:
        index = pd.RangeIndex(file.metadata.num_rows)
        for name in file.schema_arrow.names:
            cells = _write_cells(file.read(columns=[name]).combine_chunks(), name, path)
            columns[name] = _read_cells(cells, index, name in text_columns)
    return pd.DataFrame(columns)


@contextmanager
def open_writer(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Give a function that appends rows to a new file; an empty text is a missing value."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writers: list[Any] = []

    def append(table: pd.DataFrame) -> None:
        rows = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
        for at, column in enumerate(rows.schema):
            if column.type in (pa.string(), pa.large_string()):
                cells = rows[column.name].cast(pa.string())
                kept = pa.compute.if_else(pa.compute.equal(cells, ""), None, cells)
                rows = rows.set_column(at, column.name, kept)
        if not writers:
            writers.append(pq.ParquetWriter(path, rows.schema, compression="zstd"))
        writers[0].write_table(rows)

    try:
        yield append
    finally:
        for writer in writers:
            writer.close()


def _read_batches(
    path: Path, rows: int, columns: Sequence[str] | None
) -> Iterator[tuple[Any, int]]:
    """Yield record batches with the number of rows before each; a table without rows is one."""
    import pyarrow as pa

    start = 0
    with _open(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            yield batch, start
            start += batch.num_rows
        if not start:
            yield pa.RecordBatch.from_pylist([], schema=file.schema_arrow), 0


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise StageError(
            f"{path}: Parquet needs pyarrow: name it in requirements/pipeline.in, "
            "then `make locks` and `make setup`"
        ) from None
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise StageError(f"{path} can't be read as Parquet: {reason}") from None


def _write_cells(part: Any, name: str, path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return a column as a dictionary of the texts that pandas writes for it into a CSV file.

    Moments always have their time: pandas leaves it out where it is midnight in all rows.
    """
    import pyarrow as pa

    cells = part.column(name)
    if isinstance(cells, pa.ChunkedArray):
        cells = pa.concat_arrays(cells.chunks) if cells.num_chunks else pa.array([], cells.type)
    if isinstance(cells, pa.DictionaryArray):
        cells = cells.dictionary_decode()
    kind = cells.type
    if not _has_text(kind):
        raise StageError(f"{path}: column {name} holds {kind}: write text, numbers or dates")
    if isinstance(kind, pa.BaseExtensionType):  # pyarrow numbers no such values
        values = [None if value is None else str(value) for value in cells.to_pylist()]
        cells = pa.array(values, pa.string())
        kind = cells.type
    if pa.types.is_null(kind):
        cells = cells.cast(pa.string())
    encoded = cells.dictionary_encode()
    if pa.types.is_floating(kind):
        numbers = encoded.dictionary.to_numpy(zero_copy_only=False)
        texts = [None if np.isnan(number) else _write_number(number) for number in numbers]
    else:
        values = encoded.dictionary.to_pylist()
        texts = [None if value is None else _write(value) for value in values]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, pa.string()))


def _has_text(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    """Tell whether values of a type have a text: not lists, bytes, or what only a library knows."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return kind.extension_name in TEXT_EXTENSIONS
    tests = ("nested", "binary", "large_binary", "fixed_size_binary", "binary_view")
    return not any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _write_number(number: np.floating[Any]) -> str:
    """Return the shortest text that is read as the same number of the same width."""
    return str(number) if np.isfinite(number) else str(float(number))


def _write(value: object) -> str:
    """Return a value as text; a moment as ISO 8601 with a blank."""
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def _read_cells(cells: Any, index: pd.RangeIndex, is_text: bool) -> pd.Series:  # noqa: ANN401, FBT001
    return _make_series(cells, index, missing=None) if is_text else _parse(cells, index)


def _make_series(cells: Any, index: pd.RangeIndex, missing: str | None) -> pd.Series:  # noqa: ANN401
    texts = np.array([*cells.dictionary.to_pylist(), None], dtype=object)
    texts[[text is None or text == "" for text in texts]] = missing
    codes = cells.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return pd.Series(texts[codes], index=index, dtype="str")


def _parse(cells: Any, index: pd.RangeIndex) -> pd.Series:  # noqa: ANN401
    """Return a column as `pandas.read_csv` reads its cells."""
    texts = [*cells.dictionary.to_pylist(), *([None] if cells.indices.null_count else [])]
    written = pd.DataFrame({"cells": texts}, dtype="str").to_csv(index=False)
    values = pd.read_csv(
        io.StringIO(written),
        keep_default_na=False,
        na_values=[""],
        skip_blank_lines=False,
        low_memory=False,
    )["cells"]
    codes = cells.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return values.take(codes).set_axis(index)
