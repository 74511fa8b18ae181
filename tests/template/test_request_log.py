"""The generated project's request log: whole lines, and what monitor.yaml keeps of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import importlib
import json
import math
import os
import re
import shutil
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from request_log import split_line

from mlgitops.errors import MlgitopsError
from mlgitops.model import Policy
from mlgitops.model.monitoring import (
    AlertSettings,
    LabelSettings,
    MonitorSettings,
    ParquetSource,
    Redaction,
    RequestSettings,
    RetrainSettings,
    RowPart,
    TableSource,
)
from mlgitops.monitoring.facts import measure_log
from mlgitops.monitoring.label_store import LabelStore
from mlgitops.monitoring.labels import Given, take_labels
from mlgitops.monitoring.plan import make_plan
from mlgitops.monitoring.project import read_salt
from mlgitops.monitoring.records import LONGEST_LINE, MOST_ROWS
from mlgitops.monitoring.settings import parse_settings
from mlgitops.monitoring.sources import list_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from mlgitops.monitoring.plan import Plan

TEMPLATE = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
MODEL = "ab" * 32
INPUTS = ("mass", "sex")


class Modules(NamedTuple):
    """Modules of a generated project that need none of its environments."""

    log: ModuleType
    log_files: ModuleType
    redaction: ModuleType
    errors: ModuleType


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder from which the package `penguins` can be imported."""
    source = tmp_path_factory.mktemp("log")
    package = source / "penguins"
    shutil.copytree(TEMPLATE / "src" / "{{cookiecutter.__package_name}}", package)
    (package / "__init__.py").write_text("", encoding="utf-8")
    return source


@pytest.fixture(scope="module")
def modules(source: Path) -> Iterator[Modules]:
    """Return the modules, which are forgotten afterwards."""
    names = ("serving.log", "serving.log_files", "serving.redaction", "plumbing.errors")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(source))
        yield Modules(*(importlib.import_module(f"penguins.{name}") for name in names))
        for name in [name for name in sys.modules if name.partition(".")[0] == "penguins"]:
            del sys.modules[name]


def make_log(modules: Modules, folder: Path, **settings: Any) -> Any:  # noqa: ANN401 - a RequestLog
    """Return a log of a model of two classes."""
    chosen = modules.redaction.LogSettings(**settings)
    return modules.log.RequestLog(folder, MODEL, chosen, inputs=INPUTS, classes=["a", "b"])


def write_rows(log: Any, rows: int, ids: list[str | int] | None = None) -> None:  # noqa: ANN401
    """Log a request of so many rows."""
    columns: dict[str, list[Any]] = {"sex": ["f", None] * rows, "mass": [4000.0, 4100] * rows}
    answers = {"prediction": np.zeros(rows, dtype=int), "score": np.full(rows, 0.25)}
    log.write_answers("r", ids, {name: values[:rows] for name, values in columns.items()}, answers)


def read_text(folder: Path) -> str:
    """Return all that the log holds."""
    parts = [path.read_text("utf-8") for path in sorted(folder.glob("*.jsonl"))]
    parts += [gzip.decompress(path.read_bytes()).decode() for path in sorted(folder.glob("*.gz"))]
    return "".join(parts)


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Return what stands in each line, all of which must be whole."""
    text = read_text(folder)
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Return every row and refusal, also of lines that hold several rows."""
    return [record for line in read_lines(folder) for record in split_line(line)]


