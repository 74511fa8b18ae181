"""Which rows are learned from, as the project's own contract admits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_project import write_files
from retrained_project import CONTRACT, FILES, PARAMS

from mlgitops.model.monitoring import MonitorSettings, RetrainSettings
from mlgitops.monitoring.labels import hash_id
from mlgitops.retraining.gathering import LabelledRow, choose_rows
from mlgitops.retraining.making import choose_admissible, hash_ids
from mlgitops.retraining.recipe import make_recipe
from mlgitops.retraining.stages import ProjectCode

if TYPE_CHECKING:
    from pathlib import Path

HEADER = ("flight", "day", "temp", "origin", "late")
OLD, NEWEST = "2026-11-01", "2026-11-20"


def make_row(name: str, day: str, temp: int) -> LabelledRow:
    """Make a row; the contract takes temperatures from 0 to 100."""
    return LabelledRow(name, day, (name, day, str(temp), "JFK", "1"), "client", agrees=False)


@pytest.mark.parametrize(
    "caps",
    [
        RetrainSettings(window_days=1, rows_per_day=4),
        RetrainSettings(window_days=1, client="origin", rows_per_client=4),
    ],
)
def test_rows_that_the_contract_refuses_fill_no_cap(tmp_path: Path, caps: RetrainSettings) -> None:
    """Others take their places, and each is counted once; without a cap nothing is asked."""
    write_files(tmp_path / "clean", FILES)
    (tmp_path / "rows").mkdir()
    code = ProjectCode(tmp_path / "clean", tmp_path / "rows")
    recipe = make_recipe(HEADER, PARAMS.encode(), CONTRACT.encode(), MonitorSettings())
    rows = [make_row(f"hot-{at}", OLD, 150) for at in range(30)]
    rows += [make_row(f"mild-{at}", OLD, 20) for at in range(6)]
    rows += [make_row(f"hot-new-{at}", NEWEST, 150) for at in range(9)]
    rows.append(make_row("newest", NEWEST, 20))
    chosen, refusals = choose_admissible(code, recipe, rows, (), caps)
    admitted, _ = code.admit(recipe, [row.cells for row in chosen.new])
    assert len(admitted) == 4
    refused, over = chosen.refused.total(), chosen.over_day + chosen.over_client
    assert refused == refusals.total() > 0
    assert len(chosen.new) + len(chosen.window) + refused + over.total() == len(rows)
    assert "newest" in {row.id for row in chosen.window}


def test_a_table_of_ids_knows_the_rows_of_a_log_that_hashes_them() -> None:
    """Else the same request would be learned as itself, and by its hash once more."""
    salt = bytes(range(32))
    (hashed,) = hash_ids({"UA-1"}, salt) - {"UA-1"}
    assert hashed == hash_id("UA-1", salt)
    assert hash_ids({"UA-1"}, None) == {"UA-1"}
    rows = [LabelledRow(name, OLD, (), "", agrees=False) for name in (hashed, "other")]
    rows.append(LabelledRow("newest", NEWEST, (), "", agrees=False))
    chosen = choose_rows(rows, hash_ids({"UA-1"}, salt), RetrainSettings(window_days=1))
    assert [row.id for row in chosen.new] == ["other"]
