"""Identity of a fork's run: in every situation, the right pull request or none."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from mlgitops.errors import MlgitopsError
from mlgitops.github.event import ComparedRun, Run
from mlgitops.github.fork import StaleRunError, find_fork_event, parse_fork_run

HEAD, OLDER, BASE = "a" * 40, "d" * 40, "b" * 40
WORKFLOW = ".github/workflows/pull-request.yml"
OURS = {
    "id": 1,
    "full_name": "octo/model",
    "owner": {"login": "octo"},
    "default_branch": "trunk",
}
FORK = {"id": 2, "full_name": "fan/model", "owner": {"login": "fan"}}
OTHER = {"id": 3, "full_name": "rival/model", "owner": {"login": "rival"}}
RUN = Run(
    repository="octo/model",
    server_url="https://github.example",
    api_url="https://github.example/api/v3",
    graphql_url=None,
    run_id=9,
    run_number=9,
    run_attempt=1,
)
Change = Callable[[dict[str, Any]], object]


def make_payload(*changes: Change) -> bytes:
    """Make the event of a fork's run, changed in place by ``changes``."""
    payload: dict[str, Any] = {
        "workflow_run": {
            "id": 77,
            "name": "Pull request",
            "event": "pull_request",
            "path": WORKFLOW,
            "run_number": 12,
            "run_attempt": 2,
            "conclusion": "success",
            "head_sha": HEAD,
            "head_branch": "patch-1",
            "head_repository": copy.deepcopy(FORK),
            "repository": copy.deepcopy(OURS),
            "pull_requests": [],
        },
        "repository": copy.deepcopy(OURS),
    }
    for change in changes:
        change(payload)
    return json.dumps(payload).encode()


