"""Send what the pipeline made to the default remote, and prove that it arrived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.dvc.command import run_dvc
from mlgitops.dvc.remote import find_cache
from mlgitops.dvc.stored import (
    StoredObject,
    locate,
    parse_members,
    read_imported,
    read_members,
    read_objects,
)
from mlgitops.dvc.transport import list_stored, read_manifests, send_objects
from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.git.program import run_git
from mlgitops.model import DataVersion
from mlgitops.storage.additions import commit_new, drop_damaged, refuse_changed
from mlgitops.storage.branch import BRANCH
from mlgitops.storage.exchange import has_origin, prove_pushed, push_branch
from mlgitops.storage.prepare import prepare_storage
from mlgitops.storage.sources import cache_sources

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.dvc.remote import Remote

#: Sizes in bytes for the storage kind `repo`. GitHub warns at 50 MiB and refuses at 100 MiB:
#: https://docs.github.com/en/repositories/working-with-files/managing-large-files
WARN_BYTES = 50 * 1000 * 1000
REFUSE_BYTES = 95 * 1000 * 1000


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a publication did: every object named by the revision is now in the storage."""

    remote: str
    objects: int  # that the revision needs, directory members included
    added: int | None  # of which new; None where the storage cannot tell
    pushed: bool  # to origin or to a remote machine


def publish_objects(project: Path, console: Console) -> Published:
    """Store every object of the work tree's dvc.lock and .dvc files, and prove completeness.

    Raises :class:`MlgitopsError` when there is no default remote, an object is too large for
    it, a stored object was changed, or anything is missing at the end.
    """
    remote = prepare_storage(project, console)
    if remote is None:
        raise MlgitopsError(
            "this project has no default remote to publish to",
            where=str(project / ".dvc" / "config"),
            hint="add one with `dvc remote add --default NAME URL`",
        )
    if remote.kind == "repo":
        return _publish_to_branch(project, remote, console)
    with console.step(f"Send new objects to {remote.url}"):
        cache_sources(project)
        _push(project)
    with console.step("Prove that the storage is complete"):
        objects = _read_all(project, remote)
        _prove(project, remote, objects)
    return Published(remote=remote.name, objects=len(objects), added=None, pushed=True)


def _publish_to_branch(project: Path, remote: Remote, console: Console) -> Published:
    worktree = _worktree(remote)
    cache_sources(project)
    objects = _read_all(project, remote)
    _check_sizes(project, worktree, objects, remote, console)
    with console.step(f"Copy new objects to branch {BRANCH}"):
        refuse_changed(worktree)
        _push_verified(project, worktree)
        # Before the commit: a directory's manifest must not show without its members.
        _refuse_missing(project, objects, _list_folder(worktree, objects), where=str(worktree))
        added = commit_new(worktree)
    pushed = has_origin(project)
    if pushed:
        with console.step(f"Push branch {BRANCH} to origin"):
            push_branch(project, worktree, console)
            prove_pushed(project, worktree)
    with console.step("Prove that the storage is complete"):
        _prove_branch(project, worktree, objects)
    return Published(remote=remote.name, objects=len(objects), added=added, pushed=pushed)


def _worktree(remote: Remote) -> Path:
    assert remote.path is not None  # noqa: S101 - a remote of this kind has one
    return remote.path


def _read_all(project: Path, remote: Remote) -> list[StoredObject]:
    """Return every object that the work tree names, with the members of its directories."""
    places = [find_cache(project), *([remote.path] if remote.path else [])]
    named = read_objects(project)
    members: set[StoredObject] = set()
    away = []
    for stored in named:
        if stored.oid.endswith(".dir"):
            files = (folder / stored.location for folder in places)
            manifest = next((file for file in files if file.is_file()), None)
            members.update(read_members(manifest, stored) if manifest else ())
            away += [stored] if manifest is None and remote.path is None else []
    manifests = read_manifests(project, (stored.oid for stored in away))
    for stored in away:
        if stored.oid in manifests:
            members.update(parse_members(manifests[stored.oid], stored, where=stored.path))
    return sorted({*named, *members}, key=lambda stored: (stored.path, stored.oid))


