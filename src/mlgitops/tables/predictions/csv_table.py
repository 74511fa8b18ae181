"""Read a CSV table of predictions to columns, in one pass of numpy's C parser.

The first rows suggest the type of each column; one that turns out to hold something else is
widened (whole number, then float, then text) and the file is read again.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any, BinaryIO

from mlgitops.errors import MlgitopsError
from mlgitops.tables.predictions.cells import has_odd_numbers, is_padded, restore_numbers
from mlgitops.tables.predictions.checks import (
    FORMAT,
    MAX_EXPANDED,
    MAX_TEXT,
    check_header,
    check_rows,
    is_number,
    quote_text,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Column = NDArray[Any]

_SAMPLE = 2**18  # characters that the types are guessed from
_PATIENCE = 16  # columns that are widened one at a time; then all others at once
_WIDEST = "S24"


def read_csv(source: Path | bytes, stream: BinaryIO, where: str) -> dict[str, Column]:
    """Read every column of the open file ``stream`` as whole numbers, floats or bytes.

    ``source`` is what the stream was opened from: numpy reads a path faster than a stream.
    """
    text = io.TextIOWrapper(stream, encoding="latin-1", newline="")
    try:
        sample = text.read(_SAMPLE)
        names = _parse_header(sample, where)
        kinds, numbers = _guess_kinds(sample, names, where), None
        for attempt in range(2 * _PATIENCE):
            text.seek(0)
            _check_expansion(stream, kinds, where)
            table, wider = _load(_loadable(source) or text, kinds, names, where)
            if table is not None and wider == kinds:
                check_rows(len(table), where)
                if numbers is None and has_odd_numbers(stream):
                    numbers = {at: kinds[at] for at in _list_numbers(kinds, names)}
                    wider = [_WIDEST if at in numbers else kind for at, kind in enumerate(kinds)]
                if wider == kinds:
                    columns = [_copy_column(table, at) for at in range(len(names))]
                    for at, kind in (numbers or {}).items():
                        columns[at] = restore_numbers(columns[at], kind)
                    return dict(zip(names, columns, strict=True))
            kinds = wider if attempt < _PATIENCE else _widen_all(wider, names)
    finally:
        text.detach()
    raise MlgitopsError("The predictions are not a CSV table", where=where, hint=FORMAT)


def _check_expansion(stream: BinaryIO, kinds: list[str], where: str) -> None:
    """Refuse a table whose columns, as wide as their longest text, would fill the memory."""
    width = sum(int(kind[1:]) for kind in kinds)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if size // (2 * len(kinds)) * width <= MAX_EXPANDED:
        return
    rows = sum(block.count(b"\n") for block in iter(lambda: stream.read(2**24), b""))
    stream.seek(0)
    if rows * width > MAX_EXPANDED:
        raise MlgitopsError(
            f"The predictions expand to {rows * width:,} bytes",
            where=where,
            hint="leave out long text columns, or compare on a sample of the rows",
        )


def _load(
    target: str | io.TextIOWrapper, kinds: list[str], names: list[str], where: str
) -> tuple[Any, list[str]]:
    """Return the table, if it could be read, and the types that it needs."""
    import numpy as np

    try:
        table = np.loadtxt(
            target,
            dtype=np.dtype([(f"f{index}", kind) for index, kind in enumerate(kinds)]),
            delimiter=",", skiprows=1, comments=None, quotechar='"', encoding="latin-1",
            ndmin=1,
        )  # fmt: skip
    except ValueError as error:
        return None, _widen(kinds, names, str(error), where)
    return table, _lengthen(kinds, table, names, where)


def _copy_column(table: Any, index: int) -> Column:  # noqa: ANN401 - a structured array
    import numpy as np

    return np.ascontiguousarray(table[f"f{index}"])


def _widen_all(kinds: list[str], names: list[str]) -> list[str]:
    """Read every column but the scores as text: the guess from the sample was too often wrong."""
    return [
        kind if kind.startswith("S") or _is_score(name) else _WIDEST
        for kind, name in zip(kinds, names, strict=True)
    ]


def _is_score(name: str) -> bool:
    return name == "score" or name.startswith("score_")


def _loadable(source: Path | bytes) -> str | None:
    """Return the path for numpy to open, which is faster; never one it would decompress."""
    if isinstance(source, bytes) or source.suffix not in {".csv", ""}:
        return None
    return str(source.absolute())


def _parse_header(sample: str, where: str) -> list[str]:
    line, _, rest = sample.partition("\n")
    try:
        names = next(csv.reader([line.rstrip("\r").encode("latin-1").decode("utf-8-sig")]), [])
    except UnicodeDecodeError:
        raise MlgitopsError("The header is not UTF-8 text", where=where, hint=FORMAT) from None
    except csv.Error as error:
        raise MlgitopsError(f"The header is no CSV: {error}", where=where, hint=FORMAT) from None
    names = [name.strip() for name in names]
    check_header(names, where)
    if not rest.strip():
        check_rows(0, where)
    return names


def _guess_kinds(sample: str, names: list[str], where: str) -> list[str]:
    """Guess each column's type from the first rows: whole number, float, or text."""
    # Not `splitlines`: in Latin-1 it breaks lines at 0x85 too, a byte of some UTF-8 letters.
    lines = sample.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(sample) >= _SAMPLE and len(lines) > 2:  # noqa: PLR2004 - the header and a whole row
        del lines[-1]  # the sample may end within it
    rows = list(csv.reader(lines[1:200]))
    kinds = []
    for index, name in enumerate(names):
        texts = [row[index].strip() for row in rows if len(row) > index]
        width = 8 * (1 + max(map(len, texts), default=0) // 8)
        if width > MAX_TEXT + 8:
            raise _too_long(name, where)
        if texts and all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) for text in texts):
            kinds.append("i8")
        elif name != "id" and texts and all(_is_float(text, name) for text in texts):
            kinds.append("f8")
        else:
            kinds.append(f"S{width}")
    return kinds


