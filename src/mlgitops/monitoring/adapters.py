"""Logs and labels that lie elsewhere: Parquet, PostgreSQL, a program, KServe's CloudEvents.

In: a source of monitor.yaml. Out: parts that yield chunks of records, as the server's files do, so
that all of them pass the same reader. Reads disk and network, runs programs.
"""

from __future__ import annotations

import glob
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import (
    CommandSource,
    EventSource,
    ParquetSource,
    SqlSource,
    TableSource,
)
from mlgitops.monitoring.events import EventPart
from mlgitops.monitoring.history import shift_day
from mlgitops.monitoring.label_tables import read_chunk, read_table
from mlgitops.monitoring.sources import FIRST_DAY, LAST_DAY, cut_lines
from mlgitops.monitoring.table_rows import encode_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlgitops.model.monitoring import LabelSettings, LogSource
    from mlgitops.monitoring.labels import Given
    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.records import Chunk
    from mlgitops.monitoring.sources import Part

_BATCH = 2000  # rows that are fetched together


@dataclass(frozen=True, kw_only=True)
class CommandPart:
    """What a program prints: lines of JSON; a record of a day that it was not asked for is none."""

    words: tuple[str, ...]
    folder: Path  # in which it runs
    since: str
    until: str

    @property
    def last_day(self) -> str:
        """Return the day before ``until``."""
        return shift_day(self.until, -1)

    def read(self, problems: Problems) -> Iterator[Chunk]:
        """Run the program and yield its lines; raises :class:`MlgitopsError` when it fails."""
        variables = {"MLGITOPS_SINCE": self.since, "MLGITOPS_UNTIL": self.until}
        where, days = self.words[0], (self.since, shift_day(self.until, -1))
        try:
            process = subprocess.Popen(
                self.words,
                cwd=self.folder,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            problem = f"it cannot be started: {error.strerror}"
            raise MlgitopsError(problem, where=where, hint="see monitor.yaml") from error
        with process:
            if process.stdout is not None:
                yield from cut_lines(process.stdout, where, problems, days=days)
        if process.returncode != 0:
            problem = f"it ended with exit code {process.returncode}: what it printed is not used"
            raise MlgitopsError(problem, where=where, hint="see monitor.yaml")


@dataclass(frozen=True, kw_only=True)
class ParquetPart:
    """Files of Parquet, a row each record, in the columns that `table_rows` names."""

    files: tuple[Path, ...]
    since: str
    until: str

    @property
    def last_day(self) -> str:
        """Return the day before ``until``."""
        return shift_day(self.until, -1)

    def read(self, problems: Problems) -> Iterator[Chunk]:
        """Yield the rows of the days; a file that is damaged is counted."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for path in self.files:
            first = 1
            try:
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(batch_size=_BATCH):
                        rows = batch.to_pylist()
                        yield encode_rows(rows, f"{path.name}, row", first, self.since, self.until)
                        first += len(rows)
            except (pa.ArrowException, OSError, ValueError, OverflowError):  # a time of year 100000
                problems.add_file("the file is damaged from there on", f"{path.name}, row {first}")


@dataclass(frozen=True, kw_only=True)
class SqlPart:
    """The rows of a query; it may name the parameters `%(since)s` and `%(until)s`."""

    source: SqlSource
    since: str
    until: str

    @property
    def last_day(self) -> str:
        """Return the day before ``until``."""
        return shift_day(self.until, -1)

    def read(self, problems: Problems) -> Iterator[Chunk]:
        """Yield the rows of the days as records."""
        del problems  # a row that is no record is for the reader to count
        first = 1
        for rows in fetch_rows(self.source, self.since, self.until):
            yield encode_rows(rows, "row of the query", first, self.since, self.until)
            first += len(rows)


def fetch_rows(source: SqlSource, since: str, until: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a query, some at a time, in a transaction that can only read.

    Raises :class:`MlgitopsError` without the address, which may hold a password.
    """
    import psycopg
    from psycopg.rows import dict_row

    address = os.environ.get(source.address)
    if not address:
        hint = f"set it to the address of the database: `export {source.address}=postgresql://…`"
        problem = f"the environment variable {source.address} is not set"
        raise MlgitopsError(problem, where="monitor.yaml", hint=hint)
    named = "%(since)s" in source.query or "%(until)s" in source.query
    values = {"since": since, "until": until} if named else None
    try:
        with psycopg.connect(address, connect_timeout=30) as connection:
            connection.read_only = True
            with connection.cursor("mlgitops", row_factory=dict_row) as cursor:
                cursor.execute(source.query.encode(), values)
                while rows := cursor.fetchmany(_BATCH):
                    yield rows
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0][:200] if error.sqlstate else "no connection"
        hint = f"the address is in {source.address}"
        problem = f"the query cannot be asked: {reason}"
        raise MlgitopsError(problem, where="monitor.yaml", hint=hint) from None


def adapt(source: LogSource, project: Path, since: str, until: str) -> Sequence[Part]:
    """Return the parts of a log that is no folder of the server's."""
    part: Part
    match source:
        case CommandSource(words=words):
            part = CommandPart(words=words, folder=project, since=since, until=until)
        case ParquetSource(parquet=pattern):
            files = tuple(list_files(project, pattern))
            part = ParquetPart(files=files, since=since, until=until)
        case SqlSource():
            part = SqlPart(source=source, since=since, until=until)
        case EventSource(folder=folder, model=model):
            files = tuple(list_files(project, f"{folder}/*.json*"))
            part = EventPart(files=files, model=model, since=since, until=until)
        case _:
            raise MlgitopsError("a folder is read by itself", where="monitor.yaml: source")
    return [part]


def read_label_source(
    settings: LabelSettings, project: Path, problems: Problems
) -> Iterator[Given]:
    """Yield the labels of the source that monitor.yaml names."""
    from mlgitops.monitoring.label_tables import read_row

    match settings.source:
        case TableSource(file=pattern):
            for path in list_files(project, pattern):
                yield from read_table(path, settings, problems)
        case CommandSource(words=words):
            part = CommandPart(words=words, folder=project, since=FIRST_DAY, until=LAST_DAY)
            for chunk in part.read(problems):
                yield from read_chunk(chunk, settings, problems)
        case SqlSource() as source:
            number = 0
            for rows in fetch_rows(source, FIRST_DAY, LAST_DAY):
                for row in rows:
                    number += 1
                    yield from read_row(row, settings, f"row {number} of the query", problems)
        case None:
            return


def list_files(project: Path, pattern: str) -> list[Path]:
    """Return the files that a pattern names, sorted; raises :class:`MlgitopsError` for none."""
    names = glob.glob(str(project / pattern), recursive=True)  # noqa: PTH207 - may be absolute
    paths = sorted(set(names))  # two `**` name a file several times
    if not paths:
        raise MlgitopsError("no file is named so", where=pattern[:200], hint="see monitor.yaml")
    return [project / path for path in paths]
