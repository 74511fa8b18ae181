"""`mlgitops demo`: the whole loop, for real, and loud when it does not hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from git_project import git
from integration.setup_project import make_project, quiet
from mini_project import shared_store

from benchmarks import year_study
from mlgitops.cli import run
from mlgitops.commands.demo import last_page
from mlgitops.delivery import LocalTarget
from mlgitops.delivery.bundle import hash_sha256
from mlgitops.delivery.ledger import Ledger
from mlgitops.errors import MlgitopsError
from mlgitops.model.ledger import Event
from mlgitops.rehearsal.demonstration import year
from mlgitops.rehearsal.demonstration.afterwards import Delivered
from mlgitops.rehearsal.demonstration.stage import claim_folder, edit_file
from mlgitops.rehearsal.demonstration.story import (
    BAD,
    FAKE,
    GOOD,
    Demo,
    check_restored,
    check_verdict,
)
from mlgitops.rehearsal.demonstration.year import ALERTS, ISSUES


@pytest.mark.slow
def test_demo_goes_round_the_whole_loop(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generate, train, a good and a bad pull request, merge, deploy, predict: each for real."""
    monkeypatch.setenv("MLGITOPS_ENVIRONMENTS", str(shared_store()))
    assert run(["demo", "--directory", str(tmp_path / "demo"), "--stop-server", "--json"]) == 0
    demo = json.loads(capfd.readouterr().out)
    project = Path(demo["project"])
    assert demo["verdicts"] == {GOOD.branch: "pass", BAD.branch: "fail", FAKE.branch: "fail"}
    assert all(
        0 < demo["judging"][branch] < demo["rehearsals"][branch] for branch in demo["verdicts"]
    )
    comments = {
        branch: Path(file).read_text(encoding="utf-8") for branch, file in demo["comments"].items()
    }
    measured = "Measured by base's code, not by this pull request: "
    for branch, word in (
        (GOOD.branch, "✅ May merge"),
        (BAD.branch, "❌ Must not merge"),
        (FAKE.branch, "❌ Must not merge"),
    ):
        assert word in comments[branch]
        assert measured in comments[branch]
    assert "edits the code that measures (`src/flight_delays/evaluate.py`)" in comments[FAKE.branch]
    assert "`test.roc_auc` is 0.99 by its own run and 0." in comments[FAKE.branch]
    # What is on main is what the pull request's own run trained, stored, and put into service.
    author = git(project, "log", "-1", "--format=%an", GOOD.branch)
    assert author == "github-actions[bot]"
    merge = git(project, "rev-parse", "flight-delays@v1.1.0^{commit}")
    assert git(project, "diff", "--name-only", merge, GOOD.branch) == ""
    for change in (BAD, FAKE):
        assert git(project, "log", "--format=%an", change.branch).count("[bot]") == 0
    assert git(project, "status", "--porcelain") == ""
    described = json.loads((project / "model/model.json").read_text(encoding="utf-8"))
    assert described["sha256"] == hash_sha256(project / "model/model.skops")
    deployed = json.loads(git(project, "show", f"{merge}:model/model.json"))
    switched, stopped = Ledger(project, "").read("staging")
    assert (switched.event, stopped.event) == (Event.SWITCHED, Event.STOPPED)
    for entry in (switched, stopped):
        assert (entry.sha256, entry.commit) == (deployed["sha256"], merge)
    assert 0 < demo["prediction"]["outputs"]["score"] < 1
    check_delivered(tmp_path / "demo", project, demo["delivered"])
    check_year(tmp_path / "demo", project, demo["year"])
    assert not LocalTarget(project, quiet()).read_status("staging").serving  # --stop-server


def check_delivered(folder: Path, project: Path, delivered: dict[str, Any]) -> None:
    """Three releases, a promotion that was judged, one that came back by itself, the audit."""
    tags = [f"flight-delays@{version}" for version in ("v1.0.0", "v1.1.0", "v1.2.0")]
    assert delivered["releases"] == git(project, "tag", "--list").split()[:3] == tags
    comment = (folder / "comment-promotion.md").read_text(encoding="utf-8")
    assert "`production`: `v1.0.0` → `v1.1.0`." in comment
    assert "of the answers change" in comment
    assert (delivered["version"], delivered["failed"]) == ("v1.1.0", 0)
    assert delivered["answered"] > 0
    entries = Ledger(project, "").read("production")
    assert [(str(entry.event), entry.version) for entry in entries[:4]] == [
        ("switched", "v1.1.0"),
        ("switched", "v1.2.0"),  # which died when it was used
        ("switched", "v1.1.0"),  # back by itself
        ("condemned", "v1.2.0"),  # and the rollback in git starts nothing
    ]
    audit = json.loads((Path(delivered["audit"]) / "audit.json").read_text(encoding="utf-8"))
    checks = [check for model in (audit, *audit["models"]) for check in model["checks"]]
    assert {check["state"] for check in checks} == {"holds", "absent"}
    assert audit["models"][0]["lineage"]["verdict"] == "pass"


