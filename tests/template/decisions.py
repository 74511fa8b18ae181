"""Tables of a few columns: how they are made, and what `new` decides about each."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlgitops.project.generate.choices import Choices
from mlgitops.project.generate.column_types import Facts, infer_table
from mlgitops.project.generate.dataset import write_dataset
from mlgitops.project.generate.table import read_table

if TYPE_CHECKING:
    from collections.abc import Callable

    Cell = Callable[[int], object]  # a row's place → the cell there
    Columns = dict[str, Cell]  # a column's name → its cells


#: What `new` asks and says, as a person has read it.
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "new"
#: Rows of a table of which each day has five.
ROWS = 600


def scatter(at: int, prime: int = 7919) -> float:
    """Return a number between 0 and 1 without order."""
    return at * prime % 1009 / 1009


def label(at: int) -> int:
    """Return a class that depends on ``x`` and on more than it."""
    return int(scatter(at) + scatter(at, 6007) > 1)


def draw_number(at: int, count: int) -> int:
    """Return one of so many numbers, as if drawn."""
    return int.from_bytes(sha256(str(at).encode()).digest()[:8], "big") % count


def day(at: int) -> date:
    """Return the day of a row: five rows a day, from 30 December 2019 on."""
    return date(2019, 12, 30) + timedelta(days=at // 5)


def make_table(columns: Columns, count: int = ROWS, separator: str = ",") -> str:
    """Return a CSV file with ``x``, these columns and the target ``y``."""
    every: Columns = {"x": lambda at: round(scatter(at), 3), **columns}
    every.setdefault("y", label)
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
    writer.writerow(every)
    writer.writerows([[cell(at) for cell in every.values()] for at in range(count)])
    return stream.getvalue()


class Case(NamedTuple):
    """Columns beside ``x`` and ``y``, and what is expected of them."""

    columns: Columns
    split: tuple[str, str | None] = ("hash", None)  # method and column
    cluster: str | None = None
    features: frozenset[str] | set[str] = frozenset()  # beside x
    says: tuple[str, ...] = ()  # parts of sentences
    choices: Choices = Choices()
    rule: dict[str, dict[str, Any]] | None = None
    separator: str = ","
    task: str | None = None
    rows: int = ROWS
    slices: tuple[str, ...] | None = None


def decide(case: Case, folder: Path) -> Facts:
    """Write the table, read it as `new` does, and write the data-set folder."""
    source = folder / "table.csv"
    source.write_text(make_table(case.columns, case.rows, case.separator), encoding="utf-8")
    table, facts = infer_table(read_table(source), target="y", task=case.task, choices=case.choices)
    (folder / "set").mkdir()
    write_dataset(folder / "set", table, facts)
    return facts
