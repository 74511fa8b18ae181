"""The same rows from each kind of source: Parquet, a real PostgreSQL, a program, CloudEvents."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from postgres_server import serve_postgres
from request_log import (
    BINARY,
    DAY,
    MODEL,
    encode_line,
    make_batch,
    make_plan_of,
    make_record,
    make_refusal,
    split_line,
    write_log,
)

from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import (
    UNREADABLE,
    CommandSource,
    DayFact,
    EventSource,
    FolderSource,
    LabelSettings,
    LogSource,
    ParquetSource,
    SqlSource,
)
from mlgitops.monitoring.adapters import read_label_source
from mlgitops.monitoring.facts import Measured, measure_log
from mlgitops.monitoring.label_store import Label, LabelStore
from mlgitops.monitoring.problems import Problems
from mlgitops.monitoring.project import list_parts
from mlgitops.monitoring.sources import FIRST_DAY, LAST_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator


_NOWHERE = Path("/nonexistent")
RECORDS = [
    make_record("a/0", score=0.25, answer=0),
    make_record("a/1", score=0.75, answer=1, inputs={"temp": None, "carrier": "B6"}),
    make_record("b/0", score=0.5, answer=1, at=f"{DAY}T23:59:59.999Z"),
]
REFUSAL = make_refusal("c")
EARLIER = make_record("z/0", at="2026-05-31T23:59:59.999Z")
TABLE = (
    "CREATE TABLE log (id text, at timestamptz, model text, inputs jsonb, score numeric,"
    ' answer int, refused text, "column" text, rows int)'
)
QUERY = "SELECT * FROM log WHERE at >= %(since)s::timestamptz AND at < %(until)s::timestamptz"


def measure(folder: Path, source: LogSource) -> Measured:
    """Measure the first of June from a source, with a label of one row."""
    store = LabelStore(folder=folder / "labels")
    store.append(DAY, [Label(id="a/1", outcome="1", at=DAY)])
    parts = list_parts(source, folder, folder / "none", DAY, "2026-06-02")
    return measure_log(parts, store, make_plan_of(BINARY))


def expect(folder: Path, *, refused: bool = True) -> list[DayFact]:
    """Return the facts of the same rows in the server's own files."""
    own = folder / "expected"
    write_log(own / "requests", [*RECORDS, REFUSAL] if refused else RECORDS)
    return measure(own, FolderSource(folder="requests")).facts


def select_rows(facts: list[DayFact]) -> list[DayFact]:
    """Return the facts of rows, whatever the lines were that held them."""
    return [fact for fact in facts if fact.name != UNREADABLE]


