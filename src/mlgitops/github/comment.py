"""One comment for each key on a pull request: created once, updated in place, never doubled.

The rule is convergence: look at what stands there, do the one thing that brings it closer
to "the lowest-numbered comment of ours shows the newest run, and there is no other", and
look again, until there is nothing to do. So a run that died half-way, two runs at once,
or a lost answer are all the same case: the next look mends it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from mlgitops.github.client import GitHubError, LostAnswerError, NotFoundError
from mlgitops.github.marker import Marker, find_marker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.github.client import GitHubClient

#: GitHub's own login when a workflow's token posts and the server does not say.
DEFAULT_LOGIN = "github-actions"
#: GitHub stores 262,144 bytes but names 65,536 characters in its refusal; stay below both.
MAX_BODY_BYTES = 60_000
_MAX_ROUNDS = 8
#: Seconds to wait before looking again: others may be writing, replicas lag behind.
_AFTER_CREATE = (0.15, 0.3)
_AFTER_UPDATE = (0.05, 0.15)


class Outcome(StrEnum):
    """What became of the comment."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"  # it already said this
    STALE = "stale"  # the pull request has moved on to another commit
    SUPERSEDED = "superseded"  # a newer run has reported


class _User(msgspec.Struct, frozen=True):
    login: str


class _Comment(msgspec.Struct, frozen=True):
    id: Annotated[int, Meta(gt=0)]
    html_url: str = ""
    user: _User | None = None
    body: str | None = ""


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
    """Brings one pull request to one comment of one key."""

    def __init__(
        self, client: GitHubClient, *, repository: str, number: int, login: str | None
    ) -> None:
        self._client = client
        self._pull = f"/repos/{repository}/pulls/{number}"
        self._list = f"/repos/{repository}/issues/{number}/comments"
        self._one = f"/repos/{repository}/issues/comments"
        self._login = _bare(login or DEFAULT_LOGIN)

    def post(self, body: str) -> Posted:
        """Make ``body`` the pull request's comment, unless something newer stands there.

        ``body`` starts with the marker's line. Raises :class:`GitHubError` when the API
        does not let us, and never writes after a list that could not be read.
        """
        marker = find_marker(body)
        if marker is None or len(body.encode()) > MAX_BODY_BYTES:
            raise GitHubError("a comment needs a marker and must fit GitHub's limit")
        done = Outcome.UNCHANGED
        for _ in range(_MAX_ROUNDS):
            if self._fetch_head() != marker.sha:
                return Posted(outcome=Outcome.STALE)
            ours = self._fetch_ours(marker.key)
            if any(other.marker.run > marker.run for other in ours):
                self._tidy(ours)
                return Posted(outcome=Outcome.SUPERSEDED, url=ours[0].url)
            step = self._write(ours, body)
            if step is None:
                return Posted(outcome=done, url=ours[0].url)
            done = Outcome.CREATED if Outcome.CREATED in (step, done) else step
        raise GitHubError("the comment keeps changing under us; another run is posting")

    def _write(self, ours: Sequence[_Ours], body: str) -> Outcome | None:
        """Do the one thing that is missing; None when there is nothing to do."""
        if not ours:
            try:
                self._client.post(self._list, {"body": body})
            except LostAnswerError:
                self._client.pause(1, 2)  # it may still arrive: look before repeating
                return Outcome.CREATED
            self._client.pause(*_AFTER_CREATE)
            return Outcome.CREATED
        if ours[0].body != body:
            self._patch(ours[0].id, body)
            self._client.pause(*_AFTER_UPDATE)
            return Outcome.UPDATED
        if len(ours) > 1:
            self._delete(ours[1:])
            return Outcome.UPDATED
        return None

    def _tidy(self, ours: Sequence[_Ours]) -> None:
        """Bring the newest text to the lowest comment, and drop what others left behind."""
        newest = max(ours, key=lambda one: one.marker.run)
        if newest.id != ours[0].id and newest.marker.run > ours[0].marker.run:
            self._patch(ours[0].id, newest.body)
        self._delete(ours[1:])

    def _patch(self, number: int, body: str) -> None:
        try:
            self._client.patch(f"{self._one}/{number}", {"body": body})
        except NotFoundError:
            return  # deleted meanwhile: the next look creates it again

    def _delete(self, duplicates: Sequence[_Ours]) -> None:
        for duplicate in duplicates:
            self._client.delete(f"{self._one}/{duplicate.id}")

    def _fetch_head(self) -> str:
        sha: object = self._client.fetch(self._pull)["head"]["sha"]
        return str(sha)

    def _fetch_ours(self, key: str) -> list[_Ours]:
        """Read every page and keep our comments of ``key``, lowest number first."""
        found = []
        for page in self._client.fetch_pages(self._list):
            for comment in _parse(page):
                body = comment.body or ""
                marker = find_marker(body)
                author = _bare(comment.user.login) if comment.user else None
                if marker is not None and marker.key == key and author == self._login:
                    found.append(
                        _Ours(id=comment.id, url=comment.html_url, body=body, marker=marker)
                    )
        return sorted(found, key=lambda one: one.id)


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


def _bare(login: str) -> str:
    """Drop `[bot]`: REST writes it after an app's login, GraphQL does not."""
    return login.removesuffix("[bot]").lower()


def _parse(page: Any) -> list[_Comment]:  # noqa: ANN401
    try:
        return msgspec.convert(page, list[_Comment])
    except msgspec.ValidationError as error:
        raise GitHubError(f"the list of comments is not what GitHub sends: {error}") from error
