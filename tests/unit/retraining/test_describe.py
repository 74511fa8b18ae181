"""What the pull request of a retraining says, and that nothing of production's speaks there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from msgspec import structs

from mlgitops.errors import MlgitopsError
from mlgitops.model.documents import encode_document
from mlgitops.model.monitoring import CommandSource
from mlgitops.retraining.describe import describe_counts, write_body, write_title
from mlgitops.retraining.making import name_source
from mlgitops.retraining.report import (
    Champion,
    DayRows,
    MetricPair,
    RetrainingReport,
    parse_report,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "retraining.md"
REPORT = RetrainingReport(
    toolkit="0",
    day="2026-11-23",
    reason="performance",
    why="test.brier is 0.2341, above 0.2",
    champion=Champion(
        environment="production", version="v1.2.0", revision="0" * 40, sha256="ab" * 32
    ),
    log="this host",
    labels="outcomes/*.csv",
    rows_before=15_000,
    agreeing=0.714,
    days=(
        DayRows(day="2026-10-01", appended=310, taken=4, refused=2),
        DayRows(day="2026-10-02", appended=500, over_day=41),
        DayRows(day="2026-11-21", held_out=298, refused=1),
    ),
    refusals={"temp: in_range(-20, 115)": 3},
    metrics=(
        MetricPair(
            name="test.brier", greater_is_better=False, champion=0.2341, challenger=0.1788,
            low=-0.0812, high=-0.0294, confidence=0.975,
        ),
        MetricPair(
            name="test.roc_auc", greater_is_better=True, champion=0.701, challenger=0.684,
            low=-0.0311, high=-0.0029, confidence=0.95, reason="24 days are few",
        ),
        MetricPair(name="test.f1", greater_is_better=True, reason="one class only"),
    ),
)  # fmt: skip


def test_the_body_is_the_golden_one() -> None:
    """`MLGITOPS_GOLDEN=write` writes it anew; read the difference."""
    text = f"{write_title(REPORT)}\n\n{write_body(REPORT)}\n"
    if os.environ.get("MLGITOPS_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_the_terminal_says_the_same_in_short() -> None:
    """Rows by what became of them, and a line for each metric."""
    rows, *metrics = describe_counts(REPORT)
    assert rows.startswith("rows with a label: 810 learned from, 298 held out, 4 there before")
    assert metrics == [
        "test.brier: 0.2341 → 0.1788, better",
        "test.roc_auc: 0.701 → 0.684, worse",
        "test.f1: one class only",
    ]


@pytest.mark.parametrize("word", ["@octocat", "<img src=x>", "[a](http://b)", "a|b", "#1", "`x`"])
def test_nothing_of_production_speaks_in_the_pull_request(word: str) -> None:
    """Names and sentences of a log, a contract, a policy are shown, and do nothing."""
    hostile = structs.replace(
        REPORT,
        why=word,
        log=word,
        labels=word,
        refusals={f"x: {word}": 1},
        metrics=(MetricPair(name=word, greater_is_better=True, reason=word),),
    )
    body = write_body(hostile)
    for tag in ("<details>", "</details>", "<summary>", "</summary>"):
        body = body.replace(tag, "")
    outside = "".join(part for at, part in enumerate(body.split("`")) if at % 2 == 0)
    assert "@octocat" not in outside
    assert re.search(r"(?<!\\)<img", outside) is None
    assert re.search(r"(?<!\\)\]\(", outside) is None
    (row,) = [line for line in body.splitlines() if "not measured" in line]
    assert row.replace("\\|", "").count("|") == 6


def test_a_report_is_read_as_it_was_written_and_no_other() -> None:
    """The default branch may hold anything: what is no report is named."""
    data = encode_document(REPORT)
    assert parse_report(data, "x") == REPORT
    assert b'"taken": 0' not in data
    for other in (b"", b"[]", b"{", data[:-9], data.replace(b'"day"', b'"days"', 1), b"[" * 9999):
        with pytest.raises(MlgitopsError, match="`mlgitops retrain` writes it: nobody edits it"):
            parse_report(other, "x")
    with pytest.raises(MlgitopsError, match="more than"):
        parse_report(b" " * (4 * 2**20 + 1), "x")


def test_a_command_is_named_without_its_folder_and_its_words() -> None:
    """Everybody who reads the pull request would see how somebody's machine is laid out."""
    source = CommandSource(words=("/home/ann/.venv/bin/python", "replay.py", "--token=abc"))
    assert name_source(source) == "the command python"