def as_row(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as a row of a database, all of whose columns are there."""
    empty: dict[str, Any] = dict.fromkeys(
        ["inputs", "score", "answer", "refused", "column", "rows"]
    )
    row = empty | record
    del row["v"]
    return row | {"at": dt.datetime.fromisoformat(row["at"])}


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Serve a database with the log, some labels, and a row that is no record."""
    with serve_postgres() as address:
        with psycopg.connect(address) as connection:
            connection.execute(TABLE)
            connection.execute("CREATE TABLE outcomes (flight text, late boolean, at date)")
            for record in [*RECORDS, REFUSAL, EARLIER]:
                row = as_row(record)
                row["inputs"] = None if row["inputs"] is None else json.dumps(row["inputs"])
                connection.execute(
                    "INSERT INTO log VALUES (%(id)s, %(at)s, %(model)s, %(inputs)s, %(score)s,"
                    " %(answer)s, %(refused)s, %(column)s, %(rows)s)",
                    row,
                )
            connection.execute("INSERT INTO outcomes VALUES ('a/1', true), ('b/0', null)")
        yield address


def test_a_query_of_a_real_database(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times, numbers and JSON are the database's own; the days are parameters, or filtered here."""
    monkeypatch.setenv("LOG_DATABASE", database)
    for query in (QUERY, "SELECT * FROM log"):
        measured = measure(tmp_path, SqlSource(address="LOG_DATABASE", query=query))
        assert measured.facts == expect(tmp_path)
        assert not measured.problems.counts
    query = "SELECT id, at, model, 1 AS v2, inputs, score, answer FROM log WHERE refused IS NULL"
    measured = measure(tmp_path, SqlSource(address="LOG_DATABASE", query=query))
    assert measured.problems.counts == {"it holds a field that no record has": 3}


def test_all_days_can_be_asked_of_a_database(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look asks for all: a year 0 would be an error."""
    monkeypatch.setenv("LOG_DATABASE", database)
    source = SqlSource(address="LOG_DATABASE", query=QUERY)
    parts = list_parts(source, tmp_path, tmp_path / "none", FIRST_DAY, LAST_DAY)
    measured = measure_log(parts, LabelStore(folder=tmp_path / "labels"), make_plan_of(BINARY))
    assert [fact.numerator for fact in measured.facts if fact.name == "rows"] == [1, 3]


def test_labels_of_a_real_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the names of the columns; a missing one is said for each row."""
    monkeypatch.setenv("LOG_DATABASE", database)
    source = SqlSource(address="LOG_DATABASE", query="SELECT flight, late FROM outcomes")
    settings = LabelSettings(source=source, id="flight", outcome="late")
    problems = Problems()
    given = list(read_label_source(settings, _NOWHERE, problems))
    assert [(label.id, label.outcome) for label in given] == [("a/1", True), ("b/0", None)]
    assert not list(read_label_source(LabelSettings(source=source), _NOWHERE, problems))
    assert problems.counts == {"it lacks `id` or `outcome`": 2}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM nothing", 'relation "nothing" does not exist'),
        ("DELETE FROM log RETURNING *", "syntax error|cannot"),
        ("SELECT lo_create(0) AS id", "read-only transaction"),
        ("SELECT pg_sleep(", "syntax error"),
    ],
)
def test_a_query_that_cannot_be_asked(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, query: str, message: str
) -> None:
    """The database's own word; nothing can be written by a query."""
    monkeypatch.setenv("LOG_DATABASE", database)
    with pytest.raises(MlgitopsError, match=message):
        measure(tmp_path, SqlSource(address="LOG_DATABASE", query=query))


@pytest.mark.parametrize("password", ["s3cret", "wrong-one"])
def test_no_password_is_said(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """Of an address that does not answer, or of one that says no."""
    port = database.rpartition(":")[2] if password == "wrong-one" else "1/postgres"  # noqa: S105
    monkeypatch.setenv("LOG_DATABASE", f"postgresql://log:{password}@127.0.0.1:{port}")
    with pytest.raises(MlgitopsError, match="the query cannot be asked") as caught:
        measure(tmp_path, SqlSource(address="LOG_DATABASE", query=QUERY))
    assert password not in str(caught.value)
    monkeypatch.delenv("LOG_DATABASE")
    with pytest.raises(MlgitopsError, match="LOG_DATABASE is not set"):
        measure(tmp_path, SqlSource(address="LOG_DATABASE", query=QUERY))


@pytest.mark.parametrize("shape", ["nested", "texts", "flat"])
def test_parquet_in_each_shape(tmp_path: Path, shape: str) -> None:
    """Inputs as a struct, as text of JSON, or each as a column."""
    rows = [as_row(record) for record in [*RECORDS, REFUSAL, EARLIER]]
    if shape == "texts":
        for row in rows:
            row["at"] = f"{row['at']:%Y-%m-%dT%H:%M:%S}.000Z"
            row["inputs"] = row["inputs"] and json.dumps(row["inputs"])
    if shape == "flat":
        for row in rows:
            inputs = row.pop("inputs") or {}
            row |= {f"inputs.{name}": inputs.get(name) for name in ("temp", "carrier", "dest")}
    (tmp_path / "log").mkdir()
    pq.write_table(pa.Table.from_pylist(rows[:2]), tmp_path / "log" / "1.parquet")
    pq.write_table(pa.Table.from_pylist(rows[2:]), tmp_path / "log" / "2.parquet")
    measured = measure(tmp_path, ParquetSource(parquet="**/**/*.parquet"))  # each file once
    assert not measured.problems.counts
    names = {"rows", "labels", "refused.contract", "test.brier", "test.f1", "score", "accuracy"}
    chosen, expected = (
        [fact for fact in facts if fact.name in names]
        for facts in (measured.facts, expect(tmp_path))
    )
    assert chosen == expected


@pytest.mark.parametrize("as_text", [True, False])
def test_parquet_of_whole_requests(tmp_path: Path, *, as_text: bool) -> None:
    """A row of it is a line of the log, of one row or of several; lists, or texts of JSON."""
    own, flights = make_batch("c", 3), make_batch("d", 2)
    own |= {"ids": ["a/1", "x", "y"], "score": [0.25, None, 0.5]}
    del flights["inputs"]["dest"]
    batches, others = [own, flights], [make_record("e/0"), REFUSAL]
    rows = [{"v": 2, "ids": None} | as_row(row) for row in batches]
    if as_text:
        rows += [{"v": 1, "ids": None} | as_row(row) for row in others]
        for row in rows:
            row |= {name: as_text_cell(row[name]) for name in ("ids", "inputs", "score", "answer")}
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "1.parquet")
    measured = measure(tmp_path, ParquetSource(parquet="*.parquet"))
    assert not measured.problems.counts
    alone = [row for batch in batches for row in split_line(batch)]
    write_log(tmp_path / "own/requests", [*alone, *(others if as_text else [])])
    expected = measure(tmp_path / "own", FolderSource(folder="requests")).facts
    assert select_rows(measured.facts) == select_rows(expected)


def as_text_cell(value: object) -> str | None:
    """Return a value as a column has it that holds JSON as text."""
    return None if value is None else json.dumps(value)


@pytest.mark.parametrize(
    "at", ["01.06.2026 12:00:00", "06/01/2026", "1780315200000", 1780315200000, "1 June 2026", None]
)
def test_rows_whose_time_is_none_are_counted(tmp_path: Path, at: str | int | None) -> None:
    """Another form of time is no other day: nothing is passed over in silence."""
    rows = [as_row(RECORDS[0]) | {"at": at}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "1.parquet")
    measured = measure(tmp_path, ParquetSource(parquet="1.parquet"))
    (lost,) = measured.facts
    assert (lost.name, lost.day, lost.numerator, lost.denominator) == (UNREADABLE, DAY, 1, 1)
    assert measured.problems.counts.total() == 1


def test_times_that_no_calendar_has_are_counted(tmp_path: Path) -> None:
    """In Parquet, and of an event whose zone moves it out of the first year."""
    column = pa.array([2**62], pa.timestamp("us"))
    pq.write_table(pa.table({"id": ["a"], "at": column}), tmp_path / "1.parquet")
    measured = measure(tmp_path, ParquetSource(parquet="1.parquet"))
    assert measured.problems.counts == {"the file is damaged from there on": 1}
    events = make_events()
    for event in events:
        event["time"] = "0001-01-01T00:00:00+05:00"
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "1.jsonl").write_bytes(b"".join(map(encode_line, events)))
    measured = measure(tmp_path, EventSource(folder="events", model=MODEL))
    assert not measured.facts


