"""Who may waive what: the pull request's label, its comments and permissions to one answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posting import BOT, HEAD, NEWER, make_body

from mlgitops.github.payloads import IssueComment, PullFacts, User
from mlgitops.github.waiver import MAX_ASKED, find_waiver

if TYPE_CHECKING:
    from mlgitops.model import Waiving

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LATER = datetime(2026, 3, 4, 5, 6, 8, tzinfo=UTC)
LABEL = "accept-regression"
LINE = f"{LABEL} {HEAD} needed for the audit"
#: login → id, and what the API says that each may do
PEOPLE = {
    "owner": (1, "admin"),
    "writer": (2, "write"),
    "maintainer": (3, "maintain"),
    "triager": (4, "read"),  # GitHub's word for triage, here and in the API
    "reader": (5, "read"),
    "stranger": (6, "none"),
    "author": (7, "write"),
    "odd": (8, "WRITE"),
}


def user(login: str, **changes: Any) -> User:  # noqa: ANN401
    """Make an account; an app's login ends in `[bot]`."""
    number = PEOPLE.get(login, (99, ""))[0]
    kind = "Bot" if login.endswith("[bot]") else "User"
    return User(**{"id": number, "login": login, "type": kind, **changes})


def comment(body: str | None = LINE, login: str | None = "writer", **changes: Any) -> IssueComment:  # noqa: ANN401
    """Make a comment; ``changes`` replace its fields."""
    fields = {
        "id": 100,
        "html_url": "https://github.example/octo/model/pull/1#issuecomment-100",
        "created_at": AT,
        "updated_at": AT,
        "user": user(login) if login else None,
        "body": body,
    }
    return IssueComment(**{**fields, **changes})


def find(
    *comments: IssueComment, labels: tuple[str, ...] = (LABEL,), by: str = "author"
) -> Waiving:
    """Ask for a waiver of HEAD."""
    pull = {"user": {"id": PEOPLE[by][0], "login": by}, "labels": [{"name": one} for one in labels]}
    return find_waiver(
        msgspec.convert(pull, PullFacts), comments, HEAD, lambda one: PEOPLE[one.login][1]
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (LINE, "needed for the audit"),
        (f"{LABEL} {HEAD}: needed", "needed"),
        (f"{LABEL} {HEAD} : needed", ": needed"),
        (f"Accept-Regression {HEAD} needed", "needed"),
        (f"{LABEL} {HEAD.upper()} needed", "needed"),
        (f"{LABEL}\t{HEAD}\tneeded", "needed"),
        (f"{LABEL} {HEAD}\nneeded\r\nfor two reasons", "needed for two reasons"),
        (f"{LABEL}\n{HEAD}\nneeded", "needed"),
        (f"{LABEL} {HEAD} {'x' * 500}", "x" * 500),
        (f"{LABEL} {HEAD} é", "é"),
        (f"{LABEL} {HEAD} a\u202eb\x00c", "a b c"),
    ],
)
def test_a_comment_that_counts(body: str, reason: str) -> None:
    """The word, the full sha, then the reason, over as many lines as it takes."""
    waiver = find(comment(body)).waiver
    assert waiver is not None
    assert (waiver.login, waiver.at, waiver.sha) == ("writer", AT, HEAD)
    assert waiver.reason == reason
    assert waiver.url.endswith("#issuecomment-100")
    assert not waiver.by_author


@pytest.mark.parametrize("login", ["owner", "writer", "maintainer"])
def test_who_may_waive(login: str) -> None:
    """Admin, maintain and write."""
    assert find(comment(login=login)).waiver is not None


def test_the_author_may_waive_and_it_is_said() -> None:
    """With write access, the pull request's own author counts too, and is named as such."""
    waiver = find(comment(login="author")).waiver
    assert waiver is not None
    assert waiver.by_author