def test_a_row_is_a_line(modules: Modules, tmp_path: Path) -> None:
    """It has its id, the model, its inputs in the model's order, its score and its answer."""
    log = make_log(modules, tmp_path / "log")
    write_rows(log, 1)
    (line,) = read_lines(tmp_path / "log")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("at"))
    assert json.dumps(line) == json.dumps({
        "v": 1, "id": "r/0", "model": MODEL, "inputs": {"mass": 4000.0, "sex": "f"},
        "score": 0.25, "answer": 0,
    })  # fmt: skip
    assert (log.records, log.bytes) == (1, len(read_text(tmp_path / "log")))
    (path,) = (tmp_path / "log").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[0-9a-f]{8}\.jsonl", path.name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_several_rows_are_a_line(modules: Modules, tmp_path: Path) -> None:
    """It has a list for each input, and ids where the rows have their own."""
    log = make_log(modules, tmp_path / "log")
    write_rows(log, 2)
    write_rows(log, 2, ["mine", 7])
    first, second = read_lines(tmp_path / "log")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("at"))
    assert json.dumps(first) == json.dumps({
        "v": 2, "id": "r", "model": MODEL,
        "inputs": {"mass": [4000.0, 4100], "sex": ["f", None]},
        "score": [0.25, 0.25], "answer": [0, 0],
    })  # fmt: skip
    assert second.pop("at")
    assert second == {**first, "ids": ["mine", "7"]}
    assert (log.records, log.bytes) == (4, len(read_text(tmp_path / "log")))


@pytest.mark.parametrize("rows", [999, 1000, 1001, 2002])
def test_many_rows_are_several_lines(modules: Modules, tmp_path: Path, rows: int) -> None:
    """None has more rows, or more bytes, than its readers take; each row has the id it had."""
    log = make_log(modules, tmp_path / "log")
    columns = {"mass": [float(row) for row in range(rows)], "sex": ["x" * 1500] * rows}
    answers = {"prediction": np.arange(rows) % 2, "score": np.linspace(0, 1, rows)}
    log.write_answers("r", None, columns, answers)
    log.write_answers("q", None, {"sex": ["x" * 2**20] * 3}, {"prediction": np.zeros(3)})
    text = read_text(tmp_path / "log")
    assert max(map(len, text.splitlines())) < LONGEST_LINE
    records = read_records(tmp_path / "log")
    assert [record["id"] for record in records] == [
        *(f"r/{row}" for row in range(rows)), "q/0", "q/1", "q/2",
    ]  # fmt: skip
    assert [record["inputs"]["mass"] for record in records[:-3]] == columns["mass"]
    assert [record["score"] for record in records[:-3]] == answers["score"].tolist()
    assert [record["answer"] for record in records[:-3]] == answers["prediction"].tolist()
    lines = read_lines(tmp_path / "log")
    assert max(len(line["answer"]) for line in lines if line["v"] == 2) <= MOST_ROWS
    assert (modules.log.MOST_ROWS, modules.log.MOST_BYTES) == (MOST_ROWS, LONGEST_LINE)
    parts = list_folder(tmp_path / "log", "0000-01-01", "9999-12-31")
    measured = measure_log(parts, LabelStore(folder=tmp_path), plan_for(MonitorSettings()))
    assert not measured.problems.counts


@pytest.mark.parametrize(
    ("answers", "scores"),
    [
        ({"score_a": np.array([0.5, 1.0]), "score_b": np.array([0.5, 0.0])},
         [{"a": 0.5, "b": 0.5}, {"a": 1.0, "b": 0.0}]),
        ({}, [None, None]),
    ],
)  # fmt: skip
def test_a_score_is_by_class_or_null(
    modules: Modules, tmp_path: Path, answers: dict[str, Any], scores: list[Any]
) -> None:
    """Several classes have one each, and a regression has none."""
    log = make_log(modules, tmp_path)
    log.write_answers("r", None, {"mass": [1, 2]}, {"prediction": np.array([1.5, 2.5]), **answers})
    records = read_records(tmp_path)
    assert [record["score"] for record in records] == scores
    assert [record["answer"] for record in records] == [1.5, 2.5]
    assert [record["inputs"] for record in records] == [{"mass": 1}, {"mass": 2}]  # as sent


def test_ids_are_short_texts(modules: Modules, tmp_path: Path) -> None:
    """A row's own id is written as a text; else it is made of the request's."""
    log = make_log(modules, tmp_path)
    write_rows(log, 2, [7, "x" * 200])
    log.write_answers("q" * 180, None, {"mass": [1]}, {"prediction": np.array([1.0])})
    log.write_refusal("q" * 180, "json")
    ids = [record["id"] for record in read_records(tmp_path)]
    assert ids == ["7", "x" * 200, "q" * 180 + "/0", "q" * 180]


