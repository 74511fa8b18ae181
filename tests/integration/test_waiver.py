"""Waivers and starting the judging again, over HTTP, against the stand-in API."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from posting import BASE, HEAD, NEWER, REPOSITORY, Clock, connect, make_forge

from mlgitops.errors import MlgitopsError
from mlgitops.github.client import GitHubError
from mlgitops.github.rejudge import MAX_LOOKS, Outcome, Rejudger, Trigger, parse_trigger
from mlgitops.github.waiver import fetch_waiving
from mlgitops.model import WAIVER_LABEL, Waiving
from mlgitops.rehearsal.forge import Comment, Fault, Forge, Job, WorkflowRun

if TYPE_CHECKING:
    from collections.abc import Callable

LINE = f"{WAIVER_LABEL} {HEAD} needed"
WORKFLOW = ".github/workflows/pull-request.yml"


def make_waived(comments: int = 0) -> Forge:
    """Make a forge whose pull request is waived, after ``comments`` of other people."""
    forge = make_forge(comments=comments)
    forge.state.pulls[1].labels = ["bug", WAIVER_LABEL]
    forge.state.permissions["writer"] = "write"
    forge.state.comments.append(Comment(50_000, 1, "writer", LINE))
    return forge


def ask(forge: Forge, *, verdict: str = "fail") -> Waiving:
    """Ask for the waiver of HEAD."""
    with connect(forge) as client:
        return fetch_waiving(client, REPOSITORY, 1, HEAD, verdict=verdict)


@pytest.mark.slow
def test_it_is_found_behind_ten_thousand_comments() -> None:
    """Every page is read; only authors of what could count are asked for."""
    forge = make_waived(comments=10_000)
    found = ask(forge).waiver
    assert found is not None
    assert (found.login, found.reason) == ("writer", "needed")
    pages = [path for _, path in forge.requests if path.endswith("/comments")]
    assert len(pages) == 101
    assert len([path for _, path in forge.requests if path.endswith("/permission")]) == 1


@pytest.mark.parametrize("role", ["admin", "maintain", "write"])
def test_these_roles_may_waive(role: str) -> None:
    """GitHub reports "maintain" as "write"."""
    forge = make_waived()
    forge.state.permissions["writer"] = role
    assert ask(forge).waiver is not None


@pytest.mark.parametrize("role", ["triage", "read", "none", "custom"])
def test_these_roles_may_not(role: str) -> None:
    """GitHub reports "triage" as "read"; a role that we do not know is none."""
    forge = make_waived()
    forge.state.permissions["writer"] = role
    assert "`writer` may not write" in str(ask(forge).why_not)


def test_an_edited_comment_does_not_count() -> None:
    """Whoever may write could have put the words into the author's mouth."""
    forge = make_waived()
    forge.state.comments[-1].updated_at = "2026-01-01T00:00:01Z"
    assert "edited" in str(ask(forge).why_not)


@pytest.mark.parametrize(
    ("turns", "counts"),
    [
        ([], True),
        (["2025-12-31T23:59:59Z"], True),
        (["2026-01-01T00:00:00Z"], False),  # in the very second: not known to be after it
        (["2025-12-31T23:59:59Z", "2026-01-02T00:00:00Z"], False),
        (["2026-01-02T00:00:00Z", *["2025-12-30T00:00:00Z"] * 150], False),
    ],
)
def test_a_waiver_is_for_the_base_of_then(turns: list[str], *, counts: bool) -> None:
    """A pull request that got another base since is judged anew, and waived anew."""
    forge = make_waived()
    forge.state.pulls[1].turns = turns
    found = ask(forge)
    assert (found.waiver is not None) is counts
    assert ("the base branch was changed after" in str(found.why_not)) is not counts


def test_a_name_that_another_account_took_over_may_nothing() -> None:
    """The permission must be of the very account that wrote."""
    forge = make_waived()
    forge.state.comments[-1].login = "Writer-Of-Old"
    forge.state.permissions["Writer-Of-Old"] = "admin"
    assert ask(forge).waiver is not None
    with connect(forge) as client:
        original = client.fetch

        def fetch(path: str) -> object:
            answer = original(path)
            if path.endswith("/permission"):
                answer["user"]["id"] += 1
            return answer

        client.fetch = fetch  # type: ignore[method-assign,assignment]
        found = fetch_waiving(client, REPOSITORY, 1, HEAD, verdict="fail")
    assert found.waiver is None


