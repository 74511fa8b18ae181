"""Fetch the report that another run left: by that run's number and the exact name, capped.

Network in, bytes out; what they hold is checked elsewhere. Used where one workflow compares
and another posts, for pull requests from forks.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.github.archive import MAX_PACKED_BYTES, read_only_member
from mlgitops.github.payloads import Artifact, ArtifactPage, parse_answer

if TYPE_CHECKING:
    from mlgitops.github.client import GitHubClient


def fetch_member(
    client: GitHubClient, repository: str, run_id: int, *, artifact: str, member: str, limit: int
) -> bytes | None:
    """Return the one file of the artifact ``artifact`` of run ``run_id``; None without one.

    A run that was started again leaves one artifact for each attempt: the newest counts.
    ``limit`` caps the file in bytes. Raises :class:`MlgitopsError` when the artifact is not
    exactly that, or its bytes are not those that the API's digest names.
    """
    artifacts = _list(client, repository, run_id, artifact)
    if not artifacts:
        return None
    newest = max(artifacts, key=lambda stored: stored.id)
    where = f"artifact {artifact!r} of run {run_id}"
    if newest.expired:
        raise MlgitopsError("it has expired", where=where, hint="run the workflow again")
    if newest.size_in_bytes > MAX_PACKED_BYTES:
        raise MlgitopsError(f"over {MAX_PACKED_BYTES} bytes", where=where)
    path = f"/repos/{repository}/actions/artifacts/{newest.id}/zip"
    data = client.download(path, limit=MAX_PACKED_BYTES)
    if newest.digest and newest.digest != f"sha256:{hashlib.sha256(data).hexdigest()}":
        raise MlgitopsError("its bytes are not those of its digest", where=where)
    return read_only_member(data, member, limit=limit)


def _list(client: GitHubClient, repository: str, run_id: int, name: str) -> list[Artifact]:
    """List the artifacts called ``name`` of that run, whatever else the server sends."""
    path = f"/repos/{repository}/actions/runs/{run_id}/artifacts"
    pages = [
        parse_answer(page, ArtifactPage, "the artifacts are")
        for page in client.fetch_pages(path, {"name": name})
    ]
    return [
        artifact
        for page in pages
        for artifact in page.artifacts
        if artifact.name == name
        and artifact.workflow_run is not None
        and artifact.workflow_run.id == run_id
    ]
