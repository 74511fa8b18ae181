"""Pull requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlgitops.rehearsal.forge.call import answer_json, answer_missing
from mlgitops.rehearsal.forge.commits import build_commit
from mlgitops.rehearsal.forge.repositories import build_repository
from mlgitops.rehearsal.forge.state import MOMENT, Pull
from mlgitops.rehearsal.forge.users import build_user, find_user_id

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from mlgitops.rehearsal.forge.call import Call, Route


def build_pull(url: str, full_name: str, pull: Pull, head: tuple[str, str]) -> dict[str, Any]:
    """Build a pull request of the repository ``full_name``; ``head`` is its (branch, sha) now."""
    number, author, labels = pull.number, pull.author, pull.labels
    own = f"{url}/repos/{full_name}/pulls/{number}"
    issue = f"{url}/repos/{full_name}/issues/{number}"
    repository = build_repository(url, full_name)
    links = {
        "self": own,
        "html": f"{url}/{full_name}/pull/{number}",
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{own}/comments",
        "review_comment": f"{url}/repos/{full_name}/pulls/comments{{/number}}",
        "commits": f"{own}/commits",
        "statuses": f"{url}/repos/{full_name}/statuses/{head[1]}",
    }
    named = ("html", "issue", "comments", "review_comments", "review_comment")
    return {
        "id": number,
        "node_id": f"PR_{number}",
        "number": number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "body": pull.body,
        "url": own,
        **{f"{name}_url": links[name] for name in (*named, "commits", "statuses")},
        **{f"{kind}_url": f"{links['html']}.{kind}" for kind in ("diff", "patch")},
        "_links": {name: {"href": link} for name, link in links.items()},
        "base": _build_side(pull.base, repository),
        "head": _build_side(head, build_repository(url, pull.fork) if pull.fork else repository),
        "user": build_user(url, author, find_user_id(author)) if author else repository["owner"],
        "labels": [_build_label(url, full_name, at, name) for at, name in enumerate(labels, 1)],
        "author_association": "OWNER",
        "draft": False,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        **dict.fromkeys(("assignee", "milestone", "closed_at", "auto_merge", "mergeable")),
        "merged_at": MOMENT if pull.merged_as else None,
        "merged_by": build_user(url, pull.merged_by, 3) if pull.merged_by else None,
        "merge_commit_sha": pull.merged_as,
        **dict.fromkeys(("additions", "changed_files", "commits", "deletions"), 0),
        **dict.fromkeys(("comments", "review_comments"), 0),
        "merged": pull.merged_as is not None,
        "maintainer_can_modify": False,
        "mergeable_state": "unknown",
    }


def _show_pull(call: Call, number: str) -> Response:
    pull = call.state.pulls.get(int(number))
    if pull is None:
        return answer_missing()
    return answer_json(_show_open_pull(call, pull))


def _list_pulls(call: Call) -> Response:
    arguments = call.request.args
    state, head, base = arguments.get("state", "open"), arguments.get("head"), arguments.get("base")
    shown = [
        _show_open_pull(call, pull)
        for pull in call.state.pulls.values()
        if state in ("all", pull.state)
    ]
    return call.page(
        [
            pull
            for pull in shown
            if head in (None, pull["head"]["label"]) and base in (None, pull["base"]["ref"])
        ]
    )


def _create_pull(call: Call) -> Response:
    """Open a pull request, of which a branch and its base have at most one at a time."""
    sent = call.read_body()
    branch, base, title = (str(sent.get(name) or "") for name in ("head", "base", "title"))
    head, at = call.find_head(branch), call.find_head(base)
    if not title.strip() or head is None or at is None:
        return _refuse_pull("Validation Failed: head or base is invalid")
    if head == at:
        return _refuse_pull(f"No commits between {base} and {branch}")
    sides = [(pull.head[0], pull.base[0]) for pull in call.state.pulls.values() if _is_open(pull)]
    if (branch, base) in sides:
        owner = call.state.repository.partition("/")[0]
        return _refuse_pull(f"A pull request already exists for {owner}:{branch}.")
    pull = Pull(
        number=call.state.take_issue_number(),
        base=(base, at),
        head=(branch, head),
        title=title,
        body=str(sent.get("body") or ""),
        author=call.login,
    )
    call.state.pulls[pull.number] = pull
    return answer_json(_show_open_pull(call, pull), 201)


def _is_open(pull: Pull) -> bool:
    return pull.state == "open" and pull.fork is None


def _refuse_pull(message: str) -> Response:
    return answer_json({"message": message}, 422)


def _update_pull(call: Call, number: str) -> Response:
    pull = call.state.pulls.get(int(number))
    if pull is None:
        return answer_missing()
    sent = call.read_body()
    pull.title, pull.body = sent.get("title", pull.title), sent.get("body", pull.body)
    pull.state = sent.get("state", pull.state)
    return answer_json(_show_open_pull(call, pull))


def _list_commits(call: Call, number: str) -> Response:
    pull = call.state.pulls.get(int(number))
    if pull is None:
        return answer_missing()
    return call.page(
        [build_commit(call.url, call.state.repository, sha, text) for sha, text in pull.commits]
    )


def _list_reviews(call: Call, number: str) -> Response:
    pull = call.state.pulls.get(int(number))
    if pull is None:
        return answer_missing()
    return call.page([_build_review(call, pull, at) for at in range(len(pull.reviews))])


def _build_review(call: Call, pull: Pull, at: int) -> dict[str, Any]:
    login, state, sha = pull.reviews[at]
    own = f"{call.url}/repos/{call.state.repository}/pulls/{pull.number}"
    page = f"{call.url}/{call.state.repository}/pull/{pull.number}#pullrequestreview-{at + 1}"
    return {
        "id": at + 1,
        "node_id": f"PRR_{at + 1}",
        "user": build_user(call.url, login, find_user_id(login)),
        "body": "",
        "state": state,
        "html_url": page,
        "pull_request_url": own,
        "_links": {"html": {"href": page}, "pull_request": {"href": own}},
        "submitted_at": MOMENT,
        "commit_id": sha,
        "author_association": "MEMBER",
    }


def _list_events(call: Call, number: str) -> Response:
    pull = call.state.pulls.get(int(number))
    if pull is None:
        return answer_missing()
    return call.page([_build_event(call, at, moment) for at, moment in enumerate(pull.turns, 1)])


def _build_event(call: Call, number: int, moment: str) -> dict[str, Any]:
    """Build the event that the base branch was changed, with the fields that all events have."""
    return {
        "id": number,
        "node_id": f"E_{number}",
        "url": f"{call.url}/repos/{call.state.repository}/issues/events/{number}",
        "actor": build_user(call.url, "octocat", 3),
        "event": "base_ref_changed",
        "created_at": moment,
        **dict.fromkeys(("commit_id", "commit_url", "lock_reason", "performed_via_github_app")),
    }


def _show_open_pull(call: Call, pull: Pull) -> dict[str, Any]:
    branch, sha = pull.head
    moved = None if pull.fork else call.find_head(branch)
    return build_pull(call.url, call.state.repository, pull, (branch, moved or sha))


def _build_label(url: str, full_name: str, number: int, name: str) -> dict[str, Any]:
    return {
        "id": number,
        "node_id": f"L_{number}",
        "url": f"{url}/repos/{full_name}/labels/{number}",
        "name": name,
        "description": None,
        "color": "ededed",
        "default": False,
    }


def _build_side(side: tuple[str, str], repository: dict[str, Any]) -> dict[str, Any]:
    branch, sha = side
    owner = repository["owner"]
    return {
        "label": f"{owner['login']}:{branch}",
        "ref": branch,
        "sha": sha,
        "repo": repository,
        "user": owner,
    }


ROUTES: tuple[Route, ...] = (
    ("GET", "REPO/pulls", _list_pulls),
    ("POST", "REPO/pulls", _create_pull),
    ("GET", r"REPO/pulls/(\d+)", _show_pull),
    ("PATCH", r"REPO/pulls/(\d+)", _update_pull),
    ("GET", r"REPO/pulls/(\d+)/commits", _list_commits),
    ("GET", r"REPO/pulls/(\d+)/reviews", _list_reviews),
    ("GET", r"REPO/issues/(\d+)/events", _list_events),
)