@pytest.mark.parametrize("rule", ["hash", "drop"])
def test_ids_that_are_personal_stay_out(modules: Modules, tmp_path: Path, rule: str) -> None:
    """Of a row, of its request, and of one that was refused: hashed, or exchanged for others."""
    log = make_log(modules, tmp_path, ids=rule)
    write_rows(log, 3, ["ann@example.org", 7, "ann@example.org"])
    log.write_answers("ann", None, {"mass": [1]}, {"prediction": np.array([1.0])})
    log.write_refusal("ann", "json")
    log.write_refusal("\ud800", "json")
    assert "ann" not in read_text(tmp_path)
    ids = [record["id"] for record in read_records(tmp_path)]
    assert all(re.fullmatch("[0-9a-f]{32}(/[0-9]+)?", name) for name in ids)
    assert len({*ids}) == len(ids) - (rule == "hash")
    assert log.dropped["unwritable"] == (rule == "hash")
    again = make_log(modules, tmp_path, ids=rule)
    write_rows(again, 1, ["ann@example.org"])
    assert ids[0] == ids[2] if rule == "hash" else ids[0] != ids[2]
    assert [record["id"] for record in read_records(tmp_path)].count(ids[0]) == (
        3 if rule == "hash" else 1
    )


def test_a_refusal_has_no_values(modules: Modules, tmp_path: Path) -> None:
    """Its kind, the column and how many rows there were: that is all."""
    make_log(modules, tmp_path).write_refusal("r", "contract", "mass", 3)
    (record,) = read_records(tmp_path)
    assert record.pop("at")
    assert record == {
        "v": 1, "id": "r", "model": MODEL, "refused": "contract", "column": "mass", "rows": 3,
    }  # fmt: skip


def plan_for(settings: MonitorSettings) -> Plan:
    """Return how the log of the model in these tests is watched."""
    params = (
        b"task: binary\ndata: {target: kind, positive: 1}\n"
        b"features: {numeric: [mass], categorical: [sex]}"
    )
    contract = (
        b"columns: {mass: {in_range: {min_value: 0, max_value: 9}}, sex: {isin: [f, m]},"
        b" kind: {isin: [0, 1]}}"
    )
    return make_plan(Policy(), params, contract, settings)


def test_labels_fit_ids_that_are_hashed(modules: Modules, tmp_path: Path) -> None:
    """Whoever has the log's salt gives ids as they were sent; nothing on disk has them."""
    folder = tmp_path / "log"
    settings = MonitorSettings(requests=RequestSettings(ids=Redaction.HASH))
    with pytest.raises(MlgitopsError, match="hashed with this salt, which is not here"):
        read_salt(settings, tmp_path, folder)
    write_rows(make_log(modules, folder, ids="hash"), 2, ["ann@example.org", 7])
    names = ["ann@example.org", "7", "r/0", "bob"]
    given = [Given(position=name, id=name, outcome=1) for name in names]
    log = make_log(modules, folder, ids="hash")
    write_rows(log, 1)
    taken = take_labels(
        given,
        list_folder(folder, "0000-01-01", "9999-12-31"),
        LabelStore(folder=tmp_path / "labels"),
        plan_for(settings),
        now=dt.datetime.now(dt.UTC),
        late_days=28,
        salt=read_salt(settings, tmp_path, folder),
    )
    assert (taken.new, taken.unknown) == (3, 1)
    stored = [path.read_text() for path in (tmp_path / "labels").glob("*.jsonl")]
    assert stored
    assert not any("ann@" in text for text in stored)


def test_no_label_fits_ids_that_are_dropped(tmp_path: Path) -> None:
    """Whoever gives labels learns it before they are read; ids that are kept need no salt."""
    settings = MonitorSettings(requests=RequestSettings(ids=Redaction.DROP))
    with pytest.raises(MlgitopsError, match="it drops the ids, so no label fits a row"):
        read_salt(settings, tmp_path, tmp_path)
    assert read_salt(MonitorSettings(), tmp_path, tmp_path) is None


