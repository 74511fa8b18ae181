"""How the jobs before the last one ended: their results to a reason against a pass, or none.

Pure. A report is uploaded before its job has ended, so a report that would merge says nothing
of what went wrong after it; only the result of each job does.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mlgitops.github.event import Event

SUCCESS, FAILURE, CANCELLED, SKIPPED = "success", "failure", "cancelled", "skipped"
#: https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#needs-context
RESULTS = (SUCCESS, FAILURE, CANCELLED, SKIPPED)
_MEASURING = "the job that measures with base's code"
_UNMEASURED = {
    "": "no job of this workflow measures with base's code",
    SKIPPED: f"{_MEASURING} was skipped, as it is when the job that trains and compares fails",
    FAILURE: f"{_MEASURING} failed, and its log says why",
    CANCELLED: f"{_MEASURING} was cancelled",
}
_LOCK = "the branch's dvc.lock is not known to be what this run trained"


class EventKind(StrEnum):
    """Who waits for the verdict, which says whether anything can be published."""

    PULL_REQUEST = "pull request"
    FORK = "fork"  # its token may not push
    MERGE_GROUP = "merge group"  # GitHub's own branch: nobody commits to it


class JobResults(msgspec.Struct, frozen=True, kw_only=True):
    """The results as the workflow hands them over, in GitHub's words.

    An empty word stands for one that was not handed over.
    """

    compute: str  # of the job that trains and compares
    evaluate: str  # of the job in which base's code measures head's model
    publish: str  # of the job that stores and commits what was trained
    publishes: bool  # whether the workflow has such a job, and an identity for it


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between numbers that would merge and a pass."""

    title: str  # a few words, for the check
    text: str  # a sentence or two: what happened, where, what to do


def name_kind(event: Event) -> EventKind:
    """Name what started the run that is judged."""
    if event.number is None:
        return EventKind.MERGE_GROUP
    return EventKind.FORK if event.from_fork else EventKind.PULL_REQUEST


def find_obstacle(kind: EventKind, results: JobResults) -> Obstacle | None:
    """Say what the jobs' results have against a pass; None when each ended as it should.

    >>> words = dict(compute="success", evaluate="success", publish="skipped")
    >>> done = JobResults(**words, publishes=True)
    >>> find_obstacle(EventKind.FORK, done) is None
    True
    >>> find_obstacle(EventKind.PULL_REQUEST, done).title
    'Its results were not published'
    """
    due = results.publishes and kind is EventKind.PULL_REQUEST
    return (
        _judge_compute(results.compute)
        or _judge_evaluate(results.evaluate)
        or _judge_publish(results.publish, due=due)
    )


def explain_unmeasured(evaluate: str) -> str | None:
    """Say why head's numbers are its own run's word; None after success of ``evaluate``.

    ``evaluate`` is the result of the job in which base's code measures head's model. Only its
    success tells a report of that job from one that the pull request's code may have written.

    >>> explain_unmeasured("")
    "no job of this workflow measures with base's code"
    """
    if evaluate == SUCCESS:
        return None
    return _UNMEASURED.get(evaluate, f"how {_MEASURING} ended is not known")


def _judge_compute(result: str) -> Obstacle | None:
    """Require success: the job is green for a model that fails, so nothing else is a pass."""
    if result == SUCCESS:
        return None
    if result not in RESULTS:
        return _refuse_word(result, job="trains and compares", option="compute-result")
    return Obstacle(
        title="The job that compared did not succeed",
        text=f"The job that trains and compares ended with `{result}` after its report was "
        "handed over, and its log says why.",
    )


def _judge_evaluate(result: str) -> Obstacle | None:
    """Allow success, and no such job: then all is a claim, which the policy judges."""
    if result in (SUCCESS, SKIPPED, ""):
        return None
    if result not in RESULTS:
        return _refuse_word(result, job="measures with base's code", option="evaluate-result")
    return Obstacle(
        title="Base's code did not measure it",
        text=f"The job that measures with base's code ended with `{result}`, and its log says why.",
    )


def _judge_publish(result: str, *, due: bool) -> Obstacle | None:
    if result == SUCCESS or (not due and result in (SKIPPED, "")):
        return None
    if result not in RESULTS:
        return _refuse_word(result, job="publishes", option="publish-result")
    return Obstacle(
        title="Its results were not published",
        text=f"The job that publishes ended with `{result}`, and its log says why; {_LOCK}.",
    )


def _refuse_word(word: str, *, job: str, option: str) -> Obstacle:
    given = f"gave `{word[:20]!a}` as" if word else "does not say"
    return Obstacle(
        title="How its jobs ended is not known",
        text=f"The workflow {given} how the job that {job} ended: give the action `report` "
        f"`{option}: ${{{{ needs.JOB.result }}}}`.",
    )
