"""A generated project's own workflow, run by act, from its commands: a regression.

The binary one is what `mlgitops demo` shows, and is tested there; classes with storage in a folder
of this machine are those of `test_generated_data.py`.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from actions.generated_project import (
    make_baseline,
    merge_change,
    read_posted,
    rehearse,
    run,
    run_on_main,
    train_and_commit,
)
from actions.learning import check_retrain, check_tune
from git_project import git
from integration.deploy_project import edit

from mlgitops.model.lineage import parse_message

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.rehearsal.forge import State

#: Every step of the generated pull-request.yml, in order, by its name there.
COMPUTE = [
    ("compute", "Check out the pull request"),
    ("compute", "Set up Python"),
    ("compute", "Check the project"),
    ("compute", "Install the locked environments"),
    ("compute", "Run what changed of the pipeline"),
    ("compute", "Compare with the base"),
    ("compute", "Hand over the report"),
    ("compute", "Hand over the page with the charts"),
    ("compute", "Pack what was trained"),
    ("compute", "Hand over what was trained"),
]
EVALUATE = [
    ("evaluate", "Check out the base, for its code"),
    ("evaluate", "Set up Python"),
    ("evaluate", "Take over the report of the run"),
    ("evaluate", "Take over what was trained"),
    ("evaluate", "Install the base's locked environments"),
    ("evaluate", "Measure the head's model"),
    ("evaluate", "Hand over what was measured"),
]
#: Only with storage in the repository.
PUBLISH = [
    ("publish", "Check out the base, for its policy"),
    ("publish", "Set up Python"),
    ("publish", "Take over what was measured"),
    ("publish", "Take over what was trained"),
    ("publish", "Verify, store and commit it"),
]
REPORT = [
    ("report", "Check out the base, for its policy"),
    ("report", "Set up Python"),
    ("report", "Take over what was measured"),
    ("report", "Judge again by the base's policy, and post"),
]
#: After a verdict on a model, pass or fail; `attest` is left out, as it needs GitHub's own service.
KEEP = [("report", "Keep the verdict as evidence")]
#: What a promotion in an image changes, sorted.
PROMOTED = ["deploy/production/kustomization.yaml", "deploy/production/model.yaml"]


def check_steps(found: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """Require exactly these steps, in order, all green but the one that reports a fail."""
    assert [(step["job"], step["title"]) for step in found["steps"]] == expected, found["stderr"]
    red = {"fail": {REPORT[-1]}}.get(found["verdict"], set())
    assert {
        (step["job"], step["title"]) for step in found["steps"] if step["result"] != "success"
    } == red, found["stderr"]
    assert found["verdict"] in ("pass", "fail")


@pytest.mark.slow
def test_the_projects_own_workflow_runs_to_a_verdict(tmp_path: Path) -> None:
    """Train, commit, publish, change a parameter, rehearse: every step runs, one comment."""
    project = make_baseline(tmp_path, task="regression", storage="repo", branch="change")
    edit(project, "params.yaml", "{alpha: 1.0}", "{alpha: 3.0}")
    found = rehearse(project)
    check_steps(found, [*COMPUTE, *EVALUATE, *PUBLISH, *REPORT, *KEEP])
    assert found["comments"] == 1
    assert len(found["real_actions"]) == 7
    assert bool(found["published"]) == (found["verdict"] == "pass")
    check_queue(project)
    check_verify(project)
    check_afterwards(project, tmp_path / "afterwards")


def check_queue(project: Path) -> None:
    """In a merge queue the same workflow puts one check on the group, and does nothing else."""
    before = read_posted(project)
    found = rehearse(project, "--queue")
    check_steps(found, [*COMPUTE, *EVALUATE, *REPORT, *KEEP])
    assert found["jobs"].keys() == {"compute", "evaluate", "report"}
    after = read_posted(project)
    assert after["comments"] == before["comments"]
    (check,) = after["checks"][len(before["checks"]) :]
    assert (check["name"], check["head_sha"]) == ("mlgitops / model", found["merge_sha"])
    assert found["checks"] == [{"pass": "success", "fail": "failure"}[found["verdict"]]]
    assert found["published"] is None


def check_verify(project: Path) -> None:
    """With `mode: verify` a lock that is behind fails the job, which writes nothing."""
    file = project / ".github" / "workflows" / "pull-request.yml"
    git(project, "switch", "--quiet", "main")  # a release believes no run by a workflow of its own
    file.write_text(file.read_text("utf-8").replace("mode: commit", "mode: verify"), "utf-8")
    git(project, "commit", "--quiet", "--all", "-m", "Commit our results ourselves")
    git(project, "switch", "--quiet", "change")
    git(project, "merge", "--quiet", "--no-edit", "main")
    stale = rehearse(project, "--keep-result")
    every = [*COMPUTE, *EVALUATE, *PUBLISH, *REPORT]
    assert [(step["job"], step["title"]) for step in stale["steps"]] == every
    red = [(step["job"], step["title"]) for step in stale["steps"] if step["result"] != "success"]
    assert red == [PUBLISH[-1], REPORT[-1]], stale["stderr"]
    assert (stale["verdict"], stale["published"], stale["kept"]) == ("undecided", None, [])
    (told,) = [one["message"] for one in stale["annotations"] if one["level"] == "error"]
    assert "mlgitops train && mlgitops publish" in told
    assert "git commit --all --message" in told
    train_and_commit(project, "Record what was trained")
    current = rehearse(project)
    check_steps(current, [*every, *KEEP])
    assert (current["verdict"], current["published"]) == ("pass", None)


def check_afterwards(project: Path, scratch: Path) -> None:
    """After the merge: a version, its promotion, the way back, and a better model, by workflows."""
    scratch.mkdir()
    merge_change(project, 1)
    check_release(project, scratch / "release")
    check_promote(project, scratch / "promote")
    check_rollback(project, scratch / "rollback")
    origin, branch = check_tune(project, scratch / "tune")
    merge_from(project, origin, branch)
    check_retrain(project, scratch / "retrain")


def run_step_by_step(
    project: Path,
    scratch: Path,
    name: str,
    last: str,
    inputs: dict[str, str] | None = None,
) -> tuple[dict[str, str], Path, State]:
    """Run the workflow ``name``, require each of its steps; return the job's outputs and more."""
    ran, origin, state = run_on_main(project, scratch, f".github/workflows/{name}.yml", inputs)
    assert [(step.job, step.title, step.result) for step in ran.run.steps] == [
        (name, "Check out the default branch", "success"),
        (name, "Set up Python", "success"),
        (name, last, "success"),
    ]
    return {key: value for (_, _, key), value in ran.run.outputs.items()}, origin, state


