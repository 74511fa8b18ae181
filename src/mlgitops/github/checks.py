"""One check run on the head commit, or a commit status where the server has no checks.

The check stands on the pull request's head: one on the merge commit is not shown there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from mlgitops.github.client import GitHubError, LostAnswerError, NotFoundError
from mlgitops.github.payloads import CheckOutput, CheckPage, CheckRun, Status, parse_answer

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
_IDENTITY = re.compile(
    r"[^:]{1,100}:(?P<number>[0-9]{1,15})\.(?P<attempt>[0-9]{1,15}):[0-9.]{3,31}"
)
_RUN_PAGE = re.compile(r"/actions/runs/([0-9]{1,15})/attempts/([0-9]{1,15})$")

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


class RunIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which run a check is of: what it is ordered by, and who posted it.

    >>> found = RunIdentity(key="model", order=(7, 1), poster=(99, 2))
    >>> str(found), parse_order(str(found))
    ('model:7.1:99.2', (7, 1))
    """

    key: str
    order: tuple[int, int]  # number and attempt of the run that compared
    poster: tuple[int, int]  # id and attempt of the run that posted it

    def __str__(self) -> str:
        """Return it as the check's external id, which only the API shows."""
        (number, attempt), (run_id, again) = self.order, self.poster
        return f"{self.key}:{number}.{attempt}:{run_id}.{again}"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What the check says. ``name`` must stay the same: required checks match it exactly."""

    name: str
    head_sha: str
    run: RunIdentity  # a second post of the same updates; a newer one's check stays
    conclusion: str  # success, failure or action_required
    title: str
    summary: str
    details_url: str
    annotations: tuple[Annotation, ...] = ()


class SupersededError(GitHubError):
    """A newer run has reported on the commit: its check stays the newest there."""


def parse_order(external_id: object) -> tuple[int, int] | None:
    """Return number and attempt of the run that a check is of; None of one that is not ours."""
    match = _IDENTITY.fullmatch(external_id) if isinstance(external_id, str) else None
    return (int(match["number"]), int(match["attempt"])) if match else None


def post_check(client: GitHubClient, repository: str, check: Check) -> str:
    """Post ``check`` and return its page; falls back to a commit status on 404.

    A run that is started again after a newer one has reported must not stand above it: that is
    looked for before and, since two may post at once, after. Raises :class:`SupersededError`
    then, and :class:`~mlgitops.github.client.GitHubError` when the server refuses both.
    """
    try:
        if _find_newer(client, repository, check):
            raise _refuse_older(check)
        run = _post_run(client, repository, check)
    except NotFoundError:
        return _post_status(client, repository, check)
    newer = _find_newer(client, repository, check)
    if newer:
        _give_way(client, repository, run, newer)
        raise _refuse_older(check)
    return run.html_url or check.details_url


def _refuse_older(check: Check) -> SupersededError:
    return SupersededError(
        f"a newer run than {check.run.order[0]} has reported on {check.head_sha[:12]}: its check "
        "stands, this run's is not posted"
    )


def _find_newer(client: GitHubClient, repository: str, check: Check) -> CheckRun | None:
    """Find the newest run's check of this name on the commit, when it is not ours."""
    newest, order = None, check.run.order
    for run in _fetch_runs(client, repository, check):
        other = parse_order(run.external_id)
        if other is not None and other > order:
            newest, order = run, other
    return newest


def _give_way(client: GitHubClient, repository: str, run: CheckRun, newer: CheckRun) -> None:
    """Let ``run``, which was posted a moment too late, say what the newer one says."""
    output, text = newer.output or CheckOutput(), "A newer run has reported"
    newer_output = {"title": output.title or text, "summary": output.summary or text}
    client.patch(
        f"/repos/{repository}/check-runs/{run.id}",
        {"conclusion": newer.conclusion or "action_required", "output": newer_output},
    )


def _post_run(client: GitHubClient, repository: str, check: Check) -> CheckRun:
    chunks = list(_chunks(check.annotations))
    run = _put_run(client, repository, check, chunks[0])
    for chunk in chunks[1:]:
        client.patch(f"/repos/{repository}/check-runs/{run.id}", {"output": _output(check, chunk)})
    return run


def _put_run(
    client: GitHubClient, repository: str, check: Check, first: Sequence[Annotation]
) -> CheckRun:
    """Create the check run, or complete the one that an unheard answer left behind."""
    body: dict[str, object] = {
        "name": check.name,
        "status": "completed",
        "conclusion": check.conclusion,
        "details_url": check.details_url,
        "external_id": str(check.run),
        "output": _output(check, first),
    }
    for _ in range(_TRIES):
        try:
            path = f"/repos/{repository}/check-runs"
            answer = client.post(path, {**body, "head_sha": check.head_sha})
            return parse_answer(answer, CheckRun, "the answer to the check is")
        except LostAnswerError as error:
            lost = error
            client.pause(1, 2)
            for run in _fetch_runs(client, repository, check):
                if run.external_id == str(check.run):
                    return run
    raise lost


def _fetch_runs(client: GitHubClient, repository: str, check: Check) -> Iterator[CheckRun]:
    """Fetch every check of this name on the commit, whichever run it is of."""
    path = f"/repos/{repository}/commits/{check.head_sha}/check-runs"
    for page in client.fetch_pages(path, {"check_name": check.name, "filter": "all"}):
        yield from parse_answer(page, CheckPage, "the list of checks is").check_runs


def _post_status(client: GitHubClient, repository: str, check: Check) -> str:
    body = {
        "state": _STATES.get(check.conclusion, "error"),
        "target_url": check.details_url,
        "description": check.title[:MAX_STATUS_CHARACTERS],
        "context": check.name,
    }
    path = f"/repos/{repository}/statuses/{check.head_sha}"
    if _has_newer_status(client, repository, check):
        raise _refuse_older(check)
    try:
        client.post(path, body)
    except LostAnswerError:
        client.post(path, body)  # a second status of one context replaces the first
    return check.details_url


def _has_newer_status(client: GitHubClient, repository: str, check: Check) -> bool:
    """Tell whether a newer run has reported, by the page of the run that each status links."""
    path = f"/repos/{repository}/commits/{check.head_sha}/statuses"
    orders = []
    for page in client.fetch_pages(path):
        statuses = parse_answer(page, list[Status], "the list of statuses is")
        own = [status for status in statuses if status.context == check.name]
        orders += [_parse_page(status.target_url) for status in own]
    return max(orders, default=(0, 0)) > check.run.poster


def _parse_page(address: object) -> tuple[int, int]:
    match = _RUN_PAGE.search(address) if isinstance(address, str) else None
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _output(check: Check, annotations: Sequence[Annotation]) -> dict[str, object]:
    return {
        "title": check.title[:MAX_TITLE_CHARACTERS],
        "summary": check.summary[:MAX_SUMMARY_CHARACTERS],
        "annotations": [msgspec.structs.asdict(annotation) for annotation in annotations],
    }


def _chunks(annotations: Sequence[Annotation]) -> Iterator[Sequence[Annotation]]:
    for start in range(0, max(len(annotations), 1), ANNOTATIONS_PER_REQUEST):
        yield annotations[start : start + ANNOTATIONS_PER_REQUEST]
