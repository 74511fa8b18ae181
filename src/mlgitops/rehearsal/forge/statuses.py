"""Commit statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlgitops.rehearsal.forge.call import answer_json
from mlgitops.rehearsal.forge.state import MOMENT
from mlgitops.rehearsal.forge.users import build_user

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from mlgitops.rehearsal.forge.call import Call, Route


def build_status(url: str, full_name: str, number: int, fields: dict[str, Any]) -> dict[str, Any]:
    """Build a commit status from the fields that created it."""
    return {
        "id": number,
        "node_id": f"SC_{number}",
        "url": f"{url}/repos/{full_name}/statuses/{fields['sha']}",
        "avatar_url": None,
        "state": fields["state"],
        "description": fields.get("description"),
        "target_url": fields.get("target_url"),
        "context": fields.get("context", "default"),
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "creator": build_user(url, "github-actions[bot]", 3),
    }


def _create_status(call: Call, sha: str) -> Response:
    fields = {**call.read_body(), "sha": sha, "id": call.state.take_number()}
    call.state.statuses.append(fields)
    status = build_status(call.url, call.state.repository, fields["id"], fields)
    return answer_json(status, 201)


def _list_statuses(call: Call, sha: str) -> Response:
    own = (status for status in reversed(call.state.statuses) if status["sha"] == sha)
    return call.page(
        [build_status(call.url, call.state.repository, status["id"], status) for status in own]
    )


ROUTES: tuple[Route, ...] = (
    ("POST", "REPO/statuses/([0-9a-f]{40})", _create_status),
    ("GET", "REPO/commits/([0-9a-f]{40})/statuses", _list_statuses),
)
