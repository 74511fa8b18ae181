"""Check runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlgitops.rehearsal.forge.call import answer_json, answer_missing
from mlgitops.rehearsal.forge.state import MOMENT

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from mlgitops.rehearsal.forge.call import Call, Route

MAX_ANNOTATIONS = 50


def build_check_run(
    url: str, full_name: str, number: int, fields: dict[str, Any]
) -> dict[str, Any]:
    """Build a check run from the fields that created it."""
    own = f"{url}/repos/{full_name}/check-runs/{number}"
    output = fields.get("output") or {}
    return {
        "id": number,
        "node_id": f"CR_{number}",
        "name": fields["name"],
        "head_sha": fields["head_sha"],
        "external_id": fields.get("external_id", ""),
        "url": own,
        "html_url": f"{url}/{full_name}/runs/{number}",
        "details_url": fields.get("details_url"),
        "status": fields.get("status", "queued"),
        "conclusion": fields.get("conclusion"),
        "started_at": MOMENT,
        "completed_at": MOMENT,
        "check_suite": {"id": 1},
        "app": None,
        "pull_requests": [],
        "output": {
            "title": output.get("title"),
            "summary": output.get("summary"),
            "text": output.get("text"),
            "annotations_count": len(output.get("annotations", ())),
            "annotations_url": f"{own}/annotations",
        },
    }


def _create_check(call: Call) -> Response:
    fields = {**call.read_body(), "id": call.state.take_number()}
    if len(fields.get("output", {}).get("annotations", ())) > MAX_ANNOTATIONS:
        return answer_json({"message": "Invalid request"}, 422)
    call.state.checks.append(fields)
    return answer_json(_show_check(call, fields), 201)


def _update_check(call: Call, number: str) -> Response:
    fields = next((check for check in call.state.checks if check["id"] == int(number)), None)
    if fields is None:
        return answer_missing()
    new = call.read_body()
    old = fields.get("output", {}).get("annotations", [])
    added = new.get("output", {}).get("annotations", [])
    if len(added) > MAX_ANNOTATIONS:
        return answer_json({"message": "Invalid request"}, 422)
    fields.update(new)
    fields["output"] = {**fields.get("output", {}), "annotations": [*old, *added]}
    return answer_json(_show_check(call, fields))


def _list_checks(call: Call, sha: str) -> Response:
    name = call.request.args.get("check_name")
    listed = [
        _show_check(call, check)
        for check in call.state.checks
        if check["head_sha"] == sha and name in (None, check["name"])
    ]
    return call.page(listed, key="check_runs")


def _show_check(call: Call, fields: dict[str, Any]) -> dict[str, Any]:
    return build_check_run(call.url, call.state.repository, fields["id"], fields)


ROUTES: tuple[Route, ...] = (
    ("POST", "REPO/check-runs", _create_check),
    ("PATCH", r"REPO/check-runs/(\d+)", _update_check),
    ("GET", "REPO/commits/([0-9a-f]{40})/check-runs", _list_checks),
)
