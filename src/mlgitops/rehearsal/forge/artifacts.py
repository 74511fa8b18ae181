"""What runs left behind."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from mlgitops.rehearsal.forge.state import MOMENT

if TYPE_CHECKING:
    from mlgitops.rehearsal.forge.call import Call, Route
    from mlgitops.rehearsal.forge.state import Artifact


def build_artifact(url: str, repository: str, found: Artifact) -> dict[str, Any]:
    """Build an artifact as the API lists it."""
    own = f"{url}/repos/{repository}/actions/artifacts/{found.id}"
    digest = found.digest or f"sha256:{hashlib.sha256(found.data).hexdigest()}"
    return {
        "id": found.id,
        "node_id": f"A_{found.id}",
        "name": found.name,
        "size_in_bytes": len(found.data) if found.size is None else found.size,
        "url": own,
        "archive_download_url": f"{own}/zip",
        "expired": found.expired,
        **dict.fromkeys(("created_at", "expires_at", "updated_at"), MOMENT),
        "digest": digest,
        "workflow_run": {"id": found.run_id},
    }


def _list_artifacts(call: Call, run: str) -> Response:
    name = call.request.args.get("name")
    found = [
        build_artifact(call.url, call.state.repository, one)
        for one in call.state.artifacts
        if one.run_id == int(run) and name in (None, one.name)
    ]
    return call.page(found, key="artifacts")


def _show_artifact(call: Call, number: str) -> Response:
    return Response(status=302, headers={"Location": f"{call.url}/downloads/{number}"})


def _download(call: Call, number: str) -> Response:
    """Answer like the storage that GitHub redirects to: it refuses our token."""
    if "Authorization" in call.request.headers:
        return Response(status=400)
    found = next((one for one in call.state.artifacts if one.id == int(number)), None)
    return Response(found.data) if found else Response(status=404)


ROUTES: tuple[Route, ...] = (
    ("GET", r"REPO/actions/runs/(\d+)/artifacts", _list_artifacts),
    ("GET", r"REPO/actions/artifacts/(\d+)/zip", _show_artifact),
    ("GET", r"/downloads/(\d+)", _download),
)
