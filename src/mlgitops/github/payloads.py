"""What GitHub sends, in events and in answers, as far as we read it: one form for each thing.

Pure. GitHub adds fields at will, so unknown ones are ignored; each number, name and sha that is
read is checked. Other servers send less, so what only some readers need is optional, or stands in
a form of its own.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from mlgitops.errors import MlgitopsError
from mlgitops.github.client import GitHubError
from mlgitops.model import WAIVER_LABEL, Sha

Id = Annotated[int, Meta(gt=0, lt=2**53)]
Branch = Annotated[str, Meta(max_length=300)]

_Moment = Annotated[datetime, Meta(tz=True)]
_Size = Annotated[int, Meta(ge=0)]
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_Form = TypeVar("_Form")


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an event or of an answer."""


class Owner(Payload, frozen=True, kw_only=True):
    """Whom a repository belongs to."""

    login: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*(\[bot\])?$(?!\n)")]


class RepositoryName(Payload, frozen=True, kw_only=True):
    """A repository by its name."""

    full_name: str


class Repository(RepositoryName, frozen=True, kw_only=True):
    """A repository by the number that stays when its name is given to another."""

    id: Id
    owner: Owner
    default_branch: Branch = ""


class EventSide(Payload, frozen=True, kw_only=True):
    """Base or head of a pull request, as an event names it."""

    sha: Sha
    ref: Branch = ""
    repo: RepositoryName | None = None  # null when the fork was deleted


class EventPull(Payload, frozen=True, kw_only=True):
    """The pull request of an event."""

    number: Id
    base: EventSide
    head: EventSide


class Side(EventSide, frozen=True, kw_only=True):
    """Base or head of a pull request, as the API describes it."""

    ref: Branch


class Pull(EventPull, frozen=True, kw_only=True):
    """A pull request, as the API describes it."""

    state: str  # "open" or "closed"
    base: Side
    head: Side


class NumberedSide(Side, frozen=True, kw_only=True):
    """Base or head whose repository is known by its number."""

    repo: Repository | None


class NumberedPull(Pull, frozen=True, kw_only=True):
    """A pull request whose repositories are known by their numbers."""

    base: NumberedSide
    head: NumberedSide


class TitledPull(NumberedPull, frozen=True, kw_only=True):
    """A pull request with what it says of itself."""

    title: str
    body: str | None = None
    merged_at: str | None = None
    created_at: _Moment | None = None


class MergedPull(Payload, frozen=True, kw_only=True):
    """A pull request, and what became of it."""

    user: Owner | None = None
    merged_by: Owner | None = None
    merged: bool = False
    merge_commit_sha: Sha | None = None
    head: Side


class Review(Payload, frozen=True, kw_only=True):
    """One review of a pull request."""

    user: Owner | None  # null when the account is gone
    state: str  # "APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"
    commit_id: Sha | None = None  # that was looked at
    submitted_at: _Moment | None = None


class PullNumber(Payload, frozen=True, kw_only=True):
    """A pull request by its number."""

    number: int


class MergeGroup(Payload, frozen=True, kw_only=True):
    """What a merge queue is about to merge."""

    base_sha: Sha
    head_sha: Sha
    base_ref: Branch = ""  # refs/heads/...


class EventRepository(Payload, frozen=True, kw_only=True):
    """The repository in which an event happened."""

    default_branch: Branch = ""


class PullEvent(Payload, frozen=True, kw_only=True):
    """The payload of a `pull_request` or a `merge_group` event."""

    repository: EventRepository = EventRepository()
    pull_request: EventPull | None = None
    merge_group: MergeGroup | None = None


class LabelEvent(Payload, frozen=True, kw_only=True):
    """The payload of a `pull_request` event, by what was done."""

    action: str = ""
    pull_request: PullNumber | None = None


class EventRun(Payload, frozen=True, kw_only=True):
    """The run of a workflow, as the event of its end describes it."""

    id: Id
    event: str
    path: str
    run_number: Id
    run_attempt: Id
    conclusion: str | None
    head_sha: Sha
    head_branch: Annotated[str, Meta(min_length=1, max_length=300)]
    head_repository: Repository | None  # null when the fork was deleted
    repository: Repository


class RunEvent(Payload, frozen=True, kw_only=True):
    """The payload of a `workflow_run` event."""

    workflow_run: EventRun
    repository: Repository


class RunNumber(Payload, frozen=True, kw_only=True):
    """A run of a workflow by its number."""

    id: int


class Run(RunNumber, frozen=True, kw_only=True):
    """A run of a workflow, as the API describes it."""

    run_number: int
    run_attempt: int = 1
    event: str | None = None
    status: str | None
    conclusion: str | None
    head_sha: str
    html_url: str
    head_repository: RepositoryName | None = None
    pull_requests: tuple[PullNumber, ...] | None = None


