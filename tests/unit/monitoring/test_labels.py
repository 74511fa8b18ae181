"""`mlgitops label`: what becomes of each label, and that giving it again changes nothing."""

from __future__ import annotations

import csv
import datetime as dt
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from request_log import BINARY, DAY, make_plan_of, make_record, make_refusal, write_log

from mlgitops.cli import run
from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import LabelSettings
from mlgitops.monitoring.label_store import Label, LabelStore
from mlgitops.monitoring.label_tables import read_table
from mlgitops.monitoring.labels import REUSED, Given, Taken, take_labels
from mlgitops.monitoring.problems import Problems
from mlgitops.monitoring.sources import list_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = dt.datetime(2026, 6, 10, 8, 0, tzinfo=dt.UTC)
PLAN = make_plan_of(BINARY)


def take(folder: Path, labels: Sequence[tuple[object, object]], now: dt.datetime = NOW) -> Taken:
    """Match labels with the log of a folder."""
    given_labels = [
        Given(position=f"file:{number}", id=row_id, outcome=outcome)
        for number, (row_id, outcome) in enumerate(labels, start=1)
    ]
    parts = list_folder(folder / "requests", "2026-01-01", "2027-01-01")
    store = LabelStore(folder=folder / "labels")
    return take_labels(given_labels, parts, store, PLAN, now=now, late_days=28)


def read(folder: Path, day: str = DAY) -> dict[str, str | float]:
    """Return the labels that are kept of a day."""
    problems = Problems()
    labels = LabelStore(folder=folder / "labels").read(day, problems)
    assert not problems.counts
    return labels


def count(taken: Taken) -> tuple[int, int, int, int, int]:
    """Return the counts: new, corrected, unchanged, unknown, late."""
    return taken.new, taken.corrected, taken.unchanged, taken.unknown, taken.late


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a folder with two days of requests and a refusal."""
    write_log(tmp_path / "requests", [make_record("x/0"), make_record("x/1"), make_refusal("x/9")])
    other = "2026-06-02"
    record = make_record("7", at=f"{other}T00:00:00.000Z")
    write_log(tmp_path / "requests", [record], other)
    return tmp_path


def test_labels_go_to_the_day_of_their_request(log: Path) -> None:
    """Whole numbers are ids, too; a class has one spelling."""
    taken = take(log, [("x/0", "1.0"), (7, 0), ("x/1", True)])
    assert count(taken) == (2, 0, 0, 0, 0)
    assert (read(log), read(log, "2026-06-02")) == ({"x/0": "1"}, {"7": "0"})
    assert taken.days == ["2026-06-01", "2026-06-02"]
    assert taken.problems.counts == {"its outcome is no class of contract.yaml": 1}


def test_each_fate_is_counted(log: Path) -> None:
    """New, as before, corrected, unknown; a refused request has no row to label."""
    assert count(take(log, [("x/0", 1), ("x/0", "1"), ("x/5", 1), ("x/9", 1)])) == (1, 0, 1, 2, 0)
    before = (log / "labels" / f"{DAY}.jsonl").read_bytes()
    assert count(take(log, [("x/0", 1)])) == (0, 0, 1, 0, 0)
    assert (log / "labels" / f"{DAY}.jsonl").read_bytes() == before
    assert count(take(log, [("x/0", 0), ("x/1", 1)])) == (1, 1, 0, 0, 0)
    assert read(log) == {"x/0": "0", "x/1": "1"}


def test_an_id_of_several_days_is_said(log: Path) -> None:
    """A customer's number that is asked about each day: the label is of the first, and no other."""
    for day in ("2026-06-03", "2026-06-04"):
        write_log(log / "requests", [make_record("7", at=f"{day}T00:00:00.000Z")], day)
    taken = take(log, [("7", 1), ("x/0", 1)])
    assert count(taken) == (2, 0, 0, 0, 0)
    assert taken.problems.counts == {REUSED: 2}
    assert read(log, "2026-06-02") == {"7": "1"}