def test_the_toolkit_reads_what_the_server_writes(modules: Modules, tmp_path: Path) -> None:
    """Rows, refusals of each reason, hashed and dropped columns: all of it becomes facts."""
    settings = MonitorSettings(
        requests=RequestSettings(columns={"mass": Redaction.HASH, "sex": Redaction.KEEP})
    )
    plan = plan_for(settings)
    log = make_log(modules, tmp_path / "log", columns={"mass": "hash"})
    write_rows(log, 3)
    write_rows(log, 2, ["mine", 7])
    reasons = ("json", "protocol", "column", "contract", "scoring", "too_large")
    for reason in reasons:
        log.write_refusal("r", reason, "mass", 3)
    parts = list_folder(tmp_path / "log", "0000-01-01", "9999-12-31")
    measured = measure_log(parts, LabelStore(folder=tmp_path / "labels"), plan)
    assert not measured.problems.counts
    counts = {(fact.name, fact.of): (fact.numerator, fact.denominator) for fact in measured.facts}
    assert counts["rows", None] == (5, 1)
    assert counts["missing", "column=sex"] == (2, 5)
    assert counts["missing", "column=mass"] == (0, 5)
    assert counts["score_histogram", "class=1&bin=5"] == (5, 5)
    assert {counts[f"refused.{reason}", None] for reason in reasons} == {(1, 11)}


def test_columns_are_hashed_and_dropped(modules: Modules, tmp_path: Path) -> None:
    """No value reaches the file; equal ones stay equal in a folder, and differ between two."""
    digests = {}
    for folder in (tmp_path / "one", tmp_path / "other"):
        for _ in range(2):  # two servers, one after the other
            log = make_log(modules, folder, columns={"mass": "hash", "sex": "drop"})
            columns = {"mass": [4000, 4000.0, 4001, None], "sex": ["secret"] * 4}
            log.write_answers("r", None, columns, {"prediction": np.zeros(4)})
        assert "secret" not in read_text(folder)
        assert "4000" not in read_text(folder)
        inputs = [record["inputs"] for record in read_records(folder)]
        assert {*map(tuple, inputs)} == {("mass",)}
        first, second, third, missing, *again = [row["mass"] for row in inputs]
        assert first == second != third
        assert (missing, again) == (None, [first, second, third, missing])
        assert re.fullmatch("[0-9a-f]{32}", first)
        assert stat.S_IMODE((folder / "salt").stat().st_mode) == 0o600
        assert sorted(path.name for path in folder.iterdir() if path.suffix != ".jsonl") == ["salt"]
        digests[folder] = first
    assert len({*digests.values()}) == 2


def test_rows_without_a_column_are_logged(modules: Modules, tmp_path: Path) -> None:
    """Where every input is dropped, ids and answers stay."""
    log = make_log(modules, tmp_path, columns=dict.fromkeys(INPUTS, "drop"))
    write_rows(log, 3)
    assert [record["inputs"] for record in read_records(tmp_path)] == [{}, {}, {}]


def test_a_sample_is_chosen_by_ids(modules: Modules, tmp_path: Path) -> None:
    """The share is kept, of refusals too, and the same ids every time; 0 logs nothing.

    Which ids these are, only the folder's salt says: whoever asks chooses ids.
    """
    ids: list[str | int] = [f"row {number}" for number in range(2000)]
    chosen = []
    for name in ("one", "other"):
        log = make_log(modules, tmp_path / name, sample=0.25)
        write_rows(log, 2000, ids)
        for number in range(2000):
            log.write_refusal(f"request {number}", "json")
        records = read_records(tmp_path / name)
        refused = [record["id"] for record in records if "refused" in record]
        assert 400 < len(refused) < 600
        assert 400 < len(records) - len(refused) < 600
        chosen.append([record["id"] for record in records])
        again = make_log(modules, tmp_path / name, sample=0.25)
        write_rows(again, 2000, ids)
        counts = Counter(record["id"] for record in read_records(tmp_path / name))
        assert {counts[row_id] for row_id in chosen[-1] if row_id in ids} == {2}
    assert chosen[0] != chosen[1]
    log = make_log(modules, tmp_path / "none", sample=0)
    write_rows(log, 2000, ids)
    assert read_records(tmp_path / "none") == []
    assert log.dropped.total() == 0


