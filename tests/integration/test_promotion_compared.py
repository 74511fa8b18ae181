"""The verdict on another model for an environment: real commits, real measures, base's policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from threshold_project import POLICY, ThresholdProject, make_table

from mlgitops.cli import run
from mlgitops.delivery.ledger import Ledger
from mlgitops.model import Kind, Promotion, PromotionVerdict, Report, TestData, Verdict
from mlgitops.model.ledger import Event, LedgerEntry
from mlgitops.model.wire import parse_report

if TYPE_CHECKING:
    from pathlib import Path

PATH = "deploy/production/model.yaml"


class Environments(ThresholdProject):
    """Three models on main: the released one, a worse one, and one as good on more rows."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.put("policy.yaml", POLICY)
        self.good = self.commit("good")
        self.git("tag", "demo@v1.0.0")
        self.measure(threshold=55, test=make_table(0, 400))
        self.worse = self.commit("worse")
        self.git("tag", "demo@v1.1.0")
        self.measure(threshold=50.5, test=make_table(0, 440))
        self.equal = self.commit("as good, on other rows")

    def want(self, revision: str | None, version: str | None = None, more: str = "") -> None:
        """Write what production shall serve."""
        shown = f'"{revision}"' if revision else "null"
        text = f"model: demo\nversion: {version or 'null'}\nrevision: {shown}\nport: 80\n{more}"
        self.put(PATH, text)


@pytest.fixture
def project(tmp_path: Path) -> Environments:
    """Make the project; production serves the released model."""
    made = Environments(tmp_path / "project")
    made.want(made.good, "v1.0.0")
    made.commit("serve v1.0.0")
    return made


def compare(project: Environments, capsys: pytest.CaptureFixture[str]) -> tuple[int, Report]:
    """Run the command on the work tree; its exit code, and the report as the posting job reads."""
    code = run(["compare", "--directory", str(project.root), "--json"])
    return code, parse_report(capsys.readouterr().out.encode())


def find_one(report: Report) -> tuple[Promotion, PromotionVerdict]:
    """Return the one promotion of a report, and the verdict on it."""
    assert report.judgement is not None
    (promotion,), (verdict,) = report.promotions, report.judgement.promotions
    return promotion, verdict


