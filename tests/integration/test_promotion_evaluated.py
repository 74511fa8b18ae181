"""Another model for an environment, in the job that measures by base's code: nothing is claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from evaluated_project import TRAIN, EvaluatedProject, Run, make_rows

from mlgitops.model import TestData, Verdict

if TYPE_CHECKING:
    from pathlib import Path

_POOR = TRAIN.replace('"thresholds": [best, best]', '"thresholds": [54, 54]')


def want(revision: str) -> str:
    """Return the file of an environment that serves the model of a commit."""
    return f'model: demo\nrevision: "{revision}"\nport: 80\n'


@pytest.mark.parametrize("rows", [1200, 1500])
def test_what_is_promoted_is_measured_beside_what_runs_there(
    tmp_path: Path,
    rows: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two merged models, on the rows of the newer one; the pull request itself trains nothing."""
    project = EvaluatedProject(tmp_path)
    good = project.base

    def worsen(run: Run) -> None:
        run.write("train.py", _POOR)
        if rows != 1200:
            run.write("data/raw.csv", make_rows(rows))
            run.point("data/raw.csv")

    project.open(worsen).merge()
    project.origin.put("data/raw.csv", make_rows(rows))  # git keeps its pointer alone
    poor = project.base
    project.origin.put("deploy/production/model.yaml", want(good))
    project.base = project.origin.commit("serve the first")

    def promote(run: Run) -> None:
        run.write("deploy/production/model.yaml", want(poor))

    ending = project.open(promote).evaluate(monkeypatch, capsys)
    report, decision = ending.report, ending.decision
    assert report is not None, ending.printed
    assert decision is not None
    (promotion,) = report.promotions
    assert promotion.reason is None, promotion.reason
    (change,) = promotion.metrics
    assert change.base == 1.0
    assert change.head == pytest.approx(0.96)
    assert change.evidence is not None
    assert change.evidence.rows == rows // 3
    assert promotion.answers == rows // 3
    assert promotion.rows is (TestData.SAME if rows == 1200 else TestData.CHANGED)
    assert report.metrics[0].delta == 0
    assert decision.verdict is Verdict.FAIL, ending.words
    lost = "in `production`: `test.accuracy` lost more than the 0.02 that it may lose"
    assert lost in ending.words
