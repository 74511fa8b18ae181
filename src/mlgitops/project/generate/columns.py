"""What one column holds: numbers, categories, dates, or text that is its own.

Pure: cells as text in, a :class:`Column` out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: More different texts than this are not categories that one lists.
MAX_LEVELS = 500

#: Up to so many levels, a new one is a mistake in the data and not just a new value.
MAX_CLOSED_LEVELS = 30

#: A number as Python and CSV files write it.
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER = re.compile(NUMBER)
#: A code begins so, such as a postcode: a number would lose the zero.
LEADING_ZERO = re.compile(r"[+-]?0\d")

#: How dates are written, with the pattern that the contract will hold them to. All of these
#: sort as text in the order of time.
DATE_FORMATS = {
    "%Y-%m-%d": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "%Y-%m-%d %H:%M": r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$",
    "%Y-%m-%d %H:%M:%S": r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$",
    "%Y-%m-%dT%H:%M:%S": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$",
    "%Y-%m-%dT%H:%M:%SZ": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    "%Y/%m/%d": r"^[0-9]{4}/[0-9]{2}/[0-9]{2}$",
    "%Y-%m": r"^[0-9]{4}-[0-9]{2}$",
    "ISO8601": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?$",
}

#: Other ways; the ingest stage turns them into those above. Day before month where both fit.
_CLOCKS = {"": "", " %H:%M": r" \d{1,2}:\d{2}", " %H:%M:%S": r" \d{1,2}:\d{2}:\d{2}"}
_CLOCKS[" %I:%M %p"] = r" \d{1,2}:\d{2} ?[AaPp][Mm]"
_DAYS = {
    "%d.%m.%Y": r"\d{1,2}\.\d{1,2}\.\d{4}",
    "%m/%d/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%d/%m/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%d-%m-%Y": r"\d{1,2}-\d{1,2}-\d{4}",
    "%m-%d-%Y": r"\d{1,2}-\d{1,2}-\d{4}",
    "%d.%m.%y": r"\d{1,2}\.\d{1,2}\.\d{2}",
    "%m/%d/%y": r"\d{1,2}/\d{1,2}/\d{2}",
    "%d/%m/%y": r"\d{1,2}/\d{1,2}/\d{2}",
    "%Y.%m.%d": r"\d{4}\.\d{2}\.\d{2}",
    "%d %b %Y": r"\d{1,2} [A-Za-z]{3} \d{4}",
    "%d-%b-%Y": r"\d{1,2}-[A-Za-z]{3}-\d{4}",
    "%b %d, %Y": r"[A-Za-z]{3} \d{1,2}, \d{4}",
    "%d %B %Y": r"\d{1,2} [A-Za-z]+ \d{4}",
    "%B %d, %Y": r"[A-Za-z]+ \d{1,2}, \d{4}",
}
_FOREIGN_FORMATS = {
    day + clock: re.compile(form + time)
    for day, form in _DAYS.items()
    for clock, time in _CLOCKS.items()
}


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    CATEGORY = "category"  # text with few different values
    TEXT = "text"  # text with many
    DATE = "date"
    EMPTY = "empty"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its kind and what the sample shows of it."""

    name: str
    kind: Kind
    missing: int  # rows without a value
    counts: dict[str, int]  # value as written → rows, most frequent first
    whole: bool = False  # numbers without decimals
    low: float = math.nan  # of numbers
    high: float = math.nan
    date_format: str | None = None

    @property
    def distinct(self) -> int:
        """Return the number of different values, missing ones aside."""
        return len(self.counts)

    @property
    def filled(self) -> int:
        """Return the number of rows with a value."""
        return sum(self.counts.values())


def describe_column(name: str, cells: Sequence[str]) -> Column:
    """Return what the cells have in common; an empty cell is a missing value.

    >>> describe_column("age", ["31", "", "42"]).kind.value
    'number'
    >>> describe_column("postcode", ["01067", "80331"]).kind.value
    'category'
    """
    counts = dict(Counter(cell for cell in cells if cell).most_common())
    missing = len(cells) - sum(counts.values())
    if not counts:
        return Column(name=name, kind=Kind.EMPTY, missing=missing, counts={})
    if _are_numbers(counts):
        values = [float(value) for value in counts]
        return Column(
            name=name,
            kind=Kind.NUMBER,
            missing=missing,
            counts=counts,
            whole=all(value.is_integer() for value in values),
            low=min(values),
            high=max(values),
        )
    written = find_date_format(counts)
    few = len(counts) <= min(MAX_LEVELS, max(2, sum(counts.values()) // 2))
    kind = Kind.DATE if written else Kind.CATEGORY if few else Kind.TEXT
    return Column(name=name, kind=kind, missing=missing, counts=counts, date_format=written)


def _are_numbers(values: dict[str, int]) -> bool:
    return all(
        _NUMBER.fullmatch(value) and not LEADING_ZERO.match(value) and math.isfinite(float(value))
        for value in values
    )


def find_date_format(values: Collection[str]) -> str | None:
    """Return the one way of ISO 8601 in which every value is written as a date, or None."""
    for written, pattern in DATE_FORMATS.items():
        form = re.compile(pattern)
        if all(form.fullmatch(value) for value in values) and _are_dates(values, written):
            return written
    return None


def find_foreign_format(values: Collection[str]) -> str | None:
    """Return the one other way in which every value is written as a date, or None."""
    return next(
        (
            written
            for written, form in _FOREIGN_FORMATS.items()
            if all(form.fullmatch(value) for value in values) and _are_dates(values, written)
        ),
        None,
    )


def _are_dates(values: Collection[str], written: str) -> bool:
    """Tell whether every day and time exists."""
    import pandas as pd

    utc = written == "ISO8601"
    moments = pd.to_datetime(list(values), format=written, errors="coerce", utc=utc)
    return bool(moments.notna().all())
