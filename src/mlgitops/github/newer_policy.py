"""Whether the base branch has another policy by now than the one that judged.

A run that is started again is given the event of its first attempt, and so its base's commit:
its policy may have been replaced since. Reads the API; what cannot be asked is not assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.github.client import GitHubError
from mlgitops.github.jobs import Obstacle
from mlgitops.github.payloads import CommitName, parse_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.github.client import GitHubClient
    from mlgitops.github.event import Event

_BRANCHES = "refs/heads/"


def find_newer_policy(client: GitHubClient, event: Event, paths: Sequence[str]) -> Obstacle | None:
    """Say what a policy that changed on the base branch has against a pass; None when none did.

    ``paths`` are that of the policy in the repository, and of every link on the way to it: one
    that is set anew leads to another policy, and the file it led to stays. A merge group is not
    asked about: its base is the newest by the queue's making. Never raises for what the API
    does: then it is not known, which is an obstacle too.
    """
    if event.number is None:
        return None
    changes = (_find_change(client, event, path) for path in paths)
    return next((obstacle for obstacle in changes if obstacle is not None), None)


def _find_change(client: GitHubClient, event: Event, path: str) -> Obstacle | None:
    branch = f"{_BRANCHES}{event.base_branch}" if event.base_branch else ""
    try:
        judged = fetch_last_change(client, event.run.repository, event.base_sha, path)
        now = fetch_last_change(client, event.run.repository, branch, path)
    except GitHubError as error:
        return _build_unknown(f"{error.what}{f' ({error.where})' if error.where else ''}")
    if judged is None:
        return _build_unknown(f"the repository has no `{path}` at {event.base_sha[:12]}")
    if judged == now:
        return None
    since = f"in {now[:12]} " if now else ""
    return Obstacle(
        title="Judged by an older policy",
        text=f"`{path}` changed on `{event.base_branch}` {since}since {event.base_sha[:12]}, by "
        "which this was judged: update the branch, and it is judged by the newer one.",
    )


def fetch_last_change(client: GitHubClient, repository: str, rev: str, path: str) -> str | None:
    """Fetch the newest commit up to ``rev`` that changed ``path``; None when none did.

    ``rev`` is a commit or the full name of a branch: a tag may have the short one.
    Raises :class:`GitHubError` when the API does not say.
    """
    if not rev:
        raise GitHubError("the event does not name its base branch")
    query = {"sha": rev, "path": path, "per_page": "1"}
    answer = client.fetch(f"/repos/{repository}/commits", query)
    commits = parse_answer(answer, list[CommitName], "the list of commits is")
    return commits[0].sha if commits else None


def _build_unknown(reason: str) -> Obstacle:
    return Obstacle(
        title="Whether its policy is current is not known",
        text="GitHub was asked for the newest policy of the base, and did not tell: "
        f"{reason[:300]}. Start the job again.",
    )