@pytest.mark.parametrize("verdict", ["pass", "skip", "undecided"])
def test_nothing_but_a_fail_can_be_waived(verdict: str) -> None:
    """A label that is set is noticed, and comments are not even read."""
    forge = make_waived()
    found = ask(forge, verdict=verdict)
    assert found.waiver is None
    assert found.why_not
    assert [path for _, path in forge.requests] == [f"/repos/{REPOSITORY}/pulls/1"]
    forge.state.pulls[1].labels = []
    assert ask(forge, verdict=verdict) == Waiving()


@pytest.mark.parametrize("part", ["pulls/1", "comments", "events", "permission"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=403, message="Resource not accessible by integration"),
        Fault(status=404),
        Fault(status=422),
        Fault(status=500),
    ],
)
def test_whatever_the_api_refuses_nothing_is_waived(part: str, fault: Fault) -> None:
    """A failure to ask is said, and never a waiver; nor does it raise."""
    forge = make_waived()
    forge.fault = lambda _method, path: fault if path.endswith(part) else None
    found = ask(forge)
    assert found.waiver is None
    assert "not known" in str(found.why_not) or "may not write" in str(found.why_not)
    assert ask(forge, verdict="pass").waiver is None


SOFT = (
    Fault(),
    Fault(cut=True),
    Fault(status=500),
    Fault(status=503),
    Fault(status=429, headers={"retry-after": "1"}),
    Fault(status=403, message="secondary rate limit", headers={"retry-after": "2"}),
)


def test_in_any_weather_the_answer_is_the_right_one_or_none(
    record_property: Callable[[str, object], None],
) -> None:
    """Seeded stories: a waiver is found or not known; one that does not count never is."""
    known = 0
    for seed in range(60):
        dice = random.Random(seed)  # noqa: S311 - a story, not a secret
        valid = seed % 2 == 0
        forge = make_waived(comments=dice.choice((0, 130)))
        if not valid:
            forge.state.permissions["writer"] = "triage"
        hard = (*SOFT, Fault(status=403), Fault(status=404)) if seed % 3 == 0 else SOFT
        chance = dice.choice((0.1, 0.4))
        forge.fault = lambda _method, _path, dice=dice, hard=hard, chance=chance: (  # type: ignore[misc]
            dice.choice(hard) if dice.random() < chance else None
        )
        found = ask(forge)
        assert valid or found.waiver is None, seed
        assert found.waiver or found.why_not, seed
        known += found.waiver is not None
    assert 15 <= known <= 30
    record_property("cases", 60)


def make_run(number: int = 7, **changes: object) -> WorkflowRun:
    """Make a run that failed in its job Report; ``changes`` replace its fields."""
    jobs = [
        Job(id=10 * number, name="Train and compare"),
        Job(id=10 * number + 1, name="Publish"),
        Job(id=10 * number + 2, name="Report", conclusion="failure"),
    ]
    fields: dict[str, object] = {
        "id": 100 + number,
        "number": number,
        "head": ("more-trees", HEAD),
        "conclusion": "failure",
        "pulls": [1],
        "jobs": jobs,
    }
    return WorkflowRun(**{**fields, **changes})  # type: ignore[arg-type]


def rejudge(forge: Forge, action: str = "labeled", clock: Clock | None = None) -> Outcome:
    """Start the judging again."""
    with connect(forge, clock) as client:
        trigger = Trigger(number=1, action=action)
        jobs = ("Publish", "Report")
        done = Rejudger(client, REPOSITORY, trigger, workflow=WORKFLOW, jobs=jobs).start()
        assert done.text
        return done.outcome


@pytest.mark.parametrize(
    ("action", "waived", "conclusion", "outcome"),
    [
        ("labeled", True, "failure", "started"),
        ("labeled", False, "failure", "started"),  # the comment will say what is missing
        ("labeled", True, "success", "unchanged"),
        ("unlabeled", False, "success", "started"),  # it may have been waived
        ("unlabeled", False, "failure", "started"),
        ("labeled", True, "cancelled", "started"),
    ],
)
def test_when_judging_is_started_again(
    action: str, waived: bool, conclusion: str, outcome: str
) -> None:
    """Whenever it can say something else than before."""
    forge = make_waived() if waived else make_forge()
    forge.state.workflow_runs = [make_run(conclusion=conclusion)]
    assert rejudge(forge, action) == outcome
    assert forge.state.reruns == ([71] if outcome == "started" else [])


