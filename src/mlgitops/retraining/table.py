"""The raw table, longer by new rows: written whole beside the old one, then put in its place.

CSV; of one in Parquet :mod:`mlgitops.retraining.parquet` does the same. Where the project names no
id, the ids of the requests whose rows were appended stand in a file of their own beside the table,
kept by DVC as the table is. Reads and writes disk.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mlgitops.retraining.recipe import Recipe

#: In a project's folder; a project has either.
TABLE, COLUMNAR = "data/raw/table.csv", "data/raw/table.parquet"
_INTERIM = "data/interim/table.csv"
#: Ids of the log whose rows were appended to a table that has no ids of its own.
APPENDED = "data/raw/appended.csv"
_ID = "id"
_OID = re.compile(r"^- md5: ([0-9a-f]{32})$", re.MULTILINE)
#: A whole number in a column that once had gaps, as pandas writes it; a request has it without.
_FLOATED = re.compile(r"[0-9]+\.0", re.ASCII)
_ROW = 2**20  # characters of one cell


class RawTable(Protocol):
    """The raw table of a project that is checked out."""

    path: str  # in the project's folder

    def read_header(self) -> tuple[str, ...]:
        """Return the names of the columns as they are written."""

    def count_rows(self) -> int:
        """Count the rows, without a header."""

    def read_ids(self, column: str) -> set[str]:
        """Return the values of a column."""

    def write_like(
        self, folder: Path, recipe: Recipe, rows: Sequence[Sequence[str]]
    ) -> dict[int, str]:
        """Write such a table with other rows into a folder, at the same path.

        Return the position of each row that it cannot hold, with the reason: with any of them
        nothing is written.
        """

    def read_interim(self, folder: Path) -> list[list[str]]:
        """Return what the ingest stage left in a folder, the header first."""

    def append(self, rows: Iterable[Sequence[str]]) -> None:
        """Put a longer table in the place of the old one in one step."""


class CsvTable:
    """A raw table in CSV, of the project in a folder."""

    path = TABLE

    def __init__(self, project: Path) -> None:
        self._file = project / TABLE

    def read_header(self) -> tuple[str, ...]:
        """Return the names of the columns; raises for what is no CSV."""
        return next(_read_rows(self._file), ())

    def count_rows(self) -> int:
        """Count the rows."""
        return max(0, sum(1 for _ in _read_rows(self._file)) - 1)

    def read_ids(self, column: str) -> set[str]:
        """Return the values of a column."""
        return read_ids(self._file, column)

    def write_like(
        self, folder: Path, recipe: Recipe, rows: Sequence[Sequence[str]]
    ) -> dict[int, str]:
        """Write a table: CSV holds whatever a cell is."""
        write_rows(folder / TABLE, recipe.header, rows)
        return {}

    def read_interim(self, folder: Path) -> list[list[str]]:
        """Return what the ingest stage left."""
        return read_rows(folder / _INTERIM)

    def append(self, rows: Iterable[Sequence[str]]) -> None:
        """Make the table longer; every byte of the old one stays."""
        append_rows(self._file, rows)


def choose_table(has_pointer: Callable[[str], bool]) -> str | None:
    """Return the path of the table whose `.dvc` file is there; None without one.

    Raises :class:`MlgitopsError` where both are: which of them the pipeline reads is not known.
    """
    paths = [path for path in (TABLE, COLUMNAR) if has_pointer(f"{path}.dvc")]
    if len(paths) > 1:
        hint = "`dvc remove` that which the pipeline does not read"
        raise MlgitopsError("there are two tables", where=" and ".join(paths), hint=hint)
    return paths[0] if paths else None


def read_pointer(data: bytes | None, where: str) -> str:
    """Return the md5 that a `.dvc` file names; raises :class:`MlgitopsError` without one."""
    match = _OID.search((data or b"").decode("utf-8", "replace"))
    if match is None:
        raise MlgitopsError("it names no md5 of the table", where=where)
    return match[1]


def read_ids(path: Path, column: str) -> set[str]:
    """Return the values of a column."""
    rows = _read_rows(path)
    names = [name.strip() for name in next(rows, ())]
    if names.count(column) != 1:
        raise MlgitopsError(f"it has no column {column[:80]!a}", where=str(path))
    at = names.index(column)
    cells = [row[at] for row in rows if len(row) > at]
    bare = [cell.strip() for cell in cells]  # the ingest stage drops blanks around one
    return {*cells, *bare, *(cell[:-2] for cell in bare if _FLOATED.fullmatch(cell))}


def read_taken(project: Path, table: RawTable, columns: Iterable[str]) -> set[str]:
    """Return the ids of the log whose rows the table has; ``columns``: those that hold ids.

    A project may have named its ids since, or have ceased to: then both places have some.
    """
    appended = project / APPENDED
    ids = read_ids(appended, _ID) if appended.is_file() else set()
    return ids.union(*(table.read_ids(column) for column in columns))


def append_ids(project: Path, ids: Iterable[str]) -> None:
    """Add ids to the file beside the table, which is made where there is none."""
    path = project / APPENDED
    if not path.is_file():
        write_rows(path, (_ID,), ())
    append_rows(path, ((row_id,) for row_id in ids))


def append_rows(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Put a longer table in the place of ``path`` in one step; the old one keeps every byte."""
    newline = _find_newline(path)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        shutil.copyfile(path, name)  # not a link: DVC's cache may share the old one's bytes
        with Path(name).open("a", encoding="utf-8", newline="") as stream:
            if not _ends_in_newline(path):
                stream.write(newline)
            csv.writer(stream, lineterminator=newline).writerows(rows)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a small table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_rows(path: Path) -> list[list[str]]:
    """Return all rows of a small table, the header first."""
    return [list(row) for row in _read_rows(path)]


def _read_rows(path: Path) -> Iterator[tuple[str, ...]]:
    csv.field_size_limit(_ROW)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream, strict=True)
        try:
            yield from map(tuple, rows)
        except (csv.Error, UnicodeDecodeError) as error:
            where = f"{path}:{rows.line_num + 1}"
            raise MlgitopsError(f"it is no CSV in UTF-8: {error}"[:200], where=where) from error


def _find_newline(path: Path) -> str:
    with path.open("rb") as stream:
        return "\r\n" if stream.readline().endswith(b"\r\n") else "\n"


def _ends_in_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size == 0:
            return True
        stream.seek(size - 1)
        return stream.read() == b"\n"