def check_release(project: Path, scratch: Path) -> None:
    """Require that a push to main gives the model its version, with the verdict that let it in."""
    outputs, origin, state = run_step_by_step(
        project, scratch, "release", "Give the model its version"
    )
    assert (outputs["tag"], outputs["made"]) == ("model@v1.0.0", "true")
    assert git(origin, "cat-file", "-t", "model@v1.0.0") == "tag"
    tagged = git(origin, "rev-parse", "model@v1.0.0^{commit}")
    assert tagged == git(project, "rev-parse", "main")
    git(project, "fetch", "--quiet", str(origin), "refs/tags/model@v1.0.0:refs/tags/model@v1.0.0")
    lineage = parse_message(read_message(project, "model@v1.0.0"), "tag")
    assert (lineage.verdict, lineage.measured_by, lineage.pull_request) == (
        "pass",
        "independent",
        1,
    )
    packed = state.artifacts[-1].data
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        statement = archive.read("statement.json")
    assert lineage.statement == hashlib.sha256(statement).hexdigest()


def read_message(project: Path, tag: str) -> bytes:
    """Return the message of an annotated tag."""
    return git(project, "cat-file", "tag", tag).partition("\n\n")[2].encode() + b"\n"


def check_promote(project: Path, scratch: Path) -> None:
    """Require one pull request that lets production want the release, and nothing else."""
    image = f"sha256:{'a' * 64}"
    inputs = {"environment": "production", "version": "", "image": f"example.org/model@{image}"}
    outputs, origin, state = run_step_by_step(
        project, scratch, "promote", "Open the pull request", inputs
    )
    branch = outputs["branch"]
    pull = state.pulls[int(outputs["pull-request"])]
    assert (pull.head[0], pull.base[0], pull.state) == (branch, "main", "open")
    assert git(origin, "diff", "--name-only", "main", branch).split() == PROMOTED
    assert "version: v1.0.0" in git(origin, "show", f"{branch}:{PROMOTED[1]}")
    assert image in git(origin, "show", f"{branch}:{PROMOTED[0]}")
    merge_from(project, origin, branch)


def check_rollback(project: Path, scratch: Path) -> None:
    """Require one pull request that puts both files back as they were, byte for byte."""
    before = git(project, "rev-parse", "main")
    git(project, "switch", "--quiet", "main")
    with (project / "src/model/serve.py").open("a", encoding="utf-8") as file:
        file.write("# Served in another way.\n")
    git(project, "commit", "--quiet", "--all", "-m", "Serve it in another way")
    assert json.loads(run(project, "release", "--json"))["tag"] == "model@v1.1.0"
    image = ("--image", f"sha256:{'b' * 64}")
    branch = json.loads(run(project, "promote", "--to", "production", *image, "--json"))["branch"]
    git(project, "merge", "--quiet", "--no-ff", "-m", "Merge", branch)
    git(project, "switch", "--quiet", "change")
    assert "version: v1.1.0" in git(project, "show", f"main:{PROMOTED[1]}")
    inputs = {"environment": "production", "version": "", "reason": "$(it) `died`"}
    outputs, origin, state = run_step_by_step(
        project, scratch, "rollback", "Open the pull request", inputs
    )
    branch = outputs["branch"]
    assert git(origin, "diff", "--name-only", "main", branch).split() == PROMOTED
    assert git(origin, "diff", before, branch, "--", *PROMOTED) == ""
    pull = state.pulls[int(outputs["pull-request"])]
    assert (pull.head[0], pull.base[0]) == (branch, "main")
    assert "$(it) `died`" in pull.body


def merge_from(project: Path, origin: Path, branch: str) -> None:
    """Merge a branch that a workflow pushed into main of the project."""
    git(project, "fetch", "--quiet", str(origin), branch)
    git(project, "switch", "--quiet", "main")
    git(project, "merge", "--quiet", "--no-ff", "-m", "Merge", "FETCH_HEAD")
    git(project, "switch", "--quiet", "change")
