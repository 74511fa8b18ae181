"""What a number can be by the name of its column: a month is 1 to 12, whatever was seen. Pure.

A name alone refuses no honest row, so it counts only where little else can be meant: what was
seen fits, the words before it are those of an event (`dep_hour`, no `warranty_month`), and a name
that is a count as often (`day`, `week`, `minute`) stands beside the larger unit of its calendar, as
`lat` does beside `lon`.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.project.generate.columns import Kind
from mlgitops.project.generate.protected import find_attribute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.project.generate.columns import Column

_BREAK = r"[ _.-]"
_OF = rf"{_BREAK}?of{_BREAK}?"
#: Words before a part of a calendar that leave it one: of the moment of an event.
_EVENTS = (
    "accident|actual|admission|application|arr|arrival|begin|birth|booking|calendar|crash|created|"
    "departure|dep|discharge|dropoff|due|end|event|hire|invoice|issue|local|order|payment|pickup|"
    "planned|purchase|report|sale|sales|sched|scheduled|signup|sold|start|transaction|updated|utc|"
    "visit"
)
_MONTH = "month|mon|mth|monat"
_HOUR = "hour|hr|stunde"
_WEEKDAY = rf"weekday|dow|wday|wochentag|day{_OF}week"
_YEAR_WORD = "year|yr|jahr"


class _Cycle(NamedTuple):
    """Whole numbers of a part of the calendar, if all that were seen are among them."""

    names: str
    low: int
    high: int
    least: int = 1  # the largest that was seen is this at least: a few hours may be a duration
    larger: str = ""  # names of which one stands beside it, after the same words; "": it needs none


#: In the order in which they are tried.
_CYCLES = (
    _Cycle(_MONTH, 1, 12),
    _Cycle(_HOUR, 0, 23, 12),
    _Cycle(_HOUR, 0, 24, 24),
    _Cycle("minute", 0, 59, 30, _HOUR),
    _Cycle("second", 0, 59, 30, "minute"),
    _Cycle("day|tag", 1, 31, 28, _MONTH),
    _Cycle(rf"dom|mday|day{_OF}month", 1, 31, 28),
    _Cycle(_WEEKDAY, 0, 6, 4),
    _Cycle(_WEEKDAY, 1, 7, 5),
    _Cycle(rf"yday|doy|day{_OF}year", 1, 366, 100),
    _Cycle("week|woche", 1, 53, 26, _YEAR_WORD),
    _Cycle(rf"isoweek|kw|calendar{_BREAK}?week|week{_OF}year", 1, 53, 26),
    _Cycle("quarter|qtr|quartal", 1, 4),
)
#: Long name, short name, largest value in degrees, short names of the other coordinate.
_COORDINATES = (
    ("latitude|breitengrad", "lat", 90, "lon|lng|long"),
    ("longitude|l[aä]ngengrad", "lon|lng|long", 180, "lat"),
)
_YEARS = (1900, 2100)
#: Years beyond those that were seen, at least and at most: a table grows, and not by centuries.
_MORE_YEARS = (5, 20)
_OLDEST = 120  # years


def find_span(
    column: Column, widened: dict[str, float], beside: Iterable[str] = ()
) -> dict[str, float] | None:
    """Return the range that the column's name gives its values, or None.

    ``widened``: the range by what was seen alone; ``beside``: names of the table's columns.

    >>> from mlgitops.project.generate.columns import describe_column
    >>> find_span(describe_column("dep_hour", ["5", "18", "22"]), {})
    {'min_value': 0, 'max_value': 23}
    """
    if column.kind is not Kind.NUMBER:
        return None
    if column.whole:
        return (
            _find_years(column)
            or _find_cycle(column, beside)
            or _find_ages(column, widened)
            or _find_degrees(column, beside)
        )
    return _find_degrees(column, beside)


def _find_years(column: Column) -> dict[str, float] | None:
    is_named = re.fullmatch(rf"(?i)(?:.*{_BREAK})?(?:{_YEAR_WORD})", column.name)
    if not is_named or not _is_within(column, *_YEARS):
        return None
    least, most = _MORE_YEARS
    room = min(max(math.ceil((column.high - column.low) / 2), least), most)
    return _make_range(int(column.low) - room, int(column.high) + room)


def _find_cycle(column: Column, beside: Iterable[str]) -> dict[str, float] | None:
    for cycle in _CYCLES:
        name = re.fullmatch(rf"(?i)((?:(?:{_EVENTS}){_BREAK})*)(?:{cycle.names})", column.name)
        if not name or not _is_within(column, cycle.low, cycle.high) or column.high < cycle.least:
            continue
        if not cycle.larger or _has_beside(name[1], cycle.larger, beside):
            return _make_range(cycle.low, cycle.high)
    return None


def _find_ages(column: Column, widened: dict[str, float]) -> dict[str, float] | None:
    """Return the years that a person can have; houses may be older, so it never narrows a range."""
    is_person = find_attribute(column) == "age" and column.low >= 0
    return _make_range(0, _OLDEST) if is_person and widened["max_value"] <= _OLDEST else None


def _find_degrees(column: Column, beside: Iterable[str]) -> dict[str, float] | None:
    for long, short, most, other in _COORDINATES:
        name = re.fullmatch(rf"(?i)(.*{_BREAK}|)(?:(?:{long})|({short}))", column.name)
        is_sure = name and (not name[2] or _has_beside(name[1], other, beside))
        if is_sure and _is_within(column, -most, most):
            return _make_range(-most, most)
    return None


def _has_beside(words: str, names: str, beside: Iterable[str]) -> bool:
    """Tell whether a column of these names, after the same words, is in the table."""
    form = re.compile(f"(?i){re.escape(words)}(?:{names})")
    return any(map(form.fullmatch, beside))


def _is_within(column: Column, low: float, high: float) -> bool:
    return low <= column.low and column.high <= high


def _make_range(low: float, high: float) -> dict[str, float]:
    return {"min_value": low, "max_value": high}
