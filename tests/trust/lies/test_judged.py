"""Which workflow judged a pull request that was merged: never one that it brought itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from released_project import MergedProject
from trust.lie import check_lie

from mlgitops.delivery.releases.merged import list_judged
from mlgitops.git.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlgitops.github.kept_statement import JudgedCommit


JUDGE = ".github/workflows/pull-request.yml"
OWN = {JUDGE: "jobs: {report: {name: Report, steps: [{run: echo pass > statement.json}]}}\n"}
JUDGED = {JUDGE: "jobs: {report: {name: Report, uses: toolkit/report}}\n"}
MODEL_ONLY = {"params.yaml": "task: regression\n"}


def show_pull(project: MergedProject, *commits: dict[str, str]) -> list[str]:
    """Let origin show a pull request 7 of these commits, from the second on named as results."""
    write = project.repository.git
    write("switch", "--quiet", "--detach", "main")
    heads: list[str] = []
    for files in commits:
        for path, text in files.items():
            project.repository.put(path, text)
        subject = f"Record what was trained at {heads[-1][:12]}" if heads else "More trees"
        heads.append(project.repository.commit(subject))
    write("push", "--quiet", "origin", "HEAD:refs/pull/7/head")
    write("switch", "--quiet", "main")
    return heads


def list_judged_of(project: MergedProject, merged: dict[str, str]) -> list[JudgedCommit] | str:
    """Merge these files by a squash that names the pull request, and list who judged it."""
    for path, text in merged.items():
        project.repository.put(path, text)
    merge = project.merge("More trees (#7)")
    with Repository(project.root) as repository:
        return list_judged(repository, merge)


@pytest.fixture
def judging(tmp_path: Path) -> MergedProject:
    """Make a project whose main has a workflow that judges."""
    project = MergedProject(tmp_path)
    project.edit(JUDGE, JUDGED[JUDGE])
    return project


def test_a_pull_request_with_bases_workflow_was_judged(judging: MergedProject) -> None:
    """Also where main has another one by now: the run went by main's, or by one that main had."""
    heads = show_pull(judging, MODEL_ONLY, {"note": "results"})
    judging.edit(JUDGE, "jobs: {}\n")
    judged = list_judged_of(judging, MODEL_ONLY)
    assert not isinstance(judged, str), judged
    assert [commit.sha for commit in judged[1:]] == heads[::-1]
    assert [commit.event for commit in judged] == ["merge_group", "pull_request", "pull_request"]


@pytest.mark.parametrize(
    ("commits", "merged", "reason"),
    [
        ([MODEL_ONLY | OWN], MODEL_ONLY | OWN, f"changes '{JUDGE}'"),
        ([MODEL_ONLY | OWN], MODEL_ONLY, f"changes '{JUDGE}'"),
        ([MODEL_ONLY | OWN, JUDGED], MODEL_ONLY, f"changes '{JUDGE}'"),
        ([MODEL_ONLY], MODEL_ONLY | OWN, f"changes '{JUDGE}'"),
        ([{".github/actions/x/action.yml": "runs: {}\n"}], MODEL_ONLY, "x/action.yml', so that"),
    ],
    ids=["merged too", "left out by the merge", "taken back", "by the queue", "by an action"],
)
def test_a_pull_request_that_may_have_judged_itself_was_not_judged(
    judging: MergedProject,
    record_property: Callable[[str, object], None],
    commits: list[dict[str, str]],
    merged: dict[str, str],
    reason: str,
) -> None:
    """Its run goes by its own workflow, whose job called Report says what it likes."""
    show_pull(judging, *commits)
    judged = list_judged_of(judging, merged)
    assert isinstance(judged, str)
    payload = json.dumps([commits, merged]).encode()
    check_lie(record_property, payload, reason=reason, text=judged)


def test_a_head_of_two_pull_requests_was_judged_by_either_base(
    judging: MergedProject, record_property: Callable[[str, object], None]
) -> None:
    """The other one goes into a branch whose workflow passes everything."""
    (head,) = show_pull(judging, MODEL_ONLY)
    judging.repository.git("push", "--quiet", "origin", f"{head}:refs/pull/8/head")
    judged = list_judged_of(judging, MODEL_ONLY)
    assert isinstance(judged, str)
    reason = "pull request 8 shows a head of 7"
    check_lie(record_property, b"two pull requests", reason=reason, text=judged)
