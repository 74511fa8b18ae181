"""The person's table: from a CSV or Parquet file to checked rows and a data frame.

In: a file that may be anything. Out: a :class:`Table`, or an error that says what to mend.
Reads one file. What stands in its cells and its header is data, never code.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MlgitopsError
from mlgitops.project.generate.cells import read_cells
from mlgitops.project.generate.columns import NUMBER
from mlgitops.project.generate.parquet_table import ParquetRows, is_parquet, read_columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Fewer rows than this leave too little to train on and to test with.
MIN_ROWS = 40

#: From so many bytes on, a CSV file is said to be better kept as Parquet.
LARGE_CSV = 100_000_000

#: A cell of more characters than this is no cell of a table.
MAX_CELL = 100_000

#: A longer name is no name of a column.
MAX_NAME = 100

#: Marks of the byte order at the start of a file, as Excel's "Unicode text" has it.
_UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_HALF = 2

_EXPORT = "export the table as CSV, UTF-8, with a header line"
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_GZIP = "a gzip archive"
_UNPACK = "unpack it first: gunzip -k {name}"
_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"ARROW1": "an Arrow file",
    b"\x1f\x8b": _GZIP,
    b"SQLite format 3": "a SQLite database",
    b"%PDF": "a PDF",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A checked table: column → its cells as text, an empty one where a value is missing."""

    name: str  # of the file
    columns: dict[str, list[str]]  # as the ingest stage will read them
    raw: dict[str, list[str]]  # as they were written, without blanks around them
    rules: dict[str, dict[str, Any]]  # column → how the ingest stage reads it (contract.yaml)
    notes: tuple[str, ...]  # what was changed on the way, one sentence each
    parquet: ParquetRows | None = None  # where the rows of a Parquet file stand in it

    @property
    def data_format(self) -> str:
        """Return how the project keeps the table: as it came."""
        return "csv" if self.parquet is None else "parquet"

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values())))

    def keep_rows(self, keep: Sequence[bool]) -> Table:
        """Return the table of those rows alone."""
        columns, raw = (
            {name: list(compress(cells, keep)) for name, cells in side.items()}
            for side in (self.columns, self.raw)
        )
        parquet = self.parquet.keep(keep) if self.parquet else None
        return replace(self, columns=columns, raw=raw, parquet=parquet)


def read_table(path: Path) -> Table:
    """Read a CSV file with a header line, or a Parquet file, and bring its cells into one form.

    Raises :class:`MlgitopsError` for what is missing, no CSV, neither UTF-8 nor marked as UTF-16,
    ragged, too short, without a header, or with columns without a name or of the same name; and
    for a Parquet file that is damaged or holds what no cell can.
    """
    parquet, separator = None, ","
    if is_parquet(path):
        header, columns = read_columns(path)
        rows = list(map(list, zip(*columns, strict=True)))
        parquet = ParquetRows(path=path, numbers=range(len(rows)))
    else:
        text = _read_text(path)
        separator = _find_separator(text)
        header, *rows = _parse_rows(text, separator, path)
    names, notes = _check_header(header, path)
    if len(rows) < MIN_ROWS:
        raise MlgitopsError(
            f"{len(rows)} rows are too few to train on and to test with",
            where=str(path),
            hint=f"{MIN_ROWS} are the least",
        )
    if parquet is None:
        _check_is_header(header, rows, path)
        notes += _suggest_parquet(path)
    if separator != ",":
        notes.append(f"The file was separated by {_SEPARATORS[separator]}; commas do it now.")
    raw = {
        name: [cell.strip() for cell in cells]
        for name, cells in zip(names, zip(*rows, strict=True), strict=True)
    }
    readings = {name: read_cells(name, cells, separator) for name, cells in raw.items()}
    return Table(
        name=path.name,
        columns={name: reading.cells for name, reading in readings.items()},
        raw=raw,
        rules={name: reading.rule for name, reading in readings.items() if reading.rule},
        notes=(*notes, *(note for reading in readings.values() for note in reading.notes)),
        parquet=parquet,
    )


def _suggest_parquet(path: Path) -> list[str]:
    size = path.stat().st_size
    if size <= LARGE_CSV:
        return []
    note = (
        f"The table has {size / 1e6:,.0f} MB as CSV, in each version that the storage keeps. As "
        "Parquet it is several times smaller: give such a file to --data, and the project keeps it."
    )
    return [note]


def write_table(table: Table, path: Path) -> None:
    """Write the table as the project keeps it: UTF-8, commas, lines ended by LF; or Parquet.

    The cells are as they came: the next delivery is written in the same way.
    """
    if table.parquet is not None:
        table.parquet.write(path, list(table.raw))
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.raw)
        writer.writerows(zip(*table.raw.values(), strict=True))