def test_late_ones_are_said(log: Path) -> None:
    """From the 29th day on; they are kept all the same."""
    day = dt.datetime(2026, 6, 29, tzinfo=dt.UTC)
    assert count(take(log, [("x/0", 1)], day)) == (1, 0, 0, 0, 0)
    assert count(take(log, [("x/1", 1)], day + dt.timedelta(days=1))) == (1, 0, 0, 0, 1)


def test_what_contradicts_itself_is_not_learned_from(log: Path) -> None:
    """Two outcomes of one id in one file: neither is taken, whatever their order."""
    taken = take(log, [("x/0", 1), ("x/1", 0), ("x/0", 0)])
    assert count(taken) == (1, 0, 0, 0, 0)
    assert taken.problems.render() == [
        "1 left out: its id has two outcomes in the same file (file:3)"
    ]
    assert read(log) == {"x/1": "0"}


def test_a_torn_line_is_counted_and_the_next_one_whole(log: Path) -> None:
    """What a power cut left of a write does not swallow what comes after."""
    take(log, [("x/0", 1)])
    path = log / "labels" / f"{DAY}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"v":1,"id":"x/')
    problems = Problems()
    assert LabelStore(folder=log / "labels").read(DAY, problems) == {"x/0": "1"}
    assert problems.counts == {"its last line was cut off": 1}
    take(log, [("x/1", 1)])
    problems = Problems()
    labels = LabelStore(folder=log / "labels").read(DAY, problems)
    assert (labels, problems.counts) == ({"x/0": "1", "x/1": "1"}, {"it is no label": 1})


def test_nobody_else_can_read_the_labels(log: Path) -> None:
    """They are as personal as the log."""
    take(log, [("x/0", 1)])
    assert (log / "labels" / f"{DAY}.jsonl").stat().st_mode & 0o777 == 0o600
    assert (log / "labels").stat().st_mode & 0o777 == 0o700


