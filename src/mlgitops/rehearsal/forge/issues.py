"""Issues; their list holds the pull requests as well, as GitHub's does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlgitops.rehearsal.forge.call import answer_json, answer_missing
from mlgitops.rehearsal.forge.state import MOMENT, Issue
from mlgitops.rehearsal.forge.users import build_user, find_user_id

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from mlgitops.rehearsal.forge.call import Call, Route

#: What GitHub stores of a text, in characters: https://github.com/dead-claudia/github-limits
MAX_TEXT = 65_536


def build_issue(call: Call, issue: Issue, *, is_pull: bool = False) -> dict[str, Any]:
    """Build an issue, or the part of a pull request that is one."""
    own = f"{call.url}/repos/{call.state.repository}/issues/{issue.number}"
    pull = f"{call.url}/repos/{call.state.repository}/pulls/{issue.number}"
    addresses = dict.fromkeys(("url", "html_url", "diff_url", "patch_url"), pull)
    return {
        "id": issue.number,
        "node_id": f"I_{issue.number}",
        "number": issue.number,
        "state": issue.state,
        "state_reason": issue.state_reason,
        "title": issue.title,
        "body": issue.body,
        "user": build_user(call.url, issue.login, find_user_id(issue.login)),
        "labels": [],
        "locked": False,
        "comments": 0,
        "author_association": "NONE",
        "url": own,
        "html_url": own.replace("/repos/", "/"),
        "repository_url": f"{call.url}/repos/{call.state.repository}",
        "labels_url": f"{own}/labels{{/name}}",
        "comments_url": f"{own}/comments",
        "events_url": f"{own}/events",
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "closed_at": None if issue.state == "open" else issue.closed_at,
        **dict.fromkeys(("assignee", "milestone")),
        **({"pull_request": addresses} if is_pull else {}),
    }


def _list_issues(call: Call) -> Response:
    state = call.request.args.get("state", "open")
    owner = call.state.repository.partition("/")[0]
    pulls = [
        Issue(
            number=pull.number,
            login=pull.author or owner,
            title=pull.title,
            body=pull.body,
            state=pull.state,
        )
        for pull in call.state.pulls.values()
    ]
    shown = [(issue, False) for issue in call.state.issues.values()]
    shown += [(pull, True) for pull in pulls]
    newest_first = call.request.args.get("direction", "desc") == "desc"
    shown.sort(key=lambda entry: entry[0].number, reverse=newest_first)
    return call.page(
        [
            build_issue(call, issue, is_pull=is_pull)
            for issue, is_pull in shown
            if state in ("all", issue.state)
        ]
    )


def _create_issue(call: Call) -> Response:
    sent = call.read_body()
    title, body = sent.get("title"), sent.get("body")
    if not isinstance(title, str) or not title.strip() or len(str(body)) > MAX_TEXT:
        return answer_json({"message": "Validation Failed"}, 422)
    number = call.state.take_issue_number()
    issue = Issue(number=number, login=call.login, title=title, body=str(body or ""))
    call.state.issues[number] = issue
    return answer_json(build_issue(call, issue), 201)


def _update_issue(call: Call, number: str) -> Response:
    issue = call.state.issues.get(int(number))
    if issue is None:
        return answer_missing()
    sent = call.read_body()
    issue.title, issue.body = sent.get("title", issue.title), sent.get("body", issue.body)
    state = sent.get("state", issue.state)
    if state != issue.state:
        default = "reopened" if state == "open" else "completed"
        issue.state, issue.state_reason = state, sent.get("state_reason") or default
    return answer_json(build_issue(call, issue))


ROUTES: tuple[Route, ...] = (
    ("GET", "REPO/issues", _list_issues),
    ("POST", "REPO/issues", _create_issue),
    ("PATCH", r"REPO/issues/(\d+)", _update_issue),
)
