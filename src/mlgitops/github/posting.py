"""What one run puts on GitHub: the comment of its pull request, and the check of its commits.

Network only: what they say was decided and rendered before. Each may fail without the other;
a failure is a value, because it never changes the verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.github.checks import post_check
from mlgitops.github.comment import CommentPoster, Posted, fetch_login

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.github.checks import Check
    from mlgitops.github.client import GitHubClient
    from mlgitops.github.event import Event


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """What was posted, and a sentence for each thing that was not."""

    comment: Posted | None = None
    checks: tuple[str, ...] = ()  # addresses, in the order given
    problems: tuple[str, ...] = ()


def post(
    client: GitHubClient, event: Event, comment: str, check: Check, heads: Sequence[str]
) -> Posting:
    """Post ``comment``, when the event has a pull request, and ``check`` on each of ``heads``."""
    posted: Posted | None = None
    problems = []
    try:
        posted = _post_comment(client, event, comment)
    except MlgitopsError as error:
        problems.append(f"the comment was not posted; read the job summary. {error}")
    urls = []
    for sha in heads:
        try:
            one = msgspec.structs.replace(check, head_sha=sha)
            urls.append(post_check(client, event.run.repository, one))
        except MlgitopsError as error:
            problems.append(f"the check was not posted. {error}")
    return Posting(comment=posted, checks=tuple(urls), problems=tuple(problems))


def _post_comment(client: GitHubClient, event: Event, comment: str) -> Posted | None:
    if event.number is None:
        return None
    poster = CommentPoster(
        client,
        repository=event.run.repository,
        number=event.number,
        login=fetch_login(client, event.run.graphql_url),
    )
    return poster.post(comment)