def test_a_worse_model_must_not_be_promoted(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its loss is measured against what runs there, by policy and noise; the edit is by hand."""
    project.want(project.worse, "v1.1.0")
    code, report = compare(project, capsys)
    promotion, verdict = find_one(report)
    assert code == 1
    assert promotion.base is not None
    assert promotion.head is not None
    assert (promotion.base.label, promotion.head.label) == ("v1.0.0", "v1.1.0")
    assert (promotion.rows, promotion.is_return) == (TestData.SAME, False)
    (change,) = promotion.metrics
    assert (change.base, change.head) == (1.0, 0.95)
    assert change.evidence is not None
    assert change.evidence.interval is not None
    assert (promotion.answers, promotion.changed_answers) == (400, 20)
    assert verdict.metrics[0].kind is Kind.WORSENED
    assert report.judgement is not None
    assert report.judgement.failures == (
        "in `production`: `test.accuracy` lost more than the 0.02 that it may lose",
    )
    assert run(["compare", "--directory", str(project.root)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "production: v1.0.0 → v1.1.0" in out
    assert "5.00% of the answers change, on 400 test rows" in out


def test_on_other_rows_what_runs_there_is_measured_anew(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both on the rows of the newer model, by the code of base; it is as good, and may go."""
    project.want(project.equal)
    code, report = compare(project, capsys)
    promotion, verdict = find_one(report)
    assert code == 0, report.judgement
    assert promotion.rows is TestData.CHANGED
    assert promotion.rescoring is not None
    assert promotion.rescoring.rows == 440
    assert promotion.metrics[0].head == pytest.approx(1 - 4 / 440)
    assert (promotion.metrics[0].base, promotion.metrics[0].base_stored) == (1.0, 1.0)
    assert (promotion.answers, promotion.changed_answers) == (440, 4)
    assert verdict.metrics[0].verdict is Verdict.PASS


def test_a_way_back_is_shown_and_not_held_against_the_limits(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worse model was wanted first: going back to it from a better one is never blocked."""
    project.want(project.worse, "v1.1.0")
    project.commit("by somebody who may")
    project.want(project.equal)
    project.commit("promote")
    project.want(project.worse, "v1.1.0")
    code, report = compare(project, capsys)
    promotion, verdict = find_one(report)
    assert (code, promotion.is_return) == (0, True)
    assert verdict.metrics[0].verdict is Verdict.SKIP
    project.want(project.good)
    assert find_one(compare(project, capsys)[1])[0].is_return
    project.want(project.good, "v1.0.0", more=f'sha256: "{"1" * 64}"\n')
    assert compare(project, capsys)[0] == 2


def test_a_way_back_to_what_was_given_up_says_so(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not blocked, and whoever merges it reads what the ledger knows."""
    project.want(project.equal)
    project.commit("promote")
    project.want(project.good, "v1.0.0")
    assert not any("given up" in notice for notice in compare(project, capsys)[1].notices)
    entry = LedgerEntry(
        seq=1,
        environment="production",
        event=Event.CONDEMNED,
        model="demo",
        version="v1.0.0",
        sha256="1" * 64,
        commit=project.equal,
        revision=project.good,
        previous=None,
        reason="it died",
        at="2030-01-31T12:00:00.000000Z",
    )
    assert Ledger(project.root, "").append("production", lambda _: entry)
    code, report = compare(project, capsys)
    assert (code, find_one(report)[0].is_return) == (0, True)
    said = "v1.0.0 was given up in production, by the ledger, and not served since: it died."
    assert said in report.notices


def test_who_follows_the_branch_from_now_on_brings_no_model_of_the_same_change(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """Base's model is as good as what runs there; the one that would serve was not compared."""
    project.want(None)
    code, report = compare(project, capsys)
    assert (code, find_one(report)[0].reason) == (0, None)
    project.measure(threshold=55, test=make_table(0, 440))
    code, report = compare(project, capsys)
    reason = find_one(report)[0].reason or ""
    assert code != 0
    assert "without `revision` it follows the branch, and the same change edits" in reason
    assert find_one(report)[1].metrics[0].verdict is not Verdict.PASS


def test_an_older_model_that_was_never_wanted_there_is_no_way_back(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody approved it for this environment, so that it is held against the limits."""
    project.want(project.equal)
    project.commit("promote, past the worse one")
    project.want(project.worse, "v1.1.0")
    code, report = compare(project, capsys)
    assert (code, find_one(report)[0].is_return) == (1, False)


def test_going_forth_again_is_no_way_back(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was taken back is held against the limits as at first."""
    project.want(project.worse, "v1.1.0")
    project.commit("by somebody who may")
    project.want(project.good, "v1.0.0")
    project.commit("roll back")
    project.want(project.worse, "v1.1.0")
    code, report = compare(project, capsys)
    assert (code, find_one(report)[0].is_return) == (1, False)
    project.commit("by somebody who may, again")
    project.want(project.equal)
    project.commit("promote past it")
    project.want(project.good, "v1.0.0")
    project.commit("roll back, past the worse one")
    project.want(project.worse, "v1.1.0")
    code, report = compare(project, capsys)
    assert (code, find_one(report)[0].is_return) == (1, False)


def test_what_was_taken_back_is_no_way_back_from_a_later_model(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """Production once left it for an older model: it is held against the limits as at first."""
    for revision, version, message in (
        (project.worse, "v1.1.0", "by somebody who may"),
        (project.good, "v1.0.0", "roll back"),
        (project.equal, None, "promote what is better"),
    ):
        project.want(revision, version)
        project.commit(message)
    project.want(project.worse, "v1.1.0")
    code, report = compare(project, capsys)
    assert (code, find_one(report)[0].is_return) == (1, False)
    project.want(project.good, "v1.0.0")
    assert find_one(compare(project, capsys)[1])[0].is_return


def test_an_environment_described_anew_is_compared_with_what_it_wanted_last(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """To remove it in one change and to bring another model in the next is a promotion."""
    (project.root / PATH).unlink()
    code, report = compare(project, capsys)
    assert (code, report.promotions) == (0, ())
    project.commit("retire production")
    project.want(project.worse, "v1.1.0")
    code, report = compare(project, capsys)
    promotion, _ = find_one(report)
    assert code == 1
    assert promotion.base is not None
    assert promotion.base.label == "v1.0.0"
    project.want(project.good, "v1.0.0")
    code, report = compare(project, capsys)
    assert (code, report.promotions) == (0, ())


@pytest.mark.parametrize("name", ["model.yaml", "production"])
def test_a_desired_state_behind_a_link_is_undecided(
    name: str, project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next change would edit another file, and move the model without a comparison."""
    main = project.git("rev-parse", "HEAD")
    project.git("switch", "--quiet", "--create", "topic")
    project.put("desired/production/model.yaml", (project.root / PATH).read_text())
    (project.root / PATH).unlink()
    link = project.root / "deploy/production"
    if name == "production":
        link.rmdir()
        link.symlink_to("../desired/production")
    else:
        (link / name).symlink_to("../../desired/production/model.yaml")
    project.commit("move the desired state")
    code = run(["compare", "--base", main, "--directory", str(project.root), "--json"])
    report = parse_report(capsys.readouterr().out.encode())
    assert code == 2
    assert "it is behind a link" in (find_one(report)[0].reason or "")


def test_other_edits_of_the_file_are_no_promotion(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replicas, a port, a comment: the same model serves."""
    project.want(project.good, "v1.0.0", more="replicas: 3 # more\n")
    code, report = compare(project, capsys)
    assert (code, report.promotions) == (0, ())


def test_a_new_environment_is_held_to_the_bounds(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing runs there yet, so that nothing can be lost."""
    text = (project.root / PATH).read_text()
    project.put("deploy/staging/model.yaml", text)
    code, report = compare(project, capsys)
    promotion, verdict = find_one(report)
    assert (code, promotion.base, promotion.environment) == (0, None, "staging")
    assert verdict.metrics[0].kind is Kind.ADDED
    project.put("policy.yaml", POLICY.replace("min_value: 0.6", "min_value: 1.1"))
    project.put("deploy/staging/model.yaml", text)
    project.git("add", "policy.yaml")
    project.git("commit", "--quiet", "--message", "a bar that nothing reaches", "policy.yaml")
    code, report = compare(project, capsys)
    assert code == 1
    assert report.judgement is not None
    assert "in `staging`: `test.accuracy` is below its minimum of 1.1" in report.judgement.failures


def test_what_is_no_reviewed_model_is_undecided(
    project: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unmerged commit, a version of another commit or of none, another model's digest."""
    main = project.git("rev-parse", "HEAD")
    project.git("switch", "--quiet", "--create", "topic")
    project.measure(threshold=50, test=make_table(0, 440))
    mine = project.commit("my own model")
    cases = {
        (mine, None, ""): "never stood on the branch",
        (project.worse, "v1.0.0", ""): "it names v1.0.0, which is",
        (project.worse, "v3.0.0", ""): "there is no tag demo@v3.0.0",
        (project.worse, "v1.1.0", f'sha256: "{"2" * 64}"\n'): "it names the model 222222222222",
        ("3" * 40, None, ""): "is no commit here",
    }
    for (revision, version, more), reason in cases.items():
        project.want(revision, version, more)
        command = ["compare", "--base", main, "--directory", str(project.root), "--json"]
        code = run(command)
        report = parse_report(capsys.readouterr().out.encode())
        promotion, verdict = find_one(report)
        assert code == 2, reason
        assert reason in (promotion.reason or "")
        assert verdict.metrics[0].verdict is Verdict.UNDECIDED