def test_a_full_day_drops_and_counts(modules: Modules, tmp_path: Path) -> None:
    """What another server wrote on that day counts, and a smaller record still fits."""
    first = make_log(modules, tmp_path)
    write_rows(first, 4)
    size = first.bytes
    second = make_log(modules, tmp_path, max_bytes=2 * size)
    for _ in range(3):
        write_rows(second, 4)
    assert (second.records, second.dropped["full"]) == (4, 8)
    assert len(read_records(tmp_path)) == 8
    third = make_log(modules, tmp_path, max_bytes=2 * size + 200)
    write_rows(third, 4)
    third.write_refusal("r", "json")
    assert (third.records, third.dropped["full"]) == (1, 4)
    with contextlib.suppress(FileNotFoundError):
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * size + 200


def test_servers_that_run_together_share_a_day(modules: Modules, tmp_path: Path) -> None:
    """Each counts what the other has written since, not only what there was when it began."""
    logs = [make_log(modules, tmp_path, max_bytes=40_000) for _ in range(2)]
    for _ in range(200):
        for log in logs:
            write_rows(log, 1)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert 38_000 < sum(sizes) < 42_000
    assert min(sizes) > 15_000
    for log in logs:
        assert log.records + log.dropped["full"] == 200


@pytest.mark.parametrize("moved", [True, False])
def test_a_file_that_is_taken_away_is_begun_again(
    modules: Modules, tmp_path: Path, *, moved: bool
) -> None:
    """Nothing is counted as logged that went into a file which nobody reads."""
    log = make_log(modules, tmp_path / "log")
    write_rows(log, 3)
    (path,) = (tmp_path / "log").iterdir()
    if moved:
        path.rename(tmp_path / "elsewhere")
    else:
        path.unlink()
    write_rows(log, 2)
    assert len(read_records(tmp_path / "log")) == 2
    assert (log.records, log.dropped.total()) == (5, 0)
    shutil.rmtree(tmp_path / "log")
    write_rows(log, 4)
    assert (log.records, log.dropped["disk"]) == (5, 4)
    modules.log_files.tidy(tmp_path / "log", "2026-11-28", 1)  # has nothing to do


def test_what_json_cannot_say_is_dropped(modules: Modules, tmp_path: Path) -> None:
    """Half of a surrogate pair, and a number without an end: counted, and nothing is raised.

    A number that is only large is logged: nobody keeps a request out of the log by one.
    """
    log = make_log(modules, tmp_path)
    answers = {"prediction": np.zeros(1)}
    log.write_answers("r", None, {"sex": ["\ud800"]}, answers)
    log.write_answers("\ud800", None, {"sex": ["f"]}, answers)
    log.write_answers("r", [10**5000], {"sex": ["f"]}, answers)
    log.write_refusal("\ud800", "json")
    log.write_answers("r", None, {"sex": ["f", "\ud800"]}, {"prediction": np.zeros(2)})
    log.write_answers("r", None, {"mass": [10**30, math.nan]}, {"prediction": np.zeros(2)})
    write_rows(log, 1)
    assert (log.dropped["unwritable"], log.records) == (6, 3)
    records = read_records(tmp_path)
    assert [record["inputs"]["mass"] for record in records] == [10**30, None, 4000.0]


def test_each_day_has_its_file(modules: Modules, tmp_path: Path) -> None:
    """A day that comes again, for a clock was set back, gets a further one."""
    file = modules.log_files.DayFile(tmp_path, 1000)
    for day in ("2026-11-28", "2026-11-29", "2026-11-28", "2026-11-28"):
        assert file.append(day, b"a line\n") is None
    names = sorted(path.name[:10] for path in tmp_path.iterdir())
    assert names == ["2026-11-28", "2026-11-28", "2026-11-29"]
    assert read_text(tmp_path) == 4 * "a line\n"


