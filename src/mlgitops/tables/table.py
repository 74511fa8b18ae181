"""A CSV file to a columnar table: what stands in each column, cell by cell, in numpy arrays.

In: a path or bytes, which may come from a pull request. Out: a :class:`Table`, or a
:class:`MlgitopsError` that says what is wrong. Texts are kept as 64-bit identities, so memory
does not grow with their length: about 17 bytes a cell. Reads one file; runs nothing.
"""

from __future__ import annotations

import io
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from msgspec import Struct

from mlgitops.errors import MlgitopsError
from mlgitops.tables.blocks import find_separator, parse_header, split_blocks, split_cells
from mlgitops.tables.columns import ColumnReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from numpy.typing import NDArray

    from mlgitops.tables.blocks import Cells

_T = TypeVar("_T", bound=np.generic)

#: Caps on one table; what is larger is not compared, and the report says so.
MAX_BYTES = 2**30
MAX_CELLS = 40_000_000  # about 700 MB in memory

_HINT = "write the table as CSV, UTF-8, with a header line"
_FORMATS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\x1f\x8b": "a gzip archive",
    b"SQLite format 3": "a SQLite database",
    b"%PDF": "a PDF",
    b"version https://git-lfs.github.com/spec/": "a pointer of Git LFS",
}


class ColumnKind(StrEnum):
    """What a column holds; decided by every cell that is not missing."""

    NUMBER = "number"
    BOOLEAN = "boolean"  # true and false, yes and no; 0 and 1 are numbers
    DATE = "date"  # text that begins with a day, such as 2013-07-31
    TEXT = "text"
    EMPTY = "empty"  # every cell is missing


class Column(Struct, frozen=True, kw_only=True, eq=False):
    """One column; every array has one entry per row."""

    name: str
    kind: ColumnKind
    missing: NDArray[np.bool_]
    identity: NDArray[np.uint64]  # equal for equal text, within this process only
    values: NDArray[np.float64] | None  # numbers, or days since 1970; NaN where missing
    levels: dict[int, str] | None  # identity → text; None: over MAX_LEVELS different ones

    @property
    def missing_share(self) -> float:
        """Return the fraction of rows without a value."""
        return float(self.missing.mean()) if self.missing.size else 0.0


class Table(Struct, frozen=True, kw_only=True, eq=False):
    """A whole table: name → column, in the file's order."""

    columns: dict[str, Column]
    rows: int


def read_table(
    source: Path | bytes, *, where: str | None = None, max_cells: int = MAX_CELLS
) -> Table:
    """Read a table from a CSV file, or from the bytes of one; ``where`` names it in messages.

    The separator is the comma, semicolon, tab or bar that the header holds most often.
    Raises :class:`MlgitopsError` when the file is no table, is not UTF-8, has ragged rows,
    several columns of one name, or exceeds a cap.
    """
    where = where or (str(source) if isinstance(source, Path) else "table")
    try:
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
            return _read(stream, where, max_cells)
    except OSError as error:
        raise MlgitopsError(f"cannot be read: {error.strerror}", where=where) from error


def _read(stream: BinaryIO, where: str, max_cells: int) -> Table:
    _check_file(stream, where)
    blocks = split_blocks(stream, where)
    first = next(blocks, None)
    if first is None or not first.strip():
        raise MlgitopsError("the file is empty", where=where, hint=_HINT)
    separator = find_separator(first)
    names, body = parse_header(first, separator, where)
    readers = [ColumnReader() for _ in names]
    rows = 0
    for cells in _split(_chain(body, blocks), separator, len(names), where):
        rows += cells.starts.shape[1]
        if rows * len(names) > max_cells:
            raise MlgitopsError(f"over {max_cells:,} cells", where=where)
        for at, reader in enumerate(readers):
            reader.add(cells.buffer, cells.starts[at], cells.lengths[at])
    columns = {name: _finish(name, reader) for name, reader in zip(names, readers, strict=True)}
    return Table(columns=columns, rows=rows)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _split(blocks: Iterator[bytes], separator: int, columns: int, where: str) -> Iterator[Cells]:
    """Yield the cells of each block that holds any."""
    rows = 0
    for block in blocks:
        cells = split_cells(block, separator, columns, rows, where)
        if cells is not None:
            rows += cells.starts.shape[1]
            yield cells


def _check_file(stream: BinaryIO, where: str) -> None:
    start = stream.read(64)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    for mark, form in _FORMATS.items():
        if start.startswith(mark):
            raise MlgitopsError(f"this is {form}, not a CSV file", where=where, hint=_HINT)
    if size > MAX_BYTES:
        raise MlgitopsError(f"{size:,} bytes; at most {MAX_BYTES:,} are read", where=where)


_BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})


def _finish(name: str, reader: ColumnReader) -> Column:
    """Decide what the column holds, now that every cell has been seen."""
    kind, values = ColumnKind.TEXT, None
    if reader.is_empty:
        kind = ColumnKind.EMPTY
    elif reader.numbers is not None:
        kind, values = ColumnKind.NUMBER, _join(reader.numbers, np.float64)
    elif reader.days is not None:
        kind, values = ColumnKind.DATE, _join(reader.days, np.float64)
    elif reader.levels is not None:
        texts = {text.lower() for text in reader.levels.values()}
        kind = ColumnKind.BOOLEAN if any(texts <= pair for pair in _BOOLEANS) else kind
    return Column(
        name=name,
        kind=kind,
        missing=_join(reader.missing, np.bool_),
        identity=_join(reader.identity, np.uint64),
        values=values,
        levels=reader.levels,
    )


def _join(parts: list[NDArray[_T]], kind: type[_T]) -> NDArray[_T]:
    """Join the blocks of a column, which are freed on the way."""
    joined = np.concatenate(parts) if parts else np.zeros(0, dtype=kind)
    parts.clear()
    return joined
