"""What is said of a server's log: one line of it as a reason, the last ones at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlgitops.delivery.protocol import describe_end, read_tail

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (None, ""),
        ("", ""),
        ("\n  \n", ""),
        ("Traceback\nValueError: no\n", "; its log ends: ValueError: no"),
        ("a | b\n\n", "; its log ends: a | b"),
        ("ends\x1b[2J\n", "; its log ends: ends?[2J"),
        (f"{'word ' * 40}\n", f"; its log ends: {'word ' * 31}..."),
    ],
)
def test_a_reason_names_the_last_line_with_words(
    tmp_path: Path, text: str | None, end: str
) -> None:
    """It is one line, of no more than 160 characters, cut between two words and marked as cut."""
    log = tmp_path / "slot-a.log"
    if text is not None:
        log.write_text(text, "utf-8")
    assert describe_end(log) == end


def test_the_terminal_gets_the_last_lines_whole(tmp_path: Path) -> None:
    """Twenty of them, each marked as quoted."""
    log = tmp_path / "slot-a.log"
    log.write_text("".join(f"{number:400}\n" for number in range(30)), "utf-8")
    assert read_tail(log).splitlines() == ["", *(f"    | {n:400}" for n in range(10, 30))]
