"""A waiver, run by act: a failing pull request, then waived and published; waiver.yml alone."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from actions.generated_project import ESTIMATOR, FOREST, make_baseline, rehearse, run
from actions.test_fork_rehearsal import make as make_fork
from actions.test_generated import COMPUTE, EVALUATE, KEEP, PUBLISH, REPORT
from cookiecutter.environment import StrictEnvironment
from git_project import git
from mini_project import REF, ROOT, branch, make_project, shared_store

from mlgitops.console import Console
from mlgitops.errors import MlgitopsError
from mlgitops.model import WAIVER_LABEL
from mlgitops.rehearsal.events import build_pull_event
from mlgitops.rehearsal.forge import Forge, Job, Pull, Server, State, WorkflowRun
from mlgitops.rehearsal.repository import make_origin, read_change
from mlgitops.rehearsal.workflow_run import Ran, Stage, Start, run_workflow

if TYPE_CHECKING:
    from pathlib import Path

PATH = ".github/workflows/waiver.yml"
JUDGING = REPORT[-1]


@pytest.mark.slow
def test_a_fail_is_waived_published_and_ends_with_the_next_push(tmp_path: Path) -> None:
    """Every step runs each time; only the verdict, the commit and its trailers differ."""
    project = make_baseline(tmp_path, task="multiclass", storage="repo", branch="change")
    git(project, "switch", "--quiet", "main")
    policy = (project / "policy.yaml").read_text(encoding="utf-8")
    strict = re.sub(r"min_value: [\d.]+", "min_value: 0.9999", policy)
    assert strict != policy
    (project / "policy.yaml").write_text(strict, encoding="utf-8")
    git(project, "commit", "--quiet", "--all", "-m", "Ask for perfection")
    git(project, "switch", "--quiet", "--force-create", "change", "main")
    params = (project / "params.yaml").read_text(encoding="utf-8")
    changed = re.sub(ESTIMATOR, FOREST, params)
    assert changed != params
    (project / "params.yaml").write_text(changed, encoding="utf-8")
    git(project, "commit", "--quiet", "--all", "-m", "Grow a forest")
    head = git(project, "rev-parse", "HEAD")
    expected = [*COMPUTE, *EVALUATE, *PUBLISH, *REPORT, *KEEP]

    failing = rehearse(project)
    assert [(step["job"], step["title"]) for step in failing["steps"]] == expected
    assert {
        (step["job"], step["title"]) for step in failing["steps"] if step["result"] != "success"
    } == {JUDGING}
    assert (failing["verdict"], failing["published"]) == ("fail", None)
    assert f"```text\n{WAIVER_LABEL} {head}\n```" in str(failing["comment"])

    waived = rehearse(project, "--waive", "Needed for @octocat's audit, fixes #1", "--keep-result")
    assert [(step["job"], step["title"]) for step in waived["steps"]] == expected
    assert {step["result"] for step in waived["steps"]} == {"success"}
    assert (waived["verdict"], waived["comments"], waived["created"]) == ("waived", 1, False)
    assert waived["checks"] == ["failure", "success"]
    comment = str(waived["comment"])
    assert ": may merge**" in comment.splitlines()[1]
    assert "who is also the author of this pull request" in comment
    assert "**Fails:**" in comment
    assert "@octocat" not in comment
    assert waived["kept"] == ["dvc-storage", "change"]
    assert git(project, "rev-parse", "change^") == head
    trailers = git(project, "log", "-1", "--format=%(trailers:only,unfold)").splitlines()
    assert [line.partition(": ")[0] for line in trailers][::2] == [
        "Waived-by",
        "Waived-sha",
        "Waived-in",
    ]
    assert f"Waived-sha: {head}" in trailers
    assert "dvc.lock" in git(project, "show", "--stat", "--format=", "HEAD")

    (project / "notes.md").write_text("A push.\n", encoding="utf-8")
    git(project, "add", "notes.md")
    git(project, "commit", "--quiet", "-m", "Push")
    assert rehearse(project)["verdict"] == "fail"


@pytest.mark.slow
def test_a_forks_fail_is_waived_by_the_second_workflow(tmp_path: Path) -> None:
    """The half that posts asks for the waiver; the fork's own run cannot, and may fail."""
    project = make_fork(tmp_path / "project", second=True)
    branch(project, "fewer-trees", {"params.yaml": "trees: 5\n"})
    plain = json.loads(run(project, "rehearse", "--fork", "--json", code=1))
    assert (plain["verdict"], plain["checks"]) == ("fail", ["failure"])
    found = json.loads(run(project, "rehearse", "--fork", "--waive", "Needed", "--json"))
    assert (found["verdict"], found["comments"]) == ("waived", 1)
    assert found["checks"] == ["failure", "success"]
    assert found["report_on_fork"]["jobs"] == {"report": "success"}
    assert "> Needed\n" in found["comment"]