def test_parquet_that_is_none(tmp_path: Path) -> None:
    """It is counted; a pattern of no file is a mistake."""
    (tmp_path / "1.parquet").write_bytes(b"PAR1" * 9)
    measured = measure(tmp_path, ParquetSource(parquet="*.parquet"))
    assert measured.problems.counts == {"the file is damaged from there on": 1}
    with pytest.raises(MlgitopsError, match="no file is named so"):
        measure(tmp_path, ParquetSource(parquet="none/*.parquet"))


def test_a_program_knows_the_days(tmp_path: Path) -> None:
    """What it prints of other days is counted as such, not measured."""
    later = make_record("z/1", at="2026-06-02T00:00:00.000Z")
    lines = b"".join(map(encode_line, [EARLIER, *RECORDS, REFUSAL, later]))
    (tmp_path / "lines").write_bytes(lines)
    script = f'test "$MLGITOPS_SINCE $MLGITOPS_UNTIL" = "{DAY} 2026-06-02" && cat lines'
    measured = measure(tmp_path, CommandSource(words=("sh", "-c", script)))
    (lost,) = (fact for fact in measured.facts if fact.name == UNREADABLE)
    assert select_rows(measured.facts) == select_rows(expect(tmp_path))
    assert (lost.name, lost.numerator, lost.denominator) == (UNREADABLE, 2, 6)
    other_day = "it is of another day than its file, or than was asked for"
    assert measured.problems.counts == {other_day: 2}
    assert measured.problems.positions == {other_day: ["sh:1", "sh:6"]}


