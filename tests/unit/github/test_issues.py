"""One issue for each marker: opened, updated, closed and opened again, never doubled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from posting import BOT, REPOSITORY, connect, make_forge

from mlgitops.github.client import GitHubError
from mlgitops.github.issues import Dated, keep_issue
from mlgitops.github.marker import render_key_marker
from mlgitops.rehearsal.forge import Fault, Forge, Issue

if TYPE_CHECKING:
    from mlgitops.github.client import GitHubClient

KEY = "deploy production 1234"
LINE = render_key_marker("issue", KEY)


def keep(client: GitHubClient, text: str = "It failed", *, open_: bool = True) -> int | None:
    """Keep the issue of the tests."""
    return keep_issue(client, REPOSITORY, marker=KEY, title="Trouble", body=text, open_=open_)


def add(forge: Forge, number: int, *, login: str = BOT, body: str = f"{LINE}\nold") -> Issue:
    """Add an issue that stands there before."""
    issue = Issue(number=number, login=login, title="Old", body=body)
    forge.state.issues[number] = issue
    return issue


def count_writes(forge: Forge) -> int:
    """Count the requests that are not reads."""
    return sum(method != "GET" for method, _ in forge.requests)


def test_an_issue_lives_through_trouble_and_back() -> None:
    """Opened, left alone while it says the same, updated, closed, and opened again."""
    forge = make_forge()
    with connect(forge) as client:
        assert keep(client, open_=False) is None
        assert [keep(client), keep(client)] == [2, 2]
        assert count_writes(forge) == 1
        assert keep(client, "Still") == 2
        assert keep(client, "Over", open_=False) == 2
        issue = forge.state.issues[2]
        assert (issue.state, issue.state_reason) == ("closed", "completed")
        assert issue.body == f"{LINE}\nOver"
        assert keep(client, "Over", open_=False) == 2
        assert count_writes(forge) == 3
        assert keep(client, "Back") == 2
    assert (issue.state, issue.title, issue.body) == ("open", "Trouble", f"{LINE}\nBack")
    assert list(forge.state.issues) == [2]


def test_what_a_person_closed_as_not_planned_stays_closed() -> None:
    """That is how a person says: I know."""
    forge = make_forge()
    issue = add(forge, 5)
    issue.state, issue.state_reason = "closed", "not_planned"
    with connect(forge) as client:
        assert keep(client) == 5
    assert count_writes(forge) == 0


@pytest.mark.parametrize("others", [0, 99, 100, 250])
def test_our_issue_is_found_behind_any_number_of_others(others: int) -> None:
    """It is updated in place on whichever page it stands."""
    forge = make_forge()
    for number in range(2, 2 + others):
        add(forge, number, login="octocat", body="nice")
    add(forge, 900)
    with connect(forge) as client:
        assert keep(client) == 900
    assert forge.state.issues[900].body == f"{LINE}\nIt failed"
    assert len(forge.state.issues) == others + 1


@pytest.mark.parametrize(
    ("login", "body"),
    [
        ("octocat", f"{LINE}\nold"),
        ("github-actions-fan", f"{LINE}\nold"),
        (BOT, f"see\n{LINE}"),
        (BOT, f"> {LINE}"),
        (BOT, render_key_marker("issue", f"{KEY}5")),
        (BOT, render_key_marker("pull-request", KEY)),
    ],
)
def test_another_issue_is_not_ours(login: str, body: str) -> None:
    """Somebody else's, one that quotes us, and ours of another marker are left alone."""
    forge = make_forge()
    other = add(forge, 5, login=login, body=body)
    with connect(forge) as client:
        assert keep(client) == 6
    assert (other.title, other.body) == ("Old", body)


def test_a_pull_request_is_no_issue() -> None:
    """The list of issues holds pull requests as well: none of them is written to."""
    forge = make_forge()
    forge.state.pulls[1].author, forge.state.pulls[1].body = BOT, f"{LINE}\nold"
    with connect(forge) as client:
        assert keep(client) == 2
    assert forge.state.pulls[1].body == f"{LINE}\nold"