def _check_sizes(
    project: Path, worktree: Path, objects: list[StoredObject], remote: Remote, console: Console
) -> None:
    cache = find_cache(project)
    mistakes = []
    for stored in objects:
        cached = cache / stored.location
        if (worktree / stored.location).exists() or not cached.is_file():
            continue
        size = cached.stat().st_size
        if size > REFUSE_BYTES:
            problem = f"{size / 1e6:.0f} MB, and git hosting refuses files over 100 MB"
            mistakes.append(MlgitopsError(problem, where=stored.path))
        elif size > WARN_BYTES:
            console.warn(f"{stored.path} has {size / 1e6:.0f} MB: large for storage in git")
    if mistakes:
        raise MistakesError(
            "too large for storage in the repository:",
            mistakes,
            hint=f"move to S3: `dvc remote modify {remote.name} url s3://BUCKET/PREFIX`, "
            "then add dvc-s3 to requirements/ci.in and lock it",
        )


def _push(project: Path) -> None:
    """Send what DVC sends, and imported data that a stage reads.

    DVC leaves those where they are from; but what a model was made from must be there for the jobs
    that measure it by another revision's code, and when that repository is gone.
    """
    run_dvc(project, ["push", "--quiet"])
    cache = find_cache(project)
    here = [stored for stored in read_imported(project) if (cache / stored.location).is_file()]
    if here:
        versions = [DataVersion(hash=f"md5:{stored.oid}", size=stored.size) for stored in here]
        send_objects(project, cache, versions)


def _push_verified(project: Path, worktree: Path) -> None:
    """Run `dvc push`; what an earlier one left half-written is dropped, and sent again."""
    _push(project)
    if drop_damaged(worktree):
        _push(project)
        damaged = drop_damaged(worktree)
        if damaged:
            raise MlgitopsError(
                f"{len(damaged)} objects do not have the content of their name, first {damaged[0]}",
                where=str(find_cache(project)),
                hint="this cache is damaged: delete these files there and run `mlgitops train`",
            )


def _prove_branch(project: Path, worktree: Path, objects: list[StoredObject]) -> None:
    head = run_git(worktree, "rev-parse", "HEAD").strip()
    stored = list_tree(worktree, head)
    _refuse_missing(project, objects, stored, where=f"branch {BRANCH} at {head[:12]}")


def list_tree(worktree: Path, revision: str) -> dict[str, int]:
    """Return path to size in bytes of every object in the branch."""
    lines = run_git(worktree, "ls-tree", "-r", "-l", "-z", revision, "files").split("\0")
    rows = (line.split("\t", 1) for line in lines if line)
    return {path: int(head.split()[3]) for head, path in rows}


def _list_folder(folder: Path, objects: list[StoredObject]) -> dict[str, int]:
    """Return path to size in bytes of those objects that a folder holds."""
    files = {stored.location: folder / stored.location for stored in objects}
    return {path: file.stat().st_size for path, file in files.items() if file.is_file()}


def _prove(project: Path, remote: Remote, objects: list[StoredObject]) -> None:
    """List the remote: the exit code of a push is no proof that everything arrived."""
    if remote.path is not None:
        stored = _list_folder(remote.path, objects)
    else:
        sizes = list_stored(project, (wanted.oid for wanted in objects))
        stored = {locate(oid): size for oid, size in sizes.items()}
    _refuse_missing(project, objects, stored, where=remote.url)


def _refuse_missing(
    project: Path, objects: list[StoredObject], stored: dict[str, int], *, where: str
) -> None:
    cache = find_cache(project)
    missing = []
    for wanted in objects:
        cached, size = cache / wanted.location, wanted.size
        if size is None and cached.is_file():
            size = cached.stat().st_size
        size_there = stored.get(wanted.location)
        if size_there is None:
            missing.append(MlgitopsError("missing", where=wanted.path))
        elif size is not None and size_there != size:
            missing.append(MlgitopsError(f"{size_there} bytes, not {size}", where=wanted.path))
    if missing:
        raise MistakesError(
            f"the storage is not complete ({where}):",
            missing[:20],
            hint="the data must be in .dvc/cache here: run `mlgitops train`, then publish again",
        )