def check_year(folder: Path, project: Path, lived: dict[str, Any]) -> None:
    """Nine months as the page shows them, a retraining that was judged, and its release."""
    shown = year_study.read_days()  # the page of the year is made of them
    kept = year_study.take_days(project)
    assert [(it.day, it.model, it.rows) for it in kept] == [
        (it.day, it.model, it.rows) for it in shown
    ]
    gaps = [it.numerator for it in shown]
    assert [it.numerator for it in kept] == pytest.approx(gaps, abs=0.01)
    assert lived["rows"] == sum(it.rows for it in shown)
    held_out = sum(it.rows for it in shown if "2013-07-04" <= it.day <= "2013-07-31")
    assert lived["branch"].startswith("mlgitops/retrain/")
    assert lived["releases"] == git(project, "tag", "--list").split()[3:]
    assert len(lived["releases"]) == 2  # what began in April, and the retraining
    assert lived["processor_seconds"] > 0  # a figure to read beside the aim, on any machine
    assert lived["aimed_seconds"] > 0
    body = (folder / "pull-request-retrain.md").read_text(encoding="utf-8")
    assert f"{held_out:,} of the newest days are held out" in body
    assert "May merge" in (folder / "comment-retrain.md").read_text(encoding="utf-8")
    wanted = git(project, "show", "main:deploy/production/model.yaml")
    assert f"\nversion: {lived['releases'][-1].partition('@')[2]}\n" in wanted
    page = Path(lived["page"]).read_text(encoding="utf-8")
    for figure in ("rows a second", "requests a second", "seconds to an answer", "memory, MB"):
        assert figure in page


def test_the_last_page_lists_every_release_and_what_the_year_took() -> None:
    """Those of the year too; its time stands beside the aim, and decides nothing."""
    tags = [f"flight-delays@v1.{number}.0" for number in range(4)]
    lived = year.Year(
        releases=[tags[3], "flight-delays@v1.3.1"],
        seconds=95.4,
        processor_seconds=81.2,
        aimed_seconds=year.scale_aim(1.4),
    )
    delivered = Delivered(
        releases=tags[:3], version="v1.1.0", answered=9, failed=0, audit="audit", port=None
    )
    demo = Demo(
        project="project",
        seconds={"one": 200.0, "another": 95.4},
        verdicts={GOOD.branch: "pass"},
        rehearsals={GOOD.branch: 34.0},
        judging={GOOD.branch: 2.0},
        comments={},
        url="http://127.0.0.1:8081",
        prediction={},
        delivered=delivered,
        year=lived,
    )
    page = last_page(demo, serving=False)
    assert ", ".join([*tags, "flight-delays@v1.3.1"]) in page
    assert "295 s in all" in page
    assert "95 s of that for the year, 81 s of a processor; the aim is 93 s" in page


@pytest.mark.parametrize(
    ("alerts", "issues", "says"),
    [
        ({}, ISSUES, "alerts are {}"),
        ({day: {"calibration": since} for day, since in ALERTS.items()}, {}, "issue was {}"),
    ],
)
def test_another_year_than_the_promised_one_is_loud(
    alerts: dict[str, dict[str, str]], issues: dict[str, str], says: str
) -> None:
    """One alert, or one state of the issue, that the study does not show ends the demo."""
    with pytest.raises(MlgitopsError, match=re.escape(says)):
        year.check_year(year.Year(alerts=alerts, issues=issues))


def test_the_promised_year_is_quiet() -> None:
    """Alerts on the data are real as well, and promise nothing."""
    alerts = {day: {"calibration": since, "missing temp": since} for day, since in ALERTS.items()}
    year.check_year(year.Year(alerts=alerts, issues={**ISSUES, "2013-12-31": ""}))


@pytest.mark.parametrize(
    ("verdict", "comment"), [("fail", "text"), ("undecided", "text"), ("pass", None), ("pass", "")]
)
def test_broken_promise_is_loud(tmp_path: Path, verdict: str, comment: str | None) -> None:
    """Another verdict than the promised one, or no comment, ends the demo."""
    answer = {"verdict": verdict, "comment": comment, "log": "act.jsonl"}
    with pytest.raises(MlgitopsError, match=r"act\.jsonl|promises") as caught:
        check_verdict(GOOD, answer, tmp_path)
    assert GOOD.branch in str(caught.value)


def test_kept_promise_is_quiet(tmp_path: Path) -> None:
    """The promised verdict with a comment lets the story go on."""
    text = f"❌ Must not merge ... {BAD.says} ..."
    check_verdict(BAD, {"verdict": "fail", "comment": text, "log": ""}, tmp_path)


def test_a_lie_that_is_not_told_is_loud(tmp_path: Path) -> None:
    """A fail for another reason than the numbers that do not hold ends the demo."""
    answer = {"verdict": "fail", "comment": BAD.says, "log": ""}
    with pytest.raises(MlgitopsError, match=r"does not say what the demo promises: is 0\.99"):
        check_verdict(FAKE, answer, tmp_path)


def test_second_training_after_the_merge_is_loud(tmp_path: Path) -> None:
    """One stage that ran again ends the demo; restored and skipped ones do not."""
    check_restored(
        [{"name": "a", "state": "restored"}, {"name": "b", "state": "skipped"}], tmp_path
    )
    with pytest.raises(MlgitopsError, match="second training of train"):
        check_restored([{"name": "train", "state": "ran"}], tmp_path)


def test_folder_of_a_person_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that holds something else is refused, exit code 2, and nothing in it changes."""
    (tmp_path / "thesis.tex").write_text("mine")
    assert run(["demo", "--directory", str(tmp_path)]) == 2
    assert "something that is not a demo" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_demo_folder_is_invisible_to_the_repository_around_it(tmp_path: Path) -> None:
    """In somebody's checkout the demo leaves no untracked file, and is claimed again later."""
    project = make_project(tmp_path / "project")
    claim_folder(project / ".demo")
    claim_folder(project / ".demo")
    assert git(project, "status", "--porcelain") == ""


def test_edit_that_no_longer_fits_is_an_error(tmp_path: Path) -> None:
    """When params.yaml lacks the line that the story edits, the demo says so."""
    (tmp_path / "params.yaml").write_text("estimator: z\n")
    with pytest.raises(MlgitopsError, match="the demo expects the line"):
        edit_file(tmp_path, "params.yaml", {"estimator: x": "estimator: y"}, quiet())
    assert (tmp_path / "params.yaml").read_text() == "estimator: z\n"
