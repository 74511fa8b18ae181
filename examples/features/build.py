"""source/flights.csv → features/flights.csv: what was known before each flight's own day.

`carrier_late_rate` is the share of the carrier's flights on earlier days that were late. A day's
own flights never count in it, in whatever order the rows stand: a model that learns from the
table learns from nothing that it will not know when it is asked.
"""

import csv
from collections import defaultdict
from itertools import groupby
from pathlib import Path

SOURCE, FEATURES = Path("source/flights.csv"), Path("features/flights.csv")
KEPT = ("id", "date", "carrier", "origin", "dep_hour", "distance", "late")
FEATURE = "carrier_late_rate"


def add_rates(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows by day with the carrier's rate; empty where it had no flight before."""
    flights: defaultdict[str, int] = defaultdict(int)
    late: defaultdict[str, int] = defaultdict(int)
    joined = []
    for _, day in groupby(sorted(rows, key=lambda row: row["date"]), key=lambda row: row["date"]):
        group = list(day)
        for row in group:
            carrier = row["carrier"]
            rate = f"{late[carrier] / flights[carrier]:.6f}" if flights[carrier] else ""
            joined.append({name: row[name] for name in KEPT} | {FEATURE: rate})
        for row in group:
            flights[row["carrier"]] += 1
            late[row["carrier"]] += row["late"] == "1"
    return joined


def main() -> None:
    """Write the table."""
    with SOURCE.open(encoding="utf-8", newline="") as file:
        rows = add_rates(list(csv.DictReader(file)))
    FEATURES.parent.mkdir(exist_ok=True)
    with FEATURES.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*KEPT, FEATURE], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
