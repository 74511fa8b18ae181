"""Who approved a pull request, and who merged it. Network only; nothing is written.

The newest review that decides counts for each account: a later wish for changes, or a dismissal,
takes an approval back. A comment decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.github.payloads import MergedPull, Review, parse_answer
from mlgitops.model.audit import Approval, PullRequestFacts

if TYPE_CHECKING:
    from mlgitops.github.client import GitHubClient

_DECIDING = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")


def fetch_request(client: GitHubClient, repository: str, number: int) -> PullRequestFacts:
    """Fetch who wrote, approved and merged pull request ``number`` of ``repository``, OWNER/NAME.

    Raises :class:`~mlgitops.github.client.GitHubError` when the server does not say.
    """
    path = f"/repos/{repository}/pulls/{number}"
    pull = parse_answer(client.fetch(path), MergedPull, "the pull request is")
    newest: dict[str, Review] = {}
    for page in client.fetch_pages(f"{path}/reviews"):
        for review in parse_answer(page, list[Review], "the list of reviews is"):
            if review.user is not None and review.state in _DECIDING:
                newest[review.user.login] = review
    return PullRequestFacts(
        number=number,
        author=pull.user.login if pull.user else None,
        merged_by=pull.merged_by.login if pull.merged_by else None,
        merged_as=pull.merge_commit_sha if pull.merged else None,
        approvals=tuple(
            Approval(
                login=login,
                at=review.submitted_at.isoformat() if review.submitted_at else None,
                newest=review.commit_id == pull.head.sha,
            )
            for login, review in sorted(newest.items())
            if review.state == "APPROVED"
        ),
    )
