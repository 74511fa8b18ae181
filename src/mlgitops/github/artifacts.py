"""Fetch what another run left: by that run's number and the exact name, capped.

Network in, bytes out; what they hold is checked elsewhere. Used where one workflow leaves
something and another one takes it: a report, or the statement of a verdict.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.github.archive import MAX_PACKED_BYTES, read_members
from mlgitops.github.payloads import Artifact, ArtifactPage, parse_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.github.client import GitHubClient


def fetch_member(
    client: GitHubClient, repository: str, run_id: int, *, artifact: str, member: str, limit: int
) -> bytes | None:
    """Return the one file of the artifact ``artifact`` of run ``run_id``; None without one.

    ``limit`` caps the file in bytes. Raises :class:`MlgitopsError` when the artifact is not
    exactly that, or its bytes are not those that the API's digest names.
    """
    newest = fetch_newest_artifact(client, repository, run_id, artifact)
    if newest is None:
        return None
    return download_members(client, repository, newest, (member,), limit=limit)[member]


def fetch_newest_artifact(
    client: GitHubClient, repository: str, run_id: int, name: str
) -> Artifact | None:
    """Return what the API says of the artifact ``name`` of run ``run_id``; None without one.

    A run that was started again leaves one artifact for each attempt: the newest counts.
    """
    artifacts = _list(client, repository, run_id, name)
    return max(artifacts, key=lambda stored: stored.id, default=None)


def download_members(
    client: GitHubClient, repository: str, artifact: Artifact, names: Sequence[str], *, limit: int
) -> dict[str, bytes]:
    """Return name → content of the files of ``artifact``, which are ``names``, none more.

    ``limit`` caps each in bytes. Raises :class:`MlgitopsError` as :func:`fetch_member` does.
    """
    run = artifact.workflow_run
    where = f"artifact {artifact.name!r} of run {run.id if run else '?'}"
    if artifact.expired:
        raise MlgitopsError("it has expired", where=where, hint="run the workflow again")
    if artifact.size_in_bytes > MAX_PACKED_BYTES:
        raise MlgitopsError(f"over {MAX_PACKED_BYTES} bytes", where=where)
    path = f"/repos/{repository}/actions/artifacts/{artifact.id}/zip"
    data = client.download(path, limit=MAX_PACKED_BYTES)
    if artifact.digest and artifact.digest != f"sha256:{hashlib.sha256(data).hexdigest()}":
        raise MlgitopsError("its bytes are not those of its digest", where=where)
    return read_members(data, names, limit=limit)


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