def test_closed_days_are_compressed(modules: Modules, tmp_path: Path) -> None:
    """Those of dead servers too, not what one writes; old ones go, and nobody else's files."""
    files = modules.log_files
    closed, written = files.DayFile(tmp_path, 1000), files.DayFile(tmp_path, 1000)
    closed.append("2026-11-28", b"closed\n")
    closed.append("2026-11-29", b"left\n")
    closed.close()
    written.append("2026-11-28", b"written\n")
    kept, old = "2026-11-19-00000000.jsonl", "2026-11-17-00000000.jsonl"
    others = ["2026-11-01-00000000.jsonl.txt", "2026-11-01.jsonl", "notes", "salt"]
    for name in (kept, old, f"{old}.gz", *others):
        (tmp_path / name).write_bytes(b"kept\n")
    (tmp_path / "2026-11-27-00000000.jsonl").touch()  # nothing was written before a kill
    (tmp_path / f"{kept}.part").write_bytes(b"of a server that was killed")
    files.tidy(tmp_path, "2026-11-29", 10)
    suffixes = sorted(path.name[10:].lstrip("-0123456789abcdef") for path in tmp_path.iterdir())
    assert [name for name in suffixes if name.startswith(".jsonl")] == [
        ".jsonl", ".jsonl", ".jsonl.gz", ".jsonl.gz", ".jsonl.gz", ".jsonl.txt",
    ]  # fmt: skip
    assert gzip.decompress((tmp_path / f"{kept}.gz").read_bytes()) == b"kept\n"
    assert stat.S_IMODE((tmp_path / f"{kept}.gz").stat().st_mode) == 0o600
    assert {*others} <= {path.name for path in tmp_path.iterdir()}
    written.append("2026-11-28", b"again\n")
    lines = ["closed", "left", "written", "again", "kept"]
    (tmp_path / "2026-11-01.jsonl").unlink()
    assert sorted(read_text(tmp_path).split()) == sorted(lines)


def test_a_clock_that_jumps_ahead_removes_nothing(modules: Modules, tmp_path: Path) -> None:
    """What is too old is counted from the day before that has a file, not from today."""

    def tidy_on(day: str) -> list[str]:
        (tmp_path / f"{day}-00000000.jsonl.gz").write_bytes(b"kept\n")
        modules.log_files.tidy(tmp_path, day, 7)
        return sorted(path.name[:10] for path in tmp_path.iterdir())

    assert tidy_on("2026-11-21") == ["2026-11-21"]
    assert tidy_on("2026-11-28") == ["2026-11-21", "2026-11-28"]
    assert tidy_on("2106-02-07") == ["2026-11-21", "2026-11-28", "2106-02-07"]
    assert tidy_on("2026-11-29") == ["2026-11-21", "2026-11-28", "2026-11-29", "2106-02-07"]
    assert tidy_on("2026-11-30") == ["2026-11-28", "2026-11-29", "2026-11-30", "2106-02-07"]


def test_a_server_compresses_what_another_left(modules: Modules, tmp_path: Path) -> None:
    """The first record of a day is enough; the answer does not wait for it."""
    left = tmp_path / "2026-11-20-00000000.jsonl"
    left.write_bytes(b"left\n")
    log = make_log(modules, tmp_path, keep_days=36_500)
    write_rows(log, 1)
    while left.exists():
        pass
    assert gzip.decompress((tmp_path / f"{left.name}.gz").read_bytes()) == b"left\n"


#: Logs a row at a time and prints how many are logged: at 500 a second, until it is killed.
WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from penguins.serving.log import RequestLog
from penguins.serving.redaction import LogSettings
log = RequestLog(Path(sys.argv[1]), "ab" * 32, LogSettings(), inputs=["mass"])
start, number = time.monotonic(), 0
while True:
    log.write_answers("r", [number], {"mass": [4000.0]}, {"prediction": np.zeros(1)})
    print(number, flush=True)
    number += 1
    time.sleep(max(0, start + number / 500 - time.monotonic()))
