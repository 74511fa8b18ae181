"""Tests of report.json: strict when read, stable when written, within its size."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from builders import POLICY, make_change, make_report, steady_changes
from comments import situations

from mlgitops.errors import MlgitopsError
from mlgitops.judgement.judge import judge_report
from mlgitops.model import ColumnChange, Policy, Rule, TableChange
from mlgitops.model.wire import (
    MAX_REPORT_BYTES,
    encode_report,
    encode_schema,
    fit_report,
    parse_report,
    report_schema,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "report.schema.json"
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


NOT_MINUS = "the delta of metric 'model.size_mb' is not head minus base"


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
    ("edit", "reason"),
    [
        (_change("surprise", 1), "unknown field `surprise`"),
        (_change("schema", 2), "Expected `int` <= 1 - at `$.schema`"),
        (_change("schema", "1"), "got `str` - at `$.schema`"),
        (_change("key", "-x"), "at `$.key`"),
        (_change("key", "a b"), "at `$.key`"),
        (_change("base.sha", "main"), "at `$.base.sha`"),
        (_change("base.surprise", 1), "unknown field `surprise` - at `$.base`"),
        (_change("test_data", "maybe"), "Invalid enum value 'maybe' - at `$.test_data`"),
        (_change("metrics.0.base", True), "got `bool` - at `$.metrics[0].base`"),
        (_change("metrics.0.base", "0.5"), "got `str` - at `$.metrics[0].base`"),
        (_change("metrics.0.delta", 5.0), NOT_MINUS),
        (_change("metrics.0.base", None), NOT_MINUS),
        (_change("metrics.0.name", ""), "of length >= 1 - at `$.metrics[0].name`"),
        (_change("metrics.0.name", "x" * 201), "of length <= 200 - at `$.metrics[0].name`"),
        (_change("metrics.0.reason", "x" * 501), "of length <= 500 - at `$.metrics[0].reason`"),
        (_change("metrics.1.name", "model.size_mb"), "metric 'model.size_mb' stands there twice"),
        (
            _change("metrics.2.evidence.interval.low", 0.5),
            "the interval of metric 'test.roc_auc' ends before it begins",
        ),
        (
            _change("metrics.2.evidence.interval.confidence", 1.5),
            "at `$.metrics[2].evidence.interval.confidence`",
        ),
        (_change("metrics.2.evidence.rows", -1), "at `$.metrics[2].evidence.rows`"),
        (_change("judgement.verdict", "ok"), "Invalid enum value 'ok' - at `$.judgement.verdict`"),
        (_change("notices", "text"), "got `str` - at `$.notices`"),
        (_change("notices", [1]), "got `int` - at `$.notices[0]`"),
        (
            _change("stages", [{"name": "a", "state": "ran", "seconds": -1}]),
            "at `$.stages[0].seconds`",
        ),
        (_change("omitted.metrics", -1), "at `$.omitted.metrics`"),
    ],
)
def test_what_compare_would_not_write_is_refused(
    edit: Callable[[dict[str, Any]], None], reason: str
) -> None:
    """Unknown keys, wrong types, impossible values and deltas that do not add up are refused."""
    report = make_report(
        make_change("test.roc_auc", 0.7, 0.8, interval=(0.05, 0.15)), *steady_changes()
    )
    document = json.loads(encode_report(report))
    edit(document)
    with pytest.raises(MlgitopsError, match=re.escape(reason)):
        parse_report(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON: "),
        (b"null", "got `null`"),
        (b"[]", "got `array`"),
        (b"{}", "missing required field `schema`"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b'{"schema": 1, "schema": 1}', "the key 'schema' stands there twice"),
        (b'{"schema": NaN}', "invalid character"),
        (b'{"schema": 1e999}', "out of range"),
        (b"[" * 100_000, "nested over 32 levels deep"),
        (b" " * (MAX_REPORT_BYTES + 1), "more than the 1,048,576 we read"),
        (b'{"key": "\\ud800"}', "half a pair"),
    ],
)
def test_what_is_no_report_is_refused(data: bytes, reason: str) -> None:
    """Broken, oversized and deeply nested input is one clear error."""
    with pytest.raises(MlgitopsError, match=reason):
        parse_report(data)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number: str) -> None:
    """NaN, infinities and overflow never enter a report."""
    report = encode_report(make_report(make_change("m", 0.25, 0.5))).decode()
    with pytest.raises(MlgitopsError, match=r"invalid character|out of range"):
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
