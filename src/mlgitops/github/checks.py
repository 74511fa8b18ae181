"""One check run on the head commit, or a commit status where the server has no checks.

The check stands on the pull request's head: one on the merge commit is not shown there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mlgitops.github.client import GitHubError, LostAnswerError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlgitops.github.client import GitHubClient

#: GitHub takes 50 annotations a request, and appends those of the next one:
#: https://docs.github.com/en/rest/checks/runs#update-a-check-run
ANNOTATIONS_PER_REQUEST = 50
MAX_SUMMARY_CHARACTERS = 65_535
MAX_TITLE_CHARACTERS = 255
#: Not in GitHub's description; longer ones have been refused.
MAX_STATUS_CHARACTERS = 140
_TRIES = 3

#: Of a status there are no others that say yes or no; whatever is neither is an error.
_STATES = {"success": "success", "failure": "failure"}


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence beside a line of a file; lines count from 1."""

    path: str
    start_line: int
    end_line: int
    annotation_level: str  # notice, warning or failure
    title: str
    message: str


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What the check says. ``name`` must stay the same: required checks match it exactly."""

    name: str
    head_sha: str
    run: str  # identifies the run that reports: a second post of it updates
    conclusion: str  # success, failure or action_required
    title: str
    summary: str
    details_url: str
    annotations: tuple[Annotation, ...] = ()


def post_check(client: GitHubClient, repository: str, check: Check) -> str:
    """Post ``check`` and return its page; falls back to a commit status on 404.

    Raises :class:`~mlgitops.github.client.GitHubError` when the server refuses both.
    """
    try:
        return _post_run(client, repository, check)
    except NotFoundError:
        return _post_status(client, repository, check)


def _post_run(client: GitHubClient, repository: str, check: Check) -> str:
    chunks = list(_chunks(check.annotations))
    run = _put_run(client, repository, check, chunks[0])
    if not isinstance(run, dict) or "id" not in run:
        raise GitHubError("the answer to the check is not what GitHub sends")
    for chunk in chunks[1:]:
        client.patch(
            f"/repos/{repository}/check-runs/{run['id']}", {"output": _output(check, chunk)}
        )
    return str(run.get("html_url") or check.details_url)


def _put_run(
    client: GitHubClient, repository: str, check: Check, first: Sequence[Annotation]
) -> Any:  # noqa: ANN401
    """Create the check run, or complete the one that an unheard answer left behind."""
    body: dict[str, object] = {
        "name": check.name,
        "status": "completed",
        "conclusion": check.conclusion,
        "details_url": check.details_url,
        "external_id": check.run,
        "output": _output(check, first),
    }
    for _ in range(_TRIES):
        try:
            return client.post(
                f"/repos/{repository}/check-runs", {**body, "head_sha": check.head_sha}
            )
        except LostAnswerError as error:
            lost = error
            client.pause(1, 2)
            found = _find_run(client, repository, check)
            if found is not None:
                return found
    raise lost


def _find_run(client: GitHubClient, repository: str, check: Check) -> Any:  # noqa: ANN401
    path = f"/repos/{repository}/commits/{check.head_sha}/check-runs"
    for page in client.fetch_pages(path, {"check_name": check.name, "filter": "all"}):
        for run in page.get("check_runs", ()) if isinstance(page, dict) else ():
            if isinstance(run, dict) and run.get("external_id") == check.run:
                return run
    return None


def _post_status(client: GitHubClient, repository: str, check: Check) -> str:
    body = {
        "state": _STATES.get(check.conclusion, "error"),
        "target_url": check.details_url,
        "description": check.title[:MAX_STATUS_CHARACTERS],
        "context": check.name,
    }
    path = f"/repos/{repository}/statuses/{check.head_sha}"
    try:
        client.post(path, body)
    except LostAnswerError:
        client.post(path, body)  # a second status of one context replaces the first
    return check.details_url


def _output(check: Check, annotations: Sequence[Annotation]) -> dict[str, object]:
    return {
        "title": check.title[:MAX_TITLE_CHARACTERS],
        "summary": check.summary[:MAX_SUMMARY_CHARACTERS],
        "annotations": [msgspec.structs.asdict(one) for one in annotations],
    }


def _chunks(annotations: Sequence[Annotation]) -> Iterator[Sequence[Annotation]]:
    for start in range(0, max(len(annotations), 1), ANNOTATIONS_PER_REQUEST):
        yield annotations[start : start + ANNOTATIONS_PER_REQUEST]
