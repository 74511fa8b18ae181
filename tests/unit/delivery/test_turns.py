"""Whoever remembers something between two turns learns that another one came in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.loop.turns import Turns

if TYPE_CHECKING:
    from pathlib import Path


def take(turns: Turns) -> bool:
    """Take one turn, and return whether nobody came in between."""
    with turns.hold() as is_undisturbed:
        return is_undisturbed


def test_another_run_is_noticed(tmp_path: Path) -> None:
    """The first turn of each is disturbed, and so is the one after somebody else's."""
    base, head = Turns(tmp_path / "lock"), Turns(tmp_path / "lock")
    assert [take(base), take(base), take(head), take(base), take(base), take(head)] == [
        False,
        True,
        False,
        False,
        True,
        False,
    ]


def test_a_name_that_was_cut_off_is_another_one(tmp_path: Path) -> None:
    """A run that was killed while it wrote its name disturbs nobody for ever."""
    turns = Turns(tmp_path / "lock")
    assert not take(turns)
    (tmp_path / "lock").write_bytes(b"\xff\xfe")
    assert [take(turns), take(turns)] == [False, True]
