"""Each situation's comment is the one that was read and accepted by eye (tests/golden)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from comments import LINKS, MARKER, situations
from waivers import WAIVINGS

from mlgitops.render.markdown import render_comment

GOLDEN = Path(__file__).parents[2] / "golden"
SITUATIONS = situations()


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_comment_is_the_accepted_one(name: str) -> None:
    """The comment of a situation equals its golden file, byte for byte."""
    hold_against(name, render_comment(SITUATIONS[name], marker=MARKER, links=LINKS))


@pytest.mark.parametrize("name", WAIVINGS)
def test_the_comment_of_a_waiver_is_the_accepted_one(name: str) -> None:
    """So does the comment on a report, and what was found of a waiver."""
    report, waiving = WAIVINGS[name]
    text = render_comment(SITUATIONS[report], marker=MARKER, links=LINKS, waiving=waiving)
    hold_against(name, text)


def hold_against(name: str, text: str) -> None:
    """Compare ``text`` with the golden file ``name``; write it when that was asked for."""
    place = GOLDEN / f"comment_{name}.md"
    if os.environ.get("MLGITOPS_GOLDEN") == "write":
        place.write_text(text, encoding="utf-8")
    assert text == place.read_text(encoding="utf-8")


def test_every_golden_file_has_its_situation() -> None:
    """No golden file is left over from a situation that is gone."""
    found = {place.stem.removeprefix("comment_") for place in GOLDEN.glob("comment_*.md")}
    assert found == set(SITUATIONS) | set(WAIVINGS)
