"""What the comment is built of: tables, folded parts, and how much of them is shown. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from mlgitops.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Detail(IntEnum):
    """How much a comment says; each level leaves out what the one before still had."""

    FULL = 0
    CHANGED = 1  # of the metrics that are not judged, only those that moved
    JUDGED = 2  # of the metrics, only the judged ones; of the rest, numbers of rows
    FAILING = 3  # only what fails
    VERDICT = 4  # the verdict and where to read more


MARKS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.SKIP: "", Verdict.UNDECIDED: "⚠️"}
UNPROVEN = "⚠️"  # it passes, and a loss above the margin is not ruled out


def render_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()
) -> str:
    """Lay out a table whose cells are already escaped."""
    rule = ["--:" if at in right else "---" for at in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def fold(title: str, body: str, hidden: int, word: str) -> str:
    """Fold a body, and say below it how many rows it leaves out; all of it is escaped."""
    more = f"\n\n{count_hidden(hidden, word)}" if hidden else ""
    return f"<details><summary>{title}</summary>\n\n{body}{more}\n\n</details>"


def count_hidden(count: int, word: str) -> str:
    """Say how many are left out; nothing when none is."""
    return f"{render_count(count, word)} not shown." if count else ""


def render_count(count: int, word: str) -> str:
    """Write a number of things: "1 row", "1,200 rows"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
