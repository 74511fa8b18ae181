"""Second stage: hold data/interim/table.{{ cookiecutter._data_format }} against contract.yaml → reports/validation.json.

The rows are checked in parts, so that a table of any length fits in memory: what stands in a cell
by itself, and which cells repeat another one by a hash of each. A part in which a column of numbers
has a cell that is none names that cell; the other parts hold the column's numbers to their range.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from .contract import (
    SHOWN,
    Mistake,
    count_refused,
    find_gaps,
    find_mistakes,
    find_text_columns,
    read_columns,
    read_missing_limits,
    read_schema,
    render_mistakes,
)
from .plumbing import paths
from .plumbing.documents import write_json
from .plumbing.errors import StageError, run_stage
from .plumbing.repeats import digest_cells
from .plumbing.tables import read_parts, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

#: Mistakes kept in the report; all are counted.
KEPT = 1000

#: pandera's checks that look at one cell; a contract with another one is held to a whole table.
_BY_CELL = frozenset(
    [
        *("equal_to", "not_equal_to", "greater_than", "greater_than_or_equal_to", "less_than"),
        *("less_than_or_equal_to", "in_range", "isin", "notin", "str_matches", "str_contains"),
        *("str_startswith", "str_endswith", "str_length"),
    ]
)
#: A column's `report_duplicates` → what pandas keeps as no repeat.
_KEEP: dict[str, Any] = {"all": False, "exclude_first": "first", "exclude_last": "last"}


class Result:
    """What the parts of a table came to so far."""

    def __init__(self) -> None:
        self.rows = 0
        self.missing: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.mistakes: list[Mistake] = []  # of rows, the first KEPT
        self._of_columns: dict[Mistake, None] = {}
        self._kinds: dict[str, set[str]] = {}  # column → the types that pandas read it as

    def add(self, part: pd.DataFrame, mistakes: list[Mistake]) -> None:
        """Count a part's rows, gaps and mistakes; the mistakes count the part's own rows."""
        for name, count in part.isna().sum().items():
            self.missing[str(name)] += int(count)
        for name in part.columns:
            self._kinds.setdefault(str(name), set()).add(part[name].dtype.name)
        self._of_columns |= {mistake: None for mistake in mistakes if mistake.row is None}
        self.add_rows(
            msgspec.structs.replace(mistake, row=mistake.row + self.rows)
            for mistake in mistakes
            if mistake.row is not None
        )
        self.rows += len(part)

    def add_rows(self, mistakes: Iterator[Mistake]) -> None:
        """Count mistakes of rows, given in the rows' order, and keep the first of all."""
        first: list[Mistake] = []
        for mistake in mistakes:
            self.refused.update(count_refused([mistake]))
            if len(first) < KEPT:
                first.append(mistake)
        kept = sorted([*self.mistakes, *first], key=lambda item: (item.row or 0, *_name(item)))
        self.mistakes = kept[:KEPT]

    def list_mistakes_of_columns(self) -> list[Mistake]:
        """Return what is wrong with whole columns.

        A part of a column of decimals, or with gaps, may hold whole numbers alone: that is no
        mistake of its type.
        """
        return sorted(
            (mistake for mistake in self._of_columns if not self._is_of_part(mistake)),
            key=_name,
        )

    def _is_of_part(self, mistake: Mistake) -> bool:
        kinds = self._kinds.get(mistake.column)
        return mistake.check == "dtype('float64')" and kinds == {"int64", "float64"}


def _name(mistake: Mistake) -> tuple[str, str]:
    return mistake.column, mistake.check


def main() -> None:
    """Run the stage; fail when a row breaks the contract."""
    report, mistakes = check_table(paths.INTERIM, paths.CONTRACT)
    write_json(report, paths.VALIDATION)
    rows, count = report["rows"], report["mistakes"]
    if count:
        raise StageError(
            f"the data breaks {paths.CONTRACT} in {count} places:\n"
            f"{render_mistakes(mistakes, count)}\n"
            f"{render_refused(report['refused'], rows)}\n"
            f"Mend the data, or edit {paths.CONTRACT} if it is the contract that is wrong."
        )
    print(f"{rows} rows keep the contract")


