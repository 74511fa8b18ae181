"""The figures of the code keep their limits, and CONTRIBUTING.md says the same limits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def print_figures(*words: str | Path) -> tuple[int, str]:
    """Run the script; return its exit code and what it printed."""
    command = [sys.executable, ROOT / "scripts/code_figures.py", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def read_rows(text: str) -> dict[str, list[str]]:
    """Return the rows of the table of figures in a text: name to the cells after it."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {name: cells for name, *cells in rows if re.search("at most|under", cells[-1])}


def test_the_code_keeps_its_limits_and_the_page_says_them() -> None:
    """No function of src/mlgitops is over a limit, and whoever writes one reads the right ones."""
    code, printed = print_figures()
    assert code == 0, printed
    limits = {name: cells[-1:] for name, cells in read_rows(printed).items()}
    section = PAGE.partition("## Figures with a limit")[2].partition("\n## ")[0]
    assert (limits, len(limits)) == (read_rows(section), 4)


SHORT = "def short(value):\n    return value\n"
LONG = "def long(value):\n" + "    value += 1\n" * 60
WIDE = "def wide(self, " + ", ".join(f"value_{number}" for number in range(9)) + "):\n    pass\n"
MIDDLING = "def middling(value):\n" + "    value += 1\n" * 9


@pytest.mark.parametrize(
    ("source", "row"),
    [
        (SHORT * 2 + LONG, "| lines of a function: longest | 61 | at most 60 |"),
        (SHORT * 2 + WIDE, "`self` and `cls` not counted: most | 9 | at most 8 |"),
        (MIDDLING, "signature included: median | 10 | at most 9 |"),
        (SHORT * 98 + "one = 2\n", "| filler among the names that are bound | 1.01% | under 1% |"),
    ],
    ids=["long", "wide", "median", "filler"],
)
def test_what_is_over_a_limit_ends_with_1(tmp_path: Path, source: str, row: str) -> None:
    """Each limit alone decides, and the row shows by how much."""
    (tmp_path / "module.py").write_text(source)
    code, printed = print_figures(tmp_path)
    assert (code, row in printed) == (1, True), printed


def test_the_function_is_named(tmp_path: Path) -> None:
    """Whoever broke a limit reads the file, the line and the name."""
    (tmp_path / "module.py").write_text(SHORT * 2 + LONG + WIDE)
    _, printed = print_figures(tmp_path)
    assert "too long: module.py:5 long has 61 lines" in printed
    assert "too wide: module.py:66 wide takes 9 arguments" in printed
