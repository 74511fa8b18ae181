"""`mlgitops audit --reproduce`: real training by real DVC, again, in a clean folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from git_project import commit, git, write_files
from integration.deploy_project import PIPELINE, TRAIN
from integration.setup_project import make_origin, make_project, quiet

from mlgitops.cli import run
from mlgitops.delivery.ledger import Ledger
from mlgitops.model.ledger import Event, LedgerEntry
from mlgitops.project.training import run_pipeline
from mlgitops.storage import publish_objects

if TYPE_CHECKING:
    from pathlib import Path

_METRICS = "    metrics:\n      - reports/metrics.json: {cache: false}\n"
_MEASURE = 'Path("reports/metrics.json").write_text(json.dumps({"test": {"r2": factor / 4}}))\n'
_ASKED = "os.environ.get('MLGITOPS_COMPUTE', 'any') + ' '"
_NOISE = "model = json.dumps({'factor': factor, 'noise': time.time_ns()}).encode()\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and publish a project whose training gives other bytes each time when asked to."""
    project = make_project(tmp_path_factory.mktemp("reproduced") / "project")
    asked = f"Path({str(project.parent / 'asked')!r}).open('a').write({_ASKED})\n"
    files = {
        "dvc.yaml": PIPELINE + _METRICS,
        "src/demo/train.py": "import os, time\n" + TRAIN + _MEASURE + asked,
        "deploy/staging/model.yaml": "model: demo\nrevision: null\nsha256: null\nport: 8081\n",
    }
    write_files(project, files)
    commit(project, "Describe")
    make_origin(project, project.parent / "origin.git")
    return project


def serve(project: Path, message: str, *, train: bool = True) -> None:
    """Train, publish, merge and put into service what stands in the work tree."""
    if train:
        run_pipeline(project, quiet())
        publish_objects(project, quiet())
    sha = commit(project, message)
    git(project, "push", "--quiet", "origin", "main")
    description = json.loads((project / "model/model.json").read_bytes())
    entry = LedgerEntry(
        seq=1,
        environment="staging",
        event=Event.SWITCHED,
        model="demo",
        version=None,
        sha256=description["sha256"],
        commit=sha,
        revision=sha,
        previous=None,
        at="2030-01-31T12:00:00Z",
    )
    Ledger(project, "").append("staging", lambda _: entry)


def audit(project: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    """Train again; return the exit code and what came of bytes and metrics."""
    words = ["audit", "staging", "--reproduce", "--json", "--directory", str(project)]
    code = run(words)
    checks = json.loads(capsys.readouterr().out)["models"][0]["checks"]
    named = {check["name"]: check["state"] for check in checks}
    return code, {name: state for name, state in named.items() if name.startswith("again: ")}


@pytest.mark.slow
def test_a_training_is_told_from_one_that_git_does_not_explain(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Same bytes; other bytes with the same metrics; and a model that other parameters made."""
    serve(trained, "Train (#1)")
    assert audit(trained, capsys) == (0, {"again: bytes": "holds", "again: metrics": "holds"})
    assert git(trained, "worktree", "list").count("clean") == 0
    asked = (trained.parent / "asked").read_text(encoding="utf-8")
    assert asked == "any local "  # an audit sends nothing to the cluster that params.yaml names
    source = trained / "src/demo/train.py"
    text = source.read_text(encoding="utf-8")
    line = 'model = json.dumps({"factor": factor}).encode()\n'
    assert line in text
    source.write_text(text.replace(line, _NOISE), encoding="utf-8")
    serve(trained, "Add noise (#2)")
    assert audit(trained, capsys) == (2, {"again: bytes": "not checked", "again: metrics": "holds"})
    (trained / "params.yaml").write_text("factor: 3\n", encoding="utf-8")
    serve(trained, "Say that other parameters made it (#3)", train=False)
    assert audit(trained, capsys) == (1, {"again: bytes": "fails", "again: metrics": "fails"})


def test_no_code_runs_where_a_check_fails(
    trained: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What nobody merged is not run to see what it does."""
    git(tmp_path, "clone", "--quiet", str(trained.parent / "origin.git"), "clone")
    clone = tmp_path / "clone"
    git(clone, "switch", "--quiet", "--create", "mine")
    ran = tmp_path / "ran"
    source = f"from pathlib import Path\nPath({str(ran)!r}).touch()\n"
    write_files(
        clone, {"src/demo/train.py": source, "model/model.json": '{"sha256": "%s"}' % ("a" * 64)}
    )
    sha = commit(clone, "Mine")
    entry = LedgerEntry(
        seq=1,
        environment="staging",
        event=Event.SWITCHED,
        model="demo",
        version=None,
        sha256="a" * 64,
        commit=sha,
        revision=sha,
        previous=None,
        at="2030-02-01T12:00:00Z",
    )
    Ledger(clone, "").append("staging", lambda _: entry)
    assert audit(clone, capsys) == (1, {"again: bytes": "not checked"})
    assert not ran.exists()
