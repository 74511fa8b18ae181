"""contract.yaml: what a row must look like, and what is wrong with rows that do not.

The columns' types are read without pandera, which only the validate stage and the server load.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from .plumbing.documents import read_yaml
from .plumbing.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

#: Mistakes shown at once; a broken column has as many as rows.
SHOWN = 20


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One value that breaks the contract; ``row`` counts data rows from 1, None: the column."""

    column: str
    check: str
    value: str
    row: int | None


def read_columns(path: Path) -> dict[str, dict[str, Any]]:
    """Return column name → its block of the contract."""
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("columns"), dict):
        raise StageError(f"{path}: `columns:` is missing")
    columns: dict[str, dict[str, Any]] = content["columns"]
    return columns


def read_missing_limits(path: Path) -> dict[str, float]:
    """Return column name → the share of rows that may lack a value: `metadata: missing:`.

    Raises :class:`StageError` where that is not a share between 0 and 1 of a column.
    """
    metadata = read_yaml(path).get("metadata")
    block = metadata.get("missing") if isinstance(metadata, dict) else None
    try:
        limits = msgspec.convert(block or {}, dict[str, Annotated[float, msgspec.Meta(ge=0, le=1)]])
    except msgspec.ValidationError as error:
        raise StageError(f"{path}: metadata: missing: {error}") from None
    absent = sorted(limits.keys() - read_columns(path).keys())
    if absent:
        raise StageError(f"{path}: metadata: missing: there is no column {absent[0]}")
    return limits


def find_gaps(missing: Mapping[str, int], rows: int, limits: dict[str, float]) -> list[Mistake]:
    """Return the columns that lack a value in more rows than they may.

    ``missing`` is column → how many of the ``rows`` lack a value.
    """
    shares = {name: missing[name] / rows for name in limits if name in missing}
    return [
        Mistake(
            column=name,
            check=f"at most {limits[name]:.4g} of the rows may lack a value",
            value=f"{share:.4g}",
            row=None,
        )
        for name, share in shares.items()
        if share > limits[name]
    ]


def count_refused(mistakes: Sequence[Mistake]) -> dict[str, int]:
    """Return `column: check` → how many values it refuses, the most first."""
    counts = Counter(f"{mistake.column}: {mistake.check}" for mistake in mistakes)
    return dict(counts.most_common())


def find_text_columns(columns: dict[str, dict[str, Any]]) -> list[str]:
    """Return the columns that are read as text."""
    return [name for name, block in columns.items() if str(block.get("dtype")).startswith("str")]


def read_schema(path: Path) -> Any:  # noqa: ANN401 - pandera has no types
    """Return the contract as a pandera schema."""
    from pandera.pandas import DataFrameSchema

    read_columns(path)
    try:
        return DataFrameSchema.from_yaml(path.read_text(encoding="utf-8"))
    except Exception as error:  # pandera raises many kinds for one cause: the file
        raise StageError(f"{path}: pandera can't read this contract: {error}") from error


def select_columns(schema: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 - pandera has no types
    """Return the part of a contract that concerns these columns."""
    return schema.remove_columns([name for name in schema.columns if name not in names])


def spell_booleans(table: pd.DataFrame, schema: Any) -> pd.DataFrame:  # noqa: ANN401 - as above
    """Return the table with true and false as the contract writes them, such as `True`.

    A CSV file has texts for them and JSON has values of its own: both then mean the same. What the
    contract spells in no way, or in two, stays as it is.
    """
    spelled = {}
    for name, column in schema.columns.items():
        texts = find_spellings(column)
        if texts and name in table and table[name].map(lambda cell: isinstance(cell, bool)).any():
            spelled[name] = table[name].map(
                lambda cell, texts=texts: texts.get(cell, cell) if isinstance(cell, bool) else cell
            )
    return table.assign(**spelled)


def read_quoted(table: pd.DataFrame, schema: Any) -> pd.DataFrame:  # noqa: ANN401 - as above
    """Return a table that keeps the contract with its numbers in quotes as numbers.

    A CSV file has no quotes that mean anything: `3`, `"3"` and `"3.0"` are one category there.
    """
    unquoted = {
        name: table[name].map(lambda cell: float(cell) if isinstance(cell, str) else cell)
        for name, column in schema.columns.items()
        if name in table and str(column.dtype) in ("float64", "int64")
    }
    return table.assign(**unquoted)


def find_spellings(column: Any) -> dict[bool, str]:  # noqa: ANN401 - pandera has no types
    """Return the text that stands for true, and for false, among those that a column allows."""
    allowed = [
        str(value)
        for check in column.checks
        if check.name == "isin"
        for value in check.statistics["allowed_values"]
    ]
    spellings = {
        value: [text for text in allowed if text.lower() == str(value).lower()]
        for value in (True, False)
    }
    return {value: texts[0] for value, texts in spellings.items() if len(texts) == 1}


def find_mistakes(table: pd.DataFrame, schema: Any) -> list[Mistake]:  # noqa: ANN401 - as above
    """Return every value of the table that breaks the contract, by row and column."""
    from pandera.errors import SchemaErrors

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # pandera's own, on pandas 2
            schema.validate(table.reset_index(drop=True), lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.to_dict("records")
        found = {_mistake(case) for case in cases if not _is_echo(case)}
        return sorted(found, key=lambda mistake: (mistake.row or 0, mistake.column, mistake.check))
    return []


def _mistake(case: dict[str, Any]) -> Mistake:
    """Return one line of pandera's table of failures.

    A column that is missing or too many is the value of such a line, not its column.
    """
    row = case["index"]
    whole_table = case["check"] in ("column_in_schema", "column_in_dataframe")
    return Mistake(
        column=str(case["failure_case"] if whole_table else case["column"]),
        check={
            "column_in_schema": "is not in the contract",
            "column_in_dataframe": "is missing",
            "field_uniqueness": "must be unique",
            "not_nullable": "must not be missing",
        }.get(case["check"], str(case["check"])),
        value="" if whole_table else str(case["failure_case"]),
        row=None if row is None or row != row else int(row) + 1,  # noqa: PLR0124 (NaN)
    )


def _is_echo(case: dict[str, Any]) -> bool:
    """Tell whether a line only repeats that the column's values have the wrong type."""
    text = str(case["failure_case"])
    return text.startswith("TypeError(") or (
        str(case["check"]).startswith("dtype(") and case["index"] == case["index"] is not None
    )


def render_mistakes(mistakes: Sequence[Mistake], count: int | None = None) -> str:
    """Return one line a mistake, at most :data:`SHOWN` of them, and how many more there are.

    ``count`` is how many there are where ``mistakes`` are only the first.
    """
    lines = []
    for mistake in mistakes[:SHOWN]:
        place = f", row {mistake.row}" if mistake.row is not None else ""
        value = f": {mistake.value!r}" if mistake.value else ""
        lines.append(f"  column {mistake.column}{place}: {mistake.check}{value}")
    more = (len(mistakes) if count is None else count) - len(lines)
    if more:
        lines.append(f"  and {more} more")
    return "\n".join(lines)
