"""A release into an environment: its model.yaml then, or why it must not change. Reads git."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.bundle import read_model_oid
from mlgitops.delivery.images.pinned import parse_digest
from mlgitops.delivery.proposals.proposal import Proposal, find_default
from mlgitops.delivery.proposals.states import (
    find_desired,
    locate_wanted,
    pin_image,
    restore_image,
)
from mlgitops.delivery.releases.release import find_release, list_releases
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import find_remote_ref
from mlgitops.git.tags import parse_version
from mlgitops.git.wanted import read_wanted
from mlgitops.git.wanted_edit import edit_wanted
from mlgitops.render.escape import escape_code
from mlgitops.storage.exchange import has_origin
from mlgitops.storage.published import is_published

if TYPE_CHECKING:
    from mlgitops.console import Console
    from mlgitops.delivery.releases.release import Release
    from mlgitops.git.repository import Folder, Repository
    from mlgitops.git.wanted import Wanted

_SHORT = 12
_MOST_METRICS = 8


def plan_promotion(
    folder: Folder,
    environment: str,
    version: str | None,
    *,
    allow_older: bool,
    console: Console,
    image: str | None = None,
) -> Proposal:
    """Plan the change that brings a release of the environment's model there.

    With ``image`` (a digest, or NAME@DIGEST) in that image, which the overlay then pins; without
    one in the image that the release had there before. What is wanted already may come in another
    image: then the overlay alone changes.

    ``version`` such as v1.2.0; None is the newest. Raises :class:`MlgitopsError` for what is no
    release, not published, wanted already, or, without ``allow_older``, older than what is wanted;
    and where an image is pinned and nothing says which one holds the release.
    """
    repository = folder.repository
    base, tip = find_default(repository)
    wanted = read_wanted(repository, folder.prefix, environment, tip)
    release = _select(repository, wanted.model, version)
    _refuse_unsent(repository, release)
    if not allow_older:
        _refuse_older(repository, wanted, release, tip)
    digest = parse_digest(image) if image else None
    pinned = _pin(folder, environment, release, tip, digest)
    is_wanted = _is_wanted(wanted, release)
    if is_wanted and (digest is None or pinned is None):
        raise _refuse_wanted(folder, wanted, release, tip)
    refuse_unpublished(folder, release.revision, release.tag, console)
    branch = f"promote/{folder.prefix}{environment}/{release.version}"
    short = (digest or "").removeprefix("sha256:")[:_SHORT]
    title = f"Promote {release.model} {release.version} to {environment}"
    return Proposal(
        environment=environment,
        path=locate_wanted(folder, environment),
        content=None if is_wanted else write_release(folder, environment, release, tip),
        base=base,
        tip=tip,
        branch=f"{branch}-{short}" if is_wanted else branch,
        title=f"{title} in another image" if is_wanted else title,
        body=_describe(wanted, release, tip, digest),
        image=pinned,
    )


def _pin(
    folder: Folder, environment: str, release: Release, tip: str, digest: str | None
) -> tuple[str, bytes] | None:
    """Return the overlay with the release's image in it; None where it stays as it is."""
    if digest is not None:
        return pin_image(folder, environment, tip, digest)
    desired = find_desired(folder, environment, release.version, tip)
    return restore_image(folder, environment, tip, desired)


def write_release(folder: Folder, environment: str, release: Release, tip: str) -> bytes:
    """Write the environment's file as it is at ``tip``, with ``release`` in it."""
    path = locate_wanted(folder, environment)
    data = folder.repository.read(tip, path) or b""
    model = {
        "version": release.version,
        "revision": release.revision,
        "sha256": release.sha256,
    }
    return edit_wanted(data, model, where=f"{path} at {tip[:_SHORT]}")


