"""Reports that pose as those of the job in which base's code measures, or spoil what it wrote.

Each is told to `mlgitops report` with real commits, as the workflow's last job reads it.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from git_project import commit_files, git
from integration.test_report import make_fork_run, make_scene, report, write_report
from posting import HEAD, make_forge, own_comments
from trust.lie import check_lie
from trust.recorded import PREFIX, Recorded, write_results

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Record = Callable[[str, object], None]

_MEASURED = {"paths": ["metrics.json"], "model": f"md5:{'0' * 32}", "rows": 1, "seconds": 2.0}
_REASON = {"reason": "its model is of a type that base does not trust"}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Make the repository once: no test changes its commits."""
    return Recorded(tmp_path_factory.mktemp("recorded") / "model")


def measure(report: dict[str, Any], score: float, *, claimed: float | None) -> dict[str, Any]:
    """Return the report as the job that measures writes it, with ``score`` at head."""
    changed = copy.deepcopy(report)
    first, second = changed["metrics"]
    first.update(head=score, delta=score - 0.5, head_claimed=claimed)
    second.update(head_claimed=0.5)
    return {**changed, "measurement": dict(_MEASURED)}


def renew(report: dict[str, Any], base: float, *, stored: float) -> dict[str, Any]:
    """Return a measured report that says of base, too, what its own code measures of its model."""
    changed = measure(report, 0.5625, claimed=0.625)
    first, second = changed["metrics"]
    first.update(base=base, delta=0.5625 - base, base_stored=stored)
    second.update(base_stored=0.5)
    return {**changed, "rescoring": {"paths": ["metrics.json"], "rows": 1, "seconds": 2.0}}


def pose(report: dict[str, Any], score: float) -> dict[str, Any]:
    """Return the report with a better score at head and a word that somebody measured it."""
    changed = copy.deepcopy(report)
    changed["metrics"][0].update(head=score, delta=score - 0.5)
    return {**changed, "measurement": dict(_MEASURED)}


