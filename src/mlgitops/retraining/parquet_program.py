"""Rows of a Parquet table, for the Python of a project's pipeline: the only one with pyarrow.

    python -I parquet_program.py describe TABLE
    python -I parquet_program.py cells TABLE OUTPUT.csv [COLUMN]
    python -I parquet_program.py make TABLE ROWS.csv OUTPUT [ID]
    python -I parquet_program.py append TABLE ROWS.csv

`describe` prints the columns' names and the number of rows as JSON, `cells` writes the cells of a
table, or of one column of it, as text. `make` writes new rows in the columns and types of a table,
and prints, as JSON, position → reason of those that no such table holds: with any of them nothing
is written. `append` puts a table that is longer by new rows in the place of the old one, in one
step. Rows are CSV with a header; an empty cell is a missing value. A table is read and written in
parts. Nothing but the standard library and pyarrow may be imported.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PART_CELLS = 1_000_000
_ROW = 2**20  # characters of one cell
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
#: Of a second six digits: Python's moments have no more, and would cut them. No other form of ISO
#: 8601: of a number it would make a moment, of milliseconds since 1970 one of long ago.
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6}0*)?)?", re.ASCII)
_MOMENT = re.compile(rf"\d{{4}}-\d\d-\d\d([T ]{_TIME.pattern}(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_FLAGS = {"true": True, "false": False, "1": True, "0": False}
_MOST_SEEN = 100_000  # texts of a column that are remembered
_MOST_DIGITS = 76  # of the widest decimal


def main(arguments: Sequence[str]) -> None:
    """Carry out one command."""
    command, table, *more = arguments
    commands: dict[str, Callable[..., None]] = {
        "describe": _describe,
        "cells": _write_cells,
        "make": _make,
        "append": append,
    }
    commands[command](Path(table), *more)


def _describe(table: Path) -> None:
    with _open(table) as file:
        names = file.schema_arrow.names
        _say({"names": names, "rows": file.metadata.num_rows})


def _say(content: object) -> None:
    sys.stdout.write(json.dumps(content))


def _write_cells(table: Path, output: str, column: str | None = None) -> None:
    """Write cells as text: of the columns of ids and of the ingest stage, which are text itself."""
    with _open(table) as file, Path(output).open("w", encoding="utf-8", newline="") as stream:
        columns = None if column is None else [column]
        names = columns or file.schema_arrow.names
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for batch in file.iter_batches(_count_rows(names), columns=columns):
            cells = [batch.column(name).to_pylist() for name in names]
            texts = (
                ("" if cell is None else str(cell) for cell in row)
                for row in zip(*cells, strict=True)
            )
            writer.writerows(texts)


def _make(table: Path, rows: str, output: str, key: str | None = None) -> None:
    """Write new rows in the types of a table, or print which of them it cannot hold."""
    misfits: dict[int, str] = {}
    with _open(table) as file:
        schema = file.schema_arrow
    holders = [_Holder(field, is_key=field.name.strip() == key) for field in schema]
    for start, part in _read_parts(Path(rows), schema):
        for holder, cells in zip(holders, zip(*part, strict=True), strict=True):
            for at, cell in enumerate(cells, start):
                if holder.find_misfit(cell):
                    misfits.setdefault(at, holder.find_misfit(cell))
    if not misfits:
        with pq.ParquetWriter(output, schema, compression="zstd") as writer:
            for _, part in _read_parts(Path(rows), schema):
                writer.write_batch(_make_batch(part, schema, holders))
    _say(misfits)


def append(table: Path, rows: str) -> None:
    """Put a table that is longer by these rows in the place of the old one."""
    with _open(table) as file:
        schema, before, added = file.schema_arrow, file.metadata.num_rows, 0
        holders = [_Holder(field) for field in schema]
        with _replace(table) as unfinished:
            with pq.ParquetWriter(unfinished, schema, compression=_find_codec(file)) as writer:
                for batch in file.iter_batches(_count_rows(schema.names)):
                    writer.write_batch(batch)
                for _, part in _read_parts(Path(rows), schema):
                    writer.write_batch(_make_batch(part, schema, holders))
                    added += len(part)
            written = pq.read_metadata(unfinished).num_rows
            if written != before + added:
                raise SystemExit(f"{written} rows were written of {before} and {added} new ones")


class _Holder:
    """What a column makes of the text of a cell; each text is asked about once."""

    def __init__(self, field: Any, *, is_key: bool = False) -> None:  # noqa: ANN401 - untyped
        self._field, self._is_key = field, is_key
        is_dictionary = pa.types.is_dictionary(field.type)
        self._kind = field.type.value_type if is_dictionary else field.type
        self._read = _find_reader(self._kind)
        self._seen: dict[str, tuple[object, str]] = {}

    def hold(self, text: str) -> tuple[object, str]:
        """Return a value, and why there is none, empty where there is one."""
        if text not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            try:
                self._seen[text] = self._convert(text), ""
            except (ValueError, TypeError, ArithmeticError, pa.ArrowException):
                problem = f"{self._field.name}: {self._field.type} cannot hold it"
                self._seen[text] = None, problem if text else f"{self._field.name}: it is empty"
        return self._seen[text]

    def find_misfit(self, text: str) -> str:
        return self.hold(text)[1]

    def make_array(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - untyped
        """Return a column of cells; raises :class:`SystemExit` for one that it cannot hold."""
        problem = next(filter(None, map(self.find_misfit, texts)), None)
        if problem:
            raise SystemExit(problem)
        values = pa.array([self.hold(text)[0] for text in texts], self._kind)
        return values if values.type == self._field.type else values.cast(self._field.type)

    def _convert(self, text: str) -> object:
        """Return the value of a cell; an error where it would be read as another text."""
        if not text:
            if self._field.nullable and not self._is_key:
                return None
            raise ValueError
        value = self._read(text)
        kept = pa.scalar(value, self._kind).as_py()
        if self._is_key and str(kept) != text:  # else its row would be appended each time
            raise ValueError
        if pa.types.is_floating(self._kind):
            if not math.isfinite(kept):
                raise ValueError
        elif kept != value:  # parts of a second, where the column has none
            raise ValueError
        return value


def _find_reader(kind: Any) -> Callable[[str], Any]:  # noqa: ANN401 - untyped
    """Return what makes a value of this type from a text, or raises."""
    if isinstance(kind, pa.BaseExtensionType):
        return UUID if kind.extension_name == "arrow.uuid" else _refuse
    readers: dict[str, Callable[[str], Any]] = {
        "is_boolean": lambda text: (
            _FLAGS[text.lower()] if text.lower() in _FLAGS else _refuse(text)
        ),
        "is_integer": _read_whole,
        "is_floating": _read_number,
        "is_decimal": _read_decimal,
        "is_date": _read_day,
        "is_timestamp": partial(_read_moment, has_zone=getattr(kind, "tz", None) is not None),
        "is_time": _read_time,
        "is_string": str,
        "is_large_string": str,
        "is_string_view": str,
    }
    return next((read for name, read in readers.items() if getattr(pa.types, name)(kind)), _refuse)


def _refuse(text: str) -> Any:  # noqa: ANN401 - it never returns
    raise ValueError(text)


def _read_number(text: str) -> float:
    return float(text) if _NUMBER.fullmatch(text) else _refuse(text)


def _read_decimal(text: str) -> Decimal:
    """Return a number of no more digits than any column has."""
    number = Decimal(text) if _NUMBER.fullmatch(text) else _refuse(text)
    if number and not -_MOST_DIGITS <= number.adjusted() <= _MOST_DIGITS:
        _refuse(text)
    return number


def _read_whole(text: str) -> int:
    """Return a whole number; a log may write it as `3.0`."""
    number = _read_decimal(text)
    return int(number) if number == int(number) else _refuse(text)


def _read_day(text: str) -> dt.date:
    moment = _read_moment(text, has_zone=False)
    return moment.date() if moment.time() == dt.time() else _refuse(text)


def _read_time(text: str) -> dt.time:
    return dt.time.fromisoformat(text if _TIME.fullmatch(text) else _refuse(text))


def _read_moment(text: str, *, has_zone: bool) -> dt.datetime:
    """Return a moment; one without a zone is UTC."""
    moment = dt.datetime.fromisoformat(text if _MOMENT.fullmatch(text) else _refuse(text))
    aware = moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return aware if has_zone else aware.replace(tzinfo=None)


def _make_batch(part: Sequence[Sequence[str]], schema: Any, holders: Sequence[_Holder]) -> Any:  # noqa: ANN401
    columns = zip(holders, zip(*part, strict=True), strict=True)
    arrays = [holder.make_array(cells) for holder, cells in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _read_parts(path: Path, schema: Any) -> Iterator[tuple[int, list[list[str]]]]:  # noqa: ANN401
    """Yield new rows in parts, with the number of rows before each."""
    csv.field_size_limit(_ROW)
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream, strict=True)
        if next(rows) != schema.names:
            raise SystemExit(f"{path}: its columns are not those of the table")
        start = 0
        while part := list(islice(rows, _count_rows(schema.names))):
            yield start, part
            start += len(part)


def _count_rows(names: Sequence[str]) -> int:
    return max(1, _PART_CELLS // max(1, len(names)))


def _find_codec(file: Any) -> str:  # noqa: ANN401 - untyped
    """Return how the table is compressed, as its first column is."""
    if not file.metadata.num_row_groups:
        return "zstd"
    codec = file.metadata.row_group(0).column(0).compression.lower()
    return "none" if codec == "uncompressed" else codec


@contextmanager
def _open(table: Path) -> Iterator[Any]:
    try:
        with pq.ParquetFile(table, pre_buffer=False) as file:
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise SystemExit(f"{table.name}: several columns have one name")
            yield file
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise SystemExit(f"{table.name} cannot be read as Parquet: {reason}") from None


@contextmanager
def _replace(path: Path) -> Iterator[Path]:
    """Give a file beside another one, which takes its place at the end; the old one's bytes stay.

    DVC's cache may share them.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        yield Path(name)
        with Path(name).open("rb+") as stream:
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
