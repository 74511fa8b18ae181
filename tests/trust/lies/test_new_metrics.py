"""Reports that call a metric new which base should have: git says otherwise, nothing is judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from git_project import commit_files, git
from trust.lie import check_lie
from trust.recorded import PREFIX, Recorded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POLICY = "version: 1\nmetrics: {score: {max_worsening: 0.01}}\n"
CACHED = "stages: {train: {cmd: x, metrics: [metrics.json]}}\n"
KEPT = "stages: {train: {cmd: x, outs: [eval]}}\nmetrics: [eval/metrics.json]\n"
LOCK = "schema: '2.0'\nstages: {train: {cmd: x, outs: [{path: %s, hash: md5, md5: %s}]}}\n"
NEW = {"name": "score", "path": "metrics.json", "head": 0.1}
LOSS = {"name": "loss", "path": "metrics.json", "base": 0.5, "head": 0.5, "delta": 0.0}
OLD = {"name": "old", "path": "metrics.json", "base": 0.9}
ELSEWHERE = {"name": "score", "path": "old.json", "base": 0.9}

#: What base is → its files, the report's metrics, and the reason.
LIES: dict[str, tuple[dict[str, str], list[dict[str, Any]], str]] = {
    "DVC keeps base's file": (
        {"dvc.yaml": CACHED, "dvc.lock": LOCK % ("metrics.json", "0" * 32)},
        [NEW],
        "`score` is new by the report, and base's `metrics.json` does not have it",
    ),
    "DVC keeps base's folder": (
        {"dvc.yaml": KEPT, "dvc.lock": LOCK % ("eval", f"{'0' * 32}.dir")},
        [{**NEW, "path": "eval/metrics.json"}],
        "`score` is new by the report, and base's `eval/metrics.json` does not have it",
    ),
    "base does not hold what it declares": (
        {"dvc.yaml": CACHED},
        [NEW],
        "`score` is new by the report, and base declares `metrics.json` and does not hold it",
    ),
    "base's file is without it": (
        {"dvc.yaml": CACHED, "metrics.json": '{"loss": 0.5}'},
        [NEW, LOSS],
        "`score` is new by the report, and base's `metrics.json` does not have it",
    ),
    "base called it otherwise": (
        {"dvc.yaml": CACHED, "metrics.json": '{"old": 0.9}'},
        [NEW, OLD],
        "`score` is new by the report, and `old` is gone, which may be what base calls it",
    ),
    "base had it elsewhere": (
        {
            "dvc.yaml": "metrics: [old.json]\n",
            "old.json": '{"score": 0.9}',
            "policy.yaml": POLICY.replace("score", '"metrics.json:score"'),
        },
        [NEW, ELSEWHERE],
        "`score` is new by the report, and base has it in `old.json`, which this change takes",
    ),
    "base had it in two files, and the report names the worse": (
        {
            "dvc.yaml": "metrics: [old.json, older.json]\n",
            "old.json": '{"score": 0.9}',
            "older.json": '{"score": 0.1}',
            "policy.yaml": POLICY.replace("score", '"metrics.json:score"'),
        },
        [
            {**NEW, "base_missing": "base has it in `older.json`, which this change takes away"},
            {**ELSEWHERE, "path": "older.json", "base": 0.1},
        ],
        "`score` is in `old.json` at base, and the report leaves it out",
    ),
    "base's lock cannot be read": (
        {"dvc.yaml": CACHED, "dvc.lock": "<<<<<<< ours\n"},
        [NEW],
        "`score` is new by the report, and `dvc.lock` could not be read at base",
    ),
    "base's pipeline cannot be read": (
        {"dvc.yaml": "<<<<<<< ours\n"},
        [NEW],
        "`score` is new by the report, and `dvc.yaml` could not be read at base",
    ),
    "base's metrics cannot be read": (
        {"dvc.yaml": "metrics: [old.json]\n", "old.json": "{"},
        [NEW],
        "`score` is new by the report, and `old.json` could not be read at base, and may have had",
    ),
    "base's metrics are kept by DVC, and told as never read": (
        {"dvc.yaml": "metrics: [old.json]\n", "dvc.lock": LOCK % ("old.json", "0" * 32)},
        [NEW],
        "`score` is new by the report, and `old.json` could not be read at base, and may have had",
    ),
    "base's pipeline cannot be read in full": (
        {"dvc.yaml": "stages: {train: {cmd: x, metrics: ['${set}.json']}}\n"},
        [NEW],
        "`score` is new by the report, and stage `train` of `dvc.yaml` could not be read at base",
    ),
}


def record(root: Path, base: dict[str, str], head: dict[str, str]) -> Recorded:
    """Make a repository with a base and a head of these files of the project."""
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    made = Recorded.__new__(Recorded)
    made.root = root
    files = {"policy.yaml": POLICY, **base}
    made.base = commit_files(root, {PREFIX + name: text for name, text in files.items()}, "Start")
    git(root, "switch", "--quiet", "--create", "change")
    made.head = commit_files(root, {PREFIX + name: text for name, text in head.items()}, "Change")
    return made


def write_report(made: Recorded, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the report of a run that found these metrics."""
    sides = {"base": {"sha": made.base}, "head": {"sha": made.head}}
    return {"schema": 1, "key": "model", **sides, "test_data": "unknown", "metrics": metrics}


@pytest.mark.parametrize("name", LIES)
def test_a_metric_is_not_new_by_the_reports_word(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
    name: str,
) -> None:
    """The report leaves out why base's value is missing, and is refused for it."""
    base, metrics, reason = LIES[name]
    made = record(tmp_path / "model", base, {"train.py": ""})
    report = write_report(made, metrics)
    code, text = made.judge(report, monkeypatch, capsys)
    assert code == 2
    payload = json.dumps([base, metrics]).encode()
    check_lie(record_property, payload, reason=reason, text=text)


