"""A program that reconciles is killed for real, with a real remote and real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.kills import play

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_killed_is_finished_by_the_next_run(tmp_path: Path) -> None:
    """Whatever it was doing: one entry for each switch, and only good models ever serve."""
    scene = play(tmp_path, seed=5, kills=3)
    assert len(scene.kills) == 3
