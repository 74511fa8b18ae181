"""Tables on disk ↔ data frames: CSV, always UTF-8 with an empty cell for a missing value, or Parquet.

The stages before training read a table in parts, so that a table of any length fits in memory.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pandas as pd

from . import parquet
from .errors import StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

#: Name of the key column that the ingest stage makes when the data has none.
ID = "id"

#: Cells of one part, about: as text, with its copies, some 300 MB.
PART_CELLS = 1_000_000
PARQUET = ".parquet"


def read_text_parts(path: Path, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """Yield a table's rows in parts, every cell as text: writing it again changes no byte of it.

    The index counts the table's rows from 0. A table without rows is one part without rows.
    """
    with _explain(path):
        if path.suffix == PARQUET:
            yield from parquet.read_text_parts(path, _count_rows(path), columns)
        else:
            yield from _open_parts(path, dtype=str, keep_default_na=False, usecols=columns)


def read_parts(path: Path, text_columns: Collection[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows of :func:`read_table` in parts; a column's type is that of the part."""
    dtype = dict.fromkeys(text_columns, str)
    options = {"keep_default_na": False, "na_values": [""], "low_memory": False}
    with _explain(path):
        if path.suffix == PARQUET:
            yield from parquet.read_parts(path, _count_rows(path), text_columns)
        else:
            yield from _open_parts(path, dtype=dtype, **options)


def read_table(path: Path, text_columns: Collection[str]) -> pd.DataFrame:
    """Return the table with these columns as text and the others as pandas reads them."""
    dtype = dict.fromkeys(text_columns, str)
    with _explain(path):
        if path.suffix == PARQUET:
            return parquet.read_table(path, text_columns)
        return pd.read_csv(
            path, encoding="utf-8-sig", dtype=dtype, keep_default_na=False, na_values=[""]
        )


def read_names(path: Path) -> list[str]:
    """Return the names of a table's columns."""
    with _explain(path):
        if path.suffix == PARQUET:
            return parquet.read_names(path)
        return list(pd.read_csv(path, encoding="utf-8-sig", dtype=str, nrows=0).columns)


def _count_rows(path: Path) -> int:
    """Return how many rows of a table one part has."""
    return max(1, PART_CELLS // max(1, len(read_names(path))))


def _open_parts(path: Path, **options: object) -> Iterator[pd.DataFrame]:
    with pd.read_csv(path, encoding="utf-8-sig", chunksize=_count_rows(path), **options) as parts:
        yield from parts


@contextmanager
def _explain(path: Path) -> Iterator[None]:
    """Say what is wrong with a file that cannot be read as a table."""
    try:
        yield
    except FileNotFoundError:
        raise StageError(f"{path} does not exist: run `make train` to make it") from None
    except UnicodeDecodeError as error:
        raise StageError(f"{path} is not UTF-8 ({error.reason}): save it as UTF-8") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise StageError(f"{path} can't be read as CSV: {error}") from None


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table: equal input gives equal bytes on every system."""
    with open_table(path) as append:
        append(table)


@contextmanager
def open_table(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Give a function that appends rows; the file is there when all of them are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        open_file = parquet.open_writer if path.suffix == PARQUET else _open_csv
        with open_file(unfinished) as append:
            yield append
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _open_csv(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    with path.open("w", encoding="utf-8", newline="") as file:

        def append(table: pd.DataFrame) -> None:
            table.to_csv(file, index=False, lineterminator="\n", header=file.tell() == 0)

        yield append
