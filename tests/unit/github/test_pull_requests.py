"""One open pull request for a branch and its base: opened, brought up to date, never doubled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from posting import BASE, HEAD, REPOSITORY, connect, make_pull_forge

from mlgitops.github.client import GitHubError
from mlgitops.github.pull_requests import MAX_TITLE, open_pull_request
from mlgitops.rehearsal.forge import Fault, Forge, Pull

if TYPE_CHECKING:
    from mlgitops.github.client import GitHubClient

BRANCH = "promote/production/v1.2.0"


def promote(client: GitHubClient, text: str = "as proposed", *, again: bool = True) -> int:
    """Open the pull request of the tests."""
    return open_pull_request(
        client, REPOSITORY, branch=BRANCH, base="main", title="Promote", body=text, again=again
    )


def list_texts(forge: Forge) -> list[tuple[int, str, str]]:
    """Return number, state and last line of every pull request of the branch."""
    pulls = [pull for pull in forge.state.pulls.values() if pull.head[0] == BRANCH]
    return [(pull.number, pull.state, pull.body.splitlines()[-1]) for pull in pulls]


def test_a_pull_request_is_opened_once_and_brought_up_to_date() -> None:
    """The second call finds the first one's; the same text costs no write."""
    forge = make_pull_forge(BRANCH)
    with connect(forge) as client:
        assert [promote(client), promote(client), promote(client, "measured")] == [1, 1, 1]
    assert list_texts(forge) == [(1, "open", "measured")]
    assert [method for method, _ in forge.requests if method != "GET"] == ["POST", "PATCH"]
    assert (forge.state.pulls[1].base, forge.state.pulls[1].head) == (
        ("main", BASE),
        (BRANCH, HEAD),
    )


@pytest.mark.parametrize(
    "other",
    [
        Pull(number=7, base=("main", BASE), head=(BRANCH, HEAD), title="x", fork="octo/copy"),
        Pull(number=7, base=("lax", BASE), head=(BRANCH, HEAD), title="x"),
        Pull(number=7, base=("main", BASE), head=("other", HEAD), title="x"),
        Pull(number=7, base=("main", BASE), head=(BRANCH, HEAD), title="x", state="closed"),
    ],
    ids=["a fork of the same owner", "another base", "another branch", "closed"],
)
def test_another_pull_request_is_not_ours(other: Pull) -> None:
    """Fork, base, branch and state are looked at here, whatever the server's filter did."""
    forge = make_pull_forge(BRANCH)
    forge.state.pulls[7] = other
    with connect(forge) as client:
        assert promote(client) == 8
    assert (other.title, other.body) == ("x", "")


def test_a_pull_request_that_a_person_rewrote_is_left_alone() -> None:
    """Whoever takes our first line away has taken the text over."""
    forge = make_pull_forge(BRANCH)
    with connect(forge) as client:
        promote(client)
        forge.state.pulls[1].body = "My own words"
        assert promote(client, "measured") == 1
    assert list_texts(forge) == [(1, "open", "My own words")]


def test_one_that_a_person_closed_is_opened_again_only_where_that_is_asked_for() -> None:
    """A machine that proposes by itself takes a closed one for an answer."""
    forge = make_pull_forge(BRANCH)
    with connect(forge) as client:
        promote(client)
        forge.state.pulls[1].state = "closed"
        assert promote(client, again=False) == 1
        assert promote(client) == 2
        assert promote(client, again=False) == 2
    assert [state for _, state, _ in list_texts(forge)] == ["closed", "open"]


@pytest.mark.parametrize(
    "fault",
    [Fault(), Fault(after=True), Fault(status=502, after=True), Fault(cut=True), Fault(status=503)],
)
def test_a_lost_answer_opens_no_second_one(fault: Fault) -> None:
    """Carried out or not, it is looked for before it is asked for again."""
    forge = make_pull_forge(BRANCH)
    faults = [fault]
    forge.fault = lambda method, _path: faults.pop() if faults and method == "POST" else None
    with connect(forge) as client:
        assert promote(client) == 1
    assert list_texts(forge) == [(1, "open", "as proposed")]


def test_whoever_comes_second_takes_the_one_of_the_first() -> None:
    """Between our look and our request another run opened it: the server refuses, we look again."""
    forge = make_pull_forge(BRANCH)

    def overtake(method: str, _path: str) -> None:
        if method == "POST" and not forge.state.pulls:
            forge.state.pulls[1] = Pull(
                number=1, base=("main", BASE), head=(BRANCH, HEAD), title="Theirs", body="Theirs"
            )

    forge.fault = overtake
    with connect(forge) as client:
        assert promote(client) == 1
    assert list_texts(forge) == [(1, "open", "Theirs")]


def test_a_refusal_that_lasts_says_what_is_missing() -> None:
    """A branch that was not pushed is named as the likely cause, and nothing is repeated."""
    forge = make_pull_forge("another")
    with connect(forge) as client, pytest.raises(GitHubError, match="its branch must be pushed"):
        promote(client)
    assert [method for method, _ in forge.requests].count("POST") == 1


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (
            "GitHub Actions is not permitted to create or approve pull requests.",
            "Allow GitHub Actions to create and approve pull requests",
        ),
        ("Resource not accessible by integration", "pull-requests: write"),
    ],
)
def test_a_token_that_may_not_open_one_is_told_what_to_allow(message: str, hint: str) -> None:
    """The setting of the repository and the permission of the job are two things."""
    forge = make_pull_forge(BRANCH)
    forge.fault = lambda method, _path: (
        Fault(status=403, message=message) if method == "POST" else None
    )
    with connect(forge) as client, pytest.raises(GitHubError, match=hint):
        promote(client)


@pytest.mark.parametrize(
    ("title", "body"),
    [("", "text"), (" ", "text"), ("t" * (MAX_TITLE + 1), "text"), ("t", "b" * 60_000)],
)
def test_what_github_would_refuse_is_not_sent(title: str, body: str) -> None:
    """An empty or long title, and a text over the limit."""
    forge = make_pull_forge(BRANCH)
    with connect(forge) as client, pytest.raises(GitHubError, match="must fit GitHub's limits"):
        open_pull_request(client, REPOSITORY, branch=BRANCH, base="main", title=title, body=body)
    assert forge.requests == []


def test_a_list_that_cannot_be_read_is_no_empty_list() -> None:
    """Nothing is opened when we could not look first."""
    forge = make_pull_forge(BRANCH)
    forge.fault = lambda method, _path: Fault(status=404) if method == "GET" else None
    with connect(forge) as client, pytest.raises(GitHubError, match="404"):
        promote(client)
    assert forge.state.pulls == {}