def test_the_newest_run_of_this_pull_request_alone_counts() -> None:
    """Not an older one, another branch's, another pull request's, a fork's or another event's."""
    forge = make_waived()
    forge.state.pulls[2] = msgspec.structs.replace(forge.state.pulls[1], number=2)
    forge.state.workflow_runs = [
        make_run(6),
        make_run(7),
        make_run(8, head=("other", HEAD)),
        make_run(9, fork="mallory/model"),
        make_run(10, event="push"),
        make_run(11, path=".github/workflows/release.yml"),
        make_run(12, pulls=[2]),
    ]
    assert rejudge(forge) == "started"
    assert forge.state.reruns == [71]


def test_a_run_that_left_out_every_job_is_not_the_newest() -> None:
    """An edit of the title starts one; the label still counts for the run that judged."""
    forge = make_waived()
    text = [Job(id=1, name="Publish", conclusion="skipped")]
    forge.state.workflow_runs = [make_run(7), make_run(8, conclusion="skipped", jobs=text)]
    assert rejudge(forge) == "started"
    assert forge.state.reruns == [71]


@pytest.mark.parametrize("jobs", [[], [Job(id=1, name="Report", conclusion="skipped")]])
def test_a_run_that_shows_nothing_to_judge_yet_is_looked_at_again(jobs: list[Job]) -> None:
    """It may be of an edited title: then the run before it is the one to start again."""
    forge, clock = make_waived(), Clock()
    text = make_run(8, status="queued", conclusion=None, jobs=jobs)
    forge.state.workflow_runs = [make_run(7, conclusion="success"), text]

    def end_later(_method: str, path: str) -> None:
        if path.endswith(f"/{text.id}/jobs"):
            text.status, text.conclusion = "completed", "skipped"

    forge.fault = end_later
    assert rejudge(forge, "unlabeled", clock) == "started"
    assert forge.state.reruns == [71]


def test_a_run_is_found_behind_any_number_of_a_forks() -> None:
    """A fork may have a branch of the same name, and start runs there as it likes."""
    forge = make_waived()
    forks = [make_run(number, fork="mallory/model", pulls=[]) for number in range(8, 130)]
    forge.state.workflow_runs = [make_run(7), *forks]
    assert rejudge(forge) == "started"
    assert forge.state.reruns == [71]


def test_without_a_job_that_publishes_the_one_that_reports_is_started() -> None:
    """Storage elsewhere, or a comparison that failed so that publishing was skipped."""
    for publish in ([], [Job(id=1, name="Publish", conclusion="skipped")]):
        forge = make_waived()
        report = Job(id=2, name="Report", conclusion="failure")
        forge.state.workflow_runs = [make_run(jobs=[*publish, report])]
        assert rejudge(forge) == "started"
        assert forge.state.reruns == [2]


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.workflow_runs.clear(),
        lambda state: setattr(state.pulls[1], "state", "closed"),
        lambda state: setattr(state.pulls[1], "fork", "mallory/model"),
        lambda state: setattr(state.pulls[1], "head", ("more-trees", NEWER)),
        lambda state: setattr(state.workflow_runs[0], "jobs", [Job(id=1, name="Else")]),
    ],
)
def test_where_there_is_nothing_to_start(change: Callable[[object], None]) -> None:
    """No run yet, closed, a fork, a newer push whose own run will see the label, other jobs."""
    forge = make_waived()
    forge.state.workflow_runs = [make_run()]
    change(forge.state)
    assert rejudge(forge) == "nothing"
    assert forge.state.reruns == []


def test_after_the_results_were_committed_the_label_still_counts() -> None:
    """The head is our own record of the waiver by then; another commit there is a push."""
    forge = make_forge()
    pull = forge.state.pulls[1]
    pull.head = ("more-trees", NEWER)
    record = (
        NEWER,
        f"Record what was trained at {HEAD[:12]}\n\nWaived-by: writer\nWaived-sha: {HEAD}\n",
    )
    pull.commits = [(HEAD, "Change"), record]
    forge.state.workflow_runs = [make_run(conclusion="success")]
    assert rejudge(forge, "unlabeled") == "started"
    other = ("d" * 40, f"Record what was trained at {HEAD[:12]}\n")
    pull.commits = [(BASE, "Before"), (HEAD, "Change"), other, record]
    forge.state.workflow_runs = [make_run(conclusion="success")]
    assert rejudge(forge, "unlabeled") == "started"
    for push in ((NEWER, f"Waived-sha: {BASE}"), (NEWER, "A push"), other):
        pull.commits = [(HEAD, "Change"), push]
        forge.state.workflow_runs = [make_run(conclusion="success")]
        assert rejudge(forge, "unlabeled") == "nothing"
    pull.commits = [(HEAD, "Change"), record, ("e" * 40, "A push")]
    assert rejudge(forge, "unlabeled") == "nothing"


