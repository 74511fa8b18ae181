"""What runs left behind."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from mlgitops.rehearsal.forge.state import MOMENT

if TYPE_CHECKING:
    from mlgitops.rehearsal.forge.call import Call, Route
    from mlgitops.rehearsal.forge.state import Artifact


def build_artifact(url: str, repository: str, artifact: Artifact) -> dict[str, Any]:
    """Build an artifact as the API lists it."""
    own = f"{url}/repos/{repository}/actions/artifacts/{artifact.id}"
    digest = artifact.digest or f"sha256:{hashlib.sha256(artifact.data).hexdigest()}"
    return {
        "id": artifact.id,
        "node_id": f"A_{artifact.id}",
        "name": artifact.name,
        "size_in_bytes": len(artifact.data) if artifact.size is None else artifact.size,
        "url": own,
        "archive_download_url": f"{own}/zip",
        "expired": artifact.expired,
        "created_at": artifact.created_at,
        **dict.fromkeys(("expires_at", "updated_at"), MOMENT),
        "digest": digest,
        "workflow_run": {"id": artifact.run_id},
    }


def _list_artifacts(call: Call, run: str) -> Response:
    name = call.request.args.get("name")
    listed = [
        build_artifact(call.url, call.state.repository, artifact)
        for artifact in call.state.artifacts
        if artifact.run_id == int(run) and name in (None, artifact.name)
    ]
    return call.page(listed, key="artifacts")


def _show_artifact(call: Call, number: str) -> Response:
    return Response(status=302, headers={"Location": f"{call.url}/downloads/{number}"})


def _download(call: Call, number: str) -> Response:
    """Answer like the storage that GitHub redirects to: it refuses our token."""
    if "Authorization" in call.request.headers:
        return Response(status=400)
    artifact = next((stored for stored in call.state.artifacts if stored.id == int(number)), None)
    return Response(artifact.data) if artifact else Response(status=404)


ROUTES: tuple[Route, ...] = (
    ("GET", r"REPO/actions/runs/(\d+)/artifacts", _list_artifacts),
    ("GET", r"REPO/actions/artifacts/(\d+)/zip", _show_artifact),
    ("GET", r"/downloads/(\d+)", _download),
)