"""


def test_nothing_is_lost_by_a_kill(source: Path, tmp_path: Path) -> None:
    """Of 500 rows a second, each that was acknowledged is there once when the writer is killed."""
    written = 0
    for number in range(3):
        folder = tmp_path / str(number)
        words = [sys.executable, "-c", WRITER, str(folder)]
        env = {**os.environ, "PYTHONPATH": str(source)}
        with subprocess.Popen(words, env=env, stdout=subprocess.PIPE) as process:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(400)]
            process.kill()
            lines += process.stdout.readlines()
        acknowledged = len([line for line in lines if line.endswith(b"\n")])
        whole = [line for line in read_text(folder).splitlines(keepends=True) if line[-1] == "\n"]
        ids = [json.loads(line)["id"] for line in whole]
        assert ids == [str(row) for row in range(len(ids))]
        assert acknowledged <= len(ids) <= acknowledged + 1
        written += len(ids)
    assert written >= 1200


#: Fills a file system of so many bytes a file: prints what was dropped, then goes on with more.
FILLER = """
import resource, sys
from pathlib import Path
import numpy as np
from penguins.serving.log import RequestLog
from penguins.serving.redaction import LogSettings
log = RequestLog(Path(sys.argv[1]), "ab" * 32, LogSettings(), inputs=["mass"])
def write(rows):
    log.write_answers("r", None, {"mass": [4000.0] * rows}, {"prediction": np.zeros(rows)})
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500, resource.RLIM_INFINITY))
for rows in (1, 7, 40, 3, 100, 1, 1):
    write(rows)
