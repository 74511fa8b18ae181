"""Tables of ids and outcomes to pairs: CSV, JSON Lines, Parquet, by the file's ending. Reads disk.

Cells are read as they are written: what they mean is checked where they are taken.
"""

from __future__ import annotations

import csv
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.hints import nearest_name
from mlgitops.monitoring.labels import Given
from mlgitops.monitoring.records import Scalar
from mlgitops.monitoring.sources import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from mlgitops.model.monitoring import LabelSettings
    from mlgitops.monitoring.problems import Problems
    from mlgitops.monitoring.records import Chunk

    Reader = Callable[[Path, LabelSettings, Problems], Iterator[Given]]

_ROWS = msgspec.json.Decoder(dict[str, Scalar])
_CELL = 2**17  # characters


def read_table(path: Path, settings: LabelSettings, problems: Problems) -> Iterator[Given]:
    """Yield the labels of a file; raises :class:`MlgitopsError` when it is no such table."""
    suffixes = path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:]
    reader = _READERS.get("".join(suffixes))
    if reader is None:
        hint = f"its name must end in {', '.join(_READERS)}"
        raise MlgitopsError("its kind is not known", where=str(path), hint=hint)
    if not path.is_file():
        raise MlgitopsError("there is no such file", where=str(path))
    return reader(path, settings, problems)


def _read_csv(path: Path, settings: LabelSettings, problems: Problems) -> Iterator[Given]:
    csv.field_size_limit(_CELL)  # of the whole process: a reader before may have set another
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream, strict=True)
        try:
            header = next(rows, [])
            id_at, outcome_at = (
                _find_column(header, name, path) for name in (settings.id, settings.outcome)
            )
            for row in rows:
                position = f"{path.name}:{rows.line_num}"
                if len(row) == len(header):
                    yield Given(position=position, id=row[id_at], outcome=row[outcome_at])
                elif row:
                    problems.add("it has not as many cells as the header", position)
        except (csv.Error, UnicodeDecodeError) as error:
            where = f"{path}:{rows.line_num + 1}"
            raise MlgitopsError(f"it is no CSV in UTF-8: {error}"[:200], where=where) from error


def _find_column(header: Collection[str], name: str, path: Path) -> int:
    names = list(header)
    if names.count(name) != 1:
        near = nearest_name(name, names)
        hint = f"did you mean `{near}`? Name it: `--id`, `--outcome`, or `labels:` in monitor.yaml"
        problem = f"it has {names.count(name) or 'no'} columns `{name}`"
        raise MlgitopsError(problem, where=str(path), hint=hint if near else None)
    return names.index(name)


def _read_lines(path: Path, settings: LabelSettings, problems: Problems) -> Iterator[Given]:
    for chunk in read_file(path, problems):
        yield from read_chunk(chunk, settings, problems)


def read_chunk(chunk: Chunk, settings: LabelSettings, problems: Problems) -> Iterator[Given]:
    """Yield the labels of lines of JSON objects."""
    for number, line in enumerate(chunk.data.split(b"\n"), start=chunk.first_line):
        position = f"{chunk.where}:{number}"
        if not line.strip():
            continue
        try:
            row = _ROWS.decode(line)
        except (ValueError, RecursionError):
            problems.add("it is no row of JSON", position)
            continue
        yield from read_row(row, settings, position, problems)


def read_row(
    row: Mapping[str, object], settings: LabelSettings, position: str, problems: Problems
) -> Iterator[Given]:
    """Yield the label of a row, if it has both columns."""
    if settings.id in row and settings.outcome in row:
        yield Given(position=position, id=row[settings.id], outcome=row[settings.outcome])
    else:
        problems.add(f"it lacks `{settings.id}` or `{settings.outcome}`", position)


def _read_parquet(path: Path, settings: LabelSettings, problems: Problems) -> Iterator[Given]:
    del problems  # a file is whole, or refused
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [settings.id, settings.outcome]
    try:
        with pq.ParquetFile(path) as file:
            for name in names:
                _find_column(file.schema_arrow.names, name, path)
            rows = chain.from_iterable(
                zip(*(batch[name].to_pylist() for name in names), strict=True)
                for batch in file.iter_batches(columns=names)
            )
            for number, (row_id, outcome) in enumerate(rows, start=1):
                yield Given(position=f"{path.name}, row {number}", id=row_id, outcome=outcome)
    except (pa.ArrowException, OSError) as error:
        problem = f"it is no Parquet: {str(error).splitlines()[0][:120]}"
        raise MlgitopsError(problem, where=str(path)) from error


_READERS: dict[str, Reader] = {
    ".csv": _read_csv,
    ".jsonl": _read_lines,
    ".jsonl.gz": _read_lines,
    ".parquet": _read_parquet,
}
