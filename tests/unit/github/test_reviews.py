"""Who approved and merged a pull request: the newest review that decides, of each account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from posting import BASE, HEAD, NEWER, REPOSITORY, connect, make_forge

from mlgitops.github.client import GitHubError
from mlgitops.github.reviews import fetch_request
from mlgitops.rehearsal.forge import Pull

if TYPE_CHECKING:
    from mlgitops.model.audit import PullRequestFacts


def fetch(*reviews: tuple[str, str, str]) -> PullRequestFacts:
    """Fetch a merged pull request that has these reviews."""
    forge = make_forge()
    forge.state.pulls[7] = Pull(
        number=7,
        base=("main", BASE),
        head=("promote", HEAD),
        title="Promote",
        state="closed",
        author="rosa",
        merged_as=NEWER,
        merged_by="mira",
        reviews=list(reviews),
    )
    with connect(forge) as client:
        return fetch_request(client, REPOSITORY, 7)


def test_author_merger_and_approvers_are_named() -> None:
    """With what it was merged as, and whether the approval is of the last commit."""
    request = fetch(("mira", "APPROVED", HEAD), ("otto", "APPROVED", BASE))
    assert (request.author, request.merged_by, request.merged_as) == ("rosa", "mira", NEWER)
    assert [(item.login, item.newest) for item in request.approvals] == [
        ("mira", True),
        ("otto", False),
    ]


@pytest.mark.parametrize(
    ("states", "approved"),
    [
        (["APPROVED", "COMMENTED"], True),
        (["CHANGES_REQUESTED", "APPROVED"], True),
        (["APPROVED", "CHANGES_REQUESTED"], False),
        (["APPROVED", "DISMISSED"], False),
        (["COMMENTED"], False),
        ([], False),
    ],
)
def test_an_approval_can_be_taken_back(states: list[str], *, approved: bool) -> None:
    """The newest that decides counts; a comment decides nothing."""
    request = fetch(*(("mira", state, HEAD) for state in states))
    assert [item.login for item in request.approvals] == (["mira"] if approved else [])


def test_every_page_of_reviews_is_read() -> None:
    """The 150th review takes the first one back."""
    comments = [("mira", "COMMENTED", HEAD)] * 148
    request = fetch(("mira", "APPROVED", HEAD), *comments, ("mira", "DISMISSED", HEAD))
    assert request.approvals == ()


def test_a_pull_request_that_is_not_there_is_an_error() -> None:
    """Nobody approved what nobody can show."""
    with connect(make_forge()) as client, pytest.raises(GitHubError, match="Not Found"):
        fetch_request(client, REPOSITORY, 99)
