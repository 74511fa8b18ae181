"""monitor.yaml: what is read of it, and every mistake at once with its line."""

from __future__ import annotations

import pytest

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.model.monitoring import (
    AlertSettings,
    CommandSource,
    EventSource,
    FolderSource,
    LabelSettings,
    MonitorSettings,
    ParquetSource,
    Redaction,
    RequestSettings,
    SqlSource,
    TableSource,
)
from mlgitops.monitoring.settings import parse_settings

MODEL = "ab" * 32


@pytest.mark.parametrize("text", ["", "version: 1\n", "requests:\nsource:\nlabels:\n"])
def test_an_empty_file_holds_the_defaults(text: str) -> None:
    """Nothing needs to be set."""
    assert parse_settings(text.encode()) == MonitorSettings()


def test_all_that_the_server_reads() -> None:
    """The sample, the caps and the redaction of columns."""
    text = (
        "requests:\n  sample: 0.5\n  max_bytes: 1000\n  keep_days: 7\n"
        "  columns: {dest: hash, temp: drop, carrier: keep}\n"
    )
    columns = {"dest": Redaction.HASH, "temp": Redaction.DROP, "carrier": Redaction.KEEP}
    expected = RequestSettings(sample=0.5, max_bytes=1000, keep_days=7, columns=columns)
    assert parse_settings(text.encode()).requests == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("folder: logs/requests", FolderSource(folder="logs/requests")),
        ("parquet: log/*/*.parquet", ParquetSource(parquet="log/*/*.parquet")),
        (
            "sql: {address: LOG_DATABASE, query: SELECT 1}",
            SqlSource(address="LOG_DATABASE", query="SELECT 1"),
        ),
        ("command: [python, export.py]", CommandSource(words=("python", "export.py"))),
        (
            f"cloudevents: {{folder: events, model: {MODEL}}}",
            EventSource(folder="events", model=MODEL),
        ),
    ],
)
def test_each_source_of_the_log(text: str, expected: object) -> None:
    """One key says which kind it is."""
    assert parse_settings(f"source:\n  {text}\n".encode()).source == expected


def test_labels_by_their_columns() -> None:
    """The names of the columns and what counts as late stand beside the source."""
    text = "labels: {source: {file: 'labels/*.csv'}, id: flight, outcome: late, late_days: 60}"
    source = TableSource(file="labels/*.csv")
    expected = LabelSettings(source=source, id="flight", outcome="late", late_days=60)
    assert parse_settings(text.encode()).labels == expected


def test_alerts_with_all_that_may_be_set() -> None:
    """Limits by metric, shares, days."""
    text = (
        "alerts: {limits: {test.roc_auc: 0.64}, calibration: 0.1, refused: 0.02, missing: 0.1,"
        " new_levels: 0.02, failed: 0.01, unreadable: 0.2, silent_days: 3, wait_days: 7,"
        " usual_since: 2026-11-22}"
    )
    expected = AlertSettings(
        limits={"test.roc_auc": 0.64},
        calibration=0.1,
        refused=0.02,
        missing=0.1,
        new_levels=0.02,
        unreadable=0.2,
        failed=0.01,
        silent_days=3,
        wait_days=7,
        usual_since="2026-11-22",
    )
    assert parse_settings(text.encode()).alerts == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 2", r"monitor.yaml:1: version must be 1"),
        ("requests: {smaple: 1}", r"unknown key `smaple`\n.*did you mean `sample`\?"),
        ("requests: {sample: 50}", r"must be from 0 to 1\n.*write 0\.5"),
        ("requests: {sample: .nan}", r"must be a finite number"),
        ("requests: {max_bytes: -1}", r"must be a whole number from 0"),
        ("requests: {keep_days: 0}", r"must be a whole number from 1"),
        ("requests: {keep_days: 1000000}", r"must be a whole number from 1 to 36500"),
        ("requests: {keep_days: true}", r"must be a whole number from 1"),
        ("requests: {columns: {dest: encrypt}}", r"must be keep or hash or drop, not `encrypt`"),
        ("requests: {columns: [dest]}", r"must be a mapping, not a list"),
        ("source: {}", r"source needs exactly one key"),
        ("source: {folder: a, parquet: b}", r"source needs exactly one key"),
        ("source: {kafka: a}", r"unknown key `kafka`"),
        ("source: {folder: ''}", r"must have 1 to 200 characters"),
        ("source: {sql: {query: SELECT 1}}", r"source.sql needs `address`"),
        ("source: {sql: {address: A}}", r"source.sql needs `query`"),
        (
            "source: {sql: {address: 'postgresql://me:secret@host/log', query: SELECT 1}}",
            r"must be the name of an environment variable",
        ),
        ("source: {command: python export.py}", r"must be a list of texts\n.*each word apart"),
        ("source: {command: []}", r"must be a list of texts"),
        ("source: {command: [1]}", r"must be a list of texts"),
        ("source: {cloudevents: {folder: a, model: v1}}", r"`v1` is no sha256"),
        ("labels: {source: {parquet: a}}", r"unknown key `parquet`"),
        ("labels: {late_days: 0}", r"must be a whole number from 1"),
        ("alerts: {missing: 5}", r"must be from 0 to 1\n.*write 0\.05"),
        ("alerts: {calibration: -0.1}", r"must not be negative"),
        ("alerts: {usual_since: 2026-02-30}", r"`2026-02-30` is no day"),
        ("alerts: {usual_since: 20261122}", r"must be text"),
        ("alarm: {}", r"unknown key `alarm`"),
        ("- 1", r"the file must be a mapping"),
    ],
)
def test_each_mistake_is_named(text: str, message: str) -> None:
    """What is wrong, where, and what to write instead."""
    with pytest.raises(MistakesError, match=message):
        parse_settings(text.encode())


def test_an_address_with_its_password_is_not_printed() -> None:
    """Who wrote the address itself by mistake does not find it in a log."""
    text = b"source: {sql: {address: 'postgresql://me:secret@host/log', query: SELECT 1}}"
    with pytest.raises(MistakesError, match="environment variable") as caught:
        parse_settings(text)
    assert "secret" not in str(caught.value)


def test_all_mistakes_at_once() -> None:
    """Three mistakes are three lines of one message."""
    text = b"requests:\n  sample: 2\n  keep_days: 0\nlabels:\n  id: 7\n"
    with pytest.raises(MistakesError, match=r"3 mistakes in monitor\.yaml") as caught:
        parse_settings(text)
    lines = [error.where for error in caught.value.errors]
    assert lines == ["monitor.yaml:2", "monitor.yaml:3", "monitor.yaml:5"]


def test_what_is_no_yaml() -> None:
    """Tags that make objects are refused by the reader of all our YAML."""
    with pytest.raises(MlgitopsError, match="tag"):
        parse_settings(b"source: !!python/object:os.system {}")
