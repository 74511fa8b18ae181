"""What `mlgitops compare` makes of predictions: intervals, and slices."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dvc_project import DvcProject, make_predictions
from integration.compared import kinds


def test_predictions_say_how_sure_it_is(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """With predictions of both sides, the verdict rests on an interval."""
    project.train(accuracy=0.8, predictions=make_predictions(rows=1_000, errors=200))
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    project.train(accuracy=0.805, predictions=make_predictions(rows=1_000, errors=195, rotate=7))
    noise = compare(project, "--json")
    assert kinds(noise.report)["test.accuracy"] == "equivalent"
    project.train(accuracy=0.7, predictions=make_predictions(rows=1_000, errors=300))
    worse = compare(project, "--json")
    (metric,) = [m for m in worse.report["metrics"] if m["name"] == "test.accuracy"]
    assert (worse.code, kinds(worse.report)["test.accuracy"]) == (1, "worsened")
    assert metric["evidence"]["rows"] == 1_000
    assert metric["evidence"]["interval"]["high"] < 0


def test_metrics_that_are_not_judged_have_an_interval_too(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """Where the predictions give them; at the policy's confidence, outside of the judgement."""
    sides = [(0.8, 200, 0), (0.7, 300, 7)]
    for at, (accuracy, errors, rotate) in enumerate(sides):
        predictions = make_predictions(rows=1_000, errors=errors, rotate=rotate)
        project.train(accuracy=accuracy, predictions=predictions)
        test = {"accuracy": accuracy, "f1_macro": accuracy, "mcc": 2 * accuracy - 1, "gini": 0.1}
        other = {"accuracy": accuracy + 0.1, "f1_macro": 0.91}  # of other rows
        metrics = {"test": test, "train": other, "model": {"size_mb": 1.0}}
        project.put("reports/metrics.json", json.dumps(metrics))
        if not at:
            project.fill(project.root / ".dvc" / "cache")
            project.commit()
    found = compare(project, "--json")
    intervals = {
        metric["name"]: metric["evidence"]["interval"]
        for metric in found.report["metrics"]
        if metric["evidence"]
    }
    assert set(intervals) == {"test.accuracy", "test.f1_macro", "test.mcc"}
    assert {interval["confidence"] for interval in intervals.values()} == {0.95}
    assert intervals["test.mcc"]["high"] < 0
    assert kinds(found.report) == {"test.accuracy": "worsened", "model.size_mb": "unchanged"}
    assert len(found.report["judgement"]["failures"]) == 1