def test_a_run_that_has_yet_to_judge_is_left_alone() -> None:
    """It will ask for the label itself."""
    forge = make_waived()
    jobs = [Job(id=1, name="Train and compare", status="in_progress", conclusion=None)]
    for more in ([], [Job(id=2, name="Publish", status="queued", conclusion=None)]):
        run = make_run(status="in_progress", conclusion=None, jobs=[*jobs, *more])
        forge.state.workflow_runs = [run]
        assert rejudge(forge) == "running"
    assert forge.state.reruns == []


@pytest.mark.parametrize("conclusion", ["failure", "success"])
def test_a_run_that_is_judging_is_waited_for(conclusion: str) -> None:
    """It may have asked before the label was set: in its first job, though not in its last."""
    forge, clock = make_waived(), Clock()
    run = make_run(status="in_progress", conclusion=None)
    forge.state.workflow_runs = [run]
    looks: list[str] = []

    def end_later(_method: str, path: str) -> None:
        looks.append(path)
        if len([one for one in looks if one.endswith("/jobs")]) == 3:
            run.status, run.conclusion = "completed", conclusion

    forge.fault = end_later
    assert rejudge(forge, clock=clock) == "started"
    assert sum(clock.slept) == 30


def test_one_that_judges_for_ever_is_an_error_that_says_what_to_do() -> None:
    """Waiting ends after about five minutes."""
    forge, clock = make_waived(), Clock()
    forge.state.workflow_runs = [make_run(status="in_progress", conclusion=None)]
    with pytest.raises(GitHubError, match="still going") as found:
        rejudge(forge, clock=clock)
    assert "by hand" in str(found.value)
    assert sum(clock.slept) == MAX_LOOKS * 10


@pytest.mark.slow
def test_in_any_weather_a_run_is_started_once_or_it_is_an_error(
    record_property: Callable[[str, object], None],
) -> None:
    """Seeded stories: answers lost before and after the request was carried out."""
    for seed in range(60):
        dice = random.Random(seed)  # noqa: S311 - a story, not a secret
        forge = make_waived()
        forge.state.workflow_runs = [make_run()]
        faults = (*SOFT, Fault(after=True), Fault(status=502, after=True))
        hard = (*faults, Fault(status=403), Fault(status=404)) if seed % 3 == 0 else faults
        chance = dice.choice((0.1, 0.4))
        forge.fault = lambda _method, _path, dice=dice, hard=hard, chance=chance: (  # type: ignore[misc]
            dice.choice(hard) if dice.random() < chance else None
        )
        try:
            outcome = rejudge(forge)
        except GitHubError:
            assert len(forge.state.reruns) <= 1, seed
        else:
            assert outcome in ("started", "running"), seed
            assert forge.state.reruns == [71], seed
    record_property("cases", 60)


@pytest.mark.parametrize("action", ["labeled", "unlabeled"])
def test_what_starts_it(action: str) -> None:
    """A label on a pull request, set or taken off."""
    payload = f'{{"action": "{action}", "pull_request": {{"number": 7, "x": []}}}}'
    assert parse_trigger(payload.encode()) == Trigger(number=7, action=action)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"[" * 50_000,
        b"\xff",
        b'{"issue": {"number": 8}}',
        b'{"issue": {"number": 8, "pull_request": {}}}',
        b'{"pull_request": {"number": "7"}}',
        b'{"pull_request": {"number": true}}',
        b'{"pull_request": {}}',
    ],
)
def test_another_event_is_refused(payload: bytes) -> None:
    """A comment on an issue, or what GitHub never sends: exit code 2, one message."""
    with pytest.raises(
        MlgitopsError, match=r"the event is not what GitHub sends: |the event names no pull request"
    ):
        parse_trigger(payload)
