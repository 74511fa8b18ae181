"""The event that started the run: payload file and environment in, one frozen value out.

Reads a file; no network. Everything in a payload may come from a stranger's pull request:
it is decoded into types, and every sha and number is checked before it is used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from mlgitops.errors import MlgitopsError
from mlgitops.github.payloads import Id, PullEvent, parse_event_payload
from mlgitops.model import Links, Sha

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: GitHub caps a webhook payload at 25 MB:
#: https://docs.github.com/en/webhooks/webhook-events-and-payloads
MAX_EVENT_BYTES = 25_000_000

_BRANCHES = "refs/heads/"
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REPOSITORY = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+$(?!\n)", max_length=200)
]
_URL = Annotated[str, Meta(pattern=r"^https?://[^\s]+$(?!\n)", max_length=500)]

#: Where a runner puts the checkout of an action: `_actions/OWNER/REPOSITORY/REF`. Steps of
#: composite actions are not told: https://github.com/actions/runner/issues/2473
_ACTION = re.compile(r".*/_actions/([A-Za-z0-9-]+/[\w.-]+)/([\w.-]+)/src/mlgitops/.*")
_GUIDE = "docs/how-to/read-a-verdict.md"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the workflow, as the runner's environment names it."""

    repository: _REPOSITORY
    server_url: _URL
    api_url: _URL
    graphql_url: _URL | None
    run_id: Id
    run_number: Id  # grows within one workflow
    run_attempt: Id  # starts at 1, grows when a run is started again
    workflow_sha: Sha | None = None  # GITHUB_SHA: on a pull request, its merge commit

    @property
    def repository_url(self) -> str:
        """Return the repository's page."""
        return f"{self.server_url}/{self.repository}"

    @property
    def run_url(self) -> str:
        """Return the page of this very attempt."""
        return f"{self.repository_url}/actions/runs/{self.run_id}/attempts/{self.run_attempt}"

    @property
    def links(self) -> Links:
        """Return where a reader finds more."""
        return Links(
            run_url=self.run_url,
            repository_url=self.repository_url,
            guide_url=find_guide(self.server_url, __file__),
        )


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run of another workflow that compared, as its `workflow_run` event names it."""

    id: int
    number: int  # grows within that workflow
    attempt: int
    conclusion: str  # success, or failure of any of its jobs


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be judged, and where the result goes.

    ``number`` is None when there is no pull request to comment on: a merge queue's group.
    """

    run: Run
    number: int | None
    base_sha: str
    head_sha: str
    head_repository: str | None  # None: the fork was deleted, or it is a merge group
    base_branch: str = ""  # what it would be merged into
    default_branch: str = ""  # of the repository
    head_branch: str = ""  # empty for a merge group
    compared: ComparedRun | None = None  # another run compared: its artifact is the report

    @property
    def order(self) -> tuple[int, int]:
        """Return number and attempt of the run that compared: the greater is the newer one.

        A run of another workflow that only reports is started again at any time, by whatever
        older run; its own number says nothing of what it reports on.
        """
        if self.compared is not None:
            return (self.compared.number, self.compared.attempt)
        return (self.run.run_number, self.run.run_attempt)

    @property
    def from_fork(self) -> bool:
        """Say whether the head stands in another repository, so the token cannot write."""
        return self.number is not None and self.head_repository != self.run.repository


def find_guide(server_url: str, module: str) -> str | None:
    """Return the page on reading a verdict, of the very version that runs; None outside an action.

    ``module``: the path of a file of this package, which an action runs from its own checkout.
    """
    action = _ACTION.fullmatch(module)
    return f"{server_url}/{action[1]}/blob/{action[2]}/{_GUIDE}" if action else None


def parse_run(environ: Mapping[str, str]) -> Run:
    """Read the run from the runner's variables, and check every one of them.

    Raises :class:`MlgitopsError` naming the variable that is missing or odd.
    """
    values: dict[str, object] = {
        "repository": environ.get("GITHUB_REPOSITORY"),
        "server_url": environ.get("GITHUB_SERVER_URL", "").rstrip("/") or None,
        "api_url": environ.get("GITHUB_API_URL", "").rstrip("/") or None,
        "graphql_url": environ.get("GITHUB_GRAPHQL_URL") or None,
        "run_id": _whole(environ, "GITHUB_RUN_ID"),
        "run_number": _whole(environ, "GITHUB_RUN_NUMBER"),
        "run_attempt": _whole(environ, "GITHUB_RUN_ATTEMPT"),
        "workflow_sha": environ.get("GITHUB_SHA") or None,
    }
    try:
        return msgspec.convert(values, Run)
    except msgspec.ValidationError as error:
        raise MlgitopsError(
            f"the runner's environment is not usable: {error}",
            where="GITHUB_* variables",
            hint="run this inside GitHub Actions, or on your machine with `mlgitops rehearse`",
        ) from error


def parse_event(data: bytes, run: Run) -> Event:
    """Read the payload of a ``pull_request`` or ``merge_group`` event.

    Raises :class:`MlgitopsError` when it is neither, or has not the form that GitHub describes.
    """
    payload = parse_event_payload(data, PullEvent)
    if payload.pull_request is not None:
        pull = payload.pull_request
        source = pull.head.repo.full_name if pull.head.repo else None
        return Event(
            run=run,
            number=pull.number,
            base_sha=pull.base.sha,
            base_branch=pull.base.ref,
            default_branch=payload.repository.default_branch,
            head_sha=pull.head.sha,
            head_repository=source,
            head_branch=pull.head.ref,
        )
    if payload.merge_group is not None:
        group = payload.merge_group
        return Event(
            run=run,
            number=None,
            base_sha=group.base_sha,
            base_branch=group.base_ref.removeprefix(_BRANCHES),
            default_branch=payload.repository.default_branch,
            head_sha=group.head_sha,
            head_repository=None,
        )
    raise MlgitopsError(
        "the event names neither a pull request nor a merge group",
        hint="start the workflow on `pull_request` or `merge_group`",
    )


def find_heads(event: Event, published: str | None) -> tuple[str, ...]:
    """Return the commits that carry the verdict on ``event``, the branch's newest first.

    ``published`` is the commit that holds this run's own results, when one was made.
    """
    if not published or published == event.head_sha:
        return (event.head_sha,)
    if not _SHA.fullmatch(published):
        raise MlgitopsError(f"not a commit: {published[:80]!a}", where="--results-commit")
    return (published, event.head_sha)


def read_payload(path: Path) -> bytes:
    """Read the event at ``path`` (the runner's GITHUB_EVENT_PATH), within GitHub's limit."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_EVENT_BYTES + 1)
    except OSError as error:
        raise MlgitopsError(f"cannot read the event: {error.strerror}", where=str(path)) from error
    if len(data) > MAX_EVENT_BYTES:
        raise MlgitopsError(f"the event is over {MAX_EVENT_BYTES} bytes", where=str(path))
    return data


def read_event(path: Path, environ: Mapping[str, str]) -> Event:
    """Read the event at ``path`` and the run around it."""
    return parse_event(read_payload(path), parse_run(environ))


def _whole(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None  # noqa: PLR2004
