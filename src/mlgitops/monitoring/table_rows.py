"""Rows of a table to lines of records: what Parquet and databases hold of a log. Pure.

The columns are those of a record: `id`, `at` (a time, or a text), `model`, `inputs` (a struct, a
JSON object, or a JSON text), `score` (the same, or a number), `answer`; or `refused`, `column`,
`rows`. An input may also be a column by itself, `inputs.NAME`, and a class's score `score.NAME`.
A row may also be a whole request, as its line has it: `v` is 2 then, and `answer` and others lists.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from mlgitops.monitoring.records import BATCH_VERSION, Chunk, is_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
_NESTED = ("inputs", "score")
_REFUSAL = ("refused", "column", "rows")
_OF_BATCHES = ("v", "ids")


def encode_rows(
    rows: Iterable[Mapping[str, Any]], where: str, first: int, since: str, until: str
) -> Chunk:
    """Return the rows from the day ``since`` to before ``until`` as lines; others as empty ones."""
    lines = []
    for row in rows:
        record = make_record(row)
        day = str(record.get("at"))[:10]
        lines.append(_encode(record) if since <= day < until or not is_day(day) else b"")
    return Chunk(where=where, first_line=first, data=b"\n".join(lines))


def make_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record that a row stands for, as far as it is one."""
    record: dict[str, Any] = {"v": 1}
    for name, value in row.items():
        parent, dot, child = name.partition(".")
        if dot and parent in _NESTED:
            if value is not None or parent == "inputs":
                record.setdefault(parent, {})[child] = _simplify(value)
        elif name in _NESTED:
            record[name] = _open(value)
        elif name == "at":
            record[name] = write_time(value)
        elif name in _OF_BATCHES and value is None:
            continue
        else:
            record[name] = _simplify(value)
    return _choose_kind(record if record["v"] != BATCH_VERSION else _open_lists(record))


def _open_lists(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of several rows with its lists; an input without one was not sent."""
    record |= {name: _open(record[name]) for name in ("ids", "answer") if name in record}
    if isinstance(inputs := record.get("inputs"), dict):
        record["inputs"] = {name: cells for name, cells in inputs.items() if cells is not None}
    return record


def _choose_kind(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the other kind of record has: a table holds empty cells for it."""
    others = _REFUSAL if record.get("refused") is None else (*_NESTED, "answer")
    return {name: value for name, value in record.items() if name not in others}


def _open(value: Any) -> Any:  # noqa: ANN401 - a cell
    if isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, dict):
        return {name: _simplify(cell) for name, cell in value.items()}
    return _simplify(value)


def _simplify(value: Any) -> Any:  # noqa: ANN401 - a cell
    """Return a cell as JSON has it; what is no finite number is missing."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def write_time(value: object) -> object:
    """Return a time as records have it; a text as it is. A time without a zone is UTC."""
    if not isinstance(value, dt.datetime):
        return value
    try:
        utc = value.astimezone(dt.UTC) if value.tzinfo else value
    except OverflowError:  # in UTC it is of the year 0, or 10000
        return str(value)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"


def _encode(record: Mapping[str, Any]) -> bytes:
    try:
        return _ENCODER.encode(record)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return b"unwritable"  # which the reader counts as no JSON
