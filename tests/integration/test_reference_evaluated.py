"""Head against a release in the job that measures by base's code: no number is its run's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from evaluated_project import POLICY, TRAIN, EvaluatedProject, Run, make_rows

from mlgitops.model import TestData, Verdict

if TYPE_CHECKING:
    from pathlib import Path

WITH_REFERENCE = POLICY.replace(
    "max_worsening: 0.02", "max_worsening: 0.02, max_worsening_since_reference: 0.02"
).replace("metrics:", "reference: release\nmetrics:", 1)
_POOR = TRAIN.replace('"thresholds": [best, best]', '"thresholds": [80, 80]')


@pytest.fixture
def project(tmp_path: Path) -> EvaluatedProject:
    """Make origin, and release its base."""
    made = EvaluatedProject(tmp_path, policy=WITH_REFERENCE)
    made.origin.git("tag", "v1.0.0", made.base)
    return made


@pytest.mark.parametrize("rows", [1200, 1500])
def test_the_release_is_measured_beside_head_on_the_same_rows(
    project: EvaluatedProject,
    rows: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On the rows of base, and on those that base's code makes of head's raw data."""

    def change(run: Run) -> None:
        run.write("train.py", _POOR)
        if rows != 1200:
            run.write("data/raw.csv", make_rows(rows))
            run.point("data/raw.csv")

    ending = project.open(change).evaluate(monkeypatch, capsys)
    report, decision = ending.report, ending.decision
    assert report is not None, ending.printed
    assert decision is not None
    assert report.reference is not None
    assert report.reference.reason is None, report.reference.reason
    (change_since,) = report.reference.metrics
    assert change_since.base == 1.0
    assert change_since.head == pytest.approx(0.7)
    assert change_since.evidence is not None
    assert change_since.evidence.rows == rows // 3
    expected = TestData.SAME if rows == 1200 else TestData.CHANGED
    assert report.reference.rows is expected
    assert decision.verdict is Verdict.FAIL
    assert report.judgement is not None
    lost = "since `v1.0.0`: `test.accuracy` lost more than the 0.02 that it may lose"
    assert lost in report.judgement.failures
