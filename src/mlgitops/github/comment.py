"""One comment for each key on a pull request: created once, updated in place, never doubled.

The rule is convergence: look at what stands there, do the one thing that brings it closer
to "the lowest-numbered comment of ours shows the newest run, and there is no other", and
look again, until there is nothing to do. So a run that died half-way, two runs at once,
or a lost answer are all the same case: the next look mends it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from mlgitops.github.client import GitHubError, LostAnswerError, NotFoundError
from mlgitops.github.marker import Marker, find_marker
from mlgitops.github.payloads import Comment, Pull, parse_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlgitops.github.client import GitHubClient

#: GitHub's own login when a workflow's token posts and the server does not say.
DEFAULT_LOGIN = "github-actions[bot]"
#: GitHub stores 262,144 bytes but names 65,536 characters in its refusal; stay below both.
MAX_BODY_BYTES = 60_000
_MAX_ROUNDS = 8
#: Seconds to wait after a write before looking again. An older run that looked just before
#: writes within one request's time; waiting longer than that lets the newer run see it.
_AFTER_WRITE = (0.2, 0.3)
#: The same after an answer was lost: the request may still be on its way.
_AFTER_LOSS = (1.0, 2.0)


class Outcome(StrEnum):
    """What became of the comment."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"  # it already said this
    STALE = "stale"  # the pull request has moved on to another commit or base
    SUPERSEDED = "superseded"  # a newer run has reported
    OMITTED = "omitted"  # there is none, and nothing worth one


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, and where it can be read."""

    outcome: Outcome
    url: str | None = None


class _Ours(msgspec.Struct, frozen=True, kw_only=True):
    """A comment of ours: its number, text, and what its first line says."""

    id: int
    url: str
    body: str
    marker: Marker


class CommentPoster:
    """Brings one pull request to one comment of one key.

    ``base`` is the branch for which it was judged; empty when that is not known.
    """

    def __init__(
        self,
        client: GitHubClient,
        *,
        repository: str,
        number: int,
        login: str | None,
        base: str = "",
    ) -> None:
        self._client = client
        self._pull = f"/repos/{repository}/pulls/{number}"
        self._list = f"/repos/{repository}/issues/{number}/comments"
        self._one = f"/repos/{repository}/issues/comments"
        self._logins = list_logins(login or DEFAULT_LOGIN)
        self._base = base

    def post(
        self, body: str, *, create: bool = True, meanwhile: Callable[[], None] | None = None
    ) -> Posted:
        """Make ``body`` the pull request's comment, unless something newer stands there.

        ``body`` starts with the marker's line; ``meanwhile`` is called in each wait between
        a write and the next look. Without ``create`` only a comment that is there is updated.
        Raises :class:`GitHubError` when the API does not let us, and never writes after a
        list that could not be read.
        """
        marker = find_marker(body)
        if marker is None or len(body.encode()) > MAX_BODY_BYTES:
            raise GitHubError("a comment needs a marker and must fit GitHub's limit")
        done = Outcome.UNCHANGED
        for _ in range(_MAX_ROUNDS):
            head, base = self._fetch_sides()
            if head != marker.sha or self._base not in ("", base):
                return Posted(outcome=Outcome.STALE)
            ours = self._fetch_ours(marker.key)
            if not ours and not create:
                return Posted(outcome=Outcome.OMITTED)
            newest = max(ours, key=lambda comment: comment.marker.run, default=None)
            newer = newest is not None and newest.marker.run > marker.run
            step = (
                self._write(ours, newest.body, None)
                if newest is not None and newer
                else self._write(ours, body, meanwhile)
            )
            if step is None:
                return Posted(outcome=Outcome.SUPERSEDED if newer else done, url=ours[0].url)
            done = Outcome.CREATED if Outcome.CREATED in (step, done) else step
        raise GitHubError("the comment keeps changing under us; another run is posting")

    def _write(
        self, ours: Sequence[_Ours], body: str, meanwhile: Callable[[], None] | None
    ) -> Outcome | None:
        """Do the one thing that is missing; None when there is nothing to do."""
        if ours and ours[0].body == body:
            self._delete(ours[1:])
            return Outcome.UPDATED if len(ours) > 1 else None
        try:
            if ours:
                self._update(ours[0], body)
            else:
                self._client.post(self._list, {"body": body})
            wait = _AFTER_WRITE
        except LostAnswerError:
            wait = _AFTER_LOSS
        self._client.pause(*wait, meanwhile)
        return Outcome.UPDATED if ours else Outcome.CREATED

    def _update(self, comment: _Ours, body: str) -> None:
        """Replace the text that we saw; when it is another by now, leave it to the next look.

        Reading the list may have taken many tries; between this read and this write there
        is one request, and the write is not repeated blindly either.
        """
        path = f"{self._one}/{comment.id}"
        try:
            now = parse_answer(self._client.fetch(path), Comment, "the comment is")
            if now.body == comment.body:
                self._client.patch(path, {"body": body}, repeatable=False)
        except NotFoundError:
            return  # deleted meanwhile: the next look creates it again

    def _delete(self, duplicates: Sequence[_Ours]) -> None:
        for duplicate in duplicates:
            self._client.delete(f"{self._one}/{duplicate.id}")

    def _fetch_sides(self) -> tuple[str, str]:
        """Fetch the pull request's newest commit, and the branch that it goes into now."""
        pull = parse_answer(self._client.fetch(self._pull), Pull, "the pull request is")
        return pull.head.sha, pull.base.ref

    def _fetch_ours(self, key: str) -> list[_Ours]:
        """Read every page and keep our comments of ``key``, lowest number first."""
        ours = []
        for page in self._client.fetch_pages(self._list):
            for comment in parse_answer(page, list[Comment], "the list of comments is"):
                body = comment.body or ""
                marker = find_marker(body)
                author = comment.user.login.lower() if comment.user else None
                if marker is not None and marker.key == key and author in self._logins:
                    ours.append(
                        _Ours(id=comment.id, url=comment.html_url, body=body, marker=marker)
                    )
        return sorted(ours, key=lambda comment: comment.id)


def fetch_login(client: GitHubClient, graphql_url: str | None) -> str | None:
    """Ask the server who we are; None when it does not say.

    GraphQL knows for every kind of token; `GET /user` refuses a workflow's token, and
    servers other than GitHub's have no GraphQL.
    """
    if graphql_url:
        try:
            answer = client.query(graphql_url, "query { viewer { login } }")
            return str(answer["data"]["viewer"]["login"])
        except (GitHubError, KeyError, TypeError):
            pass
    try:
        return str(client.fetch("/user")["login"])
    except (GitHubError, KeyError, TypeError):
        return None


def list_logins(own_login: str) -> set[str]:
    """Return how REST may write the login that the server told us.

    It writes `[bot]` after an app's; GraphQL may leave it away. A person may have an app's
    name without it, so a login that was told with it is taken to the letter.
    """
    login = own_login.lower()
    return {login} if login.endswith("[bot]") else {login, f"{login}[bot]"}
