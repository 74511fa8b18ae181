"""Request logs for tests: lines as the generated server writes them, and the files of a project."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlgitops.judgement.policy import parse_policy
from mlgitops.monitoring.plan import Plan, make_plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MODEL = "5e" * 32
DAY = "2026-06-01"
BINARY = {
    "params.yaml": "task: binary\ndata: {target: late, positive: 1}\n"
    "features: {numeric: [temp, free], categorical: [carrier, dest]}\n",
    "contract.yaml": "columns:\n"
    "  temp: {dtype: float64, nullable: true, in_range: {min_value: 0, max_value: 100}}\n"
    "  free: {dtype: float64}\n"
    "  carrier: {dtype: str, isin: [AA, B6]}\n"
    "  dest: {dtype: str}\n"
    "  late: {dtype: int64, isin: [0, 1]}\n",
    "policy.yaml": "version: 1\nmetrics:\n"
    "  test.roc_auc: {min_value: 0.7}\n"
    "  test.brier: {greater_is_better: false, max_value: 0.3}\n"
    "  test.log_loss: {greater_is_better: false, max_value: 0.6}\n"
    "  test.f1: {min_value: 0.1}\n"
    "slices:\n"
    "  - {by: [carrier], metric: accuracy, statistic: difference, max_value: 0.1}\n"
    "  - {by: [carrier], metric: true_positive_rate, statistic: minimum, min_value: 0.1}\n",
}


def make_plan_of(files: dict[str, str]) -> Plan:
    """Make the plan of a project from the texts of its files."""
    policy = parse_policy(files["policy.yaml"].encode(), where="policy.yaml")
    return make_plan(policy, files["params.yaml"].encode(), files["contract.yaml"].encode())


def make_record(row_id: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the record of a row that was answered; ``fields`` replace what stands in it."""
    record = {
        "v": 1,
        "id": row_id,
        "at": f"{DAY}T12:00:00.000Z",
        "model": MODEL,
        "inputs": {"temp": 50.0, "free": 1.5, "carrier": "AA", "dest": "ATL"},
        "score": 0.25,
        "answer": 0,
    }
    return record | fields


def make_batch(request_id: str, rows: int) -> dict[str, Any]:
    """Return the record of several rows of one request that was answered."""
    row = make_record(request_id)
    inputs = {name: [value] * rows for name, value in row["inputs"].items()}
    lists = {"inputs": inputs, "score": [row["score"]] * rows, "answer": [row["answer"]] * rows}
    return {**row, "v": 2, **lists}


def split_line(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records that the rows of a line would have had, had each been asked for alone."""
    if batch["v"] == 1:
        return [batch]
    shared, score = {name: batch[name] for name in ("at", "model")}, batch["score"]
    return [
        shared
        | {
            "v": 1,
            "id": batch["ids"][row] if "ids" in batch else f"{batch['id']}/{row}",
            "inputs": {name: values[row] for name, values in batch["inputs"].items()},
            "score": {name: values[row] for name, values in score.items()}
            if isinstance(score, dict)
            else score and score[row],
            "answer": answer,
        }
        for row, answer in enumerate(batch["answer"])
    ]


def make_refusal(request_id: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the record of a request that was refused for its contract."""
    record = {
        "v": 1,
        "id": request_id,
        "at": f"{DAY}T12:00:00.000Z",
        "model": MODEL,
        "refused": "contract",
        "column": "temp",
        "rows": 3,
    }
    return record | fields


def write_log(folder: Path, records: Sequence[object], day: str = DAY) -> Path:
    """Write records, or lines as they are, as one file of a day."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{day}-00c0ffee.jsonl"
    path.write_bytes(b"".join(encode_line(record) for record in records))
    return path


def encode_line(record: object) -> bytes:
    """Return a line; bytes are taken as they are."""
    return record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n"
