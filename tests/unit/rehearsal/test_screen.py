"""What a person reads of a comment on the terminal: text and tables, no Markdown."""

from __future__ import annotations

import io

import pytest

from mlgitops.rehearsal.screen import show_comment

COMMENT = """\
**✅ May merge**: `test.f1` 0.70 → 0.75

Base [`e9a833e`](https://github.com/o/r/commit/e9a833e) → head

| Metric | Head |
| --- | --: |
| `test.f1` | 0.75 |
"""


def test_a_comment_is_shown_without_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stars, backticks, addresses and bars are gone; in a pipe COLUMNS is the width."""
    monkeypatch.setenv("COLUMNS", "60")
    stream = io.StringIO()
    show_comment(COMMENT, stream)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert [line for line in lines if line] == [
        "✅ May merge: test.f1 0.70 → 0.75",
        "Base e9a833e → head",
        " Metric   Head",
        " ─────────────",
        " test.f1  0.75",
    ]


def test_an_alert_is_a_word_and_no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub draws `[!WARNING]` as a box; the same marks in a sentence stay."""
    monkeypatch.setenv("COLUMNS", "60")
    stream = io.StringIO()
    show_comment("> [!WARNING]\n> It edits `[!NOTE]`.\n\n> [!NOTE]\n> One.\n>\n> Two.", stream)
    lines = [line.strip(" ▌") for line in stream.getvalue().splitlines()]
    assert [line for line in lines if line] == [
        "Warning: It edits [!NOTE].",
        "Note: One.",
        "Two.",
    ]


@pytest.mark.parametrize("columns", ["40", "100"])
def test_no_line_is_wider_than_the_window(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long sentence is wrapped at the width that COLUMNS says."""
    monkeypatch.setenv("COLUMNS", columns)
    stream = io.StringIO()
    show_comment("word " * 60, stream)
    assert max(map(len, stream.getvalue().splitlines())) <= int(columns)
