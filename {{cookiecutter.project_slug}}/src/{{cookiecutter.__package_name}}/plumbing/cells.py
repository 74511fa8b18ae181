"""The cells of a table as the contract reads them: `metadata: ingest:` of contract.yaml.

Column → rule. A cell that fits its column's rule is brought into one form; one that does not stays
as it is, so that the validate stage names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import pandas as pd

from .documents import read_yaml
from .errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

#: What stands for a missing value unless a rule keeps it: the markers of `pandas.read_csv`.
MISSING = frozenset(
    [
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_SECONDS = {"s": 1, "ms": 1000}


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the cells of one column are written."""

    missing: list[str] = []  # further texts that stand for a missing value
    keep: list[str] = []  # texts that are values here and stand for a missing one elsewhere
    remove: str = ""  # signs around numbers, such as € and %
    thousands: str = ""  # sign between thousands
    decimal: str = "."
    format: str | None = None  # of dates, as strptime names it; they become ISO 8601
    date_of: list[str] = []  # the column is made: the day of a date and time, or its parts
    epoch: Literal["s", "ms"] | None = None  # date_of reads seconds or milliseconds since 1970


def read_rules(path: Path) -> dict[str, Rule]:
    """Return column → rule; raise :class:`StageError` when the block is not as it must be."""
    content = read_yaml(path)
    metadata = content.get("metadata") if isinstance(content, dict) else None
    block = (metadata or {}).get("ingest") if isinstance(metadata, dict | None) else metadata
    try:
        return msgspec.convert(block or {}, dict[str, Rule])
    except msgspec.ValidationError as error:
        raise StageError(f"{path}: metadata: ingest: {error}") from None


def apply_rules(table: pd.DataFrame, rules: dict[str, Rule]) -> pd.DataFrame:
    """Return a table of text with every cell in one form, and the columns that rules make.

    Raises :class:`StageError` when a rule concerns a column that does not exist, or makes one
    that does.
    """
    made = {name for name, rule in rules.items() if rule.date_of}
    sources = {source for rule in rules.values() for source in rule.date_of}
    absent = sorted(({*rules} - made | sources) - {*table.columns})
    if absent:
        raise StageError(f"contract.yaml, metadata: ingest: there is no column {absent[0]}")
    taken = sorted(made & {*table.columns})
    if taken:
        raise StageError(f"contract.yaml, metadata: ingest: there is a column {taken[0]} already")
    columns = {str(name): _read(table[name], rules.get(str(name), Rule())) for name in table}
    dates = {name: _make_dates(columns, rules[name]) for name in rules if name in made}
    return pd.DataFrame({**columns, **dates}, index=table.index)


def _read(cells: pd.Series, rule: Rule) -> pd.Series:
    cells = cells.str.strip()
    cells = cells.where(~cells.isin((MISSING - {*rule.keep}) | {*rule.missing}), "")
    if rule.remove or rule.thousands or rule.decimal != ".":
        return _read_numbers(cells, rule)
    return cells if rule.format is None else _read_dates(cells, rule.format)


def _read_numbers(cells: pd.Series, rule: Rule) -> pd.Series:
    plain = cells
    for sign in [*rule.remove, rule.thousands]:
        plain = plain.str.replace(sign, "", regex=False) if sign else plain
    plain = plain.str.replace(rule.decimal, ".", regex=False).str.strip()
    return plain.where(plain.str.fullmatch(_NUMBER), cells)


def _read_dates(cells: pd.Series, written: str) -> pd.Series:
    moments = pd.to_datetime(cells, format=written, errors="coerce")
    form = "%Y-%m-%d %H:%M:%S" if "%H" in written or "%I" in written else "%Y-%m-%d"
    return moments.dt.strftime(form).where(moments.notna(), cells)


def _make_dates(columns: dict[str, pd.Series], rule: Rule) -> pd.Series:
    """Return the day (or the month, of year and month) of every row; missing where a part is."""
    parts = [columns[name] for name in rule.date_of]
    complete = pd.concat(parts, axis=1).ne("").all(axis=1)
    if rule.epoch is not None:
        seconds = pd.to_numeric(parts[0], errors="coerce") // _SECONDS[rule.epoch]
        made = pd.to_datetime(seconds, unit="s", errors="coerce").dt.strftime("%Y-%m-%d")
    elif rule.format is not None:
        made = _read_dates(parts[0], rule.format)
    elif len(parts) == 1:
        made = parts[0].str[:10]
    else:
        whole = [part.str.replace(r"\.0*$", "", regex=True).str.zfill(2) for part in parts]
        made = whole[0].str.cat(whole[1:], sep="-")
    return made.where(complete, "").fillna("")