def test_the_honest_measurement_is_a_pass(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The value that is judged stands in no commit; the run's own beside it does."""
    report = measure(recorded.write_report(), 0.5625, claimed=0.625)
    code, text = recorded.judge(
        report, monkeypatch, capsys, "--evaluate-result", "success", published=recorded.results
    )
    assert code in (0, 1), text  # whether a claim that differs fails is the judge's question
    assert "0.5625" in text
    assert "could not decide" not in text.lower()


def test_base_measured_anew_beside_head_is_judged(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the same test data, by the job that measures, with what base has stored beside it."""
    report = renew(recorded.write_report(), 0.375, stored=0.5)
    code, text = recorded.judge(
        report, monkeypatch, capsys, "--evaluate-result", "success", published=recorded.results
    )
    assert code in (0, 1), text  # whether a claim that differs fails is the judge's question
    assert "0.375" in text
    assert "what was measured is base's, not `score` 0.5" in text
    assert "could not decide" not in text.lower()


_LIES: list[tuple[str, Callable[[dict[str, Any]], dict[str, Any]], str, str]] = [
    (
        "nobody measured, says the run, and it names a claim of its own beside the measured value",
        lambda report: measure(report, 0.875, claimed=0.625),
        "",
        "`score` has a claimed value at head, and was not measured anew",
    ),
    (
        "the job that measures was left out, and the run wrote what it would have",
        lambda report: measure(report, 0.75, claimed=0.625),
        "skipped",
        "`score` has a claimed value at head, and was not measured anew",
    ),
    (
        "a better value, told as measured by a job that there is not",
        lambda report: pose(report, 0.875),
        "",
        "`score` at head is 0.875 by the report and 0.625 in git",
    ),
    (
        "a better value, told as measured by a job that was skipped",
        lambda report: pose(report, 0.75),
        "skipped",
        "`score` at head is 0.75 by the report and 0.625 in git",
    ),
    (
        "true values, told as measured by a job that failed",
        lambda report: pose(report, 0.625),
        "failure",
        "The job that measures with base's code ended with `failure`",
    ),
    (
        "true values, told as measured by a job that was cancelled",
        lambda report: pose(report, 0.625),
        "cancelled",
        "The job that measures with base's code ended with `cancelled`",
    ),
    (
        "true values, and a word for the job's end that GitHub does not have",
        lambda report: pose(report, 0.625),
        "SUCCESS",
        "`'SUCCESS'` as how the job that measures with base's code ended",
    ),
    (
        "the report of the run in the place of the measured one",
        lambda report: report,
        "success",
        "the report is not of the job that measures with base's code",
    ),
    (
        "the claim beside the measured value is not what was committed",
        lambda report: measure(report, 0.5625, claimed=0.5625),
        "success",
        "`score` at head is 0.5625 by the report and 0.625 in git",
    ),
    (
        "the claim beside the measured value is left out",
        lambda report: measure(report, 0.59375, claimed=None),
        "success",
        "`score` at head is absent by the report and 0.625 in git",
    ),
    (
        "base's stored value beside the measured one is not what base's commit has",
        lambda report: renew(report, 0.375, stored=0.375),
        "success",
        "`score` at base is 0.375 by the report and 0.5 in git",
    ),
    (
        "base is measured anew by the run, on the same test data",
        lambda report: {**renew(report, 0.375, stored=0.5), "measurement": None},
        "",
        "base was measured anew, and the test data is same",
    ),
    (
        "measured, and not possible to measure",
        lambda report: {
            **measure(report, 0.5625, claimed=0.625),
            "measurement": {**_MEASURED, **_REASON},
        },
        "success",
        "head was measured anew, and the report says why that was not possible",
    ),
    (
        "not possible to measure, and the values are not those that were committed",
        lambda report: {**pose(report, 0.875), "measurement": dict(_REASON)},
        "success",
        "`score` at head is 0.875 by the report and 0.625 in git",
    ),
    (
        "another file was measured than the one whose values differ",
        lambda report: {
            **pose(report, 0.875),
            "measurement": {**_MEASURED, "paths": ["other.json"]},
        },
        "success",
        "`score` at head is 0.875 by the report and 0.625 in git",
    ),
]


@pytest.mark.parametrize(
    ("lie", "evaluating", "reason"), [row[1:] for row in _LIES], ids=[row[0] for row in _LIES]
)
def test_a_report_that_poses_as_measured(
    recorded: Recorded,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    lie: Callable[[dict[str, Any]], dict[str, Any]],
    evaluating: str,
    reason: str,
) -> None:
    """None is green: undecided, with what is wrong."""
    report = lie(recorded.write_report())
    words = ("--evaluate-result", evaluating) if evaluating else ()
    code, text = recorded.judge(report, monkeypatch, capsys, *words, published=recorded.results)
    assert code == 2, text
    payload = json.dumps([report, evaluating]).encode()
    check_lie(record_property, payload, reason=reason, text=text)


_FORKS_WORKFLOW = ("--report", "measured/report.json", "--evaluate-result")


def _hand_on(folder: Path, score: float, *, measurement: dict[str, Any]) -> None:
    """Let the job that measures leave its report, for the commits that the event's API names."""
    base = git(folder, "rev-parse", "HEAD")
    metric = {"name": "score", "path": "m.json", "base": 0.5, "head": score, "delta": score - 0.5}
    sides = {"base": {"sha": base}, "head": {"sha": HEAD}, "test_data": "unknown"}
    report = {"schema": 1, "key": "model", **sides, "metrics": [metric]}
    (folder / "measured").mkdir()
    data = json.dumps({**report, "measurement": measurement})
    (folder / "measured" / "report.json").write_text(data)


@pytest.mark.parametrize(
    ("claimed", "measured", "evaluating", "code", "reason"),
    [
        (0.9, 0.1, "success", 1, "`score` lost more than the 0.01 that it may lose"),
        (0.9, 0.9, "failure", 2, "The job that measures with base's code ended with `failure`"),
        (0.1, 0.9, "skipped", 1, "measures with base's code was skipped, as it is when"),
        (0.1, 0.9, "", 1, "no job of this workflow measures with base's code"),
    ],
    ids=["of the fork's run", "of a job that failed", "of a job that was skipped", "of no job"],
)
def test_another_report_of_a_forks_run(
    tmp_path: Path,
    record_property: Record,
    *,
    claimed: float,
    measured: float,
    evaluating: str,
    code: int,
    reason: str,
) -> None:
    """After success the measured one on the disk is judged, else the run's own, as a claim."""
    make_scene(tmp_path)
    write_report(tmp_path, claimed)
    forge = make_forge()
    make_fork_run(tmp_path, forge)
    _hand_on(tmp_path, measured, measurement={"paths": ["m.json"], "rows": 100})
    done = report(tmp_path, forge, *_FORKS_WORKFLOW, evaluating, event="workflow_run")
    (comment,) = own_comments(forge)
    assert done.returncode == code, comment.body
    payload = json.dumps([claimed, measured, evaluating]).encode()
    check_lie(record_property, payload, reason=reason, text=comment.body)


def _commit_claims(recorded: Recorded, score: float, model: str) -> dict[str, Any]:
    """Commit at head what its author says of a run, and return the measured report of that head."""
    results = write_results(60, score)
    placed = {path: text.replace("0" * 32, model) for path, text in results.items()}
    git(recorded.root, "switch", "--quiet", "--detach", recorded.head)
    head = commit_files(recorded.root, placed, "Record a run")
    report = measure(recorded.write_report(), 0.625, claimed=0.625)
    report["head"]["sha"] = head
    return report


@pytest.mark.parametrize(
    ("score", "model", "claims"),
    [
        (0.625, "0" * 32, ()),
        (0.25, "0" * 32, ("`score` at head, as no commit holds the run's results",)),
        (0.625, "1" * 32, ("the model at head, as its commit does not name the one",)),
        (0.25, "1" * 32, ("`score` at head", "the model at head")),
    ],
    ids=["what was measured", "a lower bar for the next", "another model", "both"],
)
def test_what_would_be_merged_is_not_what_was_measured(
    recorded: Recorded,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    score: float,
    model: str,
    claims: tuple[str, ...],
) -> None:
    """Where nothing is published, the head's own commit is merged: what differs in it is said."""
    report = _commit_claims(recorded, score, model)
    _, text = recorded.judge(report, monkeypatch, capsys, "--evaluate-result", "success")
    assert ("only claimed by the run" in text) == bool(claims), text
    for claim in claims:
        check_lie(record_property, json.dumps([score, model]).encode(), reason=claim, text=text)


def _name_encoder(md5: str) -> list[dict[str, Any]]:
    return [{"path": "encoder.bin", "head": {"hash": f"md5:{md5}", "size": 3}}]


@pytest.mark.parametrize(
    ("data", "stated"),
    [
        (_name_encoder("1" * 32), None),
        (_name_encoder("2" * 32), f"md5:{'2' * 32}"),
        ([], "absent"),
    ],
    ids=["what was measured", "another one", "one that was not there"],
)
def test_what_was_handed_over_is_another_one_by_the_time_it_is_published(
    recorded: Recorded,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    data: list[dict[str, Any]],
    stated: str | None,
) -> None:
    """Any job can write over an artifact, so all that DVC keeps is held against the measurement."""
    results = write_results(60, 0.625)
    lock = f"{PREFIX}dvc.lock"
    encoder = f'    - {{path: encoder.bin, hash: md5, md5: "{"1" * 32}", size: 3}}\n'
    published = recorded.record({**results, lock: results[lock] + encoder})
    report = {**measure(recorded.write_report(), 0.625, claimed=0.625), "data": data}
    words = ("--evaluate-result", "success")
    code, text = recorded.judge(report, monkeypatch, capsys, *words, published=published)
    assert code == (0 if stated is None else 2), text
    if stated is not None:
        reason = f"what DVC keeps as `encoder.bin` is {stated} by the report and md5:{'1' * 32}"
        check_lie(record_property, json.dumps(data).encode(), reason=reason, text=text)
