"""Handovers that lie about a poor model, told to the job in which base's code measures.

What a run hands over names another model, other code or another commit than it had, holds other
files than its lock names, or brings a report of its own. None of these is a pass.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from evaluated_project import EvaluatedProject, edit_report
from trust.poor_model import CLAIMED, FAIL, LOST, UNDECIDED, Lie, judge_lie

if TYPE_CHECKING:
    from pathlib import Path

    from trust.poor_model import Record


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedProject:
    """Make origin once: a pull request is a branch and folders of its own."""
    return EvaluatedProject(tmp_path_factory.mktemp("evaluated"))


# What a lock says.


def _entry(document: dict[str, Any], stage: str, path: str) -> list[dict[str, Any]]:
    sides = document["stages"][stage]
    return [entry for entry in (*sides["deps"], *sides["outs"]) if entry["path"] == path]


def name_another_model(document: dict[str, Any]) -> None:
    """Let the lock name an object that nobody has as the model."""
    for stage in ("train", "evaluate"):
        for entry in _entry(document, stage, "model/model.json"):
            entry["md5"] = "0" * 32


def name_other_code(document: dict[str, Any]) -> None:
    """Let the lock be of a run with other code."""
    for entry in _entry(document, "train", "train.py"):
        entry["md5"] = "1" * 32


def name_another_command(document: dict[str, Any]) -> None:
    """Let the lock be of a run with another command."""
    document["stages"]["evaluate"]["cmd"] += " --kindly"


def leave_out_a_stage(document: dict[str, Any]) -> None:
    """Let the lock tell of no evaluation."""
    del document["stages"]["evaluate"]


def name_two_test_sets(document: dict[str, Any]) -> None:
    """Let the evaluation have read other rows than the split wrote."""
    for entry in _entry(document, "evaluate", "data/test.csv"):
        entry["md5"] = "2" * 32


# What is handed over.


def _find_model(handover: Path) -> Path:
    lock = json.loads((handover / "results" / "dvc.lock").read_bytes())
    digest: str = lock["stages"]["train"]["outs"][0]["md5"]
    return handover / "files" / "md5" / digest[:2] / digest[2:]


def swap_the_object(handover: Path) -> None:
    """Hand a better model over under the poor one's name."""
    better = {"kind": "threshold", "rounds": 1, "thresholds": [50, 50]}
    _find_model(handover).write_text(json.dumps(better), encoding="utf-8")


def keep_the_object(handover: Path) -> None:
    """Hand no model over."""
    _find_model(handover).unlink()


def link_the_object(handover: Path) -> None:
    """Hand over a link to another file of the machine."""
    file = _find_model(handover)
    file.unlink()
    file.symlink_to("/etc/hostname")


def edit_the_results(handover: Path) -> None:
    """Hand better metrics over than the lock names."""
    text = json.dumps({"test": {"accuracy": 1.0}})
    (handover / "results/reports/metrics.json").write_text(text, encoding="utf-8")


def link_the_results(handover: Path) -> None:
    """Hand over a link in place of the metrics."""
    file = handover / "results/reports/metrics.json"
    file.unlink()
    file.symlink_to("/etc/hostname")


def keep_the_lock(handover: Path) -> None:
    """Hand no lock over."""
    (handover / "results/dvc.lock").unlink()


def hand_over_nothing(handover: Path) -> None:
    """Hand over a report alone."""
    for folder in ("results", "files"):
        shutil.rmtree(handover / folder)


def keep_the_report(handover: Path) -> None:
    """Hand no report over."""
    (handover / "report.json").unlink()


def spoil_the_report(handover: Path) -> None:
    """Hand over what is no report."""
    (handover / "report.json").write_bytes(b'{"schema": 1}')


def claim_a_measurement(report: dict[str, Any]) -> None:
    """Say that base's code measured what the run wrote."""
    (change,) = report["metrics"]
    change.update(head=1.0, delta=0.0, relative_delta=0.0, head_claimed=1.0)
    report["measurement"] = {"paths": ["reports/metrics.json"], "rows": 400, "seconds": 1.0}


