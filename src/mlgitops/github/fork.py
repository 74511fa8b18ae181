"""Whose pull request a `workflow_run` event belongs to: the identity rules for forks.

The first workflow ran a stranger's code; this half runs ours and may write. So nothing of
the artifact names the pull request: only the event and the API do, and they must agree on
exactly one. Reads the API; posts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.github.event import ComparedRun, Event, Run
from mlgitops.github.payloads import NumberedPull, RunEvent, parse_answer, parse_event_payload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlgitops.github.client import GitHubClient
    from mlgitops.github.payloads import EventRun, Repository

#: A cancelled or skipped run has no report; a failed one may well have, and must be heard.
_CONCLUSIONS = ("success", "failure")


class StaleRunError(MlgitopsError):
    """The run was cancelled, or no open pull request shows its commit: nothing to post."""


class ForkRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that compared, as the event names it."""

    run: Run
    compared: ComparedRun  # its artifact is the report
    repository_id: int
    default_branch: str
    head_sha: str
    head_branch: str
    head_owner: str
    head_repository_id: int


def parse_fork_run(data: bytes, run: Run, *, workflow: str) -> ForkRun:
    """Read a ``workflow_run`` payload of our own workflow file.

    ``workflow`` is its path, such as ``.github/workflows/pull-request.yml``: a name can be
    copied, a path on the default branch cannot. Raises :class:`MlgitopsError` when the run
    is not one that we report on.
    """
    payload = parse_event_payload(data, RunEvent)
    compared = payload.workflow_run
    problem = _find_problem(compared, payload.repository, run, workflow)
    if problem:
        raise MlgitopsError(problem, where=f"workflow run {compared.id}")
    if compared.conclusion not in _CONCLUSIONS:
        raise StaleRunError(
            f"it ended with {compared.conclusion!r}", where=f"workflow run {compared.id}"
        )
    if compared.head_repository is None:
        raise StaleRunError("the fork was deleted", where=f"workflow run {compared.id}")
    return ForkRun(
        run=run,
        compared=ComparedRun(
            id=compared.id,
            number=compared.run_number,
            attempt=compared.run_attempt,
            conclusion=compared.conclusion,
        ),
        repository_id=payload.repository.id,
        default_branch=payload.repository.default_branch,
        head_sha=compared.head_sha,
        head_branch=compared.head_branch,
        head_owner=compared.head_repository.owner.login,
        head_repository_id=compared.head_repository.id,
    )


def fetch_fork_event(client: GitHubClient, fork: ForkRun) -> Event:
    """Ask the API for the open pull request of ``fork``."""
    path = f"/repos/{fork.run.repository}/pulls"
    query = {"state": "open", "head": f"{fork.head_owner}:{fork.head_branch}"}
    pulls = [pull for page in client.fetch_pages(path, query) for pull in page]
    return find_fork_event(fork, pulls)


def find_fork_event(fork: ForkRun, pulls: Iterable[Any]) -> Event:
    """Find the one open pull request whose head is the commit that ran.

    Raises :class:`StaleRunError` when there is none, and :class:`MlgitopsError` when there
    are several: one head may be proposed to two bases, and a guess could be wrong.
    """
    parsed = parse_answer(list(pulls), list[NumberedPull], "the pull requests are")
    matching = [pull for pull in parsed if _belongs(pull, fork)]
    where = f"workflow run {fork.compared.id}"
    if not matching:
        raise StaleRunError(f"no open pull request shows {fork.head_sha[:12]}", where=where)
    if len(matching) > 1:
        numbers = ", ".join(f"#{pull.number}" for pull in matching)
        raise MlgitopsError(f"several pull requests show the same commit: {numbers}", where=where)
    (pull,) = matching
    return Event(
        run=fork.run,
        number=pull.number,
        base_sha=pull.base.sha,
        base_branch=pull.base.ref,
        default_branch=fork.default_branch,
        head_sha=pull.head.sha,
        head_repository=pull.head.repo.full_name if pull.head.repo else None,
        head_branch=pull.head.ref,
        compared=fork.compared,
    )


def _find_problem(
    compared: EventRun, repository: Repository, run: Run, workflow: str
) -> str | None:
    """Say why this run is not one that we report on."""
    if compared.event != "pull_request":
        return f"it was started by {compared.event[:40]!r}, not by a pull request"
    if compared.path != workflow:
        return f"it is a run of {compared.path[:100]!r}, not of {workflow!r}"
    if repository.full_name != run.repository or compared.repository.id != repository.id:
        return "it is a run of another repository"
    return None


def _belongs(pull: NumberedPull, fork: ForkRun) -> bool:
    return (
        pull.state == "open"
        and pull.head.sha == fork.head_sha
        and pull.head.ref == fork.head_branch
        and pull.head.repo is not None
        and pull.head.repo.id == fork.head_repository_id
        and pull.base.repo is not None
        and pull.base.repo.id == fork.repository_id
    )
