"""The statement of a verdict that the run of a merged pull request left: which run, and its bytes.

Network in, a parsed statement out. Nothing here believes it: a run also runs the pull request's
code, so it only counts when it was left after the job that reports began. Whoever asks names
commits whose workflow is base's, and holds against git what is said.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from mlgitops.github.artifacts import download_members, fetch_newest_artifact
from mlgitops.github.payloads import JobPage, Run, RunPage, parse_answer
from mlgitops.model.statement import MAX_STATEMENT_BYTES, Statement, parse_statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlgitops.github.client import GitHubClient
    from mlgitops.github.payloads import Artifact

#: As `report --statement` names its two files; the second is the first one's predicate alone.
_FILE, _PREDICATE = "statement.json", "statement.predicate.json"
_DONE = "completed"
_ENDED = ("success", "failure")
_SKIPPED = "skipped"
_SHORT = 12


class JudgedCommit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that a workflow may have judged, and the event that started it there."""

    event: str  # "pull_request" or "merge_group"
    sha: str


class StatementPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where runs leave the statement of their verdict."""

    workflow: str  # path of its file
    artifact: str
    job: str  # that judges and leaves it, by the name that GitHub shows


class KeptStatement(msgspec.Struct, frozen=True, kw_only=True):
    """The statement that a run left, of the right form; what it says is not checked."""

    statement: Statement
    data: bytes
    where: str  # for messages


def fetch_statement(
    client: GitHubClient, repository: str, place: StatementPlace, commits: Sequence[JudgedCommit]
) -> KeptStatement | str:
    """Fetch the statement of the newest run of the first of ``commits`` that was judged.

    ``repository`` is OWNER/NAME. Returns the reason where there is none: no run, one that did not
    end, an artifact that is missing, has expired, or was there before the judging began. Raises
    :class:`~mlgitops.errors.MlgitopsError` when GitHub does not say, or for an artifact that is
    anything but the two files that `report` writes.
    """
    run = next(filter(None, (_find_run(client, repository, place, at) for at in commits)), None)
    if run is None:
        file = PurePosixPath(place.workflow).name
        named = ", ".join(dict.fromkeys(commit.sha[:_SHORT] for commit in commits))
        return f"no run of {file} in this repository judged {named}"
    artifact = _find_artifact(client, repository, place, run)
    if isinstance(artifact, str):
        return artifact
    where = f"artifact {place.artifact} of run {run.id}"
    limit = MAX_STATEMENT_BYTES
    data = download_members(client, repository, artifact, (_FILE, _PREDICATE), limit=limit)[_FILE]
    return KeptStatement(statement=parse_statement(data, where), data=data, where=where)


def _find_artifact(
    client: GitHubClient, repository: str, place: StatementPlace, run: Run
) -> Artifact | str:
    """Find what the run left, or the reason why it counts for nothing."""
    name = f"run {run.id} of {PurePosixPath(place.workflow).name}"
    if run.status != _DONE or run.conclusion not in _ENDED:
        return f"{name} ended with {run.conclusion or 'nothing yet'}"
    artifact = fetch_newest_artifact(client, repository, run.id, place.artifact)
    if artifact is None:
        return f"{name} left no artifact {place.artifact}"
    if artifact.expired:
        return f"the artifact {place.artifact} of {name} has expired"
    began = _find_beginning(client, repository, run, place.job)
    if began is None:
        return f"{name} has no job {place.job} that ran"
    if artifact.created_at is None or artifact.created_at <= began:  # both to the second
        return (
            f"the artifact {place.artifact} of {name} is no newer than the job {place.job},"
            " so the pull request's own code may have left it"
        )
    return artifact


def _find_run(
    client: GitHubClient, repository: str, place: StatementPlace, commit: JudgedCommit
) -> Run | None:
    """Find the newest run that judged ``commit``, whatever else the server lists.

    A run of a fork is none: its own files say what is judged there, and how. Nor is one of which
    every job was left out: an edit of the title starts such a run.
    """
    path = f"/repos/{repository}/actions/workflows/{PurePosixPath(place.workflow).name}/runs"
    query = {"event": commit.event, "head_sha": commit.sha}
    runs = [
        run
        for page in client.fetch_pages(path, query)
        for run in parse_answer(page, RunPage, "the runs are").workflow_runs
        if (run.event, run.head_sha) == (commit.event, commit.sha)
        and run.head_repository is not None
        and run.head_repository.full_name.lower() == repository.lower()
        and run.conclusion != _SKIPPED
    ]
    return max(runs, key=lambda run: run.run_number, default=None)


def _find_beginning(client: GitHubClient, repository: str, run: Run, name: str) -> datetime | None:
    """Find when the job ``name`` of the run's newest attempt began; None where it did not run.

    Until then jobs may run that hold the pull request's code, and after it none does.
    """
    pages = client.fetch_pages(f"/repos/{repository}/actions/runs/{run.id}/jobs")
    jobs = [job for page in pages for job in parse_answer(page, JobPage, "the jobs are").jobs]
    began = [
        job.started_at
        for job in jobs
        if job.name == name and job.conclusion in _ENDED and job.started_at is not None
    ]
    return max(began, default=None)
