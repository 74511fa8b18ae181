"""The test rows that the first policy is made for are those that the project's stages choose."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from itertools import compress
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from template.decision_cases import some
from template.decisions import ROWS, label, make_table, scatter

from mlgitops.cli import run
from mlgitops.project.generate.column_types import infer_table
from mlgitops.project.generate.split import choose_hashed
from mlgitops.project.generate.table import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from template.decisions import Columns

_RUN_STAGES = """
import importlib, sys
sys.path[:0] = ["src"]
for stage in ("ingest", "split"):
    importlib.import_module(f"rows.{stage}").main()
"""


#: Five rows that the first seed would all test.
RARE = list(compress(range(ROWS), choose_hashed([str(at) for at in range(ROWS)], 0)))[:5]

TABLES: dict[str, Columns] = {
    "no names of rows, and marks of missing values": {"n": some("n/a"), "mark": some("NA", 20)},
    "days of uneven size": {
        "day": lambda at: date(2020, 1, 1) + timedelta(days=(at * at) // 4001),
    },
    "patients": {"patient": lambda at: f"p{at % 120}"},
    "a class that the first seed would only test": {
        "row_id": lambda at: at,
        "y": lambda at: "c" if at in RARE else "ab"[label(at)],
    },
}


@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
def test_the_policy_is_made_for_the_rows_that_the_stages_choose(
    columns: Columns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """Row by row, as the project's ingest and split stages write them."""
    monkeypatch.setenv("HOME", str(home))
    source = tmp_path / "rows.csv"
    source.write_text(make_table({"at": scatter, **columns}), encoding="utf-8")
    _, facts = infer_table(read_table(source), target="y")
    words = ["new", "--no-input", "--data", str(source), "--target", "y"]
    assert run([*words, "--directory", str(tmp_path)]) == 0
    project = tmp_path / "rows"
    subprocess.run([sys.executable, "-c", _RUN_STAGES], cwd=project, check=True)
    written = pd.read_csv(project / "data" / "split" / "test.csv", dtype=str)
    whole = pd.read_csv(source, dtype=str)
    assert written["at"].tolist() == whole["at"][facts.split.is_test].tolist()
    if facts.split.method == "time":  # whole days, and the latest
        days = pd.Series(facts.split.is_test).groupby(whole["day"]).mean()
        assert days.isin([0, 1]).all()
        assert days.is_monotonic_increasing
    sides = whole["y"].groupby(pd.Series(facts.split.is_test)).agg(set)
    assert sides[True] <= sides[False]


def test_another_seed_chooses_other_rows() -> None:
    """As often as a share of 0.3 says, and each seed its own."""
    keys = [f"key {at}" for at in range(2_000)]
    first, second = (choose_hashed(keys, seed) for seed in (0, 1))
    assert 500 < sum(first) < 700
    assert first != second
