"""One open pull request for a branch and its base: opened once, updated in place, never doubled.

Network only: the branch was pushed before, and what the pull request says was rendered before.
The server itself refuses a second open one of the same branch and base, so whoever comes second,
and whoever lost the answer, looks again and finds it.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.github.client import GitHubError, LostAnswerError
from mlgitops.github.comment import MAX_BODY_BYTES
from mlgitops.github.marker import has_first_line, render_key_marker
from mlgitops.github.payloads import PullNumber, TitledPull, parse_answer

if TYPE_CHECKING:
    from mlgitops.github.client import GitHubClient

#: GitHub's limit of a title, in characters; its description of the API names none.
MAX_TITLE = 256
_MAX_ROUNDS = 6
#: Seconds before looking again after a refusal, or after an answer was lost.
_BEFORE_LOOKING = (1.0, 2.0)
_FORBIDDEN, _CONFLICT, _UNPROCESSABLE = 403, 409, 422
_SETTING = (
    "allow it in the repository: Settings, Actions, General, Workflow permissions, "
    '"Allow GitHub Actions to create and approve pull requests"'
)
_UNFIT = "its branch must be pushed, hold a commit that its base lacks, and have no open one yet"


class PullState(NamedTuple):
    """What became of a pull request."""

    name: str  # "open", "merged" or "closed"
    day: str | None  # on which it was opened, UTC; None: the server does not say
    sha: str  # of the commit that its branch ended with


def open_pull_request(
    client: GitHubClient,
    repository: str,
    *,
    branch: str,
    base: str,
    title: str,
    body: str,
    again: bool = True,
) -> int:
    """Return the number of the open pull request of ``branch`` into ``base``, opened if need be.

    ``repository`` is OWNER/NAME, and ``branch`` stands in it. A pull request that is open keeps
    its number; its title and text are brought up to date unless a person took our first line
    away. Without ``again`` one that a person closed stays closed, and its number is returned.
    Raises :class:`GitHubError` when the server does not let us.
    """
    text = f"{render_key_marker('pull-request', branch)}\n{body}"
    if not title.strip() or len(title) > MAX_TITLE or len(text.encode()) > MAX_BODY_BYTES:
        raise GitHubError("a pull request needs a title and must fit GitHub's limits")
    refusal: GitHubError | None = None
    for _ in range(_MAX_ROUNDS):
        pull = _find_pull(client, repository, branch, base, again=again)
        if pull is not None:
            return _update(client, repository, pull, title, text)
        if refusal is not None:
            raise refusal
        content = {"title": title, "head": branch, "base": base, "body": text}
        try:
            answer = client.post(f"/repos/{repository}/pulls", content)
            return parse_answer(answer, PullNumber, "the new pull request is").number
        except LostAnswerError:
            pass
        except GitHubError as error:
            refusal = _explain(error)
        client.pause(*_BEFORE_LOOKING)
    raise GitHubError("whether the pull request was opened is not known; look at the repository")


def find_state(
    client: GitHubClient, repository: str, *, branch: str, base: str
) -> PullState | None:
    """Return the state of the pull request of ``branch``; None: it has none.

    The one that is open counts, else the newest. The branch may be gone.
    """
    pull = _find_pull(client, repository, branch, base, again=False)
    if pull is None:
        return None
    day = pull.created_at.astimezone(dt.UTC).date().isoformat() if pull.created_at else None
    if pull.state == "open":
        return PullState("open", day, pull.head.sha)
    return PullState("merged" if pull.merged_at else "closed", day, pull.head.sha)


def _find_pull(
    client: GitHubClient, repository: str, branch: str, base: str, *, again: bool
) -> TitledPull | None:
    """Find the open pull request, else, without ``again``, the newest that was closed.

    The server's own filter is not believed: a server that ignores it lists all of them.
    """
    owner = repository.partition("/")[0]
    query = {"state": "open" if again else "all", "head": f"{owner}:{branch}", "base": base}
    pulls = [
        pull
        for page in client.fetch_pages(f"/repos/{repository}/pulls", query)
        for pull in parse_answer(page, list[TitledPull], "the list of pull requests is")
        if (pull.head.ref, pull.base.ref) == (branch, base) and _is_own(pull, repository)
    ]
    opened = [pull for pull in pulls if pull.state == "open"]
    return max(opened or ([] if again else pulls), key=lambda pull: pull.number, default=None)


def _is_own(pull: TitledPull, repository: str) -> bool:
    """Tell whether the branch stands in the repository itself, and not in a fork of it."""
    head = pull.head.repo
    return head is not None and head.full_name.lower() == repository.lower()


def _update(client: GitHubClient, repository: str, pull: TitledPull, title: str, text: str) -> int:
    """Bring an open pull request up to date; a title alone is left as a person wrote it."""
    body = pull.body or ""
    if pull.state == "open" and body != text and has_first_line(body, text.split("\n", 1)[0]):
        path = f"/repos/{repository}/pulls/{pull.number}"
        client.patch(path, {"title": title, "body": text})
    return pull.number


def _explain(error: GitHubError) -> GitHubError:
    """Return a refusal that may mean that there is one by now; raise every other one."""
    if error.status == _FORBIDDEN and "not permitted to create" in error.what:
        raise GitHubError(error.what, status=error.status, where=error.where, hint=_SETTING)
    if error.status not in (_CONFLICT, _UNPROCESSABLE):
        raise error
    return GitHubError(error.what, status=error.status, where=error.where, hint=_UNFIT)