class RunPage(Payload, frozen=True, kw_only=True):
    """A page of a list of runs."""

    workflow_runs: tuple[Run, ...]


class Job(Payload, frozen=True, kw_only=True):
    """A job of a run."""

    id: int
    name: str
    status: str
    conclusion: str | None
    started_at: _Moment | None = None


class JobPage(Payload, frozen=True, kw_only=True):
    """A page of a list of jobs."""

    jobs: tuple[Job, ...]


class Artifact(Payload, frozen=True, kw_only=True):
    """What a run left."""

    id: Id
    name: str
    size_in_bytes: _Size
    expired: bool
    created_at: _Moment | None = None
    workflow_run: RunNumber | None = None
    digest: str | None = None


class ArtifactPage(Payload, frozen=True, kw_only=True):
    """A page of a list of artifacts."""

    artifacts: tuple[Artifact, ...]


class CommitName(Payload, frozen=True, kw_only=True):
    """A commit by its name."""

    sha: Sha


class CommitMessage(Payload, frozen=True, kw_only=True):
    """What git holds of a commit."""

    message: str


class Commit(CommitName, frozen=True, kw_only=True):
    """A commit with its message."""

    commit: CommitMessage


class Account(Payload, frozen=True, kw_only=True):
    """An account by its name."""

    login: str


class User(Account, frozen=True, kw_only=True):
    """An account: a person's, or a program's."""

    id: Id
    type: str = "User"

    @property
    def is_person(self) -> bool:
        """Tell whether this is a person's account, with a name that fits into an address."""
        return self.type == "User" and _LOGIN.fullmatch(self.login) is not None


class Issue(Payload, frozen=True, kw_only=True):
    """An issue; the list of them holds the pull requests as well."""

    number: Id
    state: str  # "open" or "closed", as a pull request's
    state_reason: str | None = None  # of a closed one: completed, not_planned, duplicate
    closed_at: _Moment | None = None
    title: str
    body: str | None = None
    user: Account | None = None  # null: the account is gone
    pull_request: Any = None


class Comment(Payload, frozen=True, kw_only=True):
    """A comment on a pull request, as every server lists it."""

    id: Id
    html_url: str = ""
    user: Account | None = None  # null: the account is gone
    body: str | None = ""


class IssueComment(Comment, frozen=True, kw_only=True):
    """A comment on a pull request with what tells who wrote it, and when."""

    html_url: str
    created_at: _Moment
    updated_at: _Moment
    user: User | None = None
    performed_via_github_app: Any = None  # an app wrote it in the person's name


class IssueEvent(Payload, frozen=True, kw_only=True):
    """Something that was done to a pull request."""

    event: str
    created_at: _Moment


class Label(Payload, frozen=True, kw_only=True):
    """A label of a pull request."""

    name: str


class PullFacts(Payload, frozen=True, kw_only=True):
    """Whose pull request it is, and which labels it has."""

    user: User | None = None
    labels: tuple[Label, ...] = ()

    @property
    def is_labelled(self) -> bool:
        """Tell whether the label is set; GitHub does not tell labels apart by case."""
        return any(label.name.lower() == WAIVER_LABEL for label in self.labels)


class Permission(Payload, frozen=True, kw_only=True):
    """What an account may do in a repository."""

    permission: str
    user: User | None = None


class CheckOutput(Payload, frozen=True, kw_only=True):
    """What a check says."""

    title: str | None = None
    summary: str | None = None


class CheckRun(Payload, frozen=True, kw_only=True):
    """A check of a commit."""

    id: Id
    external_id: str | None = None
    html_url: str | None = None
    conclusion: str | None = None
    output: CheckOutput | None = None


class CheckPage(Payload, frozen=True, kw_only=True):
    """A page of a list of checks."""

    check_runs: tuple[CheckRun, ...]


class Status(Payload, frozen=True, kw_only=True):
    """A status of a commit."""

    context: str | None = None
    target_url: str | None = None


def parse_event_payload(data: bytes, form: type[_Form]) -> _Form:
    """Parse the payload of an event. Raises :class:`MlgitopsError` when it is not of the form."""
    try:
        return msgspec.json.decode(data, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MlgitopsError(f"the event is not what GitHub sends: {error}") from error


def parse_answer(answer: object, form: type[_Form], subject: str = "the answer is") -> _Form:
    """Parse a decoded answer; ``subject`` begins the sentence of what is wrong with it.

    Raises :class:`GitHubError` when it is not of the form.
    """
    try:
        return msgspec.convert(answer, form)
    except msgspec.ValidationError as error:
        raise GitHubError(f"{subject} not what GitHub sends: {error}") from error