def name_project(path: Path) -> str:
    """Return a project's name made from the file's: ``bank_churn-2.csv`` → ``Bank Churn 2``.

    >>> from pathlib import Path
    >>> name_project(Path("data/bank_churn-2.csv"))
    'Bank Churn 2'
    """
    words = re.findall(r"[^\W_]+", path.stem)
    name = " ".join(word[:1].upper() + word[1:] for word in words)[:50].strip()
    return name if name[:1].isalpha() else f"Model {name}".strip()


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise MlgitopsError(
            "this is a folder", where=str(path), hint="give --data a CSV or Parquet file"
        )
    if not path.is_file():
        raise MlgitopsError(
            "there is no such file", where=str(path), hint="give --data a CSV or Parquet file"
        )
    data = path.read_bytes()
    for start, form in _FORMATS.items():
        if data.startswith(start):
            hint = _UNPACK.format(name=path.name) if form == _GZIP else _EXPORT
            raise MlgitopsError(f"this is {form}, not a CSV file", where=str(path), hint=hint)
    for mark, encoding in _UTF_16.items():
        if data.startswith(mark):
            return _decode_utf16(data, encoding, path)
    if b"\0" in data:
        wide = data[:1000].count(b"\0") * _HALF >= len(data[:1000]) - 1
        problem = "UTF-16 without a mark of its byte order" if wide else "a binary file"
        hint = f"convert it: iconv -f UTF-16LE -t UTF-8 {path.name} > utf8.csv" if wide else _EXPORT
        raise MlgitopsError(f"this is {problem}, not a CSV file", where=str(path), hint=hint)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MlgitopsError(
            "the file is not UTF-8",
            where=f"{path}:{line}",
            hint=f"convert it: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8.csv",
        ) from error
    if not text.strip():
        raise MlgitopsError("the file is empty", where=str(path), hint=_EXPORT)
    return text


def _decode_utf16(data: bytes, encoding: str, path: Path) -> str:
    try:
        return data[2:].decode(encoding)
    except UnicodeDecodeError as error:
        raise MlgitopsError(
            "the file says that it is UTF-16, and is not", where=str(path), hint=_EXPORT
        ) from error


def _find_separator(text: str) -> str:
    """Return the separator that cuts the header into the most columns."""
    line = text.lstrip("\r\n").partition("\n")[0]
    return max(_SEPARATORS, key=lambda sign: len(next(csv.reader([line], delimiter=sign))))


def _parse_rows(text: str, separator: str, path: Path) -> list[list[str]]:
    """Return the cells of every line that is not blank, the header's first."""
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row and rows and len(row) != len(rows[0]):
                cells = f"{len(row)} cell{'s' if len(row) > 1 else ''}"
                raise MlgitopsError(
                    f"this line has {cells}, the header {len(rows[0])}",
                    where=f"{path}:{reader.line_num}",
                    hint="put cells that hold the separator or a line break in double quotes",
                )
            rows += [row] if row else []
    except csv.Error as error:
        raise MlgitopsError(
            f"this is no line of a CSV file: {error}",
            where=f"{path}:{reader.line_num}",
            hint="a double quote that opens a cell must close it; one within a cell is doubled",
        ) from error
    return rows


def _check_is_header(header: list[str], rows: list[list[str]], path: Path) -> None:
    """Refuse a first line that is a row like the others: the names would be values.

    Numbers stand in it above numbers, and one has decimals, or a text stands below it again. Years
    as names of columns are names.
    """
    columns = list(zip(*rows, strict=True))
    pairs = list(zip((cell.strip() for cell in header), columns, strict=True))
    numeric = [pair for pair in pairs if all(_is_number(cell) for cell in pair[1] if cell.strip())]
    if not numeric or not all(_is_number(name) for name, _ in numeric):
        return
    texts = [pair for pair in pairs if pair not in numeric]
    again = any(name in cells for name, cells in texts if name)
    decimal = any(not re.fullmatch(r"\d+", name) for name, _ in numeric)
    if again or (decimal and not texts):
        names = ",".join(f"name{number}" for number in range(1, len(header) + 1))
        raise MlgitopsError(
            f"the first line is a row, not a header: {', '.join(header)[:80]}",
            where=f"{path}:1",
            hint=f"put a line with the columns' names above it, such as {names[:80]}",
        )


def _is_number(cell: str) -> bool:
    return re.fullmatch(NUMBER, cell.strip()) is not None


def _check_header(header: list[str], path: Path) -> tuple[list[str], list[str]]:
    """Return the columns' names and what was changed about them."""
    where = f"{path}:1"
    names = [name.strip() for name in header]
    notes = []
    if len(names) < 2:  # noqa: PLR2004 - a target, and something to predict it from
        raise MlgitopsError("this is one column, not a table", where=where, hint=_EXPORT)
    if not names[0] and "row" not in names:
        names[0] = "row"
        notes.append("The first column had no name; it is called 'row' now.")
    for number, name in enumerate(names, start=1):
        if not name:
            raise MlgitopsError(
                f"column {number} has no name",
                where=where,
                hint="give it one in the header, or take the column out of the file",
            )
        if not name.isprintable() or len(name) > MAX_NAME:
            raise MlgitopsError(
                f"{name[:MAX_NAME]!a} cannot be a column's name",
                where=where,
                hint=f"a name has up to {MAX_NAME} characters, all of which can be printed",
            )
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        listed = ", ".join(repr(name) for name in twice)
        raise MlgitopsError(
            f"several columns are called {listed}",
            where=where,
            hint="give each a name of its own in the header",
        )
    return names, notes
