"""A person's table in Parquet: its cells as text, and its rows to a file again. pyarrow, an extra.

The texts are those that the project's own stages make of the file, and that pandas writes into a
CSV file, but for moments at midnight: what is inferred of them fits either.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import compress
from typing import TYPE_CHECKING, Any

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_START = b"PAR1"
#: Types of Arrow beside the plain ones whose values have a text.
_TEXT_EXTENSIONS = frozenset(["arrow.uuid", "arrow.json", "arrow.bool8"])


@dataclass(frozen=True, kw_only=True)
class ParquetRows:
    """Rows of a Parquet file, by their numbers from 0."""

    path: Path
    numbers: Sequence[int]

    def keep(self, keep: Sequence[bool]) -> ParquetRows:
        """Return those of the rows alone."""
        return replace(self, numbers=list(compress(self.numbers, keep)))

    def write(self, path: Path, names: Sequence[str]) -> None:
        """Write the rows with their types, the columns under these names."""
        import pyarrow.parquet as pq

        with _open(self.path) as file:
            rows = file.read()
        if len(self.numbers) < len(rows):
            rows = rows.take(self.numbers)
        kept = rows.rename_columns(list(names)).replace_schema_metadata()
        pq.write_table(kept, path, compression="zstd")


def is_parquet(path: Path) -> bool:
    """Tell whether a file begins as Parquet does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_START)) == _START


def read_columns(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return a file's names of columns, and the cells of each as text, empty where missing.

    Raises :class:`MlgitopsError` without pyarrow, for a damaged file, and for columns of what is
    neither text nor a number nor a date.
    """
    with _open(path) as file:
        table = file.read()
    names: list[str] = table.column_names
    columns = zip(names, table.columns, strict=True)
    return names, [_write_cells(column, name, path) for name, column in columns]


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MlgitopsError(
            "Reading Parquet needs pyarrow", where=str(path),
            hint="install mlgitops[parquet], or export the table as CSV",
        ) from None  # fmt: skip
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise MlgitopsError(
            f"this Parquet file cannot be read: {reason}", where=str(path), hint="write it again"
        ) from None


def _write_cells(column: Any, name: str, path: Path) -> list[str]:  # noqa: ANN401 - untyped
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not _has_text(kind):
        raise MlgitopsError(
            f"column {name!a:.80} holds {kind}",
            where=str(path),
            hint="a table for a model holds text, numbers and dates",
        )
    cells = column.cast(kind) if kind != column.type else column
    if pa.types.is_floating(kind):
        numbers = cells.to_numpy()
        return ["" if number != number else str(number) for number in numbers]  # noqa: PLR0124 (NaN)
    return ["" if value is None else _write(value) for value in cells.to_pylist()]


def _has_text(kind: Any) -> bool:  # noqa: ANN401 - untyped
    """Tell whether values of a type have a text: not lists, bytes, or what only a library knows."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return kind.extension_name in _TEXT_EXTENSIONS
    tests = ("nested", "binary", "large_binary", "fixed_size_binary", "binary_view")
    return not any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _write(value: object) -> str:
    """Return a value as text; a moment as ISO 8601 with a blank."""
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
