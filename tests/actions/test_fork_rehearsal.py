"""A pull request from a fork, both halves run by act: what each may do, and what appears."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cookiecutter.environment import StrictEnvironment
from git_project import commit_files, git
from mini_project import REF, ROOT, WORKFLOW, branch, make_project, shared_store
from trust.archives import pack

from mlgitops.console import Console
from mlgitops.rehearsal.session import Rehearsal, Request, rehearse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlgitops.rehearsal.act import Run
    from mlgitops.rehearsal.forge import State

PATH = ".github/workflows/report-on-forks.yml"
OWN_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
GUARDED = WORKFLOW.replace("!cancelled() }}", f"!cancelled() && {OWN_REPOSITORY} }}}}")
COMPUTE = [
    ("compute", "0", "success"),
    ("compute", "1", "success"),
    ("compute", "train", "success"),
    ("compute", "compare", "success"),
    ("compute", "upload", "success"),
]
REPORT = [
    ("report", "Check out the default branch", "success"),
    ("report", "Set up Python", "success"),
    ("report", "Judge by the base's policy, and post", "success"),
]
RED = [*REPORT[:2], (*REPORT[2][:2], "failure")]


def render_second() -> str:
    """Return the workflow for forks as the template writes it, with the mini project's address.

    The storage is one that a fork's run cannot ask, so nothing is handed over to be measured.
    """
    text = (ROOT / "{{cookiecutter.project_slug}}" / PATH).read_text(encoding="utf-8")
    known = {"__toolkit": "acme/kit", "__toolkit_ref": REF, "storage": "s3"}
    template = StrictEnvironment(keep_trailing_newline=True).from_string(text)
    return str(template.render(cookiecutter=known))


def make(folder: Path, *, second: bool) -> Path:
    """Make a project that keeps its report job from forks, with the second workflow or without."""
    changes = {".github/workflows/pull-request.yml": GUARDED, ".python-version": "3.11\n"}
    return make_project(folder, {**changes, **({PATH: render_second()} if second else {})})


def run_command(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `mlgitops rehearse --fork` as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "mlgitops", "rehearse", "--fork", "--directory", folder, *options],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "MLGITOPS_ENVIRONMENTS": str(shared_store())},
    )


def run_json(folder: Path, code: int) -> dict[str, Any]:
    """Rehearse and return what `--json` prints."""
    done = run_command(folder, "--json")
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run_here(folder: Path, scratch: Path, meanwhile: Callable[[State], None]) -> Rehearsal:
    """Rehearse in this process, with something that happens between the two halves."""
    scratch.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLGITOPS_ENVIRONMENTS", str(shared_store()))
        request = Request(
            folder=folder,
            workflow=".github/workflows/pull-request.yml",
            scratch=scratch,
            store=shared_store(),
            fork=True,
        )
        return rehearse(request, Console(out=io.StringIO(), err=io.StringIO()), meanwhile)


def list_steps(found: dict[str, Any], name: str = "step") -> list[tuple[str, str, str]]:
    """Return (job, step, result) of every step that ran, in order."""
    return [(step["job"], step[name], step["result"]) for step in found["steps"]]


def list_titles(run: Run) -> list[tuple[str, str, str]]:
    """Return (job, title, result) of every step that ran, in order."""
    return [(step.job, step.title, step.result) for step in run.steps]


@pytest.mark.slow
def test_without_the_second_workflow_the_contributor_finds_the_summary(tmp_path: Path) -> None:
    """Only compute runs, nothing is posted, and the whole report is shown: from the summary."""
    project = make(tmp_path / "project", second=False)
    branch(project, "more-trees", {"params.yaml": "trees: 20\n"})
    found = run_json(project, 0)
    assert list_steps(found) == COMPUTE
    assert found["jobs"] == {"compute": "success"}
    assert found["report_on_fork"] is None
    assert (found["verdict"], found["comments"], found["checks"]) == ("pass", 0, [])
    assert found["fork"] == "contributor/project"
    shown = run_command(project)
    assert shown.stdout.strip() == found["summary"].strip()
    assert re.search(r"May merge.*0\.10* → 0\.20* ", shown.stdout)
    assert "`fork_reports` adds the workflow" in shown.stderr


@pytest.mark.slow
def test_with_it_the_comment_and_the_check_appear_and_are_updated(tmp_path: Path) -> None:
    """Two halves, each with exactly its steps; the second push updates the one comment."""
    project = make(tmp_path / "project", second=True)
    head = branch(project, "more-trees", {"params.yaml": "trees: 20\n"})
    first = run_json(project, 0)
    assert list_steps(first) == COMPUTE
    assert list_steps(first["report_on_fork"], "title") == REPORT
    assert first["report_on_fork"]["workflow"] == PATH
    assert (first["comments"], first["created"], first["checks"]) == (1, True, ["success"])
    assert head in first["comment"].partition("\n")[0]
    commit_files(project, {"params.yaml": "trees: 5\n"}, "Fewer")
    second = run_json(project, 1)
    assert list_steps(second) == COMPUTE
    assert list_steps(second["report_on_fork"], "title") == RED
    assert (second["comments"], second["created"], second["checks"]) == (1, False, ["failure"])
    assert second["pull_request"] == first["pull_request"]
    own = subprocess.run(
        [sys.executable, "-m", "mlgitops", "rehearse", "--json", "--directory", project],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "MLGITOPS_ENVIRONMENTS": str(shared_store())},
    )
    assert json.loads(own.stdout)["pull_request"] != first["pull_request"], "two repositories"


@pytest.mark.slow
def test_the_base_says_whether_there_is_a_second_half(tmp_path: Path) -> None:
    """A fork that brings the workflow starts nothing; one that takes it away stops nothing."""
    brings = make(tmp_path / "brings", second=False)
    branch(brings, "adds-it", {PATH: render_second(), "params.yaml": "trees: 20\n"})
    assert run_json(brings, 0)["report_on_fork"] is None
    removes = make(tmp_path / "removes", second=True)
    git(removes, "switch", "--quiet", "--create", "removes-it", "main")
    git(removes, "rm", "--quiet", PATH)
    commit_files(removes, {"params.yaml": "trees: 20\n"}, "Remove it")
    found = run_json(removes, 0)
    assert list_steps(found["report_on_fork"], "title") == REPORT
    assert found["comments"] == 1


@pytest.mark.slow
def test_a_fork_that_opens_the_report_job_to_itself_posts_nothing(tmp_path: Path) -> None:
    """Its workflow file is its own, its token is not: every write is refused and reported."""
    project = make(tmp_path / "project", second=False)
    workflow = {".github/workflows/pull-request.yml": WORKFLOW}
    branch(project, "opened", {**workflow, "params.yaml": "trees: 20\n"})
    found = run_json(project, 0)
    assert found["jobs"] == {"compute": "success", "report": "success"}
    assert (found["comments"], found["checks"]) == (0, [])
    warnings = [one["message"] for one in found["annotations"] if one["level"] == "warning"]
    assert any("pull-requests: write" in text for text in warnings), warnings
    assert any("checks: write" in text for text in warnings), warnings


@pytest.mark.slow
def test_a_head_that_moved_on_between_the_halves_gets_nothing(tmp_path: Path) -> None:
    """Green, with a notice: the run of the newer commit reports."""
    project = make(tmp_path / "project", second=True)
    branch(project, "more-trees", {"params.yaml": "trees: 20\n"})

    def push(state: State) -> None:
        state.pulls[1].head = ("more-trees", "c" * 40)

    found = run_here(project, tmp_path / "scratch", push)
    assert found.second is not None
    assert list_titles(found.second.run) == REPORT
    assert (found.comments, found.checks) == ([], [])
    ((level, text),) = found.second.run.annotations
    assert level == "notice"
    assert "nothing to post: " in text
    assert "no open pull request shows" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pack(("../report.json", b"{}")), "artifact"),
        (pack(("report.json", b'{"schema": 1, "verdict": "pass"}')), "report"),
        (pack(("report.json", b"[" * 100_000)), "report"),
    ],
    ids=["another path", "a verdict alone", "deep"],
)
def test_a_hostile_artifact_is_posted_as_undecided(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    """Whatever the fork left instead of its report: the reason, a red check, never a pass."""
    project = make(tmp_path / "project", second=True)
    branch(project, "more-trees", {"params.yaml": "trees: 20\n"})

    def replace(state: State) -> None:
        (report,) = (one for one in state.artifacts if one.name == "mlgitops-report")
        report.data = data

    found = run_here(project, tmp_path / "scratch", replace)
    assert found.second is not None
    assert list_titles(found.second.run) == RED
    assert found.verdict == "undecided"
    assert found.checks == ["failure"]
    (comment,) = found.comments
    assert "Could not decide" in comment
    assert reason in comment


def test_a_forks_results_cannot_be_kept(tmp_path: Path) -> None:
    """It may not push, so there is nothing to take over: exit code 2, before anything runs."""
    project = make(tmp_path / "project", second=True)
    branch(project, "more-trees", {"params.yaml": "trees: 20\n"})
    done = run_command(project, "--keep-result")
    assert done.returncode == 2
    assert "nothing of a fork's run can be kept" in done.stderr


def test_two_workflows_that_report_are_refused(tmp_path: Path) -> None:
    """They would write over each other's comment; both are named."""
    project = make(tmp_path / "project", second=True)
    commit_files(project, {".github/workflows/again.yml": render_second()}, "Again")
    branch(project, "more-trees", {"params.yaml": "trees: 20\n"})
    done = run_command(project)
    assert done.returncode == 2
    assert f".github/workflows/again.yml, {PATH}" in done.stderr
