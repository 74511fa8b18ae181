"""Start the judging of a pull request again, after somebody set or took off the label.

The run that judged is started again from its first job that judges: it has its results, so
nothing trains twice, and its attempt number grows, so its comment replaces the older one.
Reads the API, and asks it for one thing at most.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.github.client import GitHubError, LostAnswerError
from mlgitops.github.payloads import (
    Commit,
    Job,
    JobPage,
    LabelEvent,
    Pull,
    Run,
    RunPage,
    parse_answer,
    parse_event_payload,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.github.client import GitHubClient

#: How often a run that is judging right now is looked at again, and the seconds between.
MAX_LOOKS = 30
_PAUSE = (8.0, 12.0)
_TRIES = 3
_DONE = "completed"
_SKIPPED = "skipped"
_NOT_STARTED = ("queued", "waiting", "requested", "pending")
_FORBIDDEN = 403


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to which pull request."""

    number: int
    action: str  # labeled or unlabeled


class Outcome(StrEnum):
    """What became of it."""

    STARTED = "started"  # a job was started again
    RUNNING = "running"  # the run has yet to judge: it will see the label by itself
    UNCHANGED = "unchanged"  # judging again would say the same
    NOTHING = "nothing"  # there is no run that could be started again


class Rejudged(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, in a word and a sentence."""

    outcome: Outcome
    text: str


def parse_trigger(data: bytes) -> Trigger:
    """Read a `pull_request` payload.

    Raises :class:`MlgitopsError` when it names none.
    """
    payload = parse_event_payload(data, LabelEvent)
    if payload.pull_request is None:
        raise MlgitopsError(
            "the event names no pull request",
            hint="start this on `pull_request`, types `[labeled, unlabeled]`",
        )
    return Trigger(number=payload.pull_request.number, action=payload.action)


class Rejudger:
    """Starts the newest run of one workflow for one pull request again.

    ``workflow`` is its file; ``jobs`` are its jobs that judge, by the names that GitHub shows,
    in their order.
    """

    def __init__(
        self,
        client: GitHubClient,
        repository: str,
        trigger: Trigger,
        *,
        workflow: str,
        jobs: Sequence[str],
    ) -> None:
        self._client = client
        self._repository = repository
        self._trigger = trigger
        self._path = f"/repos/{repository}/pulls/{trigger.number}"
        self._actions = f"/repos/{repository}/actions"
        self._workflow = workflow
        self._jobs = jobs

    def start(self) -> Rejudged:
        """Start the first of the jobs that ran again, and with it those that need it.

        Raises :class:`GitHubError` when the API does not let us.
        """
        pull = parse_answer(self._client.fetch(self._path), Pull)
        if pull.state != "open":
            return Rejudged(outcome=Outcome.NOTHING, text="the pull request is not open")
        if pull.head.repo is None or pull.head.repo.full_name != self._repository:
            text = "it comes from a fork: start the run of the workflow that reports on forks again"
            return Rejudged(outcome=Outcome.NOTHING, text=text)
        run, waited = self._await_judging(pull)
        if run is None:
            text = f"no run of {self._workflow} has judged the newest commit yet"
            return Rejudged(outcome=Outcome.NOTHING, text=text)
        if run.status != _DONE:
            text = f"{run.html_url} has yet to judge, and will see the label"
            return Rejudged(outcome=Outcome.RUNNING, text=text)
        # One that was judging may have published nothing before the label, and passed after it.
        if run.conclusion == "success" and self._trigger.action == "labeled" and not waited:
            text = f"{run.html_url} fails nothing, or is waived already"
            return Rejudged(outcome=Outcome.UNCHANGED, text=text)
        return self._start(run)

    def _await_judging(self, pull: Pull) -> tuple[Run | None, bool]:
        """Find the run, and whether it was waited for: it is when it is judging right now."""
        for look in range(MAX_LOOKS):
            run = self._find_run(pull)
            if run is None or run.status == _DONE:
                return run, look > 0
            if self._has_yet_to_judge(run):
                return run, look > 0
            self._client.pause(*_PAUSE)
        raise GitHubError(
            f"the run is still going: {run.html_url if run else ''}",
            hint=f"when it has ended, start its job {self._jobs[0]} again by hand",
        )

    def _has_yet_to_judge(self, run: Run) -> bool:
        """Tell whether ``run`` is going to judge, and has not begun.

        One whose jobs are all left out, for an event that changes nothing that is judged, is
        not; nor is anything known of one that shows no job yet.
        """
        jobs = [job for job in self._fetch_jobs(run) if job.conclusion != _SKIPPED]
        judging = [job for job in jobs if job.name in self._jobs]
        return bool(jobs) and all(job.status in _NOT_STARTED for job in judging)

    def _find_run(self, pull: Pull) -> Run | None:
        """Find the newest run for the pull request, if it judged what its branch holds now.

        That is the newest commit; or one below it, when our own publishing added nothing but
        results since, and recorded a waiver. An older run is left alone: started again, it would
        cancel the newer one.
        """
        run = self._find_newest(pull.head.ref)
        if run is None or run.head_sha == pull.head.sha:
            return run
        texts: list[str] = []
        for page in self._client.fetch_pages(f"{self._path}/commits"):
            for commit in parse_answer(page, list[Commit]):
                texts = [] if commit.sha == run.head_sha else [*texts, commit.commit.message]
        results = all(text.startswith("Record what was trained at ") for text in texts)
        waived = any(f"Waived-sha: {run.head_sha}" in text.splitlines() for text in texts)
        return run if results and waived else None

    def _find_newest(self, branch: str) -> Run | None:
        """Read pages, newest runs first, until one has a run of ours: a fork's come between.

        So do runs of which every job was left out: an edit of the title starts one.
        """
        path = f"{self._actions}/workflows/{PurePosixPath(self._workflow).name}/runs"
        query = {"event": "pull_request", "branch": branch}
        for page in self._client.fetch_pages(path, query):
            runs = parse_answer(page, RunPage)
            own = [run for run in runs.workflow_runs if self._is_own(run)]
            if own:
                return max(own, key=lambda run: run.run_number)
        return None

    def _is_own(self, run: Run) -> bool:
        """Tell whether ``run`` judges this pull request, and not a fork's branch."""
        if run.conclusion == _SKIPPED:
            return False
        if run.head_repository is None or run.head_repository.full_name != self._repository:
            return False
        linked = {pull.number for pull in run.pull_requests or ()}
        return not linked or self._trigger.number in linked

    def _start(self, run: Run) -> Rejudged:
        jobs = {job.name: job for job in self._fetch_jobs(run) if job.conclusion != _SKIPPED}
        job = next((jobs[name] for name in self._jobs if name in jobs), None)
        if job is None:
            text = f"{run.html_url} has no job named {' or '.join(self._jobs)} that ran"
            return Rejudged(outcome=Outcome.NOTHING, text=text)
        started = Rejudged(
            outcome=Outcome.STARTED, text=f"{job.name} of {run.html_url} was started again"
        )
        for _ in range(_TRIES):
            try:
                self._client.post(f"{self._actions}/jobs/{job.id}/rerun", {})
            except LostAnswerError as error:
                lost = error
                self._client.pause(1, 2)
                if self._is_going(run):
                    return started
            except GitHubError as error:
                if error.status != _FORBIDDEN or not self._is_going(run):
                    raise
                text = f"{run.html_url} was started again meanwhile"
                return Rejudged(outcome=Outcome.RUNNING, text=text)
            else:
                return started
        raise lost

    def _is_going(self, run: Run) -> bool:
        """Tell whether ``run`` has been started again since we looked at it."""
        now = parse_answer(self._client.fetch(f"{self._actions}/runs/{run.id}"), Run)
        return now.status != _DONE or now.run_attempt > run.run_attempt

    def _fetch_jobs(self, run: Run) -> list[Job]:
        listed: list[Job] = []
        for page in self._client.fetch_pages(f"{self._actions}/runs/{run.id}/jobs"):
            listed += parse_answer(page, JobPage).jobs
        return listed
