"""`mlgitops monitor`: a log and labels on disk become facts, a look, a page and an issue."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import TYPE_CHECKING

import pytest
from git_project import git
from posting import make_forge, serve_in_environment

from mlgitops.cli import run

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "ab" * 32
DAYS, ROWS = 63, 12
LAST = dt.date(2026, 11, 22)  # a Sunday
POLICY = """\
version: 1
metrics:
  test.brier: {greater_is_better: false, max_value: 0.2}
"""
PARAMS = """\
task: binary
data: {target: late, positive: 1}
features: {numeric: [temp], categorical: [origin]}
"""
CONTRACT = """\
columns:
  temp: {dtype: float64, in_range: {min_value: 0, max_value: 100}}
  origin: {dtype: str, isin: [EWR, JFK]}
  late: {dtype: int64, isin: [0, 1]}
"""


def make_repository(folder: Path) -> None:
    """Make an empty repository."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")


def make_project(folder: Path, *, wrong: float) -> Path:
    """Make a project with a log of nine weeks and the labels of all rows.

    ``wrong``: the share of rows in the last five weeks whose score says the opposite.
    """
    make_repository(folder)
    for name, text in (("policy", POLICY), ("params", PARAMS), ("contract", CONTRACT)):
        (folder / f"{name}.yaml").write_text(text)
    log = folder / ".mlgitops" / "deploy" / "production" / "requests"
    log.mkdir(parents=True)
    dice, labels = random.Random(8), ["id,outcome"]  # noqa: S311 - a story
    for before in range(DAYS):
        day = (LAST - dt.timedelta(days=before)).isoformat()
        lines = []
        for row in range(ROWS):
            late = dice.random() < 0.4
            is_right = dice.random() >= (wrong if before < 35 else 0.05)
            score = 0.9 if late == is_right else 0.1
            record = {
                "v": 1,
                "id": f"{day}/{row}",
                "at": f"{day}T08:00:{row:02}.000Z",
                "model": MODEL,
                "inputs": {"temp": 50 + row, "origin": dice.choice(("EWR", "JFK"))},
                "score": score,
                "answer": int(score > 0.5),
            }
            lines.append(json.dumps(record))
            labels.append(f"{day}/{row},{int(late)}")
        (log / f"{day}-0123abcd.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "labels.csv").write_text("\n".join(labels) + "\n")
    assert run(["label", "production", str(folder / "labels.csv"), "--directory", str(folder)]) == 0
    return folder


def monitor(folder: Path, *options: str) -> int:
    """Look as of the end of the log."""
    words = ["monitor", "production", "--directory", str(folder), "--day", LAST.isoformat()]
    facts = ["--facts", str(folder / "facts")]
    return run([*words, *facts, *options])


def test_a_model_that_got_worse_is_an_alert_on_a_page_and_in_one_issue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice looked, one issue; the facts hold no id and are the same bytes."""
    folder = make_project(tmp_path / "flights", wrong=0.5)
    forge = make_forge()
    with serve_in_environment(forge, monkeypatch):
        assert monitor(folder, "--post", "--html", str(tmp_path / "page.html")) == 1
        before = {path.name: path.read_bytes() for path in (folder / "facts").rglob("*.jsonl")}
        assert monitor(folder, "--post", "--json") == 1
    assert {path.name: path.read_bytes() for path in (folder / "facts").rglob("*.jsonl")} == before
    assert sorted(before) == ["2026-09.jsonl", "2026-10.jsonl", "2026-11.jsonl"]
    assert b"-22/1" not in b"".join(before.values())
    (issue,) = forge.state.issues.values()
    assert issue.title == "production: the model answers worse than the policy allows"
    page = (tmp_path / "page.html").read_text()
    assert "test.brier by week" in page
    assert "<script" not in page
    look = json.loads(capsys.readouterr().out[-100_000:].partition("\n{")[2].join(("{", "")))
    (brier,) = (it for it in look["findings"] if it["name"] == "test.brier")
    assert (brier["state"], brier["days"], brier["rows"]) == ("alert", 28, 28 * ROWS)


@pytest.mark.usefixtures("author")
def test_the_branch_holds_the_facts_where_no_folder_is_named(tmp_path: Path) -> None:
    """A commit for a look beside the branch's first one, and none where nothing changed."""
    folder = make_project(tmp_path / "flights", wrong=0.05)
    git(folder, "commit", "-q", "--allow-empty", "-m", "Begin")
    words = ["monitor", "production", "--directory", str(folder), "--day", LAST.isoformat()]
    assert [run(words), run(words)] == [0, 0]
    log = git(folder, "log", "--format=%H", "monitoring")
    assert len(log.split()) == 2


def test_a_model_that_holds_rings_nothing_and_facts_outlive_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of old days may be deleted: what is kept of them is enough."""
    folder = make_project(tmp_path / "flights", wrong=0.05)
    capsys.readouterr()
    assert monitor(folder) == 0
    shown = capsys.readouterr().out
    assert "production: no alert" in shown
    for path in (folder / ".mlgitops" / "deploy" / "production" / "requests").iterdir():
        path.unlink()
    assert monitor(folder) == 0
    assert monitor(folder, "--no-log") == 0
    assert capsys.readouterr().out == shown * 2


def test_a_machine_without_the_labels_silences_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has the log alone: what another one measured by labels stays, and is said."""
    folder = make_project(tmp_path / "flights", wrong=0.5)
    assert monitor(folder) == 1
    facts = {path: path.read_bytes() for path in (folder / "facts").rglob("*.jsonl")}
    (folder / ".mlgitops" / "deploy" / "production" / "labels").rename(tmp_path / "elsewhere")
    assert monitor(folder) == 1
    assert {path: path.read_bytes() for path in (folder / "facts").rglob("*.jsonl")} == facts
    assert "63 days from 2026-09-21: fewer rows or labels are here" in capsys.readouterr().err


def test_days_that_nobody_measured_are_read_however_long_ago(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A look at an old day is no reason to leave out those between it and the log's last.

    Nor is a file that is there twice left unsaid.
    """
    folder = make_project(tmp_path / "flights", wrong=0.05)
    (log,) = folder.glob(f".mlgitops/deploy/production/requests/{LAST}-*.jsonl")
    log.with_name(f"{LAST}-0badcafe.jsonl").write_bytes(log.read_bytes())
    (folder / "monitor.yaml").write_text("requests: {keep_days: 7}\n")
    words = ["monitor", "production", "--directory", str(folder), "--facts", str(folder / "facts")]
    assert run([*words, "--day", "2026-10-01"]) == 0
    assert monitor(folder) == 0
    lines = b"".join(path.read_bytes() for path in sorted((folder / "facts").rglob("*.jsonl")))
    assert lines.count(b'"name":"rows"') == DAYS
    assert f"{ROWS} rows of {LAST} repeat an id of their day" in capsys.readouterr().err


def tear(folder: Path, before: int, count: int) -> None:
    """Tear the last ``count`` lines of the log of a day, so many days before the last one."""
    day = LAST - dt.timedelta(days=before)
    (path,) = folder.glob(f".mlgitops/deploy/production/requests/{day}-*.jsonl")
    lines = path.read_text().splitlines()
    torn = [line if at < len(lines) - count else line[:60] for at, line in enumerate(lines)]
    path.write_text("\n".join(torn) + "\n")


@pytest.mark.parametrize("is_known", [False, True])
def test_a_log_that_nobody_can_read_opens_one_issue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    """A torn line of a day does not, a day of torn lines does, also where its sums are kept."""
    folder = make_project(tmp_path / "flights", wrong=0.05)
    if is_known:
        assert monitor(folder) == 0
    whole = {path: path.read_bytes() for path in (folder / "facts").rglob("*.jsonl")}
    tear(folder, 4, 1)
    assert monitor(folder) == 0
    forge = make_forge()
    with serve_in_environment(forge, monkeypatch):
        tear(folder, 2, ROWS)
        assert [monitor(folder, "--post"), monitor(folder, "--post")] == [1, 1]
    (issue,) = forge.state.issues.values()
    title = "production: what the model is asked has changed, or cannot be read"
    assert (issue.title, issue.state) == (title, "open")
    assert "`unreadable` is 1, allowed is at most 0.01, monitor.yaml" in issue.body
    assert f"on 2026-11-20: {ROWS} of {ROWS}" in issue.body
    for path, data in whole.items():  # what was measured of the day stays
        kept = {line for line in data.splitlines() if b'"unreadable"' not in line}
        assert kept <= set(path.read_bytes().splitlines())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--day", "2026-02-30"], "is no day"),
        (["--day", "2999-01-01"], "is not over yet"),
        (["--post", "--no-log"], "nothing can be posted"),
    ],
)
def test_what_cannot_be_done_says_why(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    """Exit code 2, a sentence, no traceback."""
    folder = tmp_path / "flights"
    make_repository(folder)
    for name, text in (("policy", POLICY), ("params", PARAMS), ("contract", CONTRACT)):
        (folder / f"{name}.yaml").write_text(text)
    assert monitor(folder, *options) == 2
    assert message in capsys.readouterr().err


def test_without_any_fact_nothing_is_green(tmp_path: Path) -> None:
    """An empty log is no sign that all is well."""
    folder = tmp_path / "flights"
    make_repository(folder)
    for name, text in (("policy", POLICY), ("params", PARAMS), ("contract", CONTRACT)):
        (folder / f"{name}.yaml").write_text(text)
    assert monitor(folder, "--no-log") == 2
