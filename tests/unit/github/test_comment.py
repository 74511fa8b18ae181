"""One comment for each key: created, updated, never doubled, never older than what stands."""

from __future__ import annotations

import pytest
from posting import (
    BOT,
    HEAD,
    NEWER,
    REPOSITORY,
    Clock,
    connect,
    make_body,
    make_forge,
    make_poster,
    own_comments,
)

from mlgitops.github.client import GitHubError
from mlgitops.github.comment import MAX_BODY_BYTES, CommentPoster, Outcome, fetch_login
from mlgitops.rehearsal.forge import Comment, Fault


def test_the_first_report_creates_the_comment() -> None:
    """Where nothing of ours stands, a comment is created."""
    forge = make_forge()
    with connect(forge) as client:
        posted = make_poster(client).post(make_body())
    assert posted.outcome is Outcome.CREATED
    assert posted.url is not None
    assert posted.url.startswith("http")
    assert [one.body for one in own_comments(forge)] == [make_body()]


@pytest.mark.parametrize("others", [0, 29, 30, 31, 100, 101, 250])
def test_our_comment_is_found_behind_any_number_of_others(others: int) -> None:
    """The comment is updated in place on whichever page it stands."""
    forge = make_forge(comments=others)
    forge.state.comments.append(Comment(900, 1, BOT, make_body(1)))
    with connect(forge) as client:
        posted = make_poster(client).post(make_body(2))
    assert posted.outcome is Outcome.UPDATED
    assert [(one.id, one.body) for one in own_comments(forge)] == [(900, make_body(2))]
    pages = [
        path for method, path in forge.requests if method == "GET" and path.endswith("/comments")
    ]
    assert len(pages) == 2 * -(-(others + 1) // 100)


def test_the_same_text_is_not_written_again() -> None:
    """A report that already stands there costs no write."""
    forge = make_forge()
    forge.state.comments.append(Comment(900, 1, BOT, make_body()))
    with connect(forge) as client:
        assert make_poster(client).post(make_body()).outcome is Outcome.UNCHANGED
    assert {method for method, _ in forge.requests} == {"GET"}


def test_a_report_on_a_commit_that_is_no_longer_the_head_is_not_posted() -> None:
    """When the pull request has moved on, nothing is written."""
    forge = make_forge()
    forge.state.pulls[1].head = ("more-trees", NEWER)
    with connect(forge) as client:
        assert make_poster(client).post(make_body()).outcome is Outcome.STALE
    assert forge.state.comments == []


def test_nothing_is_posted_when_the_pull_request_has_another_base() -> None:
    """It was judged for the branch that it went into before."""
    forge = make_forge()
    with connect(forge) as client:
        for base, outcome in (("lax", Outcome.STALE), ("main", Outcome.CREATED)):
            poster = CommentPoster(client, repository=REPOSITORY, number=1, login=BOT, base=base)
            assert poster.post(make_body()).outcome is outcome


def test_an_older_run_never_overwrites_a_newer_one() -> None:
    """Run 4, arriving late, leaves the report of run 5."""
    forge = make_forge()
    forge.state.comments.append(Comment(900, 1, BOT, make_body(5)))
    with connect(forge) as client:
        assert make_poster(client).post(make_body(4)).outcome is Outcome.SUPERSEDED
    assert forge.state.comments[0].body == make_body(5)


def test_another_key_has_its_own_comment() -> None:
    """Two projects of one repository do not share a comment."""
    forge = make_forge()
    forge.state.comments.append(Comment(900, 1, BOT, make_body(5, key="other")))
    with connect(forge) as client:
        assert make_poster(client).post(make_body(1)).outcome is Outcome.CREATED
    assert len(own_comments(forge)) == 1
    assert own_comments(forge, key="other")[0].body == make_body(5, key="other")


@pytest.mark.parametrize("login", ["octocat", "github-actions-fan", "github-actions", ""])
def test_a_marker_that_somebody_else_wrote_is_not_ours(login: str) -> None:
    """A person who pastes our marker keeps their comment."""
    forge = make_forge()
    forge.state.comments.append(Comment(900, 1, login, make_body(9)))
    with connect(forge) as client:
        assert make_poster(client).post(make_body(1)).outcome is Outcome.CREATED
    assert forge.state.comments[0].body == make_body(9)


def test_a_marker_below_the_first_line_is_not_ours() -> None:
    """Our own quoted text does not count as the report."""
    forge = make_forge()
    forge.state.comments.append(Comment(900, 1, BOT, f"see\n{make_body(9)}"))
    with connect(forge) as client:
        assert make_poster(client).post(make_body(1)).outcome is Outcome.CREATED


@pytest.mark.parametrize("rivals", [1, 2])
def test_runs_that_create_at_the_same_moment_end_with_one_comment(rivals: int) -> None:
    """The lowest number wins; a run deletes the duplicate that it made itself."""
    forge = make_forge()
    waiting = [make_body(run) for run in range(2, 2 + rivals)]

    def appear(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/comments"):
            while waiting:  # the rivals' comments arrive just before ours
                forge.state.comments.append(Comment(900 + len(waiting), 1, BOT, waiting.pop()))

    forge.fault = appear
    with connect(forge) as client:
        make_poster(client).post(make_body(9))
    assert [(one.id, one.body) for one in own_comments(forge)] == [(901, make_body(9))]


def test_the_older_of_two_creating_runs_leaves_the_newer_report() -> None:
    """When the rival is newer, its report stands in the one comment that is left."""
    forge = make_forge()

    def appear(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/comments"):
            forge.state.comments.append(Comment(5000, 1, BOT, make_body(9)))

    forge.fault = appear
    with connect(forge) as client:
        assert make_poster(client).post(make_body(2)).outcome is Outcome.SUPERSEDED
    assert [one.body for one in own_comments(forge)] == [make_body(9)]


def test_a_text_that_changed_between_the_list_and_the_write_is_left_alone() -> None:
    """A newer run wrote after we looked: we look again, and leave its report."""
    forge = make_forge()
    forge.state.comments.append(Comment(900, 1, BOT, make_body(1)))

    def overtake(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/comments/900"):
            forge.state.comments[0].body = make_body(9)

    forge.fault = overtake
    with connect(forge) as client:
        assert make_poster(client).post(make_body(2)).outcome is Outcome.SUPERSEDED
    assert [comment.body for comment in own_comments(forge)] == [make_body(9)]


def test_a_comment_deleted_meanwhile_is_created_again() -> None:
    """A 404 while updating means that somebody deleted it: the report is not lost."""
    forge = make_forge()
    forge.state.comments.append(Comment(900, 1, BOT, make_body(1)))

    def vanish(method: str, _path: str) -> None:
        if method == "PATCH":
            forge.state.comments.clear()

    forge.fault = vanish
    with connect(forge) as client:
        make_poster(client).post(make_body(2))
    assert [one.body for one in own_comments(forge)] == [make_body(2)]


def test_what_cannot_be_listed_is_never_posted_anew() -> None:
    """A list that fails on its third page is an error, not an empty list."""
    forge = make_forge(comments=250)
    count = 0

    def fail_third(method: str, path: str) -> Fault | None:
        nonlocal count
        count += method == "GET" and path.endswith("/comments")
        return Fault(status=502) if count >= 3 else None

    forge.fault = fail_third
    with connect(forge) as client, pytest.raises(GitHubError, match="502"):
        make_poster(client).post(make_body(1))
    assert {method for method, _ in forge.requests} == {"GET"}


@pytest.mark.parametrize(
    "fault", [Fault(after=True), Fault(status=502, after=True), Fault(cut=True), Fault(status=503)]
)
def test_a_created_comment_whose_answer_was_lost_is_not_created_twice(fault: Fault) -> None:
    """After a lost answer the client looks before it repeats."""
    forge = make_forge()
    faults = [fault]
    forge.fault = lambda method, _path: faults.pop() if faults and method == "POST" else None
    with connect(forge) as client:
        assert make_poster(client).post(make_body(1)).outcome is Outcome.CREATED
    assert [one.body for one in own_comments(forge)] == [make_body(1)]


def test_a_body_without_marker_or_over_the_limit_is_refused_before_any_request() -> None:
    """What could never be found again, or would be refused, is not sent."""
    forge = make_forge()
    with connect(forge) as client:
        for body in ("no marker", make_body(text="é" * (MAX_BODY_BYTES // 2))):
            with pytest.raises(GitHubError, match="needs a marker and must fit GitHub's limit"):
                make_poster(client).post(body)
    assert forge.requests == []


def test_a_comment_that_keeps_changing_ends_in_an_error() -> None:
    """Two writers that never agree are reported, not fought for ever."""
    forge = make_forge()
    forge.state.comments.append(Comment(900, 1, BOT, make_body(1)))

    def meddle(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/comments"):
            forge.state.comments[0].body = make_body(1, "edited")

    forge.fault = meddle
    with connect(forge) as client, pytest.raises(GitHubError, match="keeps changing"):
        make_poster(client).post(make_body(2))


@pytest.mark.parametrize("login", [BOT, "octocat", "our-app[bot]"])
def test_the_server_says_who_we_are(login: str) -> None:
    """The login is asked for: with GraphQL where there is one."""
    forge = make_forge(login=login)
    with connect(forge) as client:
        url = f"{client._api_url}/graphql"
        assert fetch_login(client, url) == login
        assert fetch_login(client, None) == (None if login.endswith("[bot]") else login)


def test_waiting_is_short() -> None:
    """A report that meets no trouble waits under a second in all."""
    clock = Clock()
    with connect(make_forge(), clock) as client:
        make_poster(client).post(make_body())
    assert sum(clock.slept) < 1
    assert HEAD in make_body()


def test_without_create_only_a_comment_that_is_there_is_updated() -> None:
    """Where none of ours stands none is started, and nothing is written."""
    forge = make_forge(comments=3)
    with connect(forge) as client:
        posted = make_poster(client).post(make_body(2), create=False)
        assert (posted.outcome, posted.url) == (Outcome.OMITTED, None)
        assert {method for method, _ in forge.requests} == {"GET"}
        forge.state.comments.append(Comment(900, 1, BOT, make_body(1)))
        assert make_poster(client).post(make_body(2), create=False).outcome is Outcome.UPDATED
    assert [one.body for one in own_comments(forge)] == [make_body(2)]