def make_events(*, packed: bool = False) -> list[dict[str, Any]]:
    """Return the events of two requests, the second with ids of its own; responses come first."""
    bodies: list[tuple[str, str, dict[str, list[Any]], dict[str, list[Any]]]] = [
        (
            "r-1",
            f"{DAY}T14:00:00.000000001+02:00"[:29] + "+02:00",
            {"temp": [50.0, None], "carrier": ["AA", "B6"]},
            {"prediction": [0, 1], "score": [0.25, 0.75]},
        ),
        (
            "r-2",
            f"{DAY}T12:00:00Z",
            {"id": ["b/0"], "temp": [50.0], "carrier": ["AA"]},
            {"id": ["b/0"], "prediction": [1], "score": [0.5]},
        ),
    ]
    events = []
    for request_id, time, inputs, outputs in bodies:
        answer = "a" if request_id == "r-1" else "b"
        documents = {
            "response": {"id": answer, "outputs": make_tensors(outputs)},
            "request": {"inputs": make_tensors(inputs)},
        }
        for kind, document in documents.items():
            event = {"specversion": "1.0", "id": request_id, "source": "http://localhost:9081/"}
            event |= {"type": f"org.kubeflow.serving.inference.{kind}", "time": time}
            event |= {"inferenceservicename": "flights", "namespace": "production"}
            body: dict[str, Any] = {"data": document}
            if packed:
                body = {"data_base64": base64.b64encode(json.dumps(document).encode()).decode()}
            events.append(event | body)
    return events


def make_tensors(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return columns as version 2 of the protocol has them."""
    return [
        {"name": name, "datatype": "BYTES", "shape": [len(values)], "data": values}
        for name, values in columns.items()
    ]


def list_facts(measured: Measured) -> list[tuple[str, float]]:
    """Return what is measured of the rows themselves."""
    names = {"rows", "labels", "test.brier", "score", "missing", "new_level"}
    return [(fact.name, fact.numerator) for fact in measured.facts if fact.name in names]


@pytest.mark.parametrize("packed", [False, True])
def test_events_of_kserve(tmp_path: Path, packed: bool) -> None:
    """Request and response are joined; ids are the answer's, or the rows' own."""
    (tmp_path / "events").mkdir()
    lines = b"".join(map(encode_line, make_events(packed=packed)))
    (tmp_path / "events" / "1.jsonl").write_bytes(lines)
    measured = measure(tmp_path, EventSource(folder="events", model=MODEL))
    assert not measured.problems.counts
    assert list_facts(measured) == [
        ("rows", 3),
        ("missing", 1),  # of temp
        ("missing", 0),  # of carrier
        ("new_level", 0),
        ("labels", 1),
        ("score", 1.5),
        ("test.brier", 0.0625),
    ]


BROKEN: dict[str, tuple[Any, str]] = {
    "no event": (b"{}\n", "no event"),
    "another type": ({"id": "x", "type": "org.example"}, "no event"),
    "an id of a number": ({"id": 1, "type": "org.kubeflow.serving.inference.request"}, "no event"),
    "packed badly": (
        {"id": "x", "type": "org.kubeflow.serving.inference.request", "data_base64": "%%"},
        "no event",
    ),
    "alone": ({"id": "x", "type": "org.kubeflow.serving.inference.request"}, "is missing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_event_is_counted(tmp_path: Path, name: str) -> None:
    """The others are joined all the same."""
    (tmp_path / "events").mkdir()
    event, reason = BROKEN[name]
    lines = [*make_events()[:2], event, *make_events()[2:]]
    (tmp_path / "events" / "1.jsonl").write_bytes(b"".join(map(encode_line, lines)))
    measured = measure(tmp_path, EventSource(folder="events", model=MODEL))
    assert dict(list_facts(measured))["rows"] == 3
    assert [reason in text for text in measured.problems.counts] == [True]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"outputs": 7},
        {"outputs": [{"name": "prediction"}]},
        {"outputs": make_tensors({"score": [0.5]})},
        {"outputs": make_tensors({"prediction": [0, 1, 1]})},
        {"outputs": [{"name": "prediction", "data": None}]},
    ],
)
def test_a_response_that_does_not_fit(tmp_path: Path, data: Any) -> None:  # noqa: ANN401 - JSON
    """Nothing is measured of such a pair."""
    (tmp_path / "events").mkdir()
    events = make_events()
    events[0]["data"] = data
    (tmp_path / "events" / "1.jsonl").write_bytes(b"".join(map(encode_line, events)))
    measured = measure(tmp_path, EventSource(folder="events", model=MODEL))
    assert dict(list_facts(measured))["rows"] == 1
    assert measured.problems.counts == {"its request and its response do not fit": 1}
