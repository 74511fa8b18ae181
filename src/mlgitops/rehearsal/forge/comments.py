"""Comments on pull requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from mlgitops.rehearsal.forge.call import answer_json, answer_missing
from mlgitops.rehearsal.forge.state import MOMENT, Comment
from mlgitops.rehearsal.forge.users import build_user, find_user_id

if TYPE_CHECKING:
    from mlgitops.rehearsal.forge.call import Call, Route

#: What GitHub stores of a comment, in bytes; it names 65,536 characters when it refuses.
MAX_COMMENT_BYTES = 262_144


def build_comment(
    url: str,
    full_name: str,
    *,
    issue: int,
    number: int,
    login: str,
    body: str,
    created_at: str = MOMENT,
    updated_at: str = MOMENT,
) -> dict[str, Any]:
    """Build a comment on issue or pull request ``issue``."""
    return {
        "id": number,
        "node_id": f"IC_{number}",
        "url": f"{url}/repos/{full_name}/issues/comments/{number}",
        "html_url": f"{url}/{full_name}/pull/{issue}#issuecomment-{number}",
        "issue_url": f"{url}/repos/{full_name}/issues/{issue}",
        "user": build_user(url, login, find_user_id(login)),
        "created_at": created_at,
        "updated_at": updated_at,
        "author_association": "NONE",
        "body": body,
    }


def _list_comments(call: Call, issue: str) -> Response:
    comments = [comment for comment in call.state.comments if comment.issue == int(issue)]
    return call.page([_show(call, comment) for comment in comments])


def _create_comment(call: Call, issue: str) -> Response:
    if int(issue) not in call.state.pulls:
        return answer_missing()
    body = call.read_body().get("body")
    refusal = _check_comment(body)
    if refusal is not None:
        return refusal
    comment = Comment(call.state.take_number(), int(issue), call.login, str(body))
    call.state.comments.append(comment)
    return answer_json(_show(call, comment), 201)


def _show_comment(call: Call, number: str) -> Response:
    comment = _find_comment(call, number)
    return answer_json(_show(call, comment)) if comment else answer_missing()


def _update_comment(call: Call, number: str) -> Response:
    comment = _find_comment(call, number)
    if comment is None:
        return answer_missing()
    body = call.read_body().get("body")
    refusal = _check_comment(body)
    if refusal is not None:
        return refusal
    comment.body = str(body)
    return answer_json(_show(call, comment))


def _delete_comment(call: Call, number: str) -> Response:
    comment = _find_comment(call, number)
    if comment is None:
        return answer_missing()
    call.state.comments.remove(comment)
    return Response(status=204)


def _show(call: Call, comment: Comment) -> dict[str, Any]:
    return build_comment(
        call.url,
        call.state.repository,
        issue=comment.issue,
        number=comment.id,
        login=comment.login,
        body=comment.body,
        created_at=comment.created_at,
        updated_at=comment.updated_at,
    )


def _find_comment(call: Call, number: str) -> Comment | None:
    return next((comment for comment in call.state.comments if comment.id == int(number)), None)


def _check_comment(body: object) -> Response | None:
    if not isinstance(body, str) or not body.strip():
        return answer_json({"message": "Validation Failed"}, 422)
    if len(body.encode()) > MAX_COMMENT_BYTES:
        message = "Validation Failed: body is too long (maximum is 65536 characters)"
        return answer_json({"message": message}, 422)
    return None


ROUTES: tuple[Route, ...] = (
    ("GET", r"REPO/issues/(\d+)/comments", _list_comments),
    ("POST", r"REPO/issues/(\d+)/comments", _create_comment),
    ("GET", r"REPO/issues/comments/(\d+)", _show_comment),
    ("PATCH", r"REPO/issues/comments/(\d+)", _update_comment),
    ("DELETE", r"REPO/issues/comments/(\d+)", _delete_comment),
)