def _is_float(text: str, name: str) -> bool:
    return is_number(text.encode()) and (_is_score(name) or not is_padded(text.encode()))


def _list_numbers(kinds: list[str], names: list[str]) -> list[int]:
    """List the columns that were read as numbers and may hold texts that only look like them."""
    return [
        at for at, kind in enumerate(kinds) if not kind.startswith("S") and not _is_score(names[at])
    ]


def _widen(kinds: list[str], names: list[str], message: str, where: str) -> list[str]:
    """Widen the column that numpy could not convert, or say which row is broken."""
    match = re.search(
        r"convert string '(.*)' to \w+ at row (\d+), column (\d+)", message, re.DOTALL
    )
    if not match or int(match[3]) > len(names):
        row = re.search(r"at row (\d+)", message)
        in_row = f" in row {int(row[1])}" if row else ""
        raise MlgitopsError(
            f"The predictions are not a table of {len(names)} columns{in_row}", where=where,
            hint="every row has the header's columns; quote a text that holds a comma",
        )  # fmt: skip
    index = int(match[3]) - 1
    name, kind = names[index], kinds[index]
    if _is_score(name) or kind.startswith("S"):
        text = match[1].encode("latin-1", "replace")
        if kind == "i8" and is_number(text):
            return [*kinds[:index], "f8", *kinds[index + 1 :]]
        raise MlgitopsError(
            f"{name} is not a number in row {int(match[2]) + 1}: {quote_text(text)}", where=where
        )
    wider = "f8" if kind == "i8" and name != "id" else _WIDEST
    return [*kinds[:index], wider, *kinds[index + 1 :]]


def _lengthen(kinds: list[str], table: Any, names: list[str], where: str) -> list[str]:  # noqa: ANN401
    """Double the width of text columns whose texts may have been cut."""
    import numpy as np

    wider = list(kinds)
    for index, kind in enumerate(kinds):
        if not kind.startswith("S") or not len(table):
            continue
        longest = int(np.strings.str_len(table[f"f{index}"]).max())
        if longest > MAX_TEXT:
            raise _too_long(names[index], where)
        if longest >= int(kind[1:]):
            wider[index] = f"S{2 * longest}"
    return wider


def _too_long(name: str, where: str) -> MlgitopsError:
    return MlgitopsError(
        f"A text in column {name!r:.60} is longer than {MAX_TEXT} bytes", where=where
    )
