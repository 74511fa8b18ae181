"""The facts of an environment as series of days, up to a day. Pure."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from mlgitops.model.monitoring import OF_FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlgitops.model.monitoring import DayFact

_REFUSED = "refused."
#: What is counted whichever model was asked.
_COUNTED = ("rows", "labels", "missing", "new_level", *OF_FILES)


class DaySum(NamedTuple):
    """The sums of one figure on one day."""

    day: str
    numerator: float
    denominator: float
    rows: int


Series = dict[tuple[str, str | None], list[DaySum]]


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """What is kept of one model, each series in the order of its days."""

    model: str
    series: Series

    def read(self, name: str, of: str | None = None, *, until: str) -> list[DaySum]:
        """Return the days of a figure that have something to divide by."""
        sums = self.series.get((name, of), [])
        return [entry for entry in sums if entry.day <= until and entry.denominator > 0]

    def list_parts(self, name: str) -> list[str]:
        """Return what a figure is kept of beside all rows, such as its columns."""
        return sorted(of for key, of in self.series if key == name and of is not None)


@dataclass(frozen=True, kw_only=True, eq=False)
class Archive:
    """What is kept of an environment: of each model, and the counts of all of them together."""

    models: dict[str, History]
    asked: list[tuple[str, float, str]]  # day, rows and refused requests, model; in this order
    counts: Series  # rows, refusals, missing cells and new levels, of all models

    def choose(self, until: str) -> History | None:
        """Return the model that was asked last, up to a day; None: none ever was.

        One that refuses all that it is asked counts as well: what is wrong with it must show.
        """
        model = max((entry for entry in self.asked if entry[0] <= until), default=None)
        return None if model is None else self.models[model[2]]

    @property
    def has_losses(self) -> bool:
        """Tell whether a file held what nobody can use."""
        return any(self.has_lost(name) for name in OF_FILES)

    def has_lost(self, name: str) -> bool:
        """Tell whether a count of :data:`OF_FILES` is above 0 on any day."""
        return any(entry.numerator for entry in self.counts.get((name, None), []))

    def list_days(self, until: str) -> list[str]:
        """Return the days up to one on which any model answered a row."""
        rows = self.counts.get(("rows", None), [])
        return [entry.day for entry in rows if entry.rows and entry.day <= until]

    def count_requests(self) -> dict[str, float]:
        """Return the rows that were answered and the requests that were refused, by day."""
        requests: dict[str, float] = defaultdict(float)
        for day, count, _ in self.asked:
            requests[day] += count
        return dict(requests)


def read_archive(facts: Iterable[DayFact], until: str) -> Archive:
    """Return what the facts say up to a day."""
    models: dict[str, Series] = defaultdict(lambda: defaultdict(list))
    asked: dict[tuple[str, str], float] = defaultdict(float)
    counts: dict[tuple[str, str | None], dict[str, DaySum]] = defaultdict(dict)
    for fact in sorted((it for it in facts if it.day <= until), key=lambda it: it.day):
        key, entry = (fact.name, fact.of), _take_sums(fact)
        models[fact.model][key].append(entry)
        is_refusal = fact.name.startswith(_REFUSED)
        if is_refusal or fact.name in _COUNTED:
            days = counts[key]
            days[fact.day] = _add_sums(days.get(fact.day), entry)
        if fact.of is None and (is_refusal or fact.name == "rows"):
            asked[fact.day, fact.model] += fact.numerator if is_refusal else fact.rows
    return Archive(
        models={
            model: History(model=model, series=dict(series)) for model, series in models.items()
        },
        asked=sorted((day, count, model) for (day, model), count in asked.items() if count > 0),
        counts={key: list(days.values()) for key, days in counts.items()},
    )


def _take_sums(fact: DayFact) -> DaySum:
    return DaySum(fact.day, fact.numerator, fact.denominator, fact.rows)


def _add_sums(before: DaySum | None, entry: DaySum) -> DaySum:
    if before is None:
        return entry
    return DaySum(
        entry.day,
        before.numerator + entry.numerator,
        before.denominator + entry.denominator,
        before.rows + entry.rows,
    )


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