def run_waiver(folder: Path, forge: Forge, label: str) -> Ran:
    """Run the generated waiver.yml as GitHub does when ``label`` is set."""
    text = (ROOT / "{{cookiecutter.project_slug}}" / PATH).read_text(encoding="utf-8")
    template = StrictEnvironment(keep_trailing_newline=True).from_string(text)
    known = {"__toolkit": "acme/kit", "__toolkit_ref": REF}
    files = {PATH: str(template.render(cookiecutter=known)), ".python-version": "3.11\n"}
    project = make_project(folder / "project", files)
    head = branch(project, "change", {"params.yaml": "trees: 5\n"})
    change = read_change(project, base=None, head=None)
    forge.state.pulls[1].base, forge.state.pulls[1].head = change.base, change.head
    for one in forge.state.workflow_runs:
        one.head = ("change", head)
    scratch = folder / "scratch"
    scratch.mkdir()
    merge = make_origin(project, change, 1, scratch / "origin.git")
    event = {
        **build_pull_event(forge.state.repository, change, 1),
        "action": "labeled",
        "label": {"name": label},
    }
    start = Start(workflow=PATH, event_name="pull_request", event=event, sha=merge)
    with Server(forge) as server:
        stage = Stage(
            root=project,
            scratch=scratch,
            store=shared_store(),
            logs=folder,
            url=server.url,
            state=forge.state,
            console=Console(out=io.StringIO(), err=io.StringIO()),
        )
        return run_workflow(stage, start, scratch)


@pytest.fixture
def forge() -> Forge:
    """Make a forge with a labelled pull request and the run that failed it."""
    names = {11: "Train and compare", 12: "Publish", 13: "Report"}
    jobs = [Job(id=number, name=name) for number, name in names.items()]
    pull = Pull(number=1, base=("main", ""), head=("change", ""), title="x", labels=[WAIVER_LABEL])
    run = WorkflowRun(id=5, number=5, head=("", ""), conclusion="failure", pulls=[1], jobs=jobs)
    return Forge(State(repository="octo/model", pulls={1: pull}, workflow_runs=[run]))


@pytest.mark.slow
def test_the_label_starts_the_job_that_publishes_again(tmp_path: Path, forge: Forge) -> None:
    """One job, one step, nothing checked out; exactly that job of exactly that run."""
    ran = run_waiver(tmp_path, forge, WAIVER_LABEL)
    steps = [(step.job, step.title, step.result) for step in ran.run.steps]
    assert steps == [("rejudge", "Start the judging again", "success")]
    assert ran.run.jobs == {"rejudge": "success"}
    assert forge.state.reruns == [12]
    assert ran.run.outputs == {("rejudge", "0", "outcome"): "started"}
    assert [method for method, _ in forge.requests] == ["GET", "GET", "GET", "POST"]


@pytest.mark.slow
def test_another_label_starts_nothing(tmp_path: Path, forge: Forge) -> None:
    """The job's condition does not hold, which the test above shows that it can."""
    with pytest.raises(MlgitopsError, match="act could not run"):  # its words for "no job ran"
        run_waiver(tmp_path, forge, "bug")
    assert forge.requests == []
    assert forge.state.reruns == []