print(log.records, log.dropped["disk"])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
write(60)
print(log.records, log.dropped["disk"], log.bytes)
"""


def test_a_full_disk_drops_and_counts(source: Path, tmp_path: Path) -> None:
    """The kernel takes a part of a request's lines: none stays, and later ones are whole.

    The limit is RLIMIT_FSIZE: the kernel writes up to it and then refuses, as a full disk does.
    """
    words = [sys.executable, "-c", FILLER, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    before, after = [[*map(int, line.split())] for line in done.stdout.splitlines()]
    assert before[0] + before[1] == 153
    assert before[1] >= 100
    assert after[:2] == [before[0] + 60, before[1]]
    assert len(read_records(tmp_path)) == after[0]
    assert len(read_text(tmp_path)) == after[2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("requests: 7", "requests: Expected `object`, got `int`"),
        ("requests: [sample]", "requests: Expected `object`, got `array`"),
        ("requests: {sampel: 0.5}", "unknown field `sampel`"),
        ("requests: {sample: 2}", "Expected `float` <= 1.0"),
        ("requests: {max_bytes: -1}", "Expected `int` >= 0"),
        ("requests: {keep_days: 0}", "Expected `int` >= 1"),
        ("requests: {columns: {mass: hide}}", "Invalid enum value 'hide'"),
        ("requests: {columns: {mas: hash}}", "column mas is not an input; those are"),
        ("- requests", "`requests:` and other blocks were expected"),
        ("requests: {", "this is not YAML"),
        ("requests: {columns: {mass: drop}}\nrequests: {}", "line 1: `requests` is given twice"),
        ("requests:\n  columns: {mass: drop}\n  columns: {}", "line 2: `columns` is given twice"),
        ("requests: {columns: {mass: drop, 'mass': keep}}", "line 1: `mass` is given twice"),
        (
            "Requests: {columns: {mass: drop}}",
            "`Requests:` is not read; the blocks are version, requests,",
        ),
        ("request: {columns: {mass: drop}}", "`request:` is not read; the blocks are"),
        ("columns: {mass: drop}", "`columns:` is not read; the blocks are"),
        ("sample: 0.5\nrequests: {}", "`sample:` is not read; the blocks are"),
        ("logging: {columns: {mass: drop}}", "`logging:` is not read; the blocks are"),
        ("requests: {ids: none}", "Invalid enum value 'none'"),
        ("requests: {columns: {m\udce4ss: drop}}", "this is not YAML in UTF-8"),
    ],
)
def test_wrong_settings_are_refused(
    modules: Modules, tmp_path: Path, text: str, reason: str
) -> None:
    """A mistyped name never leaves a column unprotected: the server does not start."""
    (tmp_path / "monitor.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(modules.errors.StageError, match=re.escape(reason)):
        modules.redaction.read_log_settings(tmp_path / "monitor.yaml", INPUTS)


@pytest.mark.parametrize("text", [None, "", "labels: {late_days: 3}", "requests:", "alerts: {}"])
def test_everything_is_kept_by_default(modules: Modules, tmp_path: Path, text: str | None) -> None:
    """Without the file, the block, or anything in it."""
    if text is not None:
        (tmp_path / "monitor.yaml").write_text(text, encoding="utf-8")
    settings = modules.redaction.read_log_settings(tmp_path / "monitor.yaml", INPUTS)
    assert (settings.sample, settings.max_bytes, settings.keep_days) == (1.0, 10**9, 90)
    assert settings.columns == {}


def test_the_settings_of_a_new_project_say_what_the_defaults_are(
    modules: Modules,
) -> None:
    """Both readers, the server's and the toolkit's, read them the same."""
    path = TEMPLATE / "monitor.yaml"
    ours = modules.redaction.read_log_settings(path, INPUTS)
    theirs = parse_settings(path.read_bytes()).requests
    default = modules.redaction.LogSettings()
    assert ("version", *MonitorSettings.__struct_fields__) == modules.redaction.BLOCKS
    assert default.__struct_fields__ == RequestSettings.__struct_fields__
    for name in default.__struct_fields__:
        assert getattr(ours, name) == getattr(theirs, name) == getattr(default, name), name


def test_the_examples_in_the_settings_of_a_new_project_hold(
    modules: Modules, tmp_path: Path
) -> None:
    """What stands in comments is read by both readers once somebody takes the signs away."""
    lines = (TEMPLATE / "monitor.yaml").read_text().splitlines()
    start = lines.index("# source:")
    examples = [
        line.removeprefix("# ")
        for line in lines[start:]
        if line.startswith(("# source:", "# labels:", "# alerts:", "# retrain:", "#   "))
    ]
    path = tmp_path / "monitor.yaml"
    path.write_text("\n".join([*lines[:start], *examples]) + "\n")
    modules.redaction.read_log_settings(path, INPUTS)
    settings = parse_settings(path.read_bytes())
    assert settings.source == ParquetSource(parquet="log/*/*.parquet")
    assert settings.labels == LabelSettings(source=TableSource(file="outcomes/*.csv"))
    limits, since = settings.alerts.limits, settings.alerts.usual_since
    assert (limits, since) == ({"test.roc_auc": 0.64}, "2026-11-22")
    defaults = AlertSettings(limits=limits, calibration=0.05, usual_since=since)
    assert settings.alerts == defaults
    assert settings.retrain == RetrainSettings(
        age_days=180,
        rows_per_day=5000,
        client="customer",
        rows_per_client=500,
        columns={"asked_on": RowPart.DAY},
    )


@pytest.mark.parametrize("salt", [b"", b"short", b"x" * 33])
def test_a_broken_salt_is_refused(modules: Modules, tmp_path: Path, salt: bytes) -> None:
    """Digests of another salt would say that nobody came twice."""
    (tmp_path / "salt").write_bytes(salt)
    with pytest.raises(modules.errors.StageError, match="are no salt"):
        make_log(modules, tmp_path, columns={"mass": "hash"})


def test_a_folder_that_is_none_is_refused(modules: Modules, tmp_path: Path) -> None:
    """Whoever asked for a log learns at once that there will be none."""
    (tmp_path / "file").touch()
    with pytest.raises(modules.errors.StageError, match="requests cannot be logged here"):
        make_log(modules, tmp_path / "file")
