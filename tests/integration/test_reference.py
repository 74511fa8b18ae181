"""Head against a release: real repositories, real commands, real measures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from threshold_project import EVALUATE, POLICY, ThresholdProject, make_table

from mlgitops.cli import run
from mlgitops.model import Kind, Report, TestData, Verdict
from mlgitops.model.wire import parse_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Spoil = Callable[[ThresholdProject], None]

#: Each step costs four of 400 rows: one hundredth, half of the margin.
WITH_REFERENCE = POLICY.replace(
    "max_worsening: 0.02", "max_worsening: 0.02, max_worsening_since_reference: 0.02"
).replace("metrics:", "reference: release\ninconclusive_since_reference: pass\nmetrics:", 1)


@pytest.fixture
def project(tmp_path: Path) -> ThresholdProject:
    """Make a project whose first commit is released, and whose policy holds head against it."""
    made = ThresholdProject(tmp_path / "project")
    made.put("policy.yaml", WITH_REFERENCE)
    made.commit("start")
    made.git("tag", "v1.0.0")
    return made


def compare(project: ThresholdProject, capsys: pytest.CaptureFixture[str]) -> tuple[int, Report]:
    """Run the command on the work tree; its exit code, and the report as the posting job reads."""
    code = run(["compare", "--directory", str(project.root), "--json"])
    return code, parse_report(capsys.readouterr().out.encode())


def find_reference(report: Report) -> Any:  # noqa: ANN401 - a test reads what it expects
    """Return the reference of a report, and its verdict."""
    assert report.reference is not None
    assert report.judgement is not None
    return report.reference, report.judgement.reference[0]


def test_losses_of_half_a_margin_are_stopped_by_their_sum(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every step keeps its margin; against the release the third does not, on the same rows."""
    codes = []
    for threshold in (51, 52, 53):
        project.measure(threshold=threshold, test=make_table(0, 400))
        code, report = compare(project, capsys)
        codes.append(code)
        if threshold < 53:
            project.commit(f"threshold {threshold}")
    assert codes == [0, 0, 1]
    assert report.judgement is not None
    assert [row.verdict for row in report.judgement.metrics] == [Verdict.PASS]
    reference, verdict = find_reference(report)
    assert (reference.label, reference.sha) == ("v1.0.0", project.git("rev-parse", "v1.0.0"))
    assert (reference.rows, reference.rescoring) == (TestData.SAME, None)
    (change,) = reference.metrics
    assert (change.base, change.head) == (1.0, 0.97)
    assert change.evidence.rows == 400
    assert change.evidence.interval.high < 0
    assert (verdict.verdict, verdict.kind) == (Verdict.FAIL, Kind.WORSENED)
    assert report.judgement.failures == (
        "since `v1.0.0`: `test.accuracy` lost more than the 0.02 that it may lose",
    )


def test_on_other_rows_the_released_model_is_measured_anew_by_the_code_of_base(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The release's own code could not read these rows; base's can, and measures both alike."""
    project.put("evaluate.py", EVALUATE.replace('["x"]', '["measured"]'))
    rows = make_table(0, 440).replace("id,x,target", "id,measured,target")
    project.measure(threshold=52, test=rows)
    project.commit("another name of the column")
    project.measure(threshold=53, test=rows + "last,10,0\n")
    code, report = compare(project, capsys)
    reference, verdict = find_reference(report)
    assert reference.reason is None
    assert (reference.rows, reference.rescoring.rows) == (TestData.CHANGED, 441)
    (change,) = reference.metrics
    assert (change.base, change.base_stored) == (1.0, 1.0)
    assert change.head == pytest.approx(1 - 12 / 441)
    assert verdict.verdict is Verdict.FAIL
    assert code == 1


def test_a_tag_of_any_name_leaves_the_release_what_it_is(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that holds another sort of line end is a name all the same, and no version."""
    project.git("tag", "odd\u2028v9.0.0")
    project.measure(threshold=51, test=make_table(0, 400))
    code, report = compare(project, capsys)
    reference, _ = find_reference(report)
    assert (reference.label, reference.reason) == ("v1.0.0", None)
    assert code == 0


def test_head_that_is_the_release_again_is_no_change(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """A way back to the released model: nothing was lost since, and nothing is measured."""
    project.measure(threshold=51, test=make_table(0, 400))
    project.commit("a little worse")
    project.measure(threshold=50, test=make_table(0, 400))
    code, report = compare(project, capsys)
    reference, verdict = find_reference(report)
    assert reference.untouched
    assert (verdict.kind, verdict.verdict) == (Kind.UNCHANGED, Verdict.PASS)
    assert code == 0


def _take_the_tag(project: ThresholdProject) -> None:
    project.git("tag", "--delete", "v1.0.0")


def _lose_the_model(project: ThresholdProject) -> None:
    """Other rows, and the released model is in no cache and no storage."""
    project.measure(threshold=50, test=make_table(0, 400))
    project.cached("model/model.json").unlink()
    project.measure(threshold=51, test=make_table(0, 440))


def _lose_the_metric(project: ThresholdProject) -> None:
    """Release a commit that does not have the metric."""
    released = project.git("rev-parse", "v1.0.0")
    project.git("switch", "--quiet", "--create", "old", released)
    project.put("reports/metrics.json", json.dumps({"test": {"other": 1.0}}))
    sha = project.commit("other metric")
    project.git("switch", "--quiet", "main")
    project.git("merge", "--quiet", "--strategy", "ours", "--message", "take over", "old")
    project.git("tag", "v1.1.0", sha)
    project.measure(threshold=51, test=make_table(0, 400))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_take_the_tag, "no tag vX.Y.Z or model@vX.Y.Z is in the history of base"),
        (_lose_the_model, "`model/model.json` of the reference is not here"),
        (_lose_the_metric, "has no value at the reference"),
    ],
)
def test_a_reference_that_cannot_be_read_is_undecided(
    project: ThresholdProject,
    capsys: pytest.CaptureFixture[str],
    spoil: Spoil,
    reason: str,
) -> None:
    """Exit code 2 with the reason, in words and as JSON; never green."""
    project.measure(threshold=51, test=make_table(0, 400))
    project.commit("a step")
    spoil(project)
    code = run(["compare", "--directory", str(project.root)])
    captured = capsys.readouterr()
    assert code == 2
    assert "Could not decide" in captured.out
    assert reason in " ".join(captured.err.split())


def test_it_is_one_row_more_for_people(
    project: ThresholdProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the terminal, the comment and the page: the release's value, head's, and the limit."""
    project.measure(threshold=53, test=make_table(0, 400))
    page = project.root / "page.html"
    words = ["compare", "--directory", str(project.root)]
    assert run([*words, "--html", str(page)]) == 1
    terminal = capsys.readouterr().out
    assert run([*words, "--format", "markdown"]) == 1
    comment = capsys.readouterr().out
    assert "✗ worsened" in terminal
    assert "test.accuracy since v1.0.0" in terminal
    assert "| `test.accuracy since v1.0.0` | 1.000 | 0.970 |" in comment
    assert "Reference: `v1.0.0` (`release`)" in comment
    assert "since v1.0.0" in page.read_text(encoding="utf-8").replace("<wbr>", "")
