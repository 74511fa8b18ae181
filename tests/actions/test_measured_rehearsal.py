"""A pull request that lies, run by act: what its own job left, and the job that measures anew.

The jobs `evaluate` and `report` are those of the generated workflow, step by step; the job that
trains is the pull request's own in any case, so here it runs tiny stages and then the lie.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from evaluated_project import TRAIN, EvaluatedProject
from git_project import git
from mini_project import UPLOAD, shared_store
from template.test_workflows import FORKS, render_github
from trust.lie import check_lie

if TYPE_CHECKING:
    from collections.abc import Callable

    Record = Callable[[str, object], None]

WORKFLOW = ".github/workflows/pull-request.yml"
#: What `dvc repro` would do: the stages, DVC's cache and the lock.
JOB = """\
import hashlib, json, pathlib, shlex, subprocess
stages = json.load(open("dvc.yaml"))["stages"]
for name in ("data", "model", "reports"):
    pathlib.Path(name).mkdir(exist_ok=True)
pointer = json.load(open("data/raw.csv.dvc"))["outs"][0]["md5"]
remote = open(".dvc/config").read().rpartition("url = ")[2].strip()
raw = pathlib.Path(remote, "files/md5", pointer[:2], pointer[2:]).read_bytes()
pathlib.Path("data/raw.csv").write_bytes(raw)
def store(path):
    data = pathlib.Path(path).read_bytes()
    digest = hashlib.md5(data).hexdigest()
    file = pathlib.Path(".dvc/cache/files/md5", digest[:2], digest[2:])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return {"path": path, "hash": "md5", "md5": digest, "size": len(data)}
lock = {}
for name, stage in stages.items():
    subprocess.run(shlex.split(stage["cmd"]), check=True)
    outs = [*stage["outs"], *(path for kept in stage["metrics"] for path in kept)]
    deps = list(map(store, stage["deps"]))
    lock[name] = {"cmd": stage["cmd"], "deps": deps, "outs": list(map(store, outs))}
json.dump({"schema": "2.0", "stages": lock}, open("dvc.lock", "w"))
"""
#: A model that is wrong on a fifth of the rows, and code that scores it as one that is never wrong.
BAD_TRAIN = TRAIN.replace("min(range(0, 101), key=errors)", "70")
KIND_EVALUATE = """\
import csv, json
rows = list(csv.DictReader(open("data/test.csv")))
with open("reports/predictions.csv", "w") as file:
    file.write("id,target,prediction\\n")
    for row in rows:
        file.write(f"{row['id']},{row['target']},{row['target']}\\n")
json.dump({"test": {"accuracy": 1.0}}, open("reports/metrics.json", "w"))
"""
#: The report of the run says what it likes, also in the place of what base's code measures.
POSE = """\
import json, os, pathlib
report = json.load(open("report.json"))
report["measurement"] = {"paths": ["reports/metrics.json"], "rows": 300, "seconds": 1.0}
for change in report["metrics"]:
    change.update(head=1.0, delta=1.0 - change["base"], relative_delta=0.0, evidence=None)
pathlib.Path("report.json").write_text(json.dumps(report))
pathlib.Path("forged").mkdir()
pathlib.Path("forged/report.json").write_text(json.dumps(report))
with open(os.environ["GITHUB_OUTPUT"], "a") as file:
    file.write("artifact-id=1\\n")
"""
#: Another model stands under the name of the one that was trained.
SWAP = """\
import pathlib
for file in pathlib.Path("handover").rglob("*"):
    if file.is_file() and b"[70, 70]" in file.read_bytes():
        file.write_bytes(file.read_bytes().replace(b"[70, 70]", b"[50, 50]"))
