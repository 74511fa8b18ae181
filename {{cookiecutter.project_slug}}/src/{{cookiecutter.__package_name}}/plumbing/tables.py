"""CSV files ↔ data frames, always UTF-8 with an empty cell for a missing value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .errors import StageError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

#: Name of the key column that the ingest stage makes when the data has none.
ID = "id"


def read_text_table(path: Path) -> pd.DataFrame:
    """Return every cell as text, so that writing it again changes no byte of a value."""
    return _read(path, dtype=str, keep_default_na=False)


def read_table(path: Path, text_columns: Collection[str]) -> pd.DataFrame:
    """Return the table with these columns as text and the others as pandas reads them."""
    dtype = dict.fromkeys(text_columns, str)
    return _read(path, dtype=dtype, keep_default_na=False, na_values=[""])


def read_source(path: Path) -> pd.DataFrame:
    """Return a table from elsewhere as text; what its cells mean, the ingest stage decides."""
    return read_text_table(path)


def _read(path: Path, **options: object) -> pd.DataFrame:
    try:
        return pd.read_csv(path, encoding="utf-8-sig", **options)
    except FileNotFoundError:
        raise StageError(f"{path} does not exist: run `make train` to make it") from None
    except UnicodeDecodeError as error:
        raise StageError(f"{path} is not UTF-8 ({error.reason}): save it as UTF-8") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise StageError(f"{path} can't be read as CSV: {error}") from None


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table: equal input gives equal bytes on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")