NO_REASON = "no comment gives the reason"
NOT_IN_FULL = "its comment does not name the commit in full, all 40 digits"


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        (comment("needed for the audit"), NO_REASON),
        (comment(f"please {LINE}"), NO_REASON),
        (comment(f" {LINE}"), NO_REASON),
        (comment(f"\n{LINE}"), NO_REASON),
        (comment(f"> {LINE}"), NO_REASON),
        (comment(f"```\n{LINE}\n```"), NO_REASON),
        (comment(f"    {LINE}"), NO_REASON),
        (comment(f"`{LINE}`"), NO_REASON),
        (comment(f"<!-- {LINE} -->"), NO_REASON),
        (comment(f"@{LINE}"), NO_REASON),
        (comment(f"x{LINE}"), NO_REASON),
        (comment(LABEL), NO_REASON),
        (comment(f"{LABEL}s {HEAD} needed"), NO_REASON),
        (comment(f"{LABEL}-{HEAD} needed"), NO_REASON),
        (comment(""), NO_REASON),
        (comment(None), NO_REASON),
        (comment(make_body(text=LINE), BOT), NO_REASON),
        (comment(f"{LABEL} needed"), NOT_IN_FULL),
        (comment(f"{LABEL} {HEAD[:7]} needed"), NOT_IN_FULL),
        (comment(f"{LABEL} {HEAD[:39]} needed"), NOT_IN_FULL),
        (comment(f"{LABEL} {HEAD}a needed"), NOT_IN_FULL),
        (comment(f"{LABEL} {HEAD}needed"), NOT_IN_FULL),
        (comment(f"{LABEL} {HEAD}, needed"), NOT_IN_FULL),
        (comment(f"{LABEL} @{HEAD} needed"), NOT_IN_FULL),
        (comment(f"{LABEL} more-trees needed"), NOT_IN_FULL),
        (comment(f"{LABEL} {NEWER} needed"), "the reason is for `ccccccc`: a waiver ends with"),
        (comment(f"{LABEL} {HEAD}{HEAD[:24]} needed"), "the reason is for `aaaaaaa`"),
        (comment(f"{LABEL} {HEAD}"), "its comment gives no reason"),
        (comment(f"{LABEL} {HEAD}:"), "its comment gives no reason"),
        (comment(f"{LABEL} {HEAD} \r\n\t "), "its comment gives no reason"),
        (comment(f"{LABEL} {HEAD} \u200b\u202e\x00"), "its comment gives no reason"),
        (comment(f"{LABEL} {HEAD} {'x' * 501}"), "its reason has over 500 characters"),
        (comment(updated_at=LATER), "its comment was edited"),
        (comment(login="triager"), "`triager` may not write to this repository"),
        (comment(login="reader"), "`reader` may not write to this repository"),
        (comment(login="stranger"), "`stranger` may not write to this repository"),
        (comment(login="odd"), "`odd` may not write to this repository"),
        (comment(login=None), "the account that gave the reason is gone"),
        (comment(login="dependabot[bot]"), "wrote the reason as a program"),
        (comment(user=user("writer", type="Bot")), "wrote the reason as a program"),
        (comment(user=user("writer", type="Organization")), "wrote the reason as a program"),
        (comment(user=user("writer/../owner", id=2)), "wrote the reason as a program"),
        (comment(user=user("..", id=2)), "wrote the reason as a program"),
        (comment(user=user("writer\n", id=2)), "wrote the reason as a program"),
        (comment(performed_via_github_app={"id": 1}), "wrote the reason as a program"),
    ],
)
def test_a_comment_that_does_not_count(given_: IssueComment, why: str) -> None:
    """Each leaves the verdict as it is, with its reason in one line."""
    found = find(given_)
    assert found.waiver is None
    assert found.why_not is not None
    assert why in found.why_not
    assert "\n" not in found.why_not


@pytest.mark.parametrize(
    "labels", [(), ("accept",), ("accept-regression ",), ("accept-regressions",)]
)
def test_without_the_label_nothing_is_waived(labels: tuple[str, ...]) -> None:
    """A comment alone does not waive; somebody who tried is told what is missing."""
    found = find(comment(), labels=labels)
    assert found.waiver is None
    assert "is not set" in str(found.why_not)
    nobody = find(comment("fine by me"), comment(f"{LABEL} {NEWER} an old one"), labels=labels)
    assert (nobody.waiver, nobody.why_not) == (None, None)


def test_the_label_is_known_in_any_case() -> None:
    """GitHub does not tell labels apart by case."""
    assert find(comment(), labels=("Accept-Regression",)).waiver is not None


def test_the_newest_comment_that_counts_wins() -> None:
    """Whatever order they come in, and whatever stands between and after."""
    older = comment(f"{LABEL} {HEAD} first", id=1)
    newer = comment(f"{LABEL} {HEAD} second", "owner", id=2)
    later = [
        comment("thanks", id=3),
        comment(LINE, "stranger", id=4),
        comment(LINE, "dependabot[bot]", id=5),
        comment(f"{LABEL} {NEWER} needed", id=6),
        comment(f"{LABEL} {HEAD}", id=7),
    ]
    waiver = find(*later, newer, older).waiver
    assert waiver is not None
    assert (waiver.login, waiver.reason) == ("owner", "second")


def test_strangers_cannot_have_permissions_asked_without_end() -> None:
    """Each author is asked once, and the newest few only."""
    asked: list[str] = []

    def ask(one: User) -> str:
        asked.append(one.login)
        return "read"

    pull = msgspec.convert({"labels": [{"name": LABEL}]}, PullFacts)
    many = [
        comment(id=number, user=user(f"stranger-{number % 50}", id=number % 50 + 1))
        for number in range(1, 201)
    ]
    assert find_waiver(pull, many, HEAD, ask).waiver is None
    assert len(asked) == len(set(asked)) == MAX_ASKED
    assert asked[0] == "stranger-0"  # who wrote number 200


@given(st.text(max_size=200), st.sampled_from([LABEL, "", "> ", "`"]))
def test_no_text_waives_without_the_word_and_the_full_sha(text: str, start: str) -> None:
    """Whatever else a comment holds: no crash, no waiver."""
    assert find(comment(f"{start}{text}")).waiver is None


@given(st.text(max_size=600))
def test_any_reason_is_one_line_or_refused(text: str) -> None:
    """A reason never brings a line break or a control character along."""
    waiver = find(comment(f"{LABEL} {HEAD} {text}")).waiver
    if waiver is not None:
        assert 1 <= len(waiver.reason) <= 500
        assert waiver.reason.isprintable() or not waiver.reason.isascii()
        assert len(waiver.reason.splitlines()) == 1
