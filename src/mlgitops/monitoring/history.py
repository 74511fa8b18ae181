"""The facts of one model as series of days, up to a day. Pure."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlgitops.model.monitoring import DayFact


class DaySum(NamedTuple):
    """The sums of one figure on one day."""

    day: str
    numerator: float
    denominator: float
    rows: int


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """What is kept of one model, each series in the order of its days."""

    model: str
    series: dict[tuple[str, str | None], list[DaySum]]
    days: list[str] = field(default_factory=list)  # on which any model answered rows

    def read(self, name: str, of: str | None = None, *, until: str) -> list[DaySum]:
        """Return the days of a figure that have something to divide by."""
        sums = self.series.get((name, of), [])
        return [entry for entry in sums if entry.day <= until and entry.denominator > 0]

    def list_parts(self, name: str) -> list[str]:
        """Return what a figure is kept of beside all rows, such as its columns."""
        return sorted(of for key, of in self.series if key == name and of is not None)


def read_history(facts: Iterable[DayFact], until: str) -> History | None:
    """Return the history of the model that answered last, up to a day; None: none ever did."""
    past = sorted((fact for fact in facts if fact.day <= until), key=lambda fact: fact.day)
    answered = [fact for fact in past if fact.name == "rows" and fact.rows]
    if not answered:
        return None
    last = max(answered, key=lambda fact: (fact.day, fact.rows, fact.model))
    series: dict[tuple[str, str | None], list[DaySum]] = defaultdict(list)
    for fact in past:
        if fact.model == last.model:
            entry = DaySum(fact.day, fact.numerator, fact.denominator, fact.rows)
            series[fact.name, fact.of].append(entry)
    days = sorted({fact.day for fact in answered})
    return History(model=last.model, series=dict(series), days=days)


def split_part(of: str | None) -> dict[str, str]:
    """Return the columns of a part and their values.

    >>> split_part("carrier=AA&origin=EWR")
    {'carrier': 'AA', 'origin': 'EWR'}
    """
    return dict(parse_qsl(of or "", keep_blank_values=True))


def shift_day(day: str, days: int) -> str:
    """Return the day that is so many days later.

    >>> shift_day("2026-03-01", -1)
    '2026-02-28'
    """
    return (dt.date.fromisoformat(day) + dt.timedelta(days=days)).isoformat()


def find_week_end(day: str) -> str:
    """Return the last Sunday up to a day: figures of labelled rows are looked at once a week.

    >>> find_week_end("2026-11-28")
    '2026-11-22'
    """
    return shift_day(day, -(dt.date.fromisoformat(day).isoweekday() % 7))


def cut_weeks(sums: Sequence[DaySum], last: str, count: int) -> Iterator[tuple[int, list[DaySum]]]:
    """Yield the days of each of the last weeks, the earliest first; the last one is week 0."""
    for week in range(1 - count, 1):
        end = shift_day(last, 7 * week)
        start = shift_day(end, -6)
        yield week, [entry for entry in sums if start <= entry.day <= end]
