"""One check on the head commit, with every annotation, or a status where there are no checks."""

from __future__ import annotations

import pytest
from posting import HEAD, REPOSITORY, connect, make_forge

from mlgitops.github.checks import Annotation, Check, RunIdentity, post_check
from mlgitops.github.client import GitHubError
from mlgitops.rehearsal.forge import Fault


def make_check(annotations: int = 0, *, conclusion: str = "failure", title: str = "No") -> Check:
    """Make a check with numbered annotations."""
    notes = tuple(
        Annotation(
            path="policy.yaml",
            start_line=number + 1,
            end_line=number + 1,
            annotation_level="failure",
            title=f"metric {number}",
            message="lost",
        )
        for number in range(annotations)
    )
    return Check(
        name="mlgitops / model",
        head_sha=HEAD,
        run=RunIdentity(key="model", order=(1, 1), poster=(7, 1)),
        conclusion=conclusion,
        title=title,
        summary="s" * 70_000,
        details_url="https://github.example/runs/1",
        annotations=notes,
    )


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 101, 200])
def test_every_annotation_arrives_fifty_at_a_time(count: int) -> None:
    """The first fifty with the check, the others by updates, in order."""
    forge = make_forge()
    with connect(forge) as client:
        post_check(client, REPOSITORY, make_check(count))
    (check,) = forge.state.checks
    assert [one["start_line"] for one in check["output"]["annotations"]] == [
        number + 1 for number in range(count)
    ]
    assert (check["head_sha"], check["conclusion"]) == (HEAD, "failure")
    assert len([one for one in forge.requests if one[0] == "PATCH"]) == max(-(-count // 50) - 1, 0)


@pytest.mark.parametrize(
    ("conclusion", "state"),
    [("success", "success"), ("failure", "failure"), ("neutral", "error"), ("skipped", "error")],
)
def test_a_server_without_checks_gets_a_commit_status(conclusion: str, state: str) -> None:
    """404 on checks is not an error there; the description is kept short."""
    forge = make_forge(checks=False)
    with connect(forge) as client:
        post_check(client, REPOSITORY, make_check(3, conclusion=conclusion, title="x" * 500))
    (status,) = forge.state.statuses
    assert (status["sha"], status["state"], len(status["description"])) == (HEAD, state, 140)


@pytest.mark.parametrize("fault", [Fault(after=True), Fault(status=502, after=True), Fault()])
def test_a_check_whose_answer_was_lost_is_not_doubled(fault: Fault) -> None:
    """The client looks for its own check before it repeats."""
    forge = make_forge()
    faults = [fault]
    forge.fault = lambda method, _path: faults.pop() if faults and method == "POST" else None
    with connect(forge) as client:
        post_check(client, REPOSITORY, make_check(60))
    assert len(forge.state.checks) == 1
    assert len(forge.state.checks[0]["output"]["annotations"]) == 60


def test_a_server_that_refuses_is_an_error() -> None:
    """403 is reported with the permission that is missing."""
    forge = make_forge(fault=lambda _method, _path: Fault(status=403, message="no"))
    with connect(forge) as client, pytest.raises(GitHubError, match="checks: write"):
        post_check(client, REPOSITORY, make_check())
