"""The contract, compiled once: plain values of a request → the model's features, quickly.

Holding one row against the contract by pandera takes longer than the model does. These checks
accept only what pandera accepts too; whatever is odd is left to pandera, which decides what is
wrong and writes the message.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contract import find_spellings
from ..estimators import write_category

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Check = Callable[[Any], bool]
    #: Values of a column → what the model reads of them; None: pandera decides.
    Reader = Callable[[list[Any]], np.ndarray | None]

#: A larger whole number is not the same as float64.
_EXACT = 2**53

#: What else a schema or a column can ask for; where it does, pandera decides every request.
_PLAIN_SCHEMA: dict[str, Any] = {
    "checks": [],
    "parsers": [],
    "index": None,
    "dtype": None,
    "unique": None,
    "ordered": False,
    "drop_invalid_rows": False,
    "add_missing_columns": False,
}
_PLAIN_COLUMN: dict[str, Any] = {
    "parsers": [],
    "unique": False,
    "required": True,
    "regex": False,
    "default": None,
    "drop_invalid_rows": False,
}
_PLAIN_CHECK: dict[str, Any] = {
    "element_wise": False,
    "ignore_na": True,
    "raise_warning": False,
    "groupby": None,
}


class CompiledContract:
    """The part of a contract that concerns a model's inputs.

    ``schema`` is pandera's, of these columns alone; ``numeric`` and ``categorical`` are the
    columns that the model reads, in its order. ``slow`` names what only pandera can check: with
    any, it decides every request.
    """

    def __init__(self, schema: Any, numeric: Sequence[str], categorical: Sequence[str]) -> None:  # noqa: ANN401 - pandera has no types
        self._readers: dict[str, Reader] = {}
        self.slow = [] if _is_plain(schema, _PLAIN_SCHEMA) else ["rules for the whole table"]
        for name in [*numeric, *categorical]:
            reader = _compile(name, schema, as_text=name not in numeric)
            if reader is None:
                self.slow.append(f"column {name}")
            else:
                self._readers[name] = reader

    def read(self, columns: Mapping[str, list[Any]]) -> dict[str, np.ndarray] | None:
        """Return name → values as `select_features` shapes them, or None: pandera decides.

        ``columns`` is name → values as JSON has them, each list of one length, at least 1.
        """
        if self.slow or columns.keys() != self._readers.keys():
            return None
        features = {}
        for name, reader in self._readers.items():
            values = reader(columns[name])
            if values is None:
                return None
            features[name] = values
        return features


def _compile(name: str, schema: Any, *, as_text: bool) -> Reader | None:  # noqa: ANN401 - as above
    column = schema.columns.get(name)
    if column is None:
        return None
    check = _compile_checks(column.checks)
    if check is None or not _is_plain(column, _PLAIN_COLUMN):
        return None
    dtype, is_coerced = str(column.dtype), bool(column.coerce or schema.coerce)
    if dtype == "str" and as_text:
        return _read_text(check, find_spellings(column), nullable=column.nullable)
    if dtype == "int64":
        return _read_whole(check, as_text=as_text)
    if dtype == "float64":
        read = _read_numbers(check, nullable=column.nullable, coerced=is_coerced)
        return _write_numbers(read) if as_text else read
    return None


def _read_text(check: Check, spellings: dict[bool, str], *, nullable: bool) -> Reader:
    def read(values: list[Any]) -> np.ndarray | None:
        cells = np.empty(len(values), dtype=object)
        for row, value in enumerate(values):
            cell = spellings.get(value) if type(value) is bool else value
            if type(cell) is not str:
                if value is not None or not nullable:
                    return None
                cell = np.nan
            elif not check(cell):
                return None
            cells[row] = cell
        return cells

    return read


def _read_whole(check: Check, *, as_text: bool) -> Reader:
    def read(values: list[Any]) -> np.ndarray | None:
        for value in values:
            if type(value) is not int or not -_EXACT <= value <= _EXACT or not check(value):
                return None
        if as_text:
            return np.array([str(value) for value in values], dtype=object)
        return np.array(values, dtype="float64")

    return read


def _read_numbers(check: Check, *, nullable: bool, coerced: bool) -> Reader:
    """Return a reader of floats; whole numbers are floats only where the contract coerces."""

    def read(values: list[Any]) -> np.ndarray | None:
        if not coerced and all(value is None for value in values):
            return None
        cells = np.empty(len(values))
        for row, value in enumerate(values):
            if value is None:
                usable = nullable
            elif type(value) is float:
                usable = math.isfinite(value) and check(value)
            else:
                usable = coerced and type(value) is int and -_EXACT <= value <= _EXACT
                usable = usable and check(value)
            if not usable:
                return None
            cells[row] = math.nan if value is None else value
        return cells

    return read


def _write_numbers(read_numbers: Reader) -> Reader:
    """Return a reader of numbers that are categories: their texts."""

    def read(values: list[Any]) -> np.ndarray | None:
        numbers = read_numbers(values)
        if numbers is None:
            return None
        cells = np.full(len(values), np.nan, dtype=object)
        for row, value in enumerate(values):
            if value is not None:
                cells[row] = write_category(value)
        return cells

    return read


def _compile_checks(checks: Sequence[Any]) -> Check | None:
    """Return the checks as one function of one value, or None when one is of another kind."""
    compiled: list[Check] = []
    for check in checks:
        make = _MAKERS.get(check.name)
        if make is None or not _is_plain(check, _PLAIN_CHECK):
            return None
        try:
            compiled.append(make(**check.statistics))
        except (TypeError, re.error):  # of a form that pandera reads, and this module does not
            return None
    if len(compiled) == 1:
        return compiled[0]
    return lambda value: all(check(value) for check in compiled)


def _is_plain(value: Any, plain: dict[str, Any]) -> bool:  # noqa: ANN401 - pandera has no types
    return all(getattr(value, name, usual) == usual for name, usual in plain.items())


def _in_range(
    min_value: float, max_value: float, *, include_min: bool = True, include_max: bool = True
) -> Check:
    def check(value: Any) -> bool:  # noqa: ANN401 - a number
        low = min_value <= value if include_min else min_value < value
        return bool(low and (value <= max_value if include_max else value < max_value))

    return check


def _is_in(allowed_values: Sequence[Any]) -> Check:
    return frozenset(allowed_values).__contains__


def _matches(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda value: compiled.match(value) is not None


#: Name of one of pandera's checks → what makes it a function of one value.
_MAKERS: dict[str, Callable[..., Check]] = {
    "in_range": _in_range,
    "isin": _is_in,
    "str_matches": _matches,
    "greater_than": lambda min_value: lambda value: bool(value > min_value),
    "greater_than_or_equal_to": lambda min_value: lambda value: bool(value >= min_value),
    "less_than": lambda max_value: lambda value: bool(value < max_value),
    "less_than_or_equal_to": lambda max_value: lambda value: bool(value <= max_value),
}
