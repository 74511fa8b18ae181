"""Days of real flights as series, and years without change that are drawn from them. Pure.

A year without change: blocks of 7 or 14 days that follow each other, drawn again and again from
one month. Within a block days resemble their neighbours as they really do; from block to block
nothing trends.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Days = NDArray[np.intp]

PATH = Path(__file__).with_name("flight_days.csv")
SERVED_FROM = "2013-04-01"
WEEK, LOOKS = 7, 52
#: Days before the first look, so that it has a full window.
BEFORE = 28


@dataclass(frozen=True, kw_only=True, eq=False)
class Flights:
    """The days' sums: one value a day, and the counts of each column's bins."""

    day: list[str]
    sums: dict[str, Floats]
    bins: dict[str, Floats]  # days by bins

    def choose(self, days: Days) -> Flights:
        """Return some days, in the order given."""
        return Flights(
            day=[self.day[at] for at in days],
            sums={name: values[days] for name, values in self.sums.items()},
            bins={name: counts[days] for name, counts in self.bins.items()},
        )


def read_flights() -> Flights:
    """Read the table."""
    with PATH.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    names = [name for name in lines[0] if name != "day"]
    sums = [name for name in names if not name.startswith("bins.")]
    return Flights(
        day=[line["day"] for line in lines],
        sums={name: np.array([float(line[name]) for line in lines]) for name in sums},
        bins={
            name.removeprefix("bins."): _read_bins([line[name] for line in lines])
            for name in names
            if name not in sums
        },
    )


def _read_bins(cells: Sequence[str]) -> Floats:
    """Read counts, of bins in their order or of levels by their names."""
    if ":" not in cells[0]:
        return np.array([[float(count) for count in cell.split()] for cell in cells])
    counts = [dict(entry.split(":") for entry in cell.split()) for cell in cells]
    levels = sorted({level for line in counts for level in line})
    return np.array([[float(line.get(level, 0)) for level in levels] for line in counts])


def split_served(flights: Flights) -> tuple[Flights, Flights]:
    """Return the held-out days, and those on which the model served."""
    served = np.array([day >= SERVED_FROM for day in flights.day])
    return flights.choose(np.flatnonzero(~served)), flights.choose(np.flatnonzero(served))


def list_months(flights: Flights) -> list[Days]:
    """Return the days of each month."""
    months = np.array([day[:7] for day in flights.day])
    return [np.flatnonzero(months == month) for month in sorted(set(months))]


def draw_days(month: Days, block: int, count: int, rng: np.random.Generator) -> Days:
    """Draw ``count`` days as blocks of a month; the month's end goes on with its beginning."""
    starts = rng.integers(0, len(month), size=count // block + 1)
    within = (starts[:, None] + np.arange(block)) % len(month)
    chosen: Days = month[within.ravel()[:count]]
    return chosen
