"""What one run puts on GitHub: the comment of its pull request, and the check of its commits.

Network only: what they say was decided and rendered before. Each may fail without the other;
a failure is a value, because it never changes the verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.github.checks import SupersededError, post_check
from mlgitops.github.comment import CommentPoster, Outcome, Posted, fetch_login

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlgitops.github.checks import Check
    from mlgitops.github.client import GitHubClient
    from mlgitops.github.event import Event


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """What was posted, and a sentence for each thing that was not."""

    comment: Posted | None = None
    checks: tuple[str, ...] = ()  # addresses, in the order given
    problems: tuple[str, ...] = ()
    superseded: bool = False  # a newer run has reported: what it posted stands


def post(
    client: GitHubClient,
    event: Event,
    comment: str,
    check: Check,
    heads: Sequence[str],
    *,
    create: bool = True,
) -> Posting:
    """Post ``comment``, when the event has a pull request, and ``check`` on each of ``heads``.

    Without ``create`` the comment is only updated where there is one.
    The checks do not wait for the comment: they are posted while it is waited for, before
    looking whether another run wrote one too. But they have its order: where a newer run's
    comment stands, no check is posted, and none above a newer run's check.
    """
    checks = _Checks(client, event, check, heads)
    posted: Posted | None = None
    problems = []
    try:
        posted = _post_comment(client, event, comment, create=create, meanwhile=checks.post)
    except MlgitopsError as error:
        problems.append(f"the comment was not posted; read the job summary. {error}")
    older = posted is not None and posted.outcome is Outcome.SUPERSEDED
    if not older:
        checks.post()
    return Posting(
        comment=posted,
        checks=tuple(checks.urls),
        problems=(*problems, *checks.problems),
        superseded=older or checks.superseded,
    )


class _Checks:
    """Posts a check on several commits, each once."""

    def __init__(
        self, client: GitHubClient, event: Event, check: Check, heads: Sequence[str]
    ) -> None:
        self._client = client
        self._repository = event.run.repository
        self._left = [msgspec.structs.replace(check, head_sha=sha) for sha in heads]
        self.urls: list[str] = []
        self.problems: list[str] = []
        self.superseded = False

    def post(self) -> None:
        """Post what was not tried yet."""
        while self._left:
            check = self._left.pop(0)
            try:
                self.urls.append(post_check(self._client, self._repository, check))
            except SupersededError as error:
                self.superseded = True
                self.problems.append(str(error))
            except MlgitopsError as error:
                self.problems.append(f"the check was not posted. {error}")


def _post_comment(
    client: GitHubClient,
    event: Event,
    comment: str,
    *,
    create: bool,
    meanwhile: Callable[[], None],
) -> Posted | None:
    if event.number is None:
        return None
    poster = CommentPoster(
        client,
        repository=event.run.repository,
        number=event.number,
        login=fetch_login(client, event.run.graphql_url),
        base=event.base_branch,
    )
    return poster.post(comment, create=create, meanwhile=meanwhile)
