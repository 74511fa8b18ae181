"""Read the predictions of one model: a CSV or Parquet file to checked columns.

One row per test example: `id,target,prediction`, then `score` (binary: the probability of the
positive class) or one `score_<class>` column per class, then any columns to slice or cluster
by. The file may come from a pull request: sizes are capped, and whatever cannot be read is a
:class:`MlgitopsError` that names the row.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    #: A column: whole numbers, floats, or UTF-8 bytes.
    Column = NDArray[Any]

#: Caps on what is read: bytes of one file (uncompressed), rows, columns, bytes of one text.
MAX_BYTES = 4 * 2**30
MAX_ROWS = 50_000_000
MAX_COLUMNS = 1_200
MAX_TEXT = 256

_REQUIRED = ("id", "target", "prediction")
_FORMAT = "the header is id,target,prediction,score,… (see the reference of predictions.csv)"


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What one model said of each test row; every column has one entry per row."""

    id: Column
    target: Column
    prediction: Column
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # class → score
    columns: Mapping[str, Column] = field(default_factory=dict)  # to slice or cluster by

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return int(self.id.shape[0])


def read_predictions(source: Path | bytes, *, where: str | None = None) -> Predictions:
    """Read predictions from a file (`.csv`, `.parquet`) or from the bytes of one.

    ``where`` names the source in messages. Binary scores are found under the class "".
    Raises MlgitopsError when the file is too large, damaged, empty, or lacks a column.
    """
    where = where or (str(source) if isinstance(source, Path) else "predictions")
    try:
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
            parquet = stream.read(4) == b"PAR1"
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            if size > MAX_BYTES:
                raise MlgitopsError(
                    f"The predictions are too large: {size:,} bytes", where=where,
                    hint=f"at most {MAX_BYTES:,} bytes are read: compare on a sample of the rows",
                )  # fmt: skip
            if parquet or where.endswith(".parquet"):
                from mlgitops.parquet import read_columns

                return _assemble(read_columns(stream, where), where)
            return _assemble(_read_csv(source, stream, where), where)
    except OSError as error:
        raise MlgitopsError(f"Cannot read the predictions: {error.strerror}", where=where) from None


def _assemble(table: dict[str, Column], where: str) -> Predictions:
    """Give the columns their roles; whole numbers are kept in as few bytes as they need."""
    scores = {
        name.removeprefix("score").removeprefix("_"): _as_score(column, name, where)
        for name, column in table.items()
        if name == "score" or name.startswith("score_")
    }
    rest = {
        name: shrink(column)
        for name, column in table.items()
        if name not in _REQUIRED and name != "score" and not name.startswith("score_")
    }
    return Predictions(
        id=table["id"],
        target=shrink(table["target"]),
        prediction=shrink(table["prediction"]),
        scores=scores,
        columns=rest,
    )


