"""Fetch the report that another run left: by that run's number and the exact name, capped.

Network in, bytes out; what they hold is checked elsewhere. Used where one workflow compares
and another posts, for pull requests from forks.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from mlgitops.errors import MlgitopsError
from mlgitops.github.archive import MAX_PACKED_BYTES, read_only_member

if TYPE_CHECKING:
    from mlgitops.github.client import GitHubClient


class _Run(msgspec.Struct, frozen=True):
    id: int


class _Artifact(msgspec.Struct, frozen=True):
    id: Annotated[int, Meta(gt=0, lt=2**53)]
    name: str
    size_in_bytes: Annotated[int, Meta(ge=0)]
    expired: bool
    workflow_run: _Run | None = None
    digest: str | None = None


class _Page(msgspec.Struct, frozen=True):
    artifacts: list[_Artifact]


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


def _list(client: GitHubClient, repository: str, run_id: int, name: str) -> list[_Artifact]:
    """List the artifacts called ``name`` of that run, whatever else the server sends."""
    path = f"/repos/{repository}/actions/runs/{run_id}/artifacts"
    try:
        pages = [msgspec.convert(page, _Page) for page in client.fetch_pages(path, {"name": name})]
    except msgspec.ValidationError as error:
        raise MlgitopsError(f"the artifacts are not what GitHub sends: {error}") from error
    return [
        artifact
        for page in pages
        for artifact in page.artifacts
        if artifact.name == name
        and artifact.workflow_run is not None
        and artifact.workflow_run.id == run_id
    ]
