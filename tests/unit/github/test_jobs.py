"""The results of the jobs before the last one: which of them leave a pass a pass."""

from __future__ import annotations

import itertools

import pytest
from posting import BASE, HEAD
from unit.github.test_decision import EVENT

from mlgitops.github.event import Event
from mlgitops.github.jobs import (
    EventKind,
    JobResults,
    explain_unmeasured,
    find_obstacle,
    name_kind,
)

WORDS = ("success", "failure", "cancelled", "skipped", "", "Success")
MEASURING = "the job that measures with base's code"
TITLES = {
    ".": None,
    "C": "The job that compared did not succeed",
    "P": "Its results were not published",
    "?": "How its jobs ended is not known",
}
#: Rows: how the job that compares ended, in the order of WORDS; columns: the one that publishes.
DUE = """\
. P P P ? ?
C C C C C C
C C C C C C
C C C C C C
? ? ? ? ? ?
? ? ? ? ? ?"""
NOT_DUE = """\
. P P . . ?
C C C C C C
C C C C C C
C C C C C C
? ? ? ? ? ?
? ? ? ? ? ?"""
TABLES = {
    (EventKind.PULL_REQUEST, True): DUE,
    (EventKind.PULL_REQUEST, False): NOT_DUE,
    (EventKind.FORK, True): NOT_DUE,
    (EventKind.FORK, False): NOT_DUE,
    (EventKind.MERGE_GROUP, True): NOT_DUE,
    (EventKind.MERGE_GROUP, False): NOT_DUE,
}
ROWS = [
    (kind, publishes, compute, publish, TITLES[cell])
    for (kind, publishes), table in TABLES.items()
    for (compute, publish), cell in zip(itertools.product(WORDS, WORDS), table.split(), strict=True)
]


@pytest.mark.parametrize(("kind", "publishes", "compute", "publish", "title"), ROWS)
def test_each_combination_of_results(
    kind: EventKind, compute: str, publish: str, title: str | None, *, publishes: bool
) -> None:
    """Success of both; or success and nothing published, where nothing could be."""
    results = JobResults(compute=compute, evaluate="success", publish=publish, publishes=publishes)
    obstacle = find_obstacle(kind, results)
    assert (obstacle and obstacle.title) == title
    if obstacle and not obstacle.title.startswith("How"):
        assert f"`{publish if title == TITLES['P'] else compute}`" in obstacle.text


@pytest.mark.parametrize(
    ("computing", "evaluating", "publishing", "option"),
    [
        ("", "success", "success", "compute-result"),
        ("success", "success", "", "publish-result"),
        ("ok", "success", "success", "compute-result"),
        ("success", "ok", "success", "evaluate-result"),
    ],
)
def test_a_word_that_is_none_says_what_to_hand_over(
    computing: str, evaluating: str, publishing: str, option: str
) -> None:
    """The option that is missing, as it stands in a workflow."""
    results = JobResults(compute=computing, evaluate=evaluating, publish=publishing, publishes=True)
    obstacle = find_obstacle(EventKind.PULL_REQUEST, results)
    assert obstacle is not None
    assert f"`{option}: ${{{{ needs.JOB.result }}}}`" in obstacle.text


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize(
    ("evaluate", "title", "reason"),
    [
        ("success", None, None),
        (
            "skipped",
            None,
            f"{MEASURING} was skipped, as it is when the job that trains and compares fails",
        ),
        ("", None, "no job of this workflow measures with base's code"),
        ("failure", "Base's code did not measure it", f"{MEASURING} failed, and its log says why"),
        ("cancelled", "Base's code did not measure it", f"{MEASURING} was cancelled"),
        ("Success", "How its jobs ended is not known", f"how {MEASURING} ended is not known"),
    ],
)
def test_only_success_of_the_job_that_measures_is_believed(
    kind: EventKind, evaluate: str, title: str | None, reason: str | None
) -> None:
    """None that ran leaves a claim for the policy to judge; one that broke, no pass at all."""
    publish = "success" if kind is EventKind.PULL_REQUEST else "skipped"
    results = JobResults(compute="success", evaluate=evaluate, publish=publish, publishes=True)
    obstacle = find_obstacle(kind, results)
    assert (obstacle and obstacle.title) == title
    assert explain_unmeasured(evaluate) == reason
    if evaluate in ("failure", "cancelled"):
        assert obstacle is not None
        assert f"ended with `{evaluate}`, and its log says why" in obstacle.text


def test_the_first_job_that_broke_is_named() -> None:
    """Those that need it are skipped, which says nothing of why."""
    skipped = JobResults(compute="success", evaluate="failure", publish="skipped", publishes=True)
    obstacle = find_obstacle(EventKind.PULL_REQUEST, skipped)
    assert obstacle is not None
    assert obstacle.title == "Base's code did not measure it"
    first = JobResults(compute="failure", evaluate="skipped", publish="skipped", publishes=True)
    obstacle = find_obstacle(EventKind.PULL_REQUEST, first)
    assert obstacle is not None
    assert obstacle.title == TITLES["C"]


@pytest.mark.parametrize(
    ("number", "source", "kind"),
    [
        (1, "octo/model", EventKind.PULL_REQUEST),
        (1, "fan/model", EventKind.FORK),
        (1, None, EventKind.FORK),
        (None, None, EventKind.MERGE_GROUP),
    ],
)
def test_the_event_says_whether_anything_can_be_published(
    number: int | None, source: str | None, kind: EventKind
) -> None:
    """A fork may not push, and a merge group has no branch of its own."""
    event = Event(
        run=EVENT.run, number=number, base_sha=BASE, head_sha=HEAD, head_repository=source
    )
    assert name_kind(event) is kind
