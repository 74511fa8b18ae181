"""Bytes of a CSV file to the places of its cells, one block of whole rows at a time.

The form is RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180): a cell in double quotes may hold
separators and line breaks, and a doubled quote stands for one. Pure but for reading a stream.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from numpy.typing import NDArray

#: Most columns, and most bytes of one row; whatever is larger is not a table that we compare.
MAX_COLUMNS = 2_000
MAX_ROW_BYTES = 2**23
MAX_NAME = 200

#: Zero bytes behind each block, so that a fixed window can be read from any cell's start.
PADDING = 64

_BLOCK = 2**22
_SEPARATORS = b",;\t|"
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
_HINT = "write the table as CSV, UTF-8, with a header line"


class Cells(Struct, frozen=True, kw_only=True, eq=False):
    """Where the cells of a block stand: `starts` and `lengths` are columns x rows."""

    buffer: NDArray[np.uint8]  # the block, and PADDING zero bytes behind it
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


def split_blocks(stream: BinaryIO, where: str) -> Iterator[bytes]:
    """Yield the file in blocks that end with a row; each is checked to be UTF-8 text."""
    rest, first, rows = b"", True, 0
    while True:
        read = stream.read(_BLOCK)
        block = rest + (read or (b"\n" if rest and not rest.endswith(b"\n") else b""))
        if first:
            block, first = block.removeprefix(codecs.BOM_UTF8), False
        end = _find_end(block)
        if end:
            _check_text(block[:end], rows, where)
            yield block[:end]
            rows += block.count(b"\n", 0, end)
        rest = block[end:]
        if not read:
            break
        if len(rest) > MAX_ROW_BYTES:
            raise _no_end(rows, where)
    if rest:
        raise _no_end(rows, where)


def find_separator(block: bytes) -> int:
    """Find the byte that cuts the first line into the most cells; a comma when none does."""
    line = block[: block.index(b"\n")]
    return max(_SEPARATORS, key=lambda sign: (line.count(sign), -_SEPARATORS.index(sign)))


def parse_header(block: bytes, separator: int, where: str) -> tuple[list[str], bytes]:
    """Return the columns' names and what follows them in the block."""
    end = int(_find_row_ends(block[:MAX_ROW_BYTES])[0]) + 1
    try:
        text = block[:end].decode().rstrip("\r\n")
        names = next(csv.reader([text], delimiter=chr(separator), strict=True), [])
    except csv.Error as error:
        raise MlgitopsError(f"the header is not CSV: {error}", where=where, hint=_HINT) from error
    names = [name.strip() for name in names]
    if not any(names):
        raise MlgitopsError("the header is empty", where=where, hint=_HINT)
    if len(names) > MAX_COLUMNS:
        raise MlgitopsError(f"{len(names):,} columns; at most {MAX_COLUMNS:,}", where=where)
    named = [name or f"column {at}" for at, name in enumerate(names, start=1)]
    twice = [name for name, count in Counter(named).items() if count > 1]
    if twice:
        raise MlgitopsError(f"several columns are called {twice[0][:60]!r}", where=where)
    if any(len(name) > MAX_NAME for name in named):
        raise MlgitopsError(f"a column's name has over {MAX_NAME} characters", where=where)
    return named, block[end:]


def split_cells(block: bytes, separator: int, columns: int, row: int, where: str) -> Cells | None:
    """Find every cell of a block; None when it holds blank lines only.

    ``row`` is the number of rows before it, for messages.
    """
    buffer = np.frombuffer(block + bytes(PADDING), dtype=np.uint8)
    data = buffer[: len(block)]
    quoted = b'"' in block
    ends = _find_ends(data, separator, quoted=quoted)
    starts = np.empty_like(ends)
    starts[:1], starts[1:] = 0, ends[:-1] + 1
    lengths = ends - starts
    last = data[ends] == _NEWLINE
    if b"\r" in block:
        lengths -= last & (lengths > 0) & (data[ends - 1] == _RETURN)
    blank = _find_blank(last, lengths)
    if blank.any():
        starts, lengths, last = starts[~blank], lengths[~blank], last[~blank]
    if not last.size:
        return None
    _check_shape(last, columns, row, where)
    if quoted:
        _check_quotes(starts, lengths, buffer, row, columns, where=where)
        starts, lengths, buffer = _unquote(starts, lengths, buffer)
    shape = (-1, columns)
    return Cells(
        buffer=buffer,
        starts=np.ascontiguousarray(starts.reshape(shape).T),
        lengths=np.ascontiguousarray(lengths.reshape(shape).T),
    )


