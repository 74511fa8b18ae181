"""The raw table in Parquet: read and made longer by the Python of the project's pipeline.

That one has pyarrow, which the stages need for the same table; this one need not.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlgitops.dvc.command import project_environment
from mlgitops.environments import drop_credentials
from mlgitops.errors import MlgitopsError
from mlgitops.process import run_program
from mlgitops.retraining.table import COLUMNAR, CsvTable, read_ids, read_rows, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlgitops.retraining.recipe import Recipe
    from mlgitops.retraining.table import RawTable

_PROGRAM = Path(__file__).with_name("parquet_program.py")
_INTERIM = "data/interim/table.parquet"
_TIMEOUT = 1800.0  # seconds


class ParquetTable:
    """A raw table in Parquet in a folder; the Python that reads it may be of another folder."""

    path = COLUMNAR

    def __init__(self, folder: Path, project: Path | None = None) -> None:
        self._project, self._file = project or folder, folder / COLUMNAR

    def read_header(self) -> tuple[str, ...]:
        """Return the names of the columns; raises for what is no Parquet."""
        return self._describe().names

    def count_rows(self) -> int:
        """Count the rows."""
        return self._describe().rows

    def read_ids(self, column: str) -> set[str]:
        """Return the values of a column as text."""
        names = [name for name in self.read_header() if name.strip() == column]
        if len(names) != 1:
            raise MlgitopsError(f"it has no column {column[:80]!a}", where=str(self._file))
        with tempfile.TemporaryDirectory(prefix="mlgitops-ids-") as folder:
            output = Path(folder) / "ids.csv"
            self._run("cells", self._file, output, names[0])
            return read_ids(output, column)

    def write_like(
        self, folder: Path, recipe: Recipe, rows: Sequence[Sequence[str]]
    ) -> dict[int, str]:
        """Write a table of these columns and types; return the rows that it cannot hold."""
        output, given = folder / COLUMNAR, folder / "rows.csv"
        output.parent.mkdir(parents=True, exist_ok=True)
        write_rows(given, recipe.header, rows)
        words = [self._file, given, output]
        key = [recipe.id_column] if recipe.id_column else []
        misfits: dict[int, str] = _decode(self._run("make", *words, *key), dict[int, str])
        return misfits

    def read_interim(self, folder: Path) -> list[list[str]]:
        """Return what the ingest stage left."""
        output = folder / "interim.csv"
        self._run("cells", folder / _INTERIM, output)
        return read_rows(output)

    def append(self, rows: Iterable[Sequence[str]]) -> None:
        """Make the table longer; columns, types, and the values of the old one stay."""
        with tempfile.TemporaryDirectory(prefix="mlgitops-rows-") as folder:
            given = Path(folder) / "rows.csv"
            write_rows(given, self.read_header(), rows)
            self._run("append", self._file, given)

    def _describe(self) -> _Description:
        description: _Description = _decode(self._run("describe", self._file), _Description)
        return description

    def _run(self, *words: str | Path) -> str:
        environment = drop_credentials(project_environment(self._project))
        command = ["python", "-I", _PROGRAM, *words]
        return run_program(command, env=environment, timeout=_TIMEOUT, hint=_HINT)


class _Description(msgspec.Struct, frozen=True):
    """What is printed of a table."""

    names: tuple[str, ...]
    rows: int


_HINT = "pyarrow must be in requirements/pipeline.txt, and the table be one of Parquet"


def _decode(printed: str, kind: Any) -> Any:  # noqa: ANN401 - of that type
    """Read what the program printed."""
    try:
        return msgspec.json.decode(printed, type=kind)
    except msgspec.DecodeError as error:
        raise MlgitopsError(
            f"it said nothing that can be read: {error}", where=_PROGRAM.name
        ) from error


def open_table(folder: Path, project: Path | None = None) -> RawTable:
    """Return the raw table in a folder; ``project``: whose Python reads it, if no project is there.

    Such a folder has no pipeline environment, and no other Python is sure to have pyarrow.
    """
    is_columnar = (folder / f"{COLUMNAR}.dvc").is_file()
    return ParquetTable(folder, project) if is_columnar else CsvTable(folder)
