"""Broken or hostile predictions through the whole `mlgitops compare`: explained, never a pass."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from integration.compared import kinds

if TYPE_CHECKING:
    from dvc_project import DvcProject

ROWS = 400
POLICY = """\
version: 1
files: {{predictions: reports/predictions.csv}}
metrics:
  test.{metric}: {{greater_is_better: true, max_worsening: 0.02}}
"""


def write_table(
    *,
    rows: int = ROWS,
    header: str = "id,target,prediction,score",
    target: str | None = None,
    score: str | None = None,
    prefix: str = "r",
) -> bytes:
    """Write predictions of two classes; ``target`` and ``score`` replace those of all rows."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, rows)
    scores = np.round(np.clip(0.3 * truth + 0.7 * rng.random(rows), 0, 1), 4)
    columns = {
        "id": [f"{prefix}{at}" for at in range(rows)],
        "target": [target or str(one) for one in truth],
        "prediction": [str(int(one > 0.5)) for one in scores],
        "score": [score or str(one) for one in scores],
    }
    names = header.split(",")
    lines = zip(*(columns[name] for name in names), strict=True)
    return "\n".join([header, *map(",".join, lines)]).encode() + b"\n"


def write_numbers(*, target: str | None = None, prediction: str | None = None) -> bytes:
    """Write predictions of a number; what is given replaces that of all rows."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=ROWS)
    lines = [
        f"{at},{target or round(one, 4)},{prediction or round(one + rng.normal(), 4)}"
        for at, one in enumerate(truth)
    ]
    return "\n".join(["id,target,prediction", *lines]).encode() + b"\n"


def write_parquet() -> bytes:
    """Write a Parquet file that ends in its middle."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    columns = {"id": range(ROWS), "target": [0, 1] * 200, "prediction": [0, 1] * 200}
    pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), stream)
    return stream.getvalue()[: len(stream.getvalue()) // 2]


@pytest.mark.parametrize(
    ("metric", "head", "reason"),
    [
        ("roc_auc", write_table(score="nan"), "400 value(s) that are not finite"),
        ("log_loss", write_table(score="inf"), "not finite"),
        ("brier", write_table(score="-0.5"), "leave the range from 0 to 1"),
        ("roc_auc", write_table(target="1"), "0 negative test rows"),  # one class only
        ("roc_auc", write_table(score="0.5"), "the same score to every row"),  # all ties
        ("roc_auc", write_table(score="high"), "score is not a number in row 1"),
        ("accuracy", write_table(header="id,target"), "lack the column prediction"),
        ("roc_auc", write_table(header="id,target,prediction"), "has no column `score`"),
        ("accuracy", write_table(rows=0), "have no rows"),
        ("accuracy", write_table(rows=1), "1 matched test row(s): at least two"),
        ("accuracy", write_table(prefix="s"), "0 matched test row(s)"),  # other ids
        (
            "accuracy",
            write_table().partition(b"r200,")[0] + b"r200,1\n",
            "not a table of 4 columns",
        ),
        ("accuracy", b"\x00\xff" * 200, "not UTF-8 text"),
        ("accuracy", b"", "lack the columns"),
        ("accuracy", write_parquet(), "The Parquet file is damaged"),
        ("accuracy", None, "is not available at head"),
        ("r2", write_numbers(target="1.5"), "0 matched test row(s)"),  # constant target
        ("r2", write_numbers(prediction="much"), "holds text"),
        ("r2", write_numbers(prediction="nan"), "not finite"),
    ],
)
def test_what_head_breaks_is_explained_and_fails(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    metric: str,
    head: bytes | None,
    reason: str,
) -> None:
    """A judged metric that base's predictions give is incomparable when head's do not.

    The metrics file says that all is well, so plain numbers would let it pass.
    """
    project.put("policy.yaml", POLICY.format(metric=metric))
    base = write_numbers() if metric == "r2" else write_table()
    for at, predictions in enumerate((base, head)):
        (project.root / "reports" / "predictions.csv").unlink(missing_ok=True)
        project.train(accuracy=0.8, predictions=predictions)
        values = {"test": {metric: 0.8 + at / 100}}
        project.put("reports/metrics.json", json.dumps(values))
        if not at:
            project.fill(project.root / ".dvc" / "cache")
            project.commit()
    found = compare(project, "--json")
    assert found.code == 1
    assert kinds(found.report) == {f"test.{metric}": "incomparable"}
    assert reason in " ".join([*found.report["judgement"]["failures"], *found.report["notices"]])
    text = compare(project, "--format", "markdown")
    assert text.code == 1
    assert reason.replace("`", "") in text.out.replace("`", "").replace("\\", "")
    assert "Traceback" not in text.out + text.err + found.err


def test_a_target_that_is_constant_on_both_sides_is_said(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """Where base's predictions do not give the metric either, numbers decide, and it is said."""
    project.put("policy.yaml", POLICY.format(metric="r2"))
    for at, value in enumerate(("2.5", "2.25")):
        predictions = write_numbers(target="1.5", prediction=value)
        project.train(accuracy=0.8, predictions=predictions)
        project.put("reports/metrics.json", json.dumps({"test": {"r2": 0.8 - at / 10}}))
        if not at:
            project.fill(project.root / ".dvc" / "cache")
            project.commit()
    found = compare(project, "--format", "markdown")
    assert found.code == 1
    assert "R² is undefined" in found.out
    assert "Noise was not estimated" in found.out
