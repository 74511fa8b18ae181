"""What the stand-in remembers, kept from one rehearsal to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

#: One fixed moment for every date: a rehearsal's bytes do not depend on the clock.
MOMENT = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:00:01Z"  # a job leaves an artifact once it has begun


class Comment(msgspec.Struct):
    """One comment, as it is stored."""

    id: int
    issue: int
    login: str
    body: str
    created_at: str = MOMENT
    updated_at: str = MOMENT


class Pull(msgspec.Struct, kw_only=True):
    """One pull request; ``base`` and ``head`` are (branch, sha)."""

    number: int
    base: tuple[str, str]
    head: tuple[str, str]
    title: str
    body: str = ""
    state: str = "open"
    fork: str | None = None  # OWNER/NAME of the head's repository when it is another
    author: str | None = None  # a login; None: the repository's owner
    labels: list[str] = []
    turns: list[str] = []  # moments at which it got another base branch
    merged_as: str | None = None  # sha of the commit on the base branch
    merged_by: str | None = None  # a login
    reviews: list[tuple[str, str, str]] = []  # (login, state, sha), oldest first
    commits: list[tuple[str, str]] = []  # (sha, message), oldest first, where a test needs them


class Issue(msgspec.Struct, kw_only=True):
    """One issue."""

    number: int
    login: str
    title: str
    body: str = ""
    state: str = "open"
    state_reason: str | None = None
    closed_at: str = MOMENT


class Artifact(msgspec.Struct, kw_only=True):
    """What a run left behind; ``digest`` and ``size`` are what the API says of it."""

    id: int
    run_id: int
    name: str
    data: bytes
    digest: str | None = None
    size: int | None = None
    created_at: str = LATER
    expired: bool = False


class Job(msgspec.Struct, kw_only=True):
    """One job of a run's newest attempt."""

    id: int
    name: str
    status: str = "completed"
    conclusion: str | None = "success"
    started_at: str = MOMENT


class WorkflowRun(msgspec.Struct, kw_only=True):
    """One run of a workflow; ``head`` is (branch, sha)."""

    id: int
    number: int  # grows within one workflow
    path: str = ".github/workflows/pull-request.yml"
    event: str = "pull_request"
    head: tuple[str, str]
    fork: str | None = None  # OWNER/NAME of the head's repository when it is another
    status: str = "completed"
    conclusion: str | None = "success"
    attempt: int = 1
    pulls: list[int] = []
    jobs: list[Job] = []


class State(msgspec.Struct, kw_only=True):
    """Everything the stand-in remembers; it can be saved and read again."""

    repository: str
    pulls: dict[int, Pull] = {}
    issues: dict[int, Issue] = {}
    comments: list[Comment] = []
    checks: list[dict[str, Any]] = []
    statuses: list[dict[str, Any]] = []
    artifacts: list[Artifact] = []
    permissions: dict[str, str] = {}  # login → role; anybody else may read
    workflow_runs: list[WorkflowRun] = []
    reruns: list[int] = []  # jobs that were started again, in order
    next_id: int = 1001
    runs: int = 0  # workflow runs so far: the run number

    def save(self, path: Path) -> None:
        """Write the state to ``path``, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self))
        part.replace(path)

    def take_number(self) -> int:
        """Return a number that nothing else has."""
        self.next_id += 1
        return self.next_id

    def take_issue_number(self) -> int:
        """Return the next number; issues and pull requests share theirs."""
        return max([0, *self.pulls, *self.issues]) + 1


def load_state(path: Path, repository: str) -> State:
    """Read a saved state; a new one when there is none, or it is of another repository."""
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return State(repository=repository)
    return state if state.repository == repository else State(repository=repository)