def make_pull(number: int = 5, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Make a pull request as the API lists it; ``changes`` are dotted with two underscores."""
    pull: dict[str, Any] = {
        "number": number,
        "state": "open",
        "base": {"sha": BASE, "ref": "main", "repo": copy.deepcopy(OURS)},
        "head": {"sha": HEAD, "ref": "patch-1", "repo": copy.deepcopy(FORK)},
    }
    for name, value in changes.items():
        *path, last = name.split("__")
        target = pull
        for part in path:
            target = target[part]
        target[last] = value
    return pull


def set_run(name: str, value: object) -> Change:
    """Return a change of one field of the workflow run."""
    return lambda payload: payload["workflow_run"].update({name: value})


def set_top(name: str, value: object) -> Change:
    """Return a change of one field of the payload."""
    return lambda payload: payload.update({name: value})


@pytest.mark.parametrize("conclusion", ["success", "failure"])
def test_the_one_pull_request_of_the_commit_is_found(conclusion: str) -> None:
    """A failed run counts too: its report says why it failed."""
    fork = parse_fork_run(make_payload(set_run("conclusion", conclusion)), RUN, workflow=WORKFLOW)
    event = find_fork_event(fork, [make_pull(4, head__sha=OLDER), make_pull(5)])
    assert (event.number, event.head_sha, event.base_sha) == (5, HEAD, BASE)
    assert event.from_fork
    assert (event.base_branch, event.default_branch) == ("main", "trunk")
    compared = ComparedRun(id=77, number=12, attempt=2, conclusion=conclusion)
    assert event.compared == fork.compared == compared


#: Why a run is not one to report on, and changes of the payload that make it so.
NOT_OURS: dict[str, list[Change]] = {
    "not by a pull request": [
        set_run("event", name)
        for name in ("push", "workflow_dispatch", "pull_request_target", "schedule", "")
    ],
    f"not of '{WORKFLOW}'": [
        set_run("path", path)
        for path in (
            ".github/workflows/other.yml",
            "pull-request.yml",
            WORKFLOW + "@refs/heads/x",
            WORKFLOW.upper(),
            "./" + WORKFLOW,
            "",
        )
    ],
    "it ended with ": [
        set_run("conclusion", word)
        for word in ("cancelled", "skipped", "timed_out", "action_required", "startup_failure")
    ]
    + [set_run("conclusion", None)],
    "it is a run of another repository": [
        set_run("repository", OTHER),
        set_run("repository", FORK),
        set_top("repository", OTHER),
        set_top("repository", {**OURS, "id": 8}),
    ],
    "the fork was deleted": [set_run("head_repository", None)],
    "at `$.workflow_run.event`": [set_run("event", None)],
    "at `$.repository`": [set_top("repository", None)],
    "at `$.workflow_run.head_repository.owner.login`": [
        set_run("head_repository", {**FORK, "owner": {"login": "fan:patch-1&state=all"}}),
        set_run("head_repository", {**FORK, "owner": {"login": "../octo"}}),
    ],
    "at `$.workflow_run.head_repository.id`": [
        set_run("head_repository", {**FORK, "id": "2"}),
        set_run("head_repository", {**FORK, "id": True}),
    ],
    "at `$.workflow_run.head_sha`": [
        set_run("head_sha", sha) for sha in ("HEAD", HEAD[:39], HEAD + "\n", None)
    ],
    "at `$.workflow_run.head_branch`": [
        set_run("head_branch", name) for name in ("", None, "x" * 301)
    ],
    "at `$.workflow_run.id`": [set_run("id", 0), set_run("id", "77")],
    "at `$.workflow_run`": [set_top("workflow_run", None), set_top("workflow_run", [])],
}


@pytest.mark.parametrize(
    ("reason", "change"),
    [(reason, change) for reason, changes in NOT_OURS.items() for change in changes],
)
def test_a_run_that_is_not_ours_to_report_on_is_refused(reason: str, change: Change) -> None:
    """Wrong start, file, end, repository or form: no pull request is looked for."""
    with pytest.raises(MlgitopsError, match=re.escape(reason)):
        parse_fork_run(make_payload(change), RUN, workflow=WORKFLOW)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 50_000])
def test_bytes_that_are_no_event_are_refused(data: bytes) -> None:
    """One clear error."""
    with pytest.raises(MlgitopsError, match="the event is not what GitHub sends: "):
        parse_fork_run(data, RUN, workflow=WORKFLOW)


@pytest.mark.parametrize(
    "pulls",
    [
        [],
        [make_pull(head__sha=OLDER)],
        [make_pull(state="closed")],
        [make_pull(head__ref="patch-2")],
        [make_pull(head__repo=None)],
        [make_pull(head__repo=OTHER)],
        [make_pull(head__repo={**FORK, "id": 4})],
        [make_pull(base__repo=OTHER)],
        [make_pull(base__repo=FORK)],
        [make_pull(base__repo={**OURS, "id": 4})],
        [make_pull(base__repo=None)],
        [make_pull(head__sha=BASE, base__sha=HEAD)],
    ],
)
def test_a_commit_that_no_open_pull_request_shows_is_stale(pulls: list[Any]) -> None:
    """Nothing is posted, and nothing is wrong: somebody pushed, closed or deleted."""
    fork = parse_fork_run(make_payload(), RUN, workflow=WORKFLOW)
    with pytest.raises(StaleRunError, match=f"no open pull request shows {HEAD[:12]}"):
        find_fork_event(fork, pulls)


SEVERAL = "several pull requests show the same commit: #5, #6"
ODD = "the pull requests are not what GitHub sends: .*"


@pytest.mark.parametrize(
    ("pulls", "reason"),
    [
        ([make_pull(5), make_pull(6)], SEVERAL),
        ([make_pull(5), make_pull(6, base__ref="release")], SEVERAL),
        ([{**make_pull(), "number": "5"}], ODD + "number"),
        ([{**make_pull(), "number": 0}], ODD + "number"),
        ([make_pull(5, head__sha="x")], ODD + "head.sha"),
        ([{}], ODD + "number"),
        ([None], ODD + "got `null`"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(pulls: list[Any], reason: str) -> None:
    """One head proposed to two bases: a guess could post on the wrong one."""
    fork = parse_fork_run(make_payload(), RUN, workflow=WORKFLOW)
    with pytest.raises(MlgitopsError, match=reason) as caught:
        find_fork_event(fork, pulls)
    assert not isinstance(caught.value, StaleRunError)


def test_the_number_in_the_event_decides_nothing() -> None:
    """GitHub leaves the list empty for forks; one that is filled is not read."""
    payload = make_payload(set_run("pull_requests", [{"number": 99}]))
    fork = parse_fork_run(payload, RUN, workflow=WORKFLOW)
    assert find_fork_event(fork, [make_pull(5)]).number == 5
