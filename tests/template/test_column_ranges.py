"""Which numbers a column may hold: by its name where that says it, else by what was seen."""

from __future__ import annotations

import pytest

from mlgitops.project.generate.columns import describe_column
from mlgitops.project.generate.contract import describe, widen_range

SPANS = [
    ("month", (2, 7), (), (1, 12)),
    ("arr_month", (1, 12), (), (1, 12)),
    ("sched_dep_hour", (5, 22), (), (0, 23)),
    ("hour", (1, 24), (), (0, 24)),
    ("day_of_week", (0, 6), (), (0, 6)),
    ("weekday", (1, 7), (), (1, 7)),
    ("dayofweek", (0, 4), (), (0, 6)),
    ("isoweek", (1, 40), (), (1, 53)),
    ("week", (1, 40), ("year",), (1, 53)),
    ("day", (1, 31), ("month",), (1, 31)),
    ("dep_day", (1, 30), ("dep_month",), (1, 31)),
    ("day_of_month", (1, 31), (), (1, 31)),
    ("quarter", (1, 3), (), (1, 4)),
    ("minute", (0, 59), ("hour",), (0, 59)),
    ("second", (0, 59), ("minute",), (0, 59)),
    ("year", (2007, 2009), (), (2002, 2014)),
    ("model_year", (1950, 2020), (), (1930, 2040)),
    ("age", (18, 60), (), (0, 120)),
    ("latitude", (40.5, 52.1), (), (-90, 90)),
    ("start lng", (-74.2, 13.4), ("start lat",), (-180, 180)),
    ("lat", (40, 52), ("lon",), (-90, 90)),
]
#: Names that look like one of these, of columns whose next honest row may be outside.
NO_SPANS = [
    ("hour", (1, 30), ()),  # more than a day has: a duration
    ("hour", (0, 5), ()),
    ("study_hour", (0, 20), ()),
    ("year", (3, 9), ()),  # of a contract, perhaps
    ("months", (1, 12), ()),
    ("warranty_month", (1, 12), ("month",)),
    ("days_in_month", (28, 31), ()),
    ("day", (1, 30), ()),  # of a study that goes on
    ("study_day", (1, 30), ("month",)),
    ("day", (1, 31), ("arr_month",)),
    ("week", (1, 40), ()),
    ("minute", (0, 58), ()),  # of a match
    ("second", (0, 59), ("hour",)),
    ("age_of_house", (0, 160), ()),
    ("machine_age", (3, 60), ()),
    ("age", (18, 90), ()),  # what was seen leaves more room than a person's age
    ("age", (-5, 30), ()),
    ("p99_lat", (12, 88), ()),
    ("p99_lat", (12.5, 88.1), ("lon",)),
    ("lat", (12, 95), ("lon",)),
    ("long", (1, 170), ()),
    ("growth_pct", (3, 95), ()),
]


@pytest.mark.parametrize(("name", "seen", "beside", "span"), SPANS)
def test_a_name_says_what_a_number_can_be(
    name: str, seen: tuple[float, float], beside: tuple[str, ...], span: tuple[int, int]
) -> None:
    """A month is 1 to 12 whatever was seen."""
    column = describe_column(name, [str(value) for value in seen])
    rules = describe(column, (name, *beside))
    assert rules["in_range"] == {"min_value": span[0], "max_value": span[1]}


@pytest.mark.parametrize(("name", "seen", "beside"), NO_SPANS)
def test_a_name_alone_refuses_no_honest_row(
    name: str, seen: tuple[float, float], beside: tuple[str, ...]
) -> None:
    """Where the name may mean something else, the range has its room beyond what was seen."""
    column = describe_column(name, [str(value) for value in seen])
    assert describe(column, (name, *beside))["in_range"] == widen_range(*seen)
