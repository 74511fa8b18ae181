"""What was seen of the columns, to `contract.yaml`. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mlgitops.project.generate.columns import DATE_FORMATS, MAX_CLOSED_LEVELS, Column, Kind
from mlgitops.project.generate.spans import find_span
from mlgitops.project.generate.yaml_text import flow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.project.generate.column_types import Facts

#: Room that a range leaves below and above what was seen, as a fraction of the seen range.
SLACK = 0.5

#: Ranges as narrow or as wide as this are at the end of what a float holds: taken as seen.
_ROUNDED = (1e-300, 1e300)

_INTRODUCTION = """\
# What a row of the data must look like: the validate stage, the tests and the server hold every
# row against this file (pandera's own YAML form).
#
# Inferred from {rows} rows of {name}: check it against what you know. Ranges are half as wide
# again on either side as what was seen, so that an honest new value passes and a wrong unit
# does not (a month is 1 to 12, an hour 0 to 23 by its name); texts with up to {levels} values may
# have no other. Widen, narrow or add as you learn.
#   dtype     str, float64 or int64; it also decides how the column is read
#   nullable  whether a value may be missing (default: false)
#   coerce    read whole numbers and numbers in quotes as dtype
#   checks    in_range {{min_value, max_value}}, isin [...], str_matches "...", and pandera's others
schema_type: dataframe
strict: true # a column that is not listed here is a mistake
coerce: false
{metadata}columns:
"""

_METADATA = """\
metadata:
{parts}"""

_MISSING = """\
  # The share of a table's rows that may lack a value, where some do: twice what was seen.
  missing:
{shares}"""

_INGEST = """\
  # How the ingest stage reads the cells of a column; the columns below say what must come out.
  #   missing, keep       texts that stand for a missing value here; that do elsewhere, not here
  #   remove, thousands, decimal  signs around, within and of numbers, such as '€', '.' and ','
  #   format              of dates, as strptime names it: they become 2020-12-31
  #   date_of             the column is made: the day of a date and time, or of year, month, day
  #   epoch               date_of reads seconds (s) or milliseconds (ms) since 1970
  ingest:
{rules}"""

_MADE_KEY = """\
  id: # made by the ingest stage from the row's content
    dtype: str
    unique: true
    str_matches: "^[0-9a-f]{16}(-[0-9]+)?$"
"""


def render_contract(facts: Facts) -> str:
    """Return the contract of every column, in the table's order, the target last."""
    text = _INTRODUCTION.format(
        rows=facts.rows,
        name=flow(facts.name),
        levels=MAX_CLOSED_LEVELS,
        metadata=_render_metadata(facts),
    )
    if facts.key is None:
        text += _MADE_KEY
    for name, rule in facts.split.rules.items():
        pattern = DATE_FORMATS["%Y-%m" if len(rule["date_of"]) == len("ym") else "%Y-%m-%d"]
        rules = {"dtype": "str", "str_matches": pattern}
        text += _render_column(name, rules, note="made by the ingest stage; no feature")
    for column in facts.columns.values():
        is_key = column.name == facts.key
        rules = _describe_key() if is_key else describe(column, facts.columns)
        moved = facts.drift.get(column.name)
        note = f"moved between train and test rows (PSI {moved:.2f})" if moved else ""
        text += _render_column(column.name, rules, note=note)
    return text + _render_column(facts.target.name, describe_target(facts), note="the target")


def _render_metadata(facts: Facts) -> str:
    """Return what the stages read beside pandera's rules, or nothing where there is none."""
    shares = {
        column.name: allow_missing(column.missing / facts.rows)
        for column in facts.columns.values()
        if column.missing
    }
    blocks = ((_MISSING, "shares", shares), (_INGEST, "rules", facts.rules))
    parts = [
        text.format(**{key: "".join(f"    {flow(at)}: {flow(to)}\n" for at, to in items.items())})
        for text, key, items in blocks
        if items
    ]
    return _METADATA.format(parts="".join(parts)) if parts else ""


def allow_missing(share: float) -> float:
    """Return the share of rows that may lack a value where ``share`` of those that were seen do.

    >>> allow_missing(0.0123), allow_missing(0.2), allow_missing(0.9)
    (0.05, 0.4, 1.0)
    """
    return min(max(math.ceil(share * 200) / 100, 0.05), 1.0)


def _render_column(name: str, rules: dict[str, Any], note: str = "") -> str:
    lines = [f"  {flow(name)}:{f' # {note}' if note else ''}"]
    lines += [f"    {key}: {flow(value)}" for key, value in rules.items()]
    return "\n".join(lines) + "\n"


def _describe_key() -> dict[str, Any]:
    return {"dtype": "str", "unique": True}


def describe(column: Column, beside: Iterable[str] = ()) -> dict[str, Any]:
    """Return the rules for a column that is no key; ``beside``: names of the table's columns."""
    rules: dict[str, Any] = {"dtype": "str"}
    if column.kind is Kind.NUMBER:
        rules = {"dtype": "float64", "coerce": True}
    if column.missing:
        rules["nullable"] = True
    if column.kind is Kind.NUMBER:
        widened = widen_range(column.low, column.high)
        rules["in_range"] = find_span(column, widened, beside) or widened
    if column.date_format:
        rules["str_matches"] = DATE_FORMATS[column.date_format]
    if column.kind is Kind.CATEGORY and 1 < column.distinct <= MAX_CLOSED_LEVELS:
        rules["isin"] = sorted(column.counts)
    return rules


def describe_target(facts: Facts) -> dict[str, Any]:
    """Return the rules for the target: never missing, and no class that was not seen."""
    if facts.task == "regression":
        return describe(facts.target)
    dtype = "int64" if facts.has_number_classes else "str"
    return {"dtype": dtype, "isin": facts.classes}


def widen_range(low: float, high: float) -> dict[str, float]:
    """Return the seen range with room on both sides, in round numbers.

    What was never negative stays so, and a share stays within 0 and 1.

    >>> widen_range(17, 90)
    {'min_value': 0, 'max_value': 130}
    >>> widen_range(0.1, 0.9)
    {'min_value': 0, 'max_value': 1}
    """
    if low >= 0 and high <= 1:
        return {"min_value": 0, "max_value": 1}
    room = (high - low) * SLACK or abs(high) or 1.0
    if not _ROUNDED[0] < room < _ROUNDED[1] or max(-low, high) > _ROUNDED[1]:
        return {"min_value": low, "max_value": high}
    step = 10.0 ** (math.floor(math.log10(room)) - (0 if room >= 1 else 1))
    bottom = math.floor((low - room) / step) * step
    top = math.ceil((high + room) / step) * step
    if low >= 0:
        bottom = max(bottom, 0.0)
    if high <= 0:
        top = min(top, 0.0)
    return {"min_value": min(_plain(bottom), low), "max_value": max(_plain(top), high)}


def _plain(value: float) -> float:
    rounded = float(f"{value:.12g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
