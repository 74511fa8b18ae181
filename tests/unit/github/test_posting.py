"""Comment and check together: what is posted when, and what one's failure does to the other."""

from __future__ import annotations

from functools import partial

import pytest
from msgspec.structs import replace
from posting import BASE, HEAD, NEWER, REPOSITORY, Clock, connect, make_body, make_forge

from mlgitops.github.checks import Check, RunIdentity, parse_order
from mlgitops.github.comment import Outcome
from mlgitops.github.event import Event, Run
from mlgitops.github.posting import post
from mlgitops.rehearsal.forge import Fault

RUN = Run(
    repository=REPOSITORY,
    server_url="https://github.example",
    api_url="https://api.github.example",
    graphql_url=None,
    run_id=7,
    run_number=1,
    run_attempt=1,
)
CHECK = Check(
    name="mlgitops / model",
    head_sha=HEAD,
    run=RunIdentity(key="model", order=(1, 1), poster=(7, 1)),
    conclusion="success",
    title="May merge",
    summary="yes",
    details_url="https://github.example/run",
)


def make_event(*, number: int | None = 1) -> Event:
    """Make an event of the forge's pull request, or of a merge group."""
    return Event(run=RUN, number=number, base_sha=BASE, head_sha=HEAD, head_repository=REPOSITORY)


def test_the_check_is_posted_while_the_comment_is_waited_for() -> None:
    """After the comment is written and before it is looked at again; the wait is no shorter."""
    forge, clock = make_forge(), Clock()
    with connect(forge, clock) as client:
        done = post(client, make_event(), make_body(), CHECK, [HEAD])
    assert done.comment is not None
    assert done.comment.outcome is Outcome.CREATED
    assert len(done.checks) == 1
    assert done.problems == ()
    writes = [path.rpartition("/")[2] for method, path in forge.requests if method == "POST"]
    assert writes == ["comments", "check-runs"]
    last = [path.rpartition("/")[2] for _, path in forge.requests][-3:]
    assert last == ["check-runs", "1", "comments"]  # then the pull request and its comments
    assert clock.slept == [0.25]  # this clock stands still while something is done


def make_order(number: int) -> Check:
    """Make the check of run ``number``."""
    identity = RunIdentity(key="model", order=(number, 1), poster=(70 + number, 1))
    return replace(CHECK, run=identity, title=f"Verdict {number}")


def test_a_newer_run_that_posts_at_the_same_moment_is_given_way_to() -> None:
    """Looked for before and after: the check that came last says what the newer run's says."""
    forge = make_forge()
    newer = replace(make_order(2), conclusion="failure")

    def overtake(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/check-runs") and not forge.state.checks:
            body = {
                "name": newer.name,
                "head_sha": HEAD,
                "conclusion": newer.conclusion,
                "external_id": str(newer.run),
                "output": {"title": newer.title, "summary": newer.summary},
            }
            forge.state.checks.append({"id": 1, **body})

    forge.fault = overtake
    with connect(forge) as client:
        event = make_event(number=None)
        done = post(client, event, make_body(), make_order(1), [HEAD])
    assert done.superseded
    assert done.checks == ()
    shown = [(one["conclusion"], one["output"]["title"]) for one in forge.state.checks]
    assert shown == [("failure", "Verdict 2"), ("failure", "Verdict 2")]


@pytest.mark.parametrize("stands", ["comment", "check"])
def test_an_older_run_posts_no_check_above_a_newer_one(stands: str) -> None:
    """One order for both: either of the newer run's two is enough."""
    forge = make_forge()
    newer, older = replace(make_order(2), conclusion="failure"), make_order(1)
    with connect(forge) as client:
        event = make_event(number=1 if stands == "comment" else None)
        post(client, event, make_body(2), newer, [HEAD] if stands == "check" else [])
        done = post(client, event, make_body(1), older, [HEAD])
        assert done.superseded
        again = post(client, event, make_body(2), newer, [HEAD])
        assert not again.superseded
    posted = 2 if stands == "check" else 1  # by the newer run alone
    assert [one["conclusion"] for one in forge.state.checks] == ["failure"] * posted


def test_on_a_server_without_checks_the_page_of_the_run_gives_the_order() -> None:
    """A status links the run that posted it; ids grow with the runs, attempts with each start."""
    forge = make_forge(checks=False)
    page = "https://github.example/octo/model/actions/runs"
    older = replace(make_order(1), details_url=f"{page}/71/attempts/1")
    newer = replace(make_order(2), details_url=f"{page}/72/attempts/1", conclusion="failure")
    with connect(forge) as client:
        event = make_event(number=None)
        assert not post(client, event, make_body(2), newer, [HEAD]).superseded
        assert post(client, event, make_body(1), older, [HEAD]).superseded
        assert not post(client, event, make_body(2), newer, [HEAD]).superseded
    assert [one["state"] for one in forge.state.statuses] == ["failure", "failure"]


@pytest.mark.parametrize(
    ("identity", "order"),
    [
        ("model:7.1:99.2", (7, 1)),
        ("a/b.c:12.3:9.1", (12, 3)),
        ("model:7:1", None),
        ("model:7.1", None),
        (":7.1:99.2", None),
        ("model:7.1:99.2\n", None),
        ("model:-7.1:99.2", None),
        ("model:7.1:99.2:5", None),
        (None, None),
        (7, None),
    ],
)
def test_the_order_is_read_from_what_we_wrote_alone(
    identity: object, order: tuple[int, int] | None
) -> None:
    """Whatever another program gave its check says nothing of runs."""
    assert parse_order(identity) == order


def test_time_spent_on_the_check_is_part_of_the_wait() -> None:
    """A slow check makes the wait no longer, and never negative."""
    for spent, left in ((0.1, 0.15), (5.0, 0.0)):
        clock = Clock()
        with connect(make_forge(), clock) as client:
            clock.slept.clear()
            client.pause(0.2, 0.3, partial(clock.sleep, spent))
        assert clock.slept == pytest.approx([spent, left])


@pytest.mark.parametrize("kind", ["stale", "refused", "unchanged", "merge group"])
def test_the_check_does_not_depend_on_the_comment(kind: str) -> None:
    """It is posted once on each commit, whatever became of the comment."""
    forge = make_forge()
    if kind == "stale":
        forge.state.pulls[1].head = ("more-trees", NEWER)
    if kind == "refused":
        forge.fault = lambda _method, path: Fault(status=403) if "comments" in path else None
    with connect(forge) as client:
        if kind == "unchanged":
            post(client, make_event(), make_body(), CHECK, [])
        event = make_event(number=None if kind == "merge group" else 1)
        done = post(client, event, make_body(), CHECK, [NEWER, HEAD])
    assert [one["head_sha"] for one in forge.state.checks] == [NEWER, HEAD]
    assert len(done.checks) == 2
    assert len(done.problems) == (1 if kind == "refused" else 0)


def test_the_comment_does_not_depend_on_the_check() -> None:
    """A refused check is a problem of its own; the comment stands and was looked at again."""
    forge = make_forge(
        fault=lambda _method, path: Fault(status=403) if "check-runs" in path else None
    )
    with connect(forge) as client:
        done = post(client, make_event(), make_body(), CHECK, [NEWER, HEAD])
    assert done.comment is not None
    assert done.comment.outcome is Outcome.CREATED
    assert done.checks == ()
    assert [one.startswith("the check was not posted") for one in done.problems] == [True, True]
