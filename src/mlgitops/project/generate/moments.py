"""When was a row? Dates as people write them, and the column that a split by time can read.

Pure: columns in, :class:`Moments` out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlgitops.project.generate.columns import Column, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

#: First and last year that a row of a table is taken to be of.
_YEARS = (1900, 2100)

#: 1990 and 2100 as seconds since 1970: numbers outside are no moments.
_EPOCH = (631_152_000, 4_102_444_800)

_WORDS = r"date|datetime|day|time|timestamp|ts|epoch|moment|created|updated|datum|zeit"
_TIME_NAME = re.compile(rf"(?i)(?:.*[ _.-])?(?:{_WORDS})(?:[ _.-].*)?|.*_at")
_BIRTH = re.compile(r"(?i).*(?:birth|born|dob|geburt).*")
_YEAR_NAME = re.compile(r"(?i)(.*[ _.-])?(?:year|yr|jahr)")
_PARTS = (
    (_YEAR_NAME, _YEARS),
    (re.compile(r"(?i)(.*[ _.-])?(?:month|mon|mo|mth|monat)"), (1, 12)),
    (re.compile(r"(?i)(.*[ _.-])?(?:day|dayofmonth|day_of_month|dom|mday|tag)"), (1, 31)),
)

_WEEK = re.compile(r"(?i)(.*[ _.-])?(?:week|calendar_week|isoweek|kw|woche)")

#: Names of the column that the ingest stage makes of a moment: the first that is free.
_MADE_NAMES = ("date", "row_date", "row_date_2")


@dataclass(frozen=True, kw_only=True)
class Moments:
    """A way to tell when each row was."""

    sources: tuple[str, ...]  # columns of the table
    column: str  # what the split reads: the column itself, or one that the ingest stage makes
    rule: dict[str, Any] = field(default_factory=dict)  # of the column, for contract.yaml
    days: Sequence[str] = field(default=(), repr=False)  # of each row, they sort by time

    @property
    def made(self) -> bool:
        """Return whether the ingest stage makes the column."""
        return "date_of" in self.rule


def find_moments(
    columns: Mapping[str, Column], cells: Mapping[str, Sequence[str]]
) -> list[Moments]:
    """Return every way to tell when a row was, the likeliest first; a date of birth is none.

    ``cells`` are those that ingest makes: dates in ISO 8601. A column with a missing value
    cannot place every row, so it is not among them.
    """
    free = next(name for name in _MADE_NAMES if name not in cells)
    ways = [
        *_find_dates(columns, cells, free),
        *_find_parts(columns, cells, free),
        *_find_numbers(columns, cells, free),
    ]
    return [way for way in ways if len(set(way.days)) > 1]


def find_incomplete(columns: Mapping[str, Column]) -> list[str]:
    """Return the columns of dates that a few rows lack, so that no split can read them."""
    return [name for name, column in columns.items() if _is_date(column) and column.missing]


def find_years(columns: Mapping[str, Column], *, short: bool = False) -> list[str]:
    """Return columns that hold the year of a row, without a month beside it.

    ``short``: also 81, or the first, second and third year of a study.
    """
    low, high = (0, _YEARS[1]) if short else _YEARS
    return [
        name
        for name, column in columns.items()
        if _YEAR_NAME.fullmatch(name) and _holds(column, low, high) and not _BIRTH.fullmatch(name)
    ]


def is_part(name: str) -> bool:
    """Tell whether a column of this name holds the year, month or week of something."""
    return any(form.fullmatch(name) for form in (_PARTS[0][0], _PARTS[1][0], _WEEK))


def _is_date(column: Column) -> bool:
    return column.kind is Kind.DATE and not _BIRTH.fullmatch(column.name)


def _find_dates(
    columns: Mapping[str, Column], cells: Mapping[str, Sequence[str]], free: str
) -> Iterable[Moments]:
    """Yield columns of dates: as they are, or their day where they hold the time of day too."""
    dates = [column for column in columns.values() if _is_date(column) and not column.missing]
    for column in sorted(dates, key=lambda date: not _TIME_NAME.fullmatch(date.name)):
        name, days = column.name, [cell[:10] for cell in cells[column.name]]
        if max(len(value) for value in column.counts) <= len("2020-01-01"):
            yield Moments(sources=(name,), column=name, days=days)
        else:
            yield Moments(sources=(name,), column=free, rule={"date_of": [name]}, days=days)


def _find_parts(
    columns: Mapping[str, Column], cells: Mapping[str, Sequence[str]], free: str
) -> Iterable[Moments]:
    """Yield year, month and perhaps day, with the same word before each."""
    for name in find_years(columns):
        match = _YEAR_NAME.fullmatch(name)
        prefix = match[1] if match else None
        parts = [name, *(_find_part(columns, prefix, *part) for part in _PARTS[1:])]
        names = parts if all(parts) else parts[:2]
        if all(names):
            sources = tuple(str(part) for part in names)
            rows = zip(*(cells[part] for part in sources), strict=True)
            days = ["-".join(cell.partition(".")[0].zfill(2) for cell in row) for row in rows]
            rule = {"date_of": list(sources)}
            yield Moments(sources=sources, column=free, rule=rule, days=days)


def _find_part(
    columns: Mapping[str, Column], prefix: str | None, form: re.Pattern[str], span: tuple[int, int]
) -> str | None:
    for name, column in columns.items():
        match = form.fullmatch(name)
        if match and match[1] == prefix and _holds(column, *span):
            return name
    return None


def _holds(column: Column, low: float, high: float) -> bool:
    """Tell whether the column is whole numbers within bounds, none missing."""
    whole = column.kind is Kind.NUMBER and column.whole and not column.missing
    return whole and low <= column.low and column.high <= high


def _find_numbers(
    columns: Mapping[str, Column], cells: Mapping[str, Sequence[str]], free: str
) -> Iterable[Moments]:
    """Yield numbers that are a moment: 20200131, or seconds or milliseconds since 1970."""
    for name, column in columns.items():
        if _BIRTH.fullmatch(name) or not _TIME_NAME.fullmatch(name):
            continue
        rule, write = _read_number_form(column)
        if rule:
            days = write(cells[name])
            yield Moments(sources=(name,), column=free, rule={"date_of": [name], **rule}, days=days)


def _read_number_form(
    column: Column,
) -> tuple[dict[str, Any], Callable[[Sequence[str]], list[str]]]:
    import pandas as pd

    if _holds(column, _YEARS[0] * 10_000, _YEARS[1] * 10_000):
        form = "%Y%m%d"
        if pd.to_datetime(list(column.counts), format=form, errors="coerce").notna().all():
            return {"format": form}, lambda cells: [f"{c[:4]}-{c[4:6]}-{c[6:8]}" for c in cells]
    for unit, factor in (("s", 1), ("ms", 1000)):
        if _holds(column, _EPOCH[0] * factor, _EPOCH[1] * factor):
            return {"epoch": unit}, lambda cells, by=factor: _write_days(cells, by)
    return {}, list


def _write_days(cells: Sequence[str], factor: int) -> list[str]:
    import pandas as pd

    seconds = pd.to_numeric(pd.Series(cells)) // factor
    return list(pd.to_datetime(seconds, unit="s").dt.strftime("%Y-%m-%d"))
