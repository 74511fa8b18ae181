"""A workflow file to jobs, labels and actions, and which jobs should have run."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.rehearsal.act import Run
from mlgitops.rehearsal.session import find_verdict
from mlgitops.rehearsal.workflow import Use, parse_use, parse_workflow
from mlgitops.rehearsal.workflow_run import Ran

TEXT = """\
on: pull_request
jobs:
  build:
    runs-on: [self-hosted, gpu]
    steps:
      - uses: actions/checkout@v7
        with: {path: x, ref: y}
      - id: mine
        uses: acme/kit/actions/train@v1
      - uses: ./local
      - run: "true"
  after:
    needs: build
    runs-on: {group: big, labels: ubuntu-24.04}
    steps: [{uses: acme/kit/actions/train@v1}]
  always:
    needs: [build, after]
    if: ${{ !cancelled() }}
    runs-on: ubuntu-latest
    steps: []
  maybe:
    if: github.ref == 'x'
    runs-on: ubuntu-latest
    steps: []
"""


def test_jobs_labels_and_actions_are_found() -> None:
    """Every label and every action once, whatever form the file writes them in."""
    workflow = parse_workflow(TEXT, where="w.yml")
    assert list(workflow.jobs) == ["build", "after", "always", "maybe"]
    assert workflow.labels == ["gpu", "self-hosted", "ubuntu-24.04", "ubuntu-latest"]
    assert workflow.uses == [
        Use(repository="acme/kit", path="actions/train", ref="v1"),
        Use(repository="actions/checkout", path="", ref="v7", inputs=("path", "ref")),
    ]
    found = [(step.job, step.id) for step in workflow.find_steps("actions/train")]
    assert found == [("build", "mine"), ("after", "0")]


@pytest.mark.parametrize(
    "expression",
    [
        "vars.RUNNER || 'ubuntu-latest'",
        "github.event_name == 'merge_group' && vars.RUNNER || 'ubuntu-latest'",
        "(github.actor == 'a' || github.actor == 'b') && vars.RUNNER || 'ubuntu-latest'",
    ],
)
def test_runner_that_a_variable_may_name_is_the_default(expression: str) -> None:
    """A rehearsal sets no variable of the repository."""
    text = TEXT.replace("[self-hosted, gpu]", f"${{{{ {expression} }}}}")
    assert parse_workflow(text, where="w.yml").labels == ["ubuntu-24.04", "ubuntu-latest"]


@pytest.mark.parametrize(
    "expression",
    [
        "matrix.os || 'ubuntu-latest'",
        "github.actor || vars.RUNNER || 'ubuntu-latest'",
        "vars.RUNNER",
        "vars.RUNNER || matrix.os",
    ],
)
def test_runner_that_only_a_run_can_name_is_refused(expression: str) -> None:
    """The engine would skip the job, and stay green."""
    text = TEXT.replace("[self-hosted, gpu]", f"${{{{ {expression} }}}}")
    with pytest.raises(MlgitopsError, match="chosen by an expression"):
        parse_workflow(text, where="w.yml")


@pytest.mark.parametrize(
    ("results", "missing"),
    [
        ({"build": "success", "after": "success", "always": "success"}, []),
        ({"build": "success", "always": "success"}, ["after"]),
        ({"build": "failure", "always": "failure"}, []),
        ({"build": "failure"}, ["always"]),
        ({}, ["build", "always"]),
        ({"build": "success", "after": "success", "always": "success", "maybe": "success"}, []),
    ],
)
def test_a_job_may_be_missing_only_for_a_reason(
    results: dict[str, str], missing: list[str]
) -> None:
    """A condition, or a failed job before it; anything else is a false green."""
    assert parse_workflow(TEXT, where="w.yml").find_missing(results) == missing


@pytest.mark.parametrize(
    "text", ["docker://alpine:3", "$/actions/x", "actions/checkout", "checkout@v1", ""]
)
def test_an_action_that_cannot_be_placed_is_refused(text: str) -> None:
    """Images, `$/` and unpinned actions are named."""
    with pytest.raises(MlgitopsError, match="a rehearsal cannot run `uses: "):
        parse_use(text, {}, where="w.yml")


def test_all_mistakes_are_reported_together() -> None:
    """Three jobs with three faults are three lines."""
    text = """\
jobs:
  a: {uses: ./.github/workflows/x.yml}
  b: {runs-on: x, container: debian, steps: []}
  c: {runs-on: "${{ matrix.os }}", steps: []}
  d: 5
"""
    with pytest.raises(MistakesError, match="this workflow cannot be rehearsed:") as caught:
        parse_workflow(text, where="w.yml")
    assert len(caught.value.errors) == 4


@pytest.mark.parametrize(
    ("verb", "verdict", "job", "expected"),
    [
        ("compare", "pass", "success", "pass"),
        ("compare", "pass", "failure", "undecided"),
        ("compare", "fail", "failure", "fail"),
        ("report", "pass", "failure", "pass"),  # it asked how the others ended
        ("report", "", "success", "undecided"),
    ],
)
def test_a_comparison_in_a_job_that_failed_after_it_is_no_verdict(
    verb: str, verdict: str, job: str, expected: str
) -> None:
    """A fork's run without a second workflow shows what its comparison said."""
    text = TEXT.replace("actions/train", f"actions/{verb}")
    ran = Ran(
        path="w.yml",
        workflow=parse_workflow(text, where="w.yml"),
        run=Run(jobs={"build": job}, outputs={("build", "mine", "verdict"): verdict}),
        run_id=1,
        artifacts=Path(),
        log=Path(),
    )
    assert find_verdict(ran, verb) == expected
