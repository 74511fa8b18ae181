"""What a table of predictions must look like: columns, and caps on its size. Pure."""

from __future__ import annotations

from mlgitops.errors import MlgitopsError

#: Caps on what is read: bytes of one file (uncompressed), rows, columns, bytes of one text.
MAX_BYTES = 4 * 2**30
MAX_EXPANDED = 8 * 2**30  # in memory
MAX_ROWS = 50_000_000
MAX_COLUMNS = 1_200
MAX_TEXT = 256

REQUIRED = ("id", "target", "prediction")
FORMAT = "the header is id,target,prediction,score,… (see the reference of predictions.csv)"


def check_header(names: list[str], where: str) -> None:
    """Refuse a header that lacks a column, repeats one, or has too many."""
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        problem = f"The predictions lack the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
        raise MlgitopsError(problem, where=where, hint=FORMAT)
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
        raise MlgitopsError("The predictions have no rows", where=where, hint=FORMAT)
    if rows > MAX_ROWS:
        raise MlgitopsError(f"{rows:,} rows; at most {MAX_ROWS:,} are read", where=where)


def is_number(text: bytes) -> bool:
    """Tell whether ``text`` reads as a number, NaN and infinity included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def quote_text(text: bytes) -> str:
    """Return ``text`` for a message: quoted, and at most 60 characters."""
    return repr(bytes(text).decode("utf-8", "replace"))[:60]
