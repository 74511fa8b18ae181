"""docs/reference/peers.md: each thing that it says of us is a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/reference/peers.md"
#: Of the tables of situations; another one holds figures.
TABLES = PAGE.read_text(encoding="utf-8").split("| situation | ")[1:]
ROWS = [line for table in TABLES for line in table.partition("\n\n")[0].splitlines()[2:]]
LINK = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")


def test_the_page_has_rows() -> None:
    """The table is there, and was read."""
    assert (len(TABLES), len(ROWS)) == (2, 27)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.split("|")[1]).strip())
def test_each_row_names_a_test_of_ours(row: str) -> None:
    """The linked file holds a test of that very name."""
    ((name, file),) = LINK.findall(row)
    source = (PAGE.parent / file).read_text(encoding="utf-8")
    assert f"def {name}(" in source