def check_header(names: list[str], where: str) -> None:
    """Refuse a header that lacks a column, repeats one, or has too many."""
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        what = f"The predictions lack the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
        raise MlgitopsError(what, where=where, hint=_FORMAT)
    if len(names) > MAX_COLUMNS:
        raise MlgitopsError(
            f"{len(names):,} columns; at most {MAX_COLUMNS:,} are read", where=where
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MlgitopsError(f"Column {twice[0]!r:.60} stands twice in the header", where=where)


def check_rows(rows: int, where: str) -> None:
    """Refuse no rows, and more than the cap."""
    if rows == 0:
        raise MlgitopsError("The predictions have no rows", where=where, hint=_FORMAT)
    if rows > MAX_ROWS:
        raise MlgitopsError(f"{rows:,} rows; at most {MAX_ROWS:,} are read", where=where)


def shrink(column: Column) -> Column:
    """Return whole numbers in the smallest type that holds them, others as they are."""
    import numpy as np

    if column.dtype.kind not in "iu":
        return column
    for kind in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(kind)
        if bounds.min <= int(column.min()) and int(column.max()) <= bounds.max:
            return column.astype(kind)
    return column


def _as_score(column: Column, name: str, where: str) -> NDArray[np.float64]:
    if column.dtype.kind == "S":
        row = next(row for row, text in enumerate(column.tolist()) if not _is_number(text))
        raise MlgitopsError(
            f"{name} is not a number in row {row + 1}: {_quote(column[row])}", where=where
        )
    return column.astype("f8", copy=False)


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _quote(text: bytes) -> str:
    return repr(bytes(text).decode("utf-8", "replace"))[:60]


# One pass of numpy's C parser, at the column types that the first rows suggest; a column that
# turns out to hold something else is widened (whole number → float → text) and read again.


def _read_csv(source: Path | bytes, stream: BinaryIO, where: str) -> dict[str, Column]:
    import numpy as np

    text = io.TextIOWrapper(stream, encoding="latin-1", newline="")
    sample = text.read(2**18)
    names = _parse_header(sample, where)
    kinds = _guess_kinds(sample, names)
    target = _loadable(source)
    for _ in range(3 * len(names) + 3):
        try:
            text.seek(0)
            table = np.loadtxt(
                target or text,
                dtype=np.dtype([(f"f{index}", kind) for index, kind in enumerate(kinds)]),
                delimiter=",", skiprows=1, comments=None, quotechar='"', encoding="latin-1",
                max_rows=MAX_ROWS + 1, ndmin=1,
            )  # fmt: skip
        except ValueError as error:
            kinds = _widen(kinds, names, str(error), where)
            continue
        if kinds == (kinds := _lengthen(kinds, table, names, where)):
            check_rows(len(table), where)
            return {
                name: np.ascontiguousarray(table[f"f{index}"]) for index, name in enumerate(names)
            }
    raise MlgitopsError("The predictions are not a CSV table", where=where, hint=_FORMAT)


def _loadable(source: Path | bytes) -> str | None:
    """Return the path for numpy to open, which is faster; never one it would decompress."""
    if isinstance(source, bytes) or source.suffix != ".csv":
        return None
    return str(source.absolute())


def _parse_header(sample: str, where: str) -> list[str]:
    import csv

    line, _, rest = sample.partition("\n")
    try:
        names = next(csv.reader([line.rstrip("\r").encode("latin-1").decode("utf-8-sig")]), [])
    except (UnicodeDecodeError, csv.Error):
        raise MlgitopsError("The header is not UTF-8 text", where=where, hint=_FORMAT) from None
    names = [name.strip() for name in names]
    check_header(names, where)
    if not rest.strip():
        check_rows(0, where)
    return names


def _guess_kinds(sample: str, names: list[str]) -> list[str]:
    """Guess each column's type from the first rows: whole number, float, or text."""
    import csv

    rows = list(csv.reader(sample.splitlines()[1:200]))[: 199 if len(sample) >= 2**18 else None]
    kinds = []
    for index, name in enumerate(names):
        texts = [row[index].strip() for row in rows if len(row) > index]
        width = 8 * (1 + max(map(len, texts), default=0) // 8)
        if texts and all(re.fullmatch(r"-?\d{1,18}", text) for text in texts):
            kinds.append("i8")
        elif name != "id" and texts and all(_is_number(text.encode()) for text in texts):
            kinds.append("f8")
        else:
            kinds.append(f"S{width}")
    return kinds


def _widen(kinds: list[str], names: list[str], message: str, where: str) -> list[str]:
    """Widen the column that numpy could not convert, or say which row is broken."""
    found = re.search(
        r"convert string '(.*)' to \w+ at row (\d+), column (\d+)", message, re.DOTALL
    )
    if not found or int(found[3]) > len(names):
        row = re.search(r"at row (\d+)", message)
        place = f" in row {int(row[1])}" if row else ""
        raise MlgitopsError(
            f"The predictions are not a table of {len(names)} columns{place}", where=where,
            hint="every row has the header's columns; quote a text that holds a comma",
        )  # fmt: skip
    index = int(found[3]) - 1
    name, kind = names[index], kinds[index]
    if name == "score" or name.startswith("score_") or kind.startswith("S"):
        text = found[1].encode("latin-1", "replace")
        if kind == "i8" and _is_number(text):
            return [*kinds[:index], "f8", *kinds[index + 1 :]]
        raise MlgitopsError(
            f"{name} is not a number in row {int(found[2]) + 1}: {_quote(text)}", where=where
        )
    wider = "f8" if kind == "i8" and name != "id" else "S24"
    return [*kinds[:index], wider, *kinds[index + 1 :]]


def _lengthen(kinds: list[str], table: Any, names: list[str], where: str) -> list[str]:  # noqa: ANN401
    """Double the width of text columns whose texts may have been cut."""
    import numpy as np

    wider = list(kinds)
    for index, kind in enumerate(kinds):
        if not kind.startswith("S") or not len(table):
            continue
        width = int(kind[1:])
        if int(np.strings.str_len(table[f"f{index}"]).max()) >= width:
            if width > MAX_TEXT:
                raise MlgitopsError(
                    f"A text in column {names[index]!r:.60} is longer than {MAX_TEXT} bytes",
                    where=where,
                )
            wider[index] = f"S{2 * width}"
    return wider