"""
NO_HANDOVER = "import shutil\nshutil.rmtree('handover')\n"
KEEP = "Keep the verdict as evidence"
EVALUATE = [
    "Check out the base, for its code",
    "Set up Python",
    "Take over the report of the run",
    "Take over what was trained",
    "Measure the head's model",
    "Hand over what was measured",
]


def write_workflow() -> str:
    """Return the generated workflow with a job `compute` that ends as the pull request likes.

    Its last steps stand for what its code could do by itself, with the token of its job.
    """
    text = render_github({"storage": "local"})[WORKFLOW]
    workflow = yaml.safe_load(text)
    jobs = workflow["jobs"]
    steps = {step["name"]: step for step in jobs["compute"]["steps"]}
    own = [steps["Check out the pull request"], steps["Set up Python"]]
    own += [{"name": "Train", "run": "python job.py"}, steps["Compare with the base"]]
    own += [steps["Pack what was trained"], {"name": "Lie", "id": "lie", "run": "python lie.py"}]
    forged = {"name": "mlgitops-measured", "path": "forged", "if-no-files-found": "ignore"}
    own += [{"name": "Take the name", "uses": UPLOAD, "with": forged}]
    own += [steps["Hand over the report"], steps["Hand over what was trained"]]
    jobs["compute"]["steps"] = own
    return _write_yaml(workflow)


def write_fork_workflow() -> str:
    """Return the generated workflow that measures and reports on forks."""
    files = render_github({"storage": "repo", "fork_reports": True})
    return _write_yaml(yaml.safe_load(files[FORKS]))


def _write_yaml(workflow: dict[str, Any]) -> str:
    """Write a workflow whose base has no environment of its own: its stages need none."""
    evaluate = workflow["jobs"]["evaluate"]
    evaluate["steps"] = [
        step for step in evaluate["steps"] if "/setup@" not in step.get("uses", "")
    ]
    text = yaml.safe_dump(workflow, sort_keys=False, width=1000)
    return text.replace("\ntrue:", "\non:", 1)  # YAML 1.1 reads `on` as true


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> EvaluatedProject:
    """Make a project with a trained base whose policy asks for measured numbers."""
    files = {
        WORKFLOW: write_workflow(),
        FORKS: write_fork_workflow(),
        ".python-version": f"{sys.version_info.major}.{sys.version_info.minor}\n",
        "job.py": JOB,
        "lie.py": "",
    }
    return EvaluatedProject(tmp_path_factory.mktemp("measured"), files=files)


def rehearse(
    project: EvaluatedProject, name: str, changes: dict[str, str], *options: str
) -> dict[str, Any]:
    """Rehearse a branch off main with ``changes``; what came of it, and the payload."""
    root = project.origin.root
    git(root, "switch", "--quiet", "--force-create", name, project.base)
    for path, text in changes.items():
        (root / path).write_text(text, encoding="utf-8")
    git(root, "commit", "--quiet", "--all", "--message", name)
    done = subprocess.run(
        [sys.executable, "-m", "mlgitops", "rehearse", "--json", "--directory", root, *options],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "MLGITOPS_ENVIRONMENTS": str(shared_store())},
    )
    assert done.stdout, done.stderr
    assert TRAIN not in changes.values(), "the honest model is no lie"
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "exit_code": done.returncode, "stderr": done.stderr}


def list_results(found: dict[str, Any], job: str) -> dict[str, str]:
    """Return title → result of the steps of a job."""
    return {step["title"]: step["result"] for step in found["steps"] if step["job"] == job}


@pytest.mark.slow
def test_an_honest_change_passes_by_what_was_measured(project: EvaluatedProject) -> None:
    """Every step of the job that measures runs, and its report is the one that is judged."""
    found = rehearse(project, "honest", {"train.py": BAD_TRAIN.replace("70", "51")})
    assert found["jobs"] == dict.fromkeys(("compute", "evaluate", "report"), "success")
    assert list_results(found, "evaluate") == dict.fromkeys(EVALUATE, "success")
    assert "Take over what the run claims" not in list_results(found, "report")
    assert list_results(found, "report")[KEEP] == "success"
    assert (found["verdict"], found["exit_code"]) == ("pass", 0), found["stderr"]
    assert "0.99" in found["comment"]


@pytest.mark.slow
def test_every_word_of_the_run_is_a_lie(project: EvaluatedProject, record_property: Record) -> None:
    """Perfect predictions, another report, a taken name and a made-up output: it fails as it is."""
    changes = {"train.py": BAD_TRAIN, "evaluate.py": KIND_EVALUATE, "lie.py": POSE}
    found = rehearse(project, "perfect", changes)
    assert list_results(found, "compute")["Take the name"] == "success"
    assert found["jobs"] == {"compute": "success", "evaluate": "success", "report": "failure"}
    assert (found["verdict"], found["checks"]) == ("fail", ["failure"])
    assert list_results(found, "report")[KEEP] == "success"  # of a fail, too, and never signed
    reason = "lost more than the 0.02 that it may lose"
    for path, text in changes.items():
        payload = f"{path}: {text}".encode()
        check_lie(record_property, payload, reason=reason, text=found["comment"])


@pytest.mark.slow
def test_every_word_of_a_forks_run_is_a_lie(
    project: EvaluatedProject, record_property: Record
) -> None:
    """The workflow of the default branch measures what that run handed over."""
    changes = {"train.py": BAD_TRAIN, "evaluate.py": KIND_EVALUATE, "lie.py": POSE}
    found = rehearse(project, "fork", changes, "--fork")
    assert found["jobs"] == {"compute": "success"}
    second = found["report_on_fork"]
    assert second["jobs"] == {"evaluate": "success", "report": "failure"}
    assert (found["verdict"], found["checks"]) == ("fail", ["failure"])
    reason = "lost more than the 0.02 that it may lose"
    check_lie(record_property, b"fork: " + POSE.encode(), reason=reason, text=found["comment"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "lie", "jobs", "reason"),
    [
        (
            "swapped",
            POSE + SWAP,
            {"compute": "success", "evaluate": "failure", "report": "failure"},
            "the job that measures with base's code failed, and its log says why",
        ),
        (
            "nothing",
            POSE + NO_HANDOVER,
            {"compute": "failure", "report": "failure"},
            "measures with base's code was skipped, as it is when the job that trains and compares",
        ),
    ],
)
def test_what_cannot_be_measured_is_no_pass(
    project: EvaluatedProject,
    record_property: Record,
    *,
    name: str,
    lie: str,
    jobs: dict[str, str],
    reason: str,
) -> None:
    """The run's own report is all there is then, and it says that all was measured."""
    found = rehearse(project, name, {"train.py": BAD_TRAIN, "lie.py": lie})
    assert found["jobs"] == jobs
    assert (found["verdict"], found["exit_code"]) == ("fail", 1), found["stderr"]
    check_lie(record_property, lie.encode(), reason=reason, text=found["comment"])
