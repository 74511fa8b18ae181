"""From a measured pull request to evidence that holds: evaluate, report, verify."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from evaluated_project import TRAIN, EvaluatedProject

from mlgitops.cli import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from evaluated_project import Run


def train_coarsely(own: Run) -> None:
    """Let head train another model, a little worse than base's."""
    own.write("train.py", TRAIN.replace("range(0, 101)", "range(1, 101, 3)"))


def test_a_measured_verdict_becomes_evidence_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The statement is about the file that the run trained, and holds without any network."""
    request = EvaluatedProject(tmp_path / "project").open(train_coarsely)
    assert request.evaluate(monkeypatch, capsys).verdict == "pass"
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    job, statement = request.job, tmp_path / "evidence/statement.json"
    outputs = tmp_path / "outputs"
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    words = ["report", "--dry-run", "--directory", str(job), "--statement", str(statement)]
    words += [
        "--compute-result",
        "success",
        "--evaluate-result",
        "success",
        "--publish-required",
        "false",
    ]
    assert run(words) == 0, capsys.readouterr()
    monkeypatch.delenv("GITHUB_OUTPUT")
    model = request.own.root / "model/model.json"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert f"sha256:{digest}" in outputs.read_text("utf-8")
    assert str(statement) in outputs.read_text("utf-8")
    capsys.readouterr()
    checks = ["verify", str(statement), "--model", str(model), "--repository", str(job)]
    assert run([*checks, "--json"]) == 0, capsys.readouterr()
    document = json.loads(capsys.readouterr().out)
    assert (document["holds"], document["verdict"]) == (True, "pass")
    assert document["evidence"] == "independent"
    assert document["model"] == {"name": "model/model.json", "sha256": digest}
    model.write_bytes(model.read_bytes() + b"\n")
    assert run(checks) == 1
    assert "model.json is another model" in capsys.readouterr().out