def test_no_label_is_written_through_a_link(log: Path) -> None:
    """A link in the store's folder leads nowhere."""
    (log / "labels").mkdir()
    (log / "labels" / f"{DAY}.jsonl").symlink_to(log / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        take(log, [("x/0", 1)])
    assert not (log / "elsewhere").exists()


@given(st.dictionaries(st.sampled_from(["x/0", "x/1", "7"]), st.sampled_from(["0", "1"])))
def test_the_last_label_of_each_id_holds(
    tmp_path_factory: pytest.TempPathFactory, labels: dict[str, str]
) -> None:
    """Whatever was there before, the store holds what was given last."""
    store = LabelStore(folder=tmp_path_factory.mktemp("labels"))
    store.append(DAY, [Label(id="x/0", outcome="0", at=DAY)])
    store.append(DAY, [Label(id=it, outcome=outcome, at=DAY) for it, outcome in labels.items()])
    assert store.read(DAY, Problems()) == {"x/0": "0"} | labels


def write_project(folder: Path) -> Path:
    """Write the files of a project, and a log where the local target has it."""
    for name, text in BINARY.items():
        (folder / name).write_text(text)
    state = folder / ".mlgitops" / "deploy" / "staging"
    write_log(state / "requests", [make_record("x/0"), make_record("x/1")])
    return folder


TABLES = {
    "labels.csv": b'\xef\xbb\xbfrow,late,note\nx/0,1,"a\nb"\nx/1,0,c\n',
    "labels.jsonl": b'{"row":"x/0","late":1,"note":null}\n{"row":"x/1","late":"0"}\n',
}


@pytest.mark.parametrize("name", [*TABLES, "labels.parquet"])
def test_the_command_reads_each_kind_of_table(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the columns that the options name; the second time nothing is new."""
    project = write_project(tmp_path)
    path = tmp_path / name
    if name in TABLES:
        path.write_bytes(TABLES[name])
    else:
        pq.write_table(pa.table({"row": ["x/0", "x/1"], "late": [1, 0]}), path)
    words = ["label", "staging", str(path), "--id", "row", "--outcome", "late"]
    words += ["--json", "--directory", str(project)]
    assert run(words) == 0
    counts = {"new": 2, "corrected": 0, "unchanged": 0, "unknown": 0}
    printed = json.loads(capsys.readouterr().out)
    del printed["late"]  # which today's date decides
    assert printed == {**counts, "days": [DAY], "left_out": {}}
    assert run(words) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] == 2


def test_the_command_asks_the_source_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files by a pattern, or what a program prints; log and labels may both come from one."""
    project = write_project(tmp_path)
    (project / "out.csv").write_text("id,outcome\nx/0,1\n")
    (project / "monitor.yaml").write_text("labels: {source: {file: 'o*.csv'}}\n")
    assert run(["label", "staging", "--directory", str(project)]) == 0
    log = f".mlgitops/deploy/staging/requests/{DAY}-00c0ffee.jsonl"
    print_labels = 'printf \'{"id":"x/0","outcome":0}\\n\''
    (project / "monitor.yaml").write_text(
        f"source: {{command: [cat, {log}]}}\n"
        f"labels: {{source: {{command: [sh, -c, {json.dumps(print_labels)}]}}}}\n"
    )
    assert run(["label", "staging", "--directory", str(project)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " new, " in line]
    assert lines == ["1 new, 0 corrected, 0 as before", "0 new, 1 corrected, 0 as before"]


def test_a_program_that_fails_is_no_empty_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it printed before is not used."""
    project = write_project(tmp_path)
    (project / "out.csv").write_text("id,outcome\nx/0,1\n")
    log = f".mlgitops/deploy/staging/requests/{DAY}-00c0ffee.jsonl"
    (project / "monitor.yaml").write_text(f"source: {{command: [sh, -c, cat {log}; exit 3]}}\n")
    words = ["label", "staging", str(project / "out.csv"), "--directory", str(project)]
    assert run(words) == 2
    assert "it ended with exit code 3: what it printed is not used" in capsys.readouterr().err
    (project / "monitor.yaml").write_text("source: {command: [no-such-program]}\n")
    assert run(words) == 2
    assert "it cannot be started" in capsys.readouterr().err
    assert not (project / ".mlgitops/deploy/staging/labels" / f"{DAY}.jsonl").exists()


def test_labels_of_another_log_are_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where none fits, somebody took the wrong file or column."""
    project = write_project(tmp_path)
    path = project / "out.csv"
    path.write_text("id,outcome\ny/0,1\n")
    assert run(["label", "staging", str(path), "--directory", str(project)]) == 2
    assert "no label fits a row of the log" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xlsx", b"", "its kind is not known"),
        ("a.csv", None, "there is no such file"),
        ("a.csv", b"", "it has no columns `id`"),
        ("a.csv", b"id,id,outcome\n", "it has 2 columns `id`"),
        ("a.csv", b"id,Outcome\n", r"no columns `outcome`\n.*did you mean `Outcome`"),
        ("a.csv", b"id,outcome\nx/0,\xff\n", "it is no CSV in UTF-8"),
        ("a.csv", b'id,outcome\nx/0,"1\n', "it is no CSV in UTF-8"),
        ("a.csv", b"id,outcome\nx/0," + b"1" * 200_000, "field larger than field limit"),
        ("a.parquet", b"PAR1", "it is no Parquet"),
    ],
)
def test_a_file_that_is_no_table(
    tmp_path: Path, name: str, data: bytes | None, message: str
) -> None:
    """The file is named, and what to do."""
    csv.field_size_limit(2**20)  # as a reader of tables leaves it
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(MlgitopsError, match=message):
        list(read_table(tmp_path / name, LabelSettings(), Problems()))
