"""Tests of report.json: strict when read, stable when written, within its size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from builders import POLICY, make_change, make_report, steady_changes
from comments import situations

from mlgitops.errors import MlgitopsError
from mlgitops.judge import judge_report
from mlgitops.model import ColumnChange, Policy, Rule, TableChange
from mlgitops.report import (
    MAX_REPORT_BYTES,
    encode_report,
    encode_schema,
    fit_report,
    parse_report,
    report_schema,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "report.schema.json"
SITUATIONS = situations()


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_report_is_read_back(name: str) -> None:
    """Encoding and parsing give the same report, which the published schema accepts."""
    data = encode_report(SITUATIONS[name])
    assert parse_report(data) == SITUATIONS[name]
    assert encode_report(parse_report(data)) == data
    jsonschema.validate(json.loads(data), report_schema())


def test_the_published_schema_is_current() -> None:
    """docs/reference/report.schema.json is what the code says (MLGITOPS_GOLDEN=write renews it)."""
    import os

    if os.environ.get("MLGITOPS_GOLDEN") == "write":
        SCHEMA.write_bytes(encode_schema())
    assert SCHEMA.read_bytes() == encode_schema()


def _change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:  # noqa: ANN401 - any JSON
    """Return an edit that sets the value at a dotted path."""

    def edit(report: dict[str, Any]) -> None:
        node: Any = report
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in parents:
            node = node[part]
        node[last] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        _change("surprise", 1),
        _change("schema", 2),
        _change("schema", "1"),
        _change("key", "-x"),
        _change("key", "a b"),
        _change("base.sha", "main"),
        _change("base.surprise", 1),
        _change("test_data", "maybe"),
        _change("metrics.0.base", True),
        _change("metrics.0.base", "0.5"),
        _change("metrics.0.delta", 5.0),
        _change("metrics.0.base", None),
        _change("metrics.0.name", ""),
        _change("metrics.0.name", "x" * 201),
        _change("metrics.0.reason", "x" * 501),
        _change("metrics.1.name", "model.size_mb"),
        _change("metrics.2.evidence.interval.low", 0.5),
        _change("metrics.2.evidence.interval.confidence", 1.5),
        _change("metrics.2.evidence.rows", -1),
        _change("judgement.verdict", "ok"),
        _change("notices", "text"),
        _change("notices", [1]),
        _change("stages", [{"name": "a", "state": "ran", "seconds": -1}]),
        _change("omitted.metrics", -1),
    ],
)
def test_what_compare_would_not_write_is_refused(edit: Callable[[dict[str, Any]], None]) -> None:
    """Unknown keys, wrong types, impossible values and deltas that do not add up are refused."""
    report = make_report(
        make_change("test.roc_auc", 0.7, 0.8, interval=(0.05, 0.15)), *steady_changes()
    )
    document = json.loads(encode_report(report))
    edit(document)
    with pytest.raises(MlgitopsError):
        parse_report(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"schema": 1, "schema": 1}',
        b'{"schema": NaN}',
        b'{"schema": 1e999}',
        b"[" * 100_000,
        b" " * (MAX_REPORT_BYTES + 1),
        b'{"key": "\\ud800"}',
    ],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    """Broken, oversized and deeply nested input is one clear error."""
    with pytest.raises(MlgitopsError):
        parse_report(data)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number: str) -> None:
    """NaN, infinities and overflow never enter a report."""
    report = encode_report(make_report(make_change("m", 0.25, 0.5))).decode()
    with pytest.raises(MlgitopsError):
        parse_report(report.replace("0.25", number, 1).encode())


def test_a_large_report_leaves_out_what_moved_least() -> None:
    """Judged metrics stay, the rest goes by how little it tells, and the loss is counted."""
    others = [make_change(f"m{at:06}", 1.0, 1.0 + at / 1e6) for at in range(20_000)]
    lost = make_change("gone", 1.0, None, reason="head is NaN")
    whole = make_report(make_change("test.roc_auc", 0.7, 0.7), *steady_changes(), *others, lost)
    small = fit_report(whole)
    names = {change.name for change in small.metrics}
    assert len(encode_report(small)) <= MAX_REPORT_BYTES
    assert {"test.roc_auc", "test.log_loss", "model.size_mb", "gone", "m019999"} <= names
    assert "m000001" not in names
    assert len(small.metrics) + small.omitted.metrics == len(whole.metrics)
    assert judge_report(small, POLICY).judgement == whole.judgement


def test_what_a_rule_could_mean_is_kept_whole() -> None:
    """A name in two files fails; with one of them left out, the other would pass for it."""
    policy = Policy(metrics={"accuracy": Rule(max_worsening=0.01)})
    twice = [make_change("accuracy", 0.9, 0.9, path=path) for path in ("a.json", "z.json")]
    others = [make_change(f"m{at:06}", 1.0, 1.0 + at / 1e6) for at in range(1, 20_000)]
    whole = make_report(*twice, *others, policy=policy)
    small = fit_report(whole)
    assert small.omitted.metrics > 0
    assert set(twice) <= set(small.metrics)
    assert judge_report(small, policy).judgement == whole.judgement
    assert whole.judgement is not None
    assert whole.judgement.failures[0].startswith("`accuracy` is in several files")


def test_a_small_report_is_kept_whole() -> None:
    """Nothing is left out where all fits."""
    report = make_report(*steady_changes())
    assert fit_report(report) == report


def test_wide_tables_lose_columns_before_they_burst_the_report() -> None:
    """Changed tables of many columns with long texts keep the most telling ones."""
    columns = tuple(
        ColumnChange(name=f"c{at}", psi=1.0, new_levels=("\u2603" * 400,) * 20) for at in range(60)
    )
    tables = tuple(TableChange(path=f"{at}.csv", columns=columns) for at in range(10))
    small = fit_report(make_report(*steady_changes(), tables=tables))
    assert len(encode_report(small)) <= MAX_REPORT_BYTES
    assert parse_report(encode_report(small)) == small
    for table in small.tables:
        assert table.columns[0].name == "c0"
        assert len(table.columns) + table.omitted_columns == 60