def check_table(table: Path, contract: Path) -> tuple[dict[str, Any], list[Mistake]]:
    """Return the stage's report and the first mistakes of a table against a contract.

    The report: size, missing values for each column, and how many values each check refuses.
    """
    schema, columns = read_schema(contract), read_columns(contract)
    text_columns = find_text_columns(columns)
    in_parts = can_check_parts(schema)
    parts = read_parts(table, text_columns) if in_parts else iter([read_table(table, text_columns)])
    unique = [name for name, column in schema.columns.items() if column.unique and in_parts]
    by_part = schema.update_columns({name: {"unique": False} for name in unique})
    result, digests = Result(), {name: list[pd.Series]() for name in unique}
    for part in parts:
        result.add(part, find_mistakes(part, by_part))
        for name in digests.keys() & set(part.columns):
            cells = part[name].dropna()
            digests[name].append(pd.Series(digest_cells(cells), index=cells.index))
    for name in unique:
        keep = _KEEP[schema.columns[name].report_duplicates]
        rows = find_repeated(digests.pop(name), keep)
        result.add_rows(read_repeated(table, text_columns, name, rows))
    gaps = find_gaps(result.missing, result.rows, read_missing_limits(contract))
    whole = [*result.list_mistakes_of_columns(), *gaps]
    refused = Counter(count_refused(whole)) + result.refused
    first = [*whole, *result.mistakes][:KEPT]
    return summarise(result, refused, first), first


def can_check_parts(schema: Any) -> bool:  # noqa: ANN401 - pandera has no types
    """Tell whether a contract can be held against a table in parts."""
    checks = [check for column in schema.columns.values() for check in column.checks]
    by_cell = all(check.name in _BY_CELL for check in [*checks, *schema.checks])
    return by_cell and not schema.unique and schema.index is None


def find_repeated(digests: list[pd.Series], keep: Any) -> NDArray[np.int64]:  # noqa: ANN401
    """Return the rows, from 0, whose digest another row has, but for those that pandas keeps."""
    if not digests:
        return np.empty(0, np.int64)
    values = np.concatenate([part.to_numpy() for part in digests])
    ordered = np.sort(values)
    if not (ordered[1:] == ordered[:-1]).any():
        return np.empty(0, np.int64)
    rows = np.concatenate([part.index.to_numpy() for part in digests])
    repeated: NDArray[np.int64] = rows[pd.Series(values).duplicated(keep=keep).to_numpy()]
    return repeated


def read_repeated(
    table: Path, text_columns: list[str], name: str, rows: NDArray[np.int64]
) -> Iterator[Mistake]:
    """Yield a mistake for each of the rows, with the value that its cell repeats."""
    if not len(rows):
        return
    for part in read_parts(table, text_columns):
        inside = rows[(rows >= part.index[0]) & (rows <= part.index[-1])]
        for row, value in part.loc[inside, name].items():
            yield Mistake(column=name, check="must be unique", value=str(value), row=int(row) + 1)


def render_refused(refused: dict[str, int], rows: int) -> str:
    """Return how many rows each check refuses, a line each, the most first."""
    lines = [f"  {check}: {count} of {rows} rows" for check, count in refused.items()]
    return "\n".join(["Refused by each check:", *lines[:SHOWN]])


def summarise(result: Result, refused: Counter[str], first: list[Mistake]) -> dict[str, Any]:
    """Return the stage's report: size, missing values for each column, mistakes by check."""
    return {
        "passed": not refused,
        "rows": result.rows,
        "columns": len(result.missing),
        "missing": {name: count for name, count in result.missing.items() if count},
        "mistakes": refused.total(),
        "refused": dict(refused.most_common()),
        "first_mistakes": [msgspec.structs.asdict(mistake) for mistake in first],
    }


if __name__ == "__main__":
    run_stage(main)
