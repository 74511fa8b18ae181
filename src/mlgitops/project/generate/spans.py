"""What a number can be by the name of its column: a month is 1 to 12, whatever was seen. Pure."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.project.generate.columns import Kind

if TYPE_CHECKING:
    from mlgitops.project.generate.columns import Column

_BEFORE = r"(?i)(?:.*[ _.-])?"
_OF = r"[ _.-]?of[ _.-]?"


class _Span(NamedTuple):
    """Whole numbers that a column of such a name can hold, if those that were seen are among them.

    ``least``: the largest that was seen is this at least, else the name may mean a duration.
    """

    names: str
    low: int
    high: int
    least: int = -(10**9)


#: In the order in which they are tried.
_SPANS = (
    _Span(r"month|mon|mth|monat", 1, 12),
    _Span(r"hour|hr|stunde", 0, 23, 12),
    _Span(r"hour|hr|stunde", 0, 24, 24),
    _Span(r"minute", 0, 59, 30),
    _Span(r"second", 0, 59, 30),
    _Span(rf"day|dom|mday|tag|day{_OF}month", 1, 31, 28),
    _Span(rf"weekday|dow|wday|wochentag|day{_OF}week", 0, 6, 4),
    _Span(rf"weekday|dow|wday|wochentag|day{_OF}week", 1, 7, 5),
    _Span(rf"yday|doy|day{_OF}year", 1, 366, 100),
    _Span(r"week|isoweek|kw|woche|calendar_week", 1, 53, 26),
    _Span(r"quarter|qtr|quartal", 1, 4),
    _Span(r"age|alter", 0, 120, 10),
    _Span(r"pct|percent|percentage|prozent", 0, 100, 2),
)
#: Degrees, decimals too.
_DEGREES = (
    _Span(r"lat|latitude|breitengrad", -90, 90),
    _Span(r"lon|lng|long|longitude|l[aä]ngengrad", -180, 180),
)
_YEAR = re.compile(rf"{_BEFORE}(?:year|yr|jahr)")
_YEARS = (1900, 2100)
#: Years beyond those that were seen, at most: a table grows, and not by centuries.
_MOST_YEARS = 20


def find_span(column: Column) -> dict[str, float] | None:
    """Return the range that the column's name gives its values, or None.

    >>> from mlgitops.project.generate.columns import describe_column
    >>> find_span(describe_column("dep_hour", ["5", "18", "22"]))
    {'min_value': 0, 'max_value': 23}
    """
    if column.kind is not Kind.NUMBER:
        return None
    if column.whole and _YEAR.fullmatch(column.name) and _is_within(column, *_YEARS):
        room = min(max(math.ceil((column.high - column.low) / 2), 1), _MOST_YEARS)
        return {"min_value": int(column.low) - room, "max_value": int(column.high) + room}
    for span in (*(_SPANS if column.whole else ()), *_DEGREES):
        is_named = re.fullmatch(f"{_BEFORE}(?:{span.names})", column.name)
        if is_named and _is_within(column, span.low, span.high) and column.high >= span.least:
            return {"min_value": span.low, "max_value": span.high}
    return None


def _is_within(column: Column, low: float, high: float) -> bool:
    return low <= column.low and column.high <= high