def test_without_judged_metrics_there_are_intervals_and_no_verdict(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """A policy that only names predictions shows what they say, and judges nothing."""
    project.put("policy.yaml", "version: 1\nfiles: {predictions: reports/predictions.csv}\n")
    project.train(accuracy=0.8, predictions=make_predictions(rows=1_000, errors=200))
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    project.train(accuracy=0.7, predictions=make_predictions(rows=1_000, errors=300))
    found = compare(project, "--json").report
    (metric,) = [m for m in found["metrics"] if m["name"] == "test.accuracy"]
    assert metric["evidence"]["interval"]["high"] < 0
    assert found["charts"]
    assert found["judgement"]["verdict"] == "skip"


def test_missing_predictions_are_said(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Without base's predictions the numbers decide, and the notice says why."""
    project.train(accuracy=0.85, predictions=make_predictions(rows=100, errors=15))
    found = compare(project, "--json")
    assert kinds(found.report)["test.accuracy"] == "improved"
    assert "`reports/predictions.csv` is not available at base" in found.report["notices"][0]


SLICED = """\
version: 1
files: {test_data: data/test.csv, predictions: reports/predictions.csv}
metrics:
  test.accuracy: {greater_is_better: true, max_worsening: 0.5}
slices:
  - {by: [team], metric: accuracy, statistic: difference, max_value: 0.3, max_worsening: 0.05}
"""


def slice_predictions(*, wrong: int, column: str = "team") -> bytes:
    """Make 1,000 rows of two teams; ``wrong``: errors among the 500 of team b."""
    lines = [f"id,target,prediction,{column}"]
    for at in range(1_000):
        team = "ab"[at // 500]
        missed = (at - 500 * (team == "b")) < (50 if team == "a" else wrong)
        lines.append(f"r{at},{at % 2},{1 - at % 2 if missed else at % 2},{team}")
    return ("\n".join(lines) + "\n").encode()


def keep_lines(table: bytes, *, but: bytes) -> bytes:
    """Leave out the lines that end like ``but``."""
    return b"".join(line for line in table.splitlines(keepends=True) if not line.endswith(but))


@pytest.mark.parametrize(
    ("head", "code", "reason"),
    [
        (slice_predictions(wrong=60), 0, ""),
        (slice_predictions(wrong=70), 0, ""),  # a loss, within the margin (0.02)
        (slice_predictions(wrong=150), 1, "`b` lost more than the 0.05 that a group may lose"),
        (slice_predictions(wrong=60, column="club"), 1, "have no column `team`"),
        (b"id,target\n1,1\n", 1, "cannot be judged"),
        # Team b is gone, or its rows that are wrong.
        (
            keep_lines(slice_predictions(wrong=60), but=b",b\n"),
            1,
            "do not hold 500 of base's 1,000",
        ),
        (keep_lines(slice_predictions(wrong=60), but=b",0,1,b\n"), 1, "do not hold 30 of base's"),
        (None, 1, "`reports/predictions.csv` is not available at head"),
    ],
)
def test_slices_are_judged(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    head: bytes | None,
    code: int,
    reason: str,
) -> None:
    """A slice rule of the base's policy is judged on the predictions; never skipped."""
    project.put("policy.yaml", SLICED)
    project.train(accuracy=0.89, predictions=slice_predictions(wrong=60))
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    (project.root / "reports" / "predictions.csv").unlink()
    project.train(accuracy=0.88 if head == slice_predictions(wrong=70) else 0.89, predictions=head)
    found = compare(project, "--json")
    assert (found.code, len(found.report["slices"])) == (code, 1)
    assert reason in " ".join(found.report["judgement"]["failures"])


def test_slices_of_an_older_run_fail(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Predictions that the pipeline did not make from what is judged say nothing of a group."""
    project.put("policy.yaml", SLICED)
    project.train(accuracy=0.89, predictions=slice_predictions(wrong=60))
    project.commit()
    assert compare(project).code == 0
    project.put("evaluate.py", "print('measured otherwise')\n")
    found = compare(project, "--json")
    assert found.code == 1
    assert "`reports/predictions.csv` is stale: stage `evaluate` has to run again" in " ".join(
        found.report["judgement"]["failures"]
    )


def make_days(*, errors: range) -> bytes:
    """Make predictions out of order, with the moment of each row; errors are of one time."""
    order = (step * 389 % 1_000 for step in range(1_000))  # each once
    rows = [(at, at % 2, at % 2 if at not in errors else 1 - at % 2) for at in order]
    lines = [
        f"r{at},{target},{guess},{0.9 if guess else 0.1},2024-01-01T{at // 60:02}:{at % 60:02}"
        for at, target, guess in rows
    ]
    return "\n".join(["id,target,prediction,score,at", *lines, ""]).encode()


def test_rows_that_depend_on_their_neighbours_are_said(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
) -> None:
    """In the order of the column that base's split reads, whatever head says of it."""
    split = "train: {depth: 6}\nsplit: {method: time, column: at}\n"
    project.train(accuracy=0.8, predictions=make_days(errors=range(200)))
    project.put("params.yaml", split)
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    project.train(accuracy=0.82, predictions=make_days(errors=range(20, 200)))
    project.put("params.yaml", split.replace("column: at", "column: other"))
    (notice,) = [text for text in compare(project, "--json").report["notices"] if "lag-1" in text]
    assert "`test.accuracy`: test rows that follow one another in the order of `at`" in notice
    assert "Write the column that says which rows belong together" in notice


def test_independent_rows_are_not_said_to_depend(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Without a split by time, the order of a shuffled file shows nothing."""
    project.train(accuracy=0.8, predictions=make_days(errors=range(200)))
    project.fill(project.root / ".dvc" / "cache")
    project.commit()
    project.train(accuracy=0.82, predictions=make_days(errors=range(20, 200)))
    assert not [text for text in compare(project, "--json").report["notices"] if "lag-1" in text]
