"""Waivers: the pull request's label, its comments and their authors' permission to one answer.

A waiver counts when, at the moment of asking, the pull request carries the label, a comment
begins with `accept-regression <full sha of the judged commit> <reason>`, and the comment's author
is a person who may write to the repository, and the base branch is the one of then. A push makes
another commit, so a waiver ends by itself. The label and the comments are asked of the API, never
taken from the event: a run that is started again is given the payload of its first attempt.
Whatever is missing, and any failure to ask, leaves the verdict as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from mlgitops.github.client import GitHubError, NotFoundError
from mlgitops.github.payloads import (
    IssueComment,
    IssueEvent,
    Permission,
    PullFacts,
    parse_answer,
)
from mlgitops.model import WAIVER_LABEL, Waiver, Waiving
from mlgitops.render.escape import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mlgitops.github.client import GitHubClient
    from mlgitops.github.decision import Decision
    from mlgitops.github.event import Event
    from mlgitops.github.payloads import User

#: Longest reason, in characters.
MAX_REASON = 500
#: Authors whose permission is asked, the newest comment's first: strangers may comment too.
MAX_ASKED = 20
#: The words for writing. GitHub folds "maintain" into "write"; "owner" is Gitea's:
#: https://docs.github.com/en/rest/collaborators/collaborators
_MAY_WRITE = ("admin", "maintain", "write", "owner")
_FORM = re.compile(rf"{WAIVER_LABEL}\s(?P<rest>.*)", re.IGNORECASE | re.DOTALL | re.ASCII)
_SHA = re.compile(r"\s*(?P<sha>[0-9a-f]{40}(?:[0-9a-f]{24})?)(?::|(?=\s)|$)", re.IGNORECASE)
#: By a person, or by GitHub when the branch was deleted:
#: https://docs.github.com/en/rest/using-the-rest-api/issue-event-types
_TURNS = ("base_ref_changed", "automatic_base_change_succeeded")
_SHORT = 7
_NOTHING = {
    "pass": f"nothing fails, so the label `{WAIVER_LABEL}` changes nothing",
    "skip": f"nothing was judged, so the label `{WAIVER_LABEL}` changes nothing",
    "forbidden": "the policy at base forbids waivers",
    "undecided": "nothing is known of this change, and only what fails can be waived",
}


def find_waiver(
    pull: PullFacts,
    comments: Iterable[IssueComment],
    sha: str,
    fetch_permission: Callable[[User], str],
    *,
    turned_at: datetime | None = None,
) -> Waiving:
    """Find the newest waiver for the commit ``sha``, or why what was tried does not count.

    ``fetch_permission`` returns a user's permission: admin, maintain, write, read or none.
    It is asked once for each author, and only for comments that could count. ``turned_at`` is
    when the pull request got another base branch: what was waived before was for the old one.
    """
    claims = sorted(
        (comment for comment in comments if _FORM.match(comment.body or "")),
        key=lambda comment: comment.id,
        reverse=True,
    )
    if not pull.is_labelled:
        if all(find_problem(claim, sha, turned_at) for claim in claims):
            return Waiving()
        return Waiving(
            why_not=f"a comment gives a reason, but the label `{WAIVER_LABEL}` is not set"
        )
    asked: dict[int, str] = {}
    problems = []
    for claim in claims:
        problem, author = find_problem(claim, sha, turned_at), claim.user
        if problem is None and author is not None:
            if author.id not in asked and len(asked) < MAX_ASKED:
                asked[author.id] = fetch_permission(author)
            if asked.get(author.id) in _MAY_WRITE:
                return Waiving(waiver=_build_waiver(pull, claim, author, sha))
            problem = f"`{author.login}` may not write to this repository"
        problems.append(problem)
    first = problems[0] if problems else "no comment gives the reason"
    return Waiving(why_not=f"the label `{WAIVER_LABEL}` is set, but {first}")


def _build_waiver(pull: PullFacts, claim: IssueComment, author: User, sha: str) -> Waiver:
    return Waiver(
        login=author.login,
        at=claim.created_at,
        sha=sha,
        reason=clean_text(read_reason(claim.body or ""), limit=MAX_REASON),
        url=claim.html_url,
        by_author=pull.user is not None and pull.user.id == author.id,
    )


def find_problem(comment: IssueComment, sha: str, turned_at: datetime | None = None) -> str | None:
    """Say why ``comment`` cannot waive ``sha``, whoever may write; None when it can.

    An edited comment does not count: everybody who may write can edit it, and GitHub does
    not say who did.
    """
    author = comment.user
    if author is None:
        return "the account that gave the reason is gone"
    if not author.is_person or comment.performed_via_github_app is not None:
        return f"`{clean_text(author.login)}` wrote the reason as a program, not as a person"
    if comment.updated_at != comment.created_at:
        return "its comment was edited, and GitHub does not say by whom: write a new one"
    if turned_at is not None and comment.created_at <= turned_at:
        return "the base branch was changed after the reason was given: write a new one"
    return _find_text_problem(comment.body or "", sha)


def _find_text_problem(body: str, sha: str) -> str | None:
    match = _FORM.match(body)
    named = _SHA.match(match["rest"]) if match else None
    if named is None:
        return "its comment does not name the commit in full, all 40 digits"
    if named["sha"].lower() != sha:
        short = named["sha"][:_SHORT].lower()
        return f"the reason is for `{short}`: a waiver ends with the next push"
    reason = read_reason(body)
    if len(reason) > MAX_REASON:
        return f"its reason has over {MAX_REASON} characters"
    return None if clean_text(reason) else "its comment gives no reason"


def read_reason(body: str) -> str:
    """Return what stands after the commit in a comment that begins with the word and one."""
    match = _FORM.match(body)
    named = _SHA.match(match["rest"]) if match else None
    return match["rest"][named.end() :].strip() if match and named else ""


def settle(decision: Decision, event: Event, client: GitHubClient) -> Decision:
    """Add what is known of a waiver to ``decision``; a merge group has nobody to ask."""
    if event.number is None:
        return decision
    waiving = fetch_waiving(
        client,
        event.run.repository,
        event.number,
        event.head_sha,
        verdict=decision.verdict if decision.waivable else "forbidden",
    )
    return msgspec.structs.replace(decision, waiving=waiving)


def fetch_waiving(
    client: GitHubClient, repository: str, number: int, sha: str, *, verdict: str
) -> Waiving:
    """Ask whether the failing commit ``sha`` is waived; never raises for what the API does.

    With another ``verdict`` ("forbidden": the policy says so) nothing can be waived, and only a
    label that is set is noticed.
    """
    try:
        pull = _fetch_pull(client, repository, number)
        if verdict != "fail":
            why = _NOTHING.get(verdict) if pull.is_labelled else None
            return Waiving(why_not=why, allowed=verdict != "forbidden")
        comments = _fetch_claims(client, f"/repos/{repository}/issues/{number}/comments")
        events = f"/repos/{repository}/issues/{number}/events"
        return find_waiver(
            pull,
            comments,
            sha,
            lambda user: _fetch_permission(client, repository, user),
            turned_at=_fetch_turn(client, events) if comments else None,
        )
    except GitHubError as error:
        if verdict != "fail":
            return Waiving(allowed=verdict != "forbidden")
        where = f" ({error.where})" if error.where else ""
        return Waiving(why_not=f"whether it is waived is not known: {error.what}{where}"[:500])


def _fetch_pull(client: GitHubClient, repository: str, number: int) -> PullFacts:
    """Fetch the pull request's author and labels as they are now."""
    return parse_answer(client.fetch(f"/repos/{repository}/pulls/{number}"), PullFacts)


def _fetch_claims(client: GitHubClient, path: str) -> list[IssueComment]:
    """Read every page; keep only what begins with the word, however many comments there are."""
    claims: list[IssueComment] = []
    for page in client.fetch_pages(path):
        comments = parse_answer(page, list[IssueComment])
        claims += [comment for comment in comments if _FORM.match(comment.body or "")]
    return claims


def _fetch_turn(client: GitHubClient, path: str) -> datetime | None:
    """Fetch when the pull request last got another base branch; None when it never did."""
    moments: list[datetime] = []
    for page in client.fetch_pages(path):
        events = parse_answer(page, list[IssueEvent])
        moments += [event.created_at for event in events if event.event in _TURNS]
    return max(moments, default=None)


def _fetch_permission(client: GitHubClient, repository: str, user: User) -> str:
    """Return what ``user`` may do; an account that only took over the name may do nothing."""
    path = f"/repos/{repository}/collaborators/{user.login}/permission"
    try:
        permission = parse_answer(client.fetch(path), Permission)
    except NotFoundError:
        return "none"
    if permission.user is not None and permission.user.id != user.id:
        return "none"
    return permission.permission