def test_the_lowest_number_stays_and_its_duplicates_are_closed() -> None:
    """Two runs that opened one each end with one."""
    forge = make_forge()

    def overtake(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/issues") and not forge.state.issues:
            add(forge, 4)

    forge.fault = overtake
    with connect(forge) as client:
        assert keep(client) == 4
    states = {number: issue.state for number, issue in forge.state.issues.items()}
    assert states == {4: "open", 5: "closed"}
    assert forge.state.issues[4].body == f"{LINE}\nIt failed"


@pytest.mark.parametrize(
    "fault",
    [Fault(), Fault(after=True), Fault(status=502, after=True), Fault(cut=True), Fault(status=503)],
)
def test_a_lost_answer_opens_no_second_one(fault: Fault) -> None:
    """Carried out or not, it is looked for before it is asked for again."""
    forge = make_forge()
    faults = [fault]
    forge.fault = lambda method, _path: faults.pop() if faults and method == "POST" else None
    with connect(forge) as client:
        assert keep(client) == 2
    assert [issue.state for issue in forge.state.issues.values()] == ["open"]


def test_a_list_that_lags_behind_opens_no_second_one() -> None:
    """What was created and is not listed yet is waited for."""
    forge = make_forge()
    hidden: list[Issue] = []
    reads = [0]

    def lag(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/issues"):
            reads[0] += 1
            if reads[0] == 2:
                hidden.append(forge.state.issues.pop(2))
            elif hidden:
                forge.state.issues[2] = hidden.pop()

    forge.fault = lag
    with connect(forge) as client:
        assert keep(client) == 2
    assert [method for method, _ in forge.requests].count("POST") == 1


def test_a_list_that_cannot_be_read_is_no_empty_list() -> None:
    """Nothing is opened when we could not look first."""
    forge = make_forge()
    forge.fault = lambda method, path: (
        Fault(status=404) if method == "GET" and path.endswith("/issues") else None
    )
    with connect(forge) as client, pytest.raises(GitHubError, match="404"):
        keep(client)
    assert forge.state.issues == {}


def test_a_token_that_may_not_write_is_told_the_permission() -> None:
    """The message names the scope that the job needs."""
    forge = make_forge()
    forge.fault = lambda method, _path: Fault(status=403) if method == "POST" else None
    with connect(forge) as client, pytest.raises(GitHubError, match="`issues: write`"):
        keep(client)


@pytest.mark.parametrize(("title", "body"), [(" ", "text"), ("t" * 257, ""), ("t", "b" * 60_000)])
def test_what_github_would_refuse_is_not_sent(title: str, body: str) -> None:
    """An empty or long title, and a text over the limit."""
    forge = make_forge()
    with connect(forge) as client, pytest.raises(GitHubError, match="must fit GitHub's limits"):
        keep_issue(client, REPOSITORY, marker=KEY, title=title, body=body, open_=True)
    assert count_writes(forge) == 0


def look(client: GitHubClient, day: str, *, open_: bool = True) -> int | None:
    """Keep the issue of what was seen on a day."""
    return keep_issue(
        client,
        REPOSITORY,
        marker=KEY,
        title="Trouble",
        body=f"As of {day}",
        open_=open_,
        dated=Dated(day=day, forget_after=30),
    )


@pytest.mark.parametrize("open_", [True, False])
def test_an_older_look_never_overwrites_a_newer_one(open_: bool) -> None:
    """Neither its text nor its state, whether the newer one is open or closed."""
    forge = make_forge()
    with connect(forge) as client:
        assert look(client, "2026-11-22") == 2
        look(client, "2026-11-29", open_=open_)
        before = count_writes(forge)
        assert look(client, "2026-11-22", open_=not open_) == 2
        assert count_writes(forge) == before
        issue = forge.state.issues[2]
        assert issue.state == ("open" if open_ else "closed")
        assert issue.body.endswith("As of 2026-11-29")
        issue.closed_at = "2026-11-30T06:00:00Z"
        assert look(client, "2026-12-06") == 2
    assert (issue.state, issue.body.splitlines()[-1]) == ("open", "As of 2026-12-06")


@pytest.mark.parametrize(("day", "number"), [("2026-12-22", 2), ("2026-12-23", 3)])
def test_trouble_that_is_back_after_a_month_is_another_story(day: str, number: int) -> None:
    """Within 30 days of its closing an issue is opened again; later a new one is."""
    forge = make_forge()
    with connect(forge) as client:
        look(client, "2026-11-15")
        look(client, "2026-11-22", open_=False)
        forge.state.issues[2].closed_at = "2026-11-22T06:00:00Z"
        assert look(client, day) == number
    assert forge.state.issues[number].state == "open"
    assert len(forge.state.issues) == number - 1