def _find_ends(data: NDArray[np.uint8], separator: int, *, quoted: bool) -> NDArray[np.int64]:
    """Find the separators and line ends that stand outside of quotes."""
    ends = (data == separator) | (data == _NEWLINE)
    if quoted:
        inside = np.cumsum(data == _QUOTE, dtype=np.uint8) & 1  # wraps, and parity survives
        ends &= inside == 0
    return np.flatnonzero(ends)


def _find_blank(last: NDArray[np.bool_], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find the lines that hold nothing at all."""
    begins = np.empty_like(last)
    begins[:1], begins[1:] = True, last[:-1]
    return np.asarray(begins & last & (lengths == 0))


def _check_shape(last: NDArray[np.bool_], columns: int, row: int, where: str) -> None:
    """Refuse a block in which a row has more or fewer cells than the header."""
    ends = np.flatnonzero(last)
    counts = np.diff(ends, prepend=-1)
    ragged = np.flatnonzero(counts != columns)
    if ragged.size:
        at = int(ragged[0])
        raise MlgitopsError(
            f"row {row + at + 1:,} has {int(counts[at]):,} cells, the header {columns:,}",
            where=where,
            hint="put cells that hold the separator or a line break in double quotes",
        )


def _check_quotes(
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    buffer: NDArray[np.uint8],
    row: int,
    columns: int,
    *,
    where: str,
) -> None:
    """Refuse a cell that holds a quote and is not in quotes."""
    odd = np.flatnonzero(
        (_count_quotes(starts, lengths, buffer) > 0) & ~_find_quoted(starts, lengths, buffer)
    )
    if odd.size:
        at = row + int(odd[0]) // columns + 1
        hint = "put the whole cell in double quotes, and double each quote inside"
        raise MlgitopsError(f"row {at:,} has a quote inside a cell", where=where, hint=hint)


def _count_quotes(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], buffer: NDArray[np.uint8]
) -> NDArray[np.int64]:
    totals = np.concatenate([[0], np.cumsum(buffer == _QUOTE)])
    return np.asarray(totals[starts + lengths] - totals[starts])


def _find_quoted(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], buffer: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    first, final = buffer[starts] == _QUOTE, buffer[starts + lengths - 1] == _QUOTE
    return np.asarray(first & final & (lengths > 1))


def _unquote(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], buffer: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Take the quotes around cells away; cells with quotes inside are written anew, behind."""
    counts, whole = _count_quotes(starts, lengths, buffer), _find_quoted(starts, lengths, buffer)
    starts, lengths = starts + whole, lengths - 2 * whole
    more: list[bytes] = []
    size = buffer.size - PADDING
    raw = buffer.tobytes()
    for at in np.flatnonzero(counts > 2).tolist():  # noqa: PLR2004 - more than the outer two
        text = raw[starts[at] : starts[at] + lengths[at]].replace(b'""', b'"')
        starts[at], lengths[at] = size, len(text)
        more.append(text)
        size += len(text)
    if more:
        joined = raw[: buffer.size - PADDING] + b"".join(more) + bytes(PADDING)
        buffer = np.frombuffer(joined, dtype=np.uint8)
    return starts, lengths, buffer


def _find_end(block: bytes) -> int:
    """Find where the last whole row of a block ends: behind a line end outside of quotes."""
    if b'"' not in block:
        return block.rfind(b"\n") + 1
    ends = _find_row_ends(block)
    return int(ends[-1]) + 1 if ends.size else 0


def _find_row_ends(block: bytes) -> NDArray[np.int64]:
    data = np.frombuffer(block, dtype=np.uint8)
    return _find_ends(data, _NEWLINE, quoted=b'"' in block)


def _check_text(block: bytes, rows: int, where: str) -> None:
    if b"\0" in block:
        raise MlgitopsError("this is a binary file, not a CSV file", where=where, hint=_HINT)
    try:
        block.decode()
    except UnicodeDecodeError as error:
        line = rows + block.count(b"\n", 0, error.start) + 1
        hint = "convert it, for example: iconv -f WINDOWS-1252 -t UTF-8"
        raise MlgitopsError(f"line {line:,} is not UTF-8", where=where, hint=hint) from error


def _no_end(rows: int, where: str) -> MlgitopsError:
    problem = (
        f"the row that begins in line {rows + 1:,} has no end, or over {MAX_ROW_BYTES:,} bytes"
    )
    return MlgitopsError(problem, where=where, hint="is a double quote not closed?")
