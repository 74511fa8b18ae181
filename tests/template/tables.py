"""Tables as people bring them, made from the bundled data."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

BUNDLED = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}" / "data" / "bundled"


class Example(NamedTuple):
    """A CSV file as text, its target, and what should be inferred of it."""

    text: str
    target: str
    task: str
    numeric: set[str]
    categorical: set[str]
    left_out: set[str]
    notes: tuple[str, ...]  # parts of sentences that must be said


def read_bundled(name: str, rows: int) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a bundled table, evenly taken."""
    with (BUNDLED / name / "data.csv").open(encoding="utf-8", newline="") as file:
        header, *body = csv.reader(file)
    step = max(1, len(body) // rows)
    return header, body[::step][:rows]


def write_csv(header: list[str], rows: list[list[str]], separator: str = ",") -> str:
    """Return a CSV file's text."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator="\r\n").writerows([header, *rows])
    return stream.getvalue()


def make_european() -> Example:
    """Semicolons, decimal commas, a byte-order mark."""
    header, rows = read_bundled("penguins", 344)
    rows = [[cell.replace(".", ",") for cell in row] for row in rows]
    numeric = {"bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "year"}
    return Example(
        "\ufeff" + write_csv(header, rows, ";"),
        "species",
        "multiclass",
        numeric,
        {"island"},
        {"sex"},
        ("separated by semicolons", "'bill_length_mm': decimal commas"),
    )


def make_missing() -> Example:
    """R's marks for missing values, in features and in the target."""
    header, rows = read_bundled("penguins", 344)
    rows = [[cell or "NA" for cell in row] for row in rows]
    place = header.index("sex")
    missing = sum(row[place] == "NA" for row in rows)
    return Example(
        write_csv(header, rows),
        "sex",
        "binary",
        {"bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "year"},
        {"species", "island"},
        set(),
        (f"{missing} rows without a value of 'sex'", "NA was taken to mean a missing value"),
    )


def make_number_classes() -> Example:
    """Classes written as numbers, and a key that is a number too."""
    header, rows = read_bundled("penguins", 344)
    codes = {"Adelie": "1", "Chinstrap": "2", "Gentoo": "3"}
    rows = [[str(1000 + at), codes[row[0]], *row[2:]] for at, row in enumerate(rows)]
    return Example(
        write_csv(["PenguinID", "Species Code", *header[2:]], rows),
        "Species Code",
        "multiclass",
        {"bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "year"},
        set(),
        {"PenguinID", "sex"},
        ("3 different whole numbers", "'PenguinID' is no feature: it names the row"),
    )


def make_dated() -> Example:
    """Dates, an unnamed index, a constant column, and one written down afterwards."""
    header, rows = read_bundled("flights", 3000)
    place = header.index("late")
    names = ("date", "carrier", "origin", "dep_hour", "recent_delay", "humid", "temp")
    kept = [header.index(name) for name in names]
    body = [
        [str(at), *(row[i] for i in kept), "2013", "late" if row[place] == "1" else "on time"]
        for at, row in enumerate(rows)
    ]
    body = [[*row, "yes" if row[-1] == "late" else "no"] for row in body]
    return Example(
        write_csv(["", *names, "year", "remark", "delayed"], body),
        "delayed",
        "binary",
        {"dep_hour", "recent_delay", "humid", "temp"},
        {"carrier", "origin"},
        {"row", "date", "year", "remark"},
        (
            "'yes' counts as positive",
            "Split by time: the test rows are the latest by 'date'",
            "'year' is no feature: it is the same in every row",
            "'remark' is no feature: it alone gives 'delayed' away",
            "it is called 'row' now",
        ),
    )


def make_written() -> Example:
    """Dates and numbers as people write them: the ingest stage reads them by rules."""
    header, rows = read_bundled("flights", 3000)
    names = ("date", "dep_hour", "carrier", "origin", "recent_delay", "humid", "temp", "late")
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    body = [
        [
            f"{'.'.join(reversed(row['date'].split('-')))} {float(row['dep_hour']):.0f}:05",
            *(row[name] for name in ("dep_hour", "carrier", "origin")),
            row["recent_delay"] or "?",
            f"{row['humid']}%" if row["humid"] else "-",
            row["temp"].replace(".", ",") or "n/a",
            row["late"],
        ]
        for row in cells
    ]
    return Example(
        write_csv(["seen", *names[1:]], body),
        "late",
        "binary",
        {"dep_hour", "recent_delay", "humid", "temp"},
        {"carrier", "origin"},
        {"seen"},
        (
            "the test rows are the latest by 'seen'",
            "'humid': % beside numbers is left out",
            "'temp': decimal commas are read as points",
            "taken as missing",
        ),
    )


def make_awkward() -> Example:
    """Names and values that YAML, Markdown and Python would take for something else."""
    header, rows = read_bundled("wages", 1200)
    names = dict(zip(header, header, strict=True)) | {
        "maritl": "État: \"civil\" # 'x'",
        "health_ins": "no",
        "wage": "löhne | €",
        "age": "{{ age }}",
    }
    values = {"Married": "[a, b]: {c}", "Divorced": "`x` | <b>", "Widowed": "null "}
    rows = [[values.get(cell, cell) for cell in row] for row in rows]
    return Example(
        write_csv([names[name] for name in header], rows),
        "löhne | €",
        "regression",
        {"year"},
        {"État: \"civil\" # 'x'", "education", "jobclass", "health", "no"},
        {"race", "{{ age }}"},
        ("different decimal numbers: the task is regression", "may be a protected attribute (age)"),
    )


EXAMPLES = {
    "european": make_european,
    "missing": make_missing,
    "number-classes": make_number_classes,
    "dated": make_dated,
    "written": make_written,
    "awkward": make_awkward,
}