def refuse_unpublished(folder: Folder, revision: str, label: str, console: Console) -> None:
    """Raise :class:`MlgitopsError` unless the storage holds the model of ``revision``."""
    oid = read_model_oid(folder.repository, folder.prefix, revision)
    if not is_published(folder.place, oid, console):
        raise MlgitopsError(
            f"the model of {label} is not in the storage, so that nobody else can fetch it",
            where=f"object {oid[:_SHORT]}",
            hint="whoever trained it must run `mlgitops publish`",
        )


def _select(repository: Repository, model: str, version: str | None) -> Release:
    if version is not None:
        return find_release(repository, model, version)
    releases = list_releases(repository, model)
    if not releases:
        hint = "`mlgitops release` makes one of what is merged"
        raise MlgitopsError(f"{model} has no release", hint=hint)
    return releases[-1]


def _refuse_unsent(repository: Repository, release: Release) -> None:
    """Refuse a tag that only this clone has: nobody else could tell what the version is."""
    root = repository.root
    if has_origin(root) and find_remote_ref(root, f"refs/tags/{release.tag}") is None:
        raise MlgitopsError(
            "the release is in this clone alone",
            where=f"tag {release.tag}",
            hint=f"send it: `git push origin {release.tag}`",
        )


def _is_wanted(wanted: Wanted, release: Release) -> bool:
    is_same = (wanted.version, wanted.commit) == (release.version, release.revision)
    return is_same and wanted.sha256 in (None, release.sha256)


def _refuse_wanted(folder: Folder, wanted: Wanted, release: Release, tip: str) -> MlgitopsError:
    return MlgitopsError(
        f"{wanted.environment} wants {release.version} already",
        where=f"{locate_wanted(folder, wanted.environment)} at {tip[:_SHORT]}",
        hint=f"`mlgitops deploy {wanted.environment} --status` says what is in service",
    )


def _refuse_older(repository: Repository, wanted: Wanted, release: Release, tip: str) -> None:
    """Refuse a way back, by version where both have one, else by the place in the history.

    An environment that follows the branch wants whatever was merged last: there is no way back.
    """
    if wanted.version is not None:
        versions = [parse_version(name, wanted.model) for name in (release.version, wanted.version)]
        is_older = versions[0] is not None and versions[1] is not None and versions[0] < versions[1]
    else:
        is_older = wanted.commit not in (tip, release.revision) and (
            repository.is_first_parent_ancestor(release.revision, wanted.commit)
        )
    if is_older:
        raise MlgitopsError(
            f"{release.version} is older than what {wanted.environment} wants,"
            f" {wanted.version or wanted.commit[:_SHORT]}",
            hint=f"`mlgitops rollback {wanted.environment}` goes back to what was there before; "
            "--allow-older takes this one all the same",
        )


def _describe(wanted: Wanted, release: Release, tip: str, digest: str | None) -> str:
    """Say what changes, who measured it, and what merging does."""
    before = wanted.version or (
        "what was merged last" if wanted.commit == tip else wanted.commit[:_SHORT]
    )
    lineage = release.lineage
    numbers = [
        f"{escape_code(metric.name)} {metric.value:.6g}"
        for metric in lineage.metrics[:_MOST_METRICS]
    ]
    verdict = lineage.verdict or "not said by the release"
    environment = wanted.environment
    is_same = _is_wanted(wanted, release)
    instead = "as before, in another image" if is_same else f"instead of {escape_code(before)}"
    move = f"{escape_code(environment)} shall serve {escape_code(release.tag)} {instead}."
    model = (
        f"Model {escape_code(release.sha256[:_SHORT])} of commit {release.revision}; its verdict"
        f" when it was merged: {verdict}."
    )
    merging = (
        "Nothing is trained. Merging this makes it what is wanted, and the next delivery brings it"
        f" into service; `mlgitops rollback {environment}` takes it back."
    )
    image = f"In the image {escape_code(digest)}." if digest else ""
    released = f"At its release: {', '.join(numbers)}." if numbers else ""
    return "\n\n".join(text for text in (move, model, image, released, merging) if text)