#: What a report tells where base's lock or pointer is broken → policy, what is in it, the reason.
BROKEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "the test data is merely unknown": (
        POLICY + "files: {test_data: test.csv}\n",
        {"metrics": [{**NEW, "base": 0.1, "delta": 0.0}]},
        "it calls the test data unknown, and by git it is changed: what base had cannot be read",
    ),
    "the model is the first": (
        POLICY + "files: {model: model.bin}\nbudgets: {cost.model_size_mb: {max_worsening: 1}}\n",
        {
            "metrics": [{**NEW, "base": 0.1, "delta": 0.0}],
            "cost": [{"name": "cost.model_size_mb", "path": "reports/cost.json", "head": 9.0}],
        },
        "`cost.model_size_mb` is new by the report, and base's `dvc.lock` is not read",
    ),
    "the predictions are the first": (
        POLICY
        + "files: {predictions: p.csv}\n"
        + "slices: [{by: [g], metric: accuracy, max_worsening: 0.1}]\n",
        {
            "metrics": [{**NEW, "base": 0.1, "delta": 0.0}],
            "slices": [
                {
                    "by": ["g"],
                    "metric": "accuracy",
                    "min_rows": 1,
                    "slices": [{"group": ["a"], "rows": 9, "head": 0.9}],
                }
            ],
        },
        "`accuracy` by `g` has no values at base, which has predictions",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_base_cannot_tell_is_not_the_reports_to_tell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
    name: str,
) -> None:
    """Base's lock is broken: a report that leaves out what that hides is refused."""
    policy, told, reason = BROKEN[name]
    base = {
        "policy.yaml": policy,
        "dvc.yaml": CACHED.replace("metrics: [metrics.json]", "cmd2: y"),
        "dvc.lock": "<<<<<<< ours\n",
        "metrics.json": '{"score": 0.1}',
    }
    made = record(tmp_path / "model", base, {"train.py": ""})
    report = {**write_report(made, []), **told}
    code, text = made.judge(report, monkeypatch, capsys)
    assert code == 2
    check_lie(record_property, json.dumps([policy, told]).encode(), reason=reason, text=text)


def test_test_data_that_base_never_had_is_not_changed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Nothing at base is broken: a report that measures base anew, and lower, is refused."""
    base = {
        "policy.yaml": POLICY + "files: {test_data: test.csv}\n",
        "dvc.yaml": CACHED,
        "metrics.json": '{"score": 0.9}',
    }
    made = record(tmp_path / "model", base, {"train.py": ""})
    metric = {**NEW, "base": 0.1, "delta": 0.0, "base_stored": 0.9, "relative_delta": 0.0}
    report = write_report(made, [metric])
    report |= {"test_data": "changed", "rescoring": {"paths": ["metrics.json"], "rows": 9}}
    code, text = made.judge(report, monkeypatch, capsys)
    assert code == 2
    reason = "it calls the test data changed, and by git it is unknown: what base had is nowhere"
    check_lie(record_property, json.dumps(metric).encode(), reason=reason, text=text)


def test_a_new_metric_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Base declares another file alone: the honest report passes, as the comparison did."""
    base = {"dvc.yaml": "metrics: [loss.json]\n", "loss.json": '{"loss": 0.5}'}
    made = record(tmp_path / "model", base, {"train.py": ""})
    report = write_report(made, [{**LOSS, "path": "loss.json"}, NEW])
    code, text = made.judge(report, monkeypatch, capsys)
    assert (code, "May merge" in text) == (0, True), text


def test_what_a_run_read_of_base_is_its_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC keeps base's other metrics, which the run had: the honest report passes, as a claim."""
    base = {"dvc.yaml": "metrics: [loss.json]\n", "dvc.lock": LOCK % ("loss.json", "0" * 32)}
    made = record(tmp_path / "model", base, {"train.py": ""})
    report = write_report(made, [{**LOSS, "path": "loss.json"}, NEW])
    code, text = made.judge(report, monkeypatch, capsys)
    assert code == 0, text
    assert "values at base in `loss.json`, which DVC keeps" in text


def test_a_reason_that_is_told_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The honest report says why base's value is missing, and fails."""
    made = record(tmp_path / "model", {"dvc.yaml": CACHED}, {"train.py": ""})
    missing = "base declares `metrics.json` and does not hold it"
    report = write_report(made, [{**NEW, "base_missing": missing}])
    code, text = made.judge(report, monkeypatch, capsys)
    assert code == 1
    assert f"is new, and {missing}: what it lost is not known" in text


def test_an_edit_behind_the_policys_link_is_announced(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The report names no edited file; git knows what the policy's link leads to."""
    base = {"dvc.yaml": CACHED, "metrics.json": '{"score": 0.5}', "team.yaml": POLICY}
    made = record(tmp_path / "model", base, {})
    place = made.root / PREFIX / "policy.yaml"
    git(made.root, "switch", "--quiet", "main")
    place.unlink()
    place.symlink_to("team.yaml")
    made.base = commit_files(made.root, {}, "Share the policy")
    git(made.root, "switch", "--quiet", "--create", "looser")
    made.head = commit_files(made.root, {f"{PREFIX}team.yaml": "version: 1\n"}, "Loosen it")
    metric = {**NEW, "base": 0.5, "head": 0.5, "delta": 0.0}
    report = write_report(made, [metric])
    _, text = made.judge(report, monkeypatch, capsys)
    edited = f"This change edits what judges it: `{PREFIX}team.yaml`."
    reason = f"{edited} The policy at base was applied."
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)
