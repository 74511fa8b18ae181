"""Retries, limits and permissions, proved on a real server that fails as told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from posting import HEAD, REPOSITORY, Clock, connect, make_forge

from mlgitops.github.client import (
    MAX_TRIES,
    MAX_WAITING,
    GitHubError,
    LostAnswerError,
    NotFoundError,
)
from mlgitops.rehearsal.forge import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

PULL = f"/repos/{REPOSITORY}/pulls/1"
COMMENTS = f"/repos/{REPOSITORY}/issues/1/comments"


def fail_times(count: int, fault: Fault) -> Callable[[str, str], Fault | None]:
    """Fail the first ``count`` requests."""
    left = [fault] * count
    return lambda _method, _path: left.pop() if left else None


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Fault(status=500), [0.75, 1.5]),
        (Fault(status=502), [0.75, 1.5]),
        (Fault(status=503), [0.75, 1.5]),
        (Fault(status=504), [0.75, 1.5]),
        (Fault(), [0.75, 1.5]),
        (Fault(cut=True), [0.75, 1.5]),
        (Fault(status=429, headers={"retry-after": "7"}), [7, 7]),
        (Fault(status=403, headers={"retry-after": "7"}), [7, 7]),
        (
            Fault(
                status=403,
                headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000010"},
            ),
            [11, 1],
        ),
        (Fault(status=403, message="You have exceeded a secondary rate limit"), [60]),
        (Fault(status=429), [60]),
    ],
)
def test_a_passing_trouble_is_waited_out_as_the_server_asks(
    fault: Fault, waits: list[float]
) -> None:
    """Each kind of refusal has its own waiting time, in seconds."""
    clock = Clock()
    forge = make_forge(fault=fail_times(len(waits), fault))
    with connect(forge, clock) as client:
        assert client.fetch(PULL)["head"]["sha"] == HEAD
    assert clock.slept == waits


@pytest.mark.parametrize(
    ("status", "kind"), [(401, GitHubError), (404, NotFoundError), (410, NotFoundError)]
)
def test_a_refusal_that_waiting_does_not_change_is_not_repeated(
    status: int, kind: type[GitHubError]
) -> None:
    """One request, one error that carries the status."""
    forge = make_forge(fault=fail_times(1, Fault(status=status)))
    with connect(forge) as client, pytest.raises(kind) as caught:
        client.fetch(PULL)
    assert caught.value.status == status
    assert len(forge.requests) == 1


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", COMMENTS, "pull-requests: write"),
        ("GET", COMMENTS, "pull-requests: read"),
        ("POST", f"/repos/{REPOSITORY}/check-runs", "checks: write"),
        ("POST", f"/repos/{REPOSITORY}/statuses/{HEAD}", "statuses: write"),
    ],
)
def test_a_missing_permission_is_named_with_the_lines_to_add(
    method: str, path: str, scope: str
) -> None:
    """A 403 that is no rate limit says which scope is missing, and what the server accepts."""
    headers = {"x-accepted-github-permissions": "pull_requests=write"}
    fault = Fault(status=403, message="Resource not accessible by integration", headers=headers)
    forge = make_forge(fault=fail_times(1, fault))
    bodies: dict[str, dict[str, object]] = {
        "comments": {"body": "x"},
        "check-runs": {"name": "x", "head_sha": HEAD},
        HEAD: {"state": "success"},
    }
    with (
        connect(forge) as client,
        pytest.raises(GitHubError, match=f"the token lacks `{scope}`") as caught,
    ):
        _ = (
            list(client.fetch_pages(path))
            if method == "GET"
            else client.post(path, bodies[path.rpartition("/")[2]])
        )
    text = str(caught.value)
    assert f"      {scope}" in text
    assert "permissions:" in text
    assert "pull_requests=write" in text
    assert len(forge.requests) == 1


def test_a_validation_error_shows_the_servers_words() -> None:
    """A 422 is reported once, with what the server said."""
    fault = Fault(status=422, message="Validation Failed: body is too long")
    forge = make_forge(fault=fail_times(1, fault))
    with connect(forge) as client, pytest.raises(GitHubError, match="body is too long"):
        client.post(COMMENTS, {"body": "x"})


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(after=True), "no answer: the connection broke"),
        (Fault(status=500), "500 injected"),
        (Fault(cut=True), "no answer: the answer was cut short"),
    ],
)
def test_a_creating_request_without_an_answer_is_not_repeated(fault: Fault, reason: str) -> None:
    """Whoever creates must look first whether it was done."""
    forge, clock = make_forge(fault=fail_times(1, fault)), Clock()
    with connect(forge, clock) as client, pytest.raises(LostAnswerError, match=reason):
        client.post(COMMENTS, {"body": "x"})
    assert (len(forge.requests), clock.slept) == (1, [])


def test_a_creating_request_that_was_rate_limited_is_looked_at_again_after_the_wait() -> None:
    """It was not done, but during the wait another run may have created the same."""
    clock = Clock()
    fault = Fault(status=429, headers={"retry-after": "7"})
    forge = make_forge(fault=fail_times(1, fault))
    with connect(forge, clock) as client, pytest.raises(LostAnswerError, match="429 injected"):
        client.post(COMMENTS, {"body": "x"})
    assert (clock.slept, forge.state.comments) == ([7], [])


def test_tries_and_waiting_are_bounded() -> None:
    """A server that never recovers costs a bounded number of tries and seconds."""
    clock = Clock()
    forge = make_forge(fault=fail_times(99, Fault(status=503)))
    with connect(forge, clock) as client, pytest.raises(GitHubError, match="503"):
        client.fetch(PULL)
    assert len(forge.requests) == MAX_TRIES
    assert sum(clock.slept) <= MAX_WAITING


def test_a_wait_longer_than_we_may_wait_is_refused_at_once() -> None:
    """An hour until the limit is reset is an error now, not in an hour."""
    clock = Clock()
    fault = Fault(status=403, headers={"retry-after": "3600"})
    forge = make_forge(fault=fail_times(1, fault))
    with connect(forge, clock) as client, pytest.raises(GitHubError, match="403 injected"):
        client.fetch(PULL)
    assert clock.slept == []


def test_pages_of_another_host_are_not_followed() -> None:
    """The token goes to one host only."""
    forge = make_forge(comments=101)
    with connect(forge) as client:
        client._api_url = client._api_url.replace("127.0.0.1", "localhost")
        pages = client.fetch_pages(COMMENTS)
        assert len(next(pages)) == 100
        client._api_url = "http://elsewhere.example"
        with pytest.raises(GitHubError, match="another host"):
            next(pages)


def test_a_deleted_thing_may_be_deleted_again() -> None:
    """Deleting what is gone is fine."""
    with connect(make_forge()) as client:
        client.delete(f"/repos/{REPOSITORY}/issues/comments/77")


def test_the_token_is_in_no_error() -> None:
    """Whatever fails, the token does not reach a message."""
    for fault in (Fault(), Fault(status=401), Fault(status=403), Fault(status=500)):
        forge = make_forge(fault=fail_times(99, fault))
        with connect(forge) as client, pytest.raises(GitHubError, match=f"^GET {PULL}: ") as caught:
            client.fetch(PULL)
        assert "test-token" not in str(caught.value)