def claim_better_metrics(report: dict[str, Any]) -> None:
    """Edit the report alone."""
    report["metrics"][0].update(head=1.0, delta=0.0, relative_delta=0.0)
    report["judgement"] = {"verdict": "pass"}


def tell_of_another_head(report: dict[str, Any]) -> None:
    """Hand over the report of another commit."""
    report["head"]["sha"] = "3" * 40


def tell_of_another_base(report: dict[str, Any]) -> None:
    """Hand over a report against another base."""
    report["base"]["sha"] = "3" * 40


def tell_of_another_project(report: dict[str, Any]) -> None:
    """Hand over the report of another project of the repository."""
    report["key"] = "other"


def hide_a_metric_among_the_costs(report: dict[str, Any]) -> None:
    """Let a cost be called as the metric is, with a value of its own."""
    cost = {"name": "test.accuracy", "path": "reports/cost.json", "base": 1.0, "head": 1.0}
    report["cost"] = [{**cost, "delta": 0.0}]


LIES = (
    Lie(
        "a lock that names an object that nobody has",
        CLAIMED,
        "`model/model.json` of head is not here",
        recorded=name_another_model,
    ),
    Lie(
        "a lock of other code",
        UNDECIDED,
        "it was run with another train.py than the head's",
        recorded=name_other_code,
    ),
    Lie(
        "a lock of another command",
        UNDECIDED,
        "its command is not that of dvc.yaml",
        recorded=name_another_command,
    ),
    Lie(
        "a lock without the evaluation",
        UNDECIDED,
        "its stages are not those of dvc.yaml: evaluate",
        recorded=leave_out_a_stage,
    ),
    Lie(
        "a lock with two test sets",
        UNDECIDED,
        "it was run with another data/test.csv than the head's",
        recorded=name_two_test_sets,
    ),
    Lie(
        "a better model under the poor one's name",
        UNDECIDED,
        "the object's content is not that of its name",
        handed=swap_the_object,
    ),
    Lie("no model", CLAIMED, "`model/model.json` of head is not here", handed=keep_the_object),
    Lie(
        "a link in place of the model",
        UNDECIDED,
        "a link where a file was expected",
        handed=link_the_object,
    ),
    Lie(
        "better metrics than the lock names",
        UNDECIDED,
        "reports/metrics.json: missing, or not what the lock says",
        handed=edit_the_results,
    ),
    Lie(
        "a link in place of the metrics",
        UNDECIDED,
        "a link where a file was expected",
        handed=link_the_results,
    ),
    Lie("no lock", UNDECIDED, "the run handed over no dvc.lock", handed=keep_the_lock),
    Lie("a report alone", UNDECIDED, "the run handed over no dvc.lock", handed=hand_over_nothing),
    Lie("no report", UNDECIDED, "the run left no report", handed=keep_the_report),
    Lie("what is no report", UNDECIDED, "not a report", handed=spoil_the_report),
    Lie(
        "a report that claims to be measured",
        FAIL,
        LOST,
        handed=edit_report(claim_a_measurement),
    ),
    Lie("a report with better metrics", FAIL, LOST, handed=edit_report(claim_better_metrics)),
    Lie(
        "the report of another commit",
        UNDECIDED,
        "the report's head is 333333333333",
        handed=edit_report(tell_of_another_head),
    ),
    Lie(
        "a report against another base",
        UNDECIDED,
        "the report's base is 333333333333",
        handed=edit_report(tell_of_another_base),
    ),
    Lie(
        "the report of another project",
        UNDECIDED,
        "the report is of project 'other', not 'model'",
        handed=edit_report(tell_of_another_project),
    ),
    Lie(
        "a metric among the costs",
        FAIL,
        LOST,
        handed=edit_report(hide_a_metric_among_the_costs),
    ),
)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lying_handover_is_no_pass(
    lie: Lie,
    project: EvaluatedProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Record,
) -> None:
    """Fail by what was measured, fail for being a claim, or nothing decided; with the reason."""
    judge_lie(lie, project, monkeypatch, capsys, record_property)
