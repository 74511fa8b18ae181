"""Find the columns that are written down after the moment of a row.

Pure. Those that belong to a later date: `closed_at`, which is never before the row's own `opened`,
is of an event that the model has to predict without. Those beside their own plan: `dep_time` beside
`sched_dep_time`. A suspicion, not a proof.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.project.generate.columns import Kind
from mlgitops.project.generate.moments import find_moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pandas import Series

    from mlgitops.project.generate.moments import Moments
    from mlgitops.project.generate.split import Rows, Split

#: Share of the rows that may contradict: a typing error does not clear a column.
_EXCEPTIONS = 0.01

#: A date after the row's in less than this share of its rows is of the same moment.
_LATER_SHARE = 0.5

#: Fewer rows with the date, or without it, tell nothing; nor do fewer different spans of days.
_FEWEST_ROWS = 20
_FEWEST_SPANS = 5

#: More values than this do not say one thing, such as whether a case is closed.
_MOST_VALUES = 10

_DAY = len("2020-01-31")

_PLANNED = "sched|scheduled|planned|expected|estimated|forecast|predicted|promised"
_PLAN = re.compile(rf"(?:{_PLANNED})_(.+)|(.+)_(?:{_PLANNED})")


@dataclass(frozen=True, kw_only=True)
class Later:
    """A column that is written after the row's moment."""

    name: str
    why: str  # a clause about the column, such as "is filled where 'closed_at' is"
    is_open: bool  # whether the row is of the earlier moment for sure: its later one may not come


@dataclass(frozen=True, kw_only=True)
class _Event:
    """A date that is never before the row's."""

    name: str
    is_filled: Series[bool]
    span: Series[float]  # days from the row's moment; NaN where it is missing

    @property
    def is_open(self) -> bool:
        """Return whether enough rows have no such date yet."""
        return int((~self.is_filled).sum()) >= _FEWEST_ROWS


def find_later(rows: Rows, split: Split, names: Sequence[str]) -> list[Later]:
    """Return which of these columns are written after the row's moment."""
    actual = _find_actual(rows.columns)
    came = [Later(name=name, why=actual[name], is_open=True) for name in names if name in actual]
    return came + _find_dated(rows, split, [name for name in names if name not in actual])


def _find_actual(names: Iterable[str]) -> dict[str, str]:
    """Return the columns beside which another of the same name is the plan → what they are.

    >>> _find_actual(["dep_time", "sched_dep_time", "delay"])
    {'dep_time': "is what came of 'sched_dep_time'"}
    """
    words = {_split_words(name): name for name in names}
    plans = {name: match for form, name in words.items() if (match := _PLAN.fullmatch(form))}
    planned = {name: words.get(match[1] or match[2]) for name, match in plans.items()}
    return {actual: f"is what came of {name!r}" for name, actual in planned.items() if actual}


def _split_words(name: str) -> str:
    """Return a name in small letters, its words divided by an underscore."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[ .-]", "_", name).lower()


def _find_dated(rows: Rows, split: Split, names: Iterable[str]) -> list[Later]:
    """Return which of these columns belong to a date that is never before the row's own.

    Nothing where no column says of every row on which day it was.
    """
    way = _find_way(rows, split)
    if way is None or len(way.days[0]) < _DAY:
        return []
    events = list(_find_events(rows, way))
    when = " and ".join(repr(name) for name in way.sources)
    reasons = {name: _find_reason(rows, name, events, when) for name in names if events}
    return [
        Later(name=name, why=reason[0], is_open=reason[1])
        for name, reason in reasons.items()
        if reason and name not in way.sources
    ]


def _find_way(rows: Rows, split: Split) -> Moments | None:
    """Return what says when a row was: what the split goes by, else the likeliest."""
    columns = {name: column for name, column in rows.columns.items() if name != rows.key}
    ways = find_moments(columns, rows.table.columns)
    chosen = [way for way in ways if split.method == "time" and way.column == split.column]
    return next(iter([*chosen, *ways]), None)


def _find_events(rows: Rows, way: Moments) -> Iterator[_Event]:
    """Yield the other dates that are after the row's in most rows and before it in none."""
    import pandas as pd

    moment = pd.to_datetime(pd.Series(way.days), errors="coerce")
    for name, column in rows.columns.items():
        if column.kind is not Kind.DATE or name in way.sources:
            continue
        days = pd.Series(rows.table.columns[name], dtype="str").str[:_DAY].str.replace("/", "-")
        span = (pd.to_datetime(days, errors="coerce", format="%Y-%m-%d") - moment).dt.days
        filled = int(span.notna().sum())
        if (
            filled >= _FEWEST_ROWS
            and (span < 0).sum() <= _EXCEPTIONS * filled
            and (span > 0).sum() >= _LATER_SHARE * filled
        ):
            yield _Event(name=name, is_filled=span.notna(), span=span)


def _find_reason(
    rows: Rows, name: str, events: Iterable[_Event], when: str
) -> tuple[str, bool] | None:
    """Return what ties the column to the first event that does, and whether that is open."""
    import pandas as pd

    cells = pd.Series(rows.table.columns[name], dtype="str")
    is_number = rows.columns[name].kind is Kind.NUMBER
    for event in events:
        if is_number and _is_span(pd.to_numeric(cells.where(cells != "")), event):
            return f"is the days from {when} to {event.name!r}", event.is_open
        if not event.is_open:
            continue
        if _agrees(cells != "", event.is_filled):
            return f"is filled where {event.name!r} is, which is never before {when}", True
        if rows.columns[name].distinct <= _MOST_VALUES and _tells(cells, event.is_filled):
            return f"says whether there is {event.name!r}, which is never before {when}", True
    return None


def _is_span(numbers: Series[float], event: _Event) -> bool:
    """Tell whether the numbers are the days until the event, rounded in some way."""
    both = numbers.notna() & event.is_filled
    different = event.span[both].nunique() >= _FEWEST_SPANS
    wrong = ((numbers - event.span)[both].abs() > 1).sum()
    return bool(both.sum() >= _FEWEST_ROWS and different and wrong <= _EXCEPTIONS * both.sum())


def _agrees(left: Series[bool], right: Series[bool]) -> bool:
    return bool((left != right).sum() <= _EXCEPTIONS * len(left))


def _tells(cells: Series[str], is_filled: Series[bool]) -> bool:
    """Tell whether each value stands in rows with the date alone, or in rows without it alone."""
    share = is_filled.groupby(cells).transform("mean")
    return _agrees(share > _LATER_SHARE, is_filled)
