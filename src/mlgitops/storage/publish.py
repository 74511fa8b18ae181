"""Send what the pipeline made to the default remote, and prove that it arrived."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.dvc import run_dvc
from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.storage.branch import (
    BRANCH,
    fetch_branch,
    has_origin,
    identity_options,
    integrate,
    run_git,
)
from mlgitops.storage.objects import (
    StoredObject,
    hash_file,
    locate,
    read_members,
    read_objects,
)
from mlgitops.storage.prepare import prepare_storage
from mlgitops.storage.remote import find_cache
from mlgitops.storage.sources import cache_sources

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.storage.remote import Remote

#: Sizes in bytes for the storage kind `repo`. GitHub warns at 50 MiB and refuses at 100 MiB:
#: https://docs.github.com/en/repositories/working-with-files/managing-large-files
WARN_BYTES = 50 * 1000 * 1000
REFUSE_BYTES = 95 * 1000 * 1000

PUSH_ATTEMPTS = 8


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
        run_dvc(project, ["push", "--quiet"])
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
        _refuse_changed(worktree)
        _push_verified(project, worktree)
        added = _commit_new(worktree)
    pushed = has_origin(project)
    if pushed:
        with console.step(f"Push branch {BRANCH} to origin"):
            _push_branch(project, worktree, console)
    with console.step("Prove that the storage is complete"):
        _prove_branch(project, worktree, objects, pushed=pushed)
    return Published(remote=remote.name, objects=len(objects), added=added, pushed=pushed)


def _worktree(remote: Remote) -> Path:
    assert remote.path is not None  # noqa: S101 - a remote of this kind has one
    return remote.path


def _read_all(project: Path, remote: Remote) -> list[StoredObject]:
    """Return every object that the work tree names, with the members of its directories."""
    places = [find_cache(project), *([remote.path] if remote.path else [])]
    found = read_objects(project)
    members: set[StoredObject] = set()
    for stored in found:
        if stored.oid.endswith(".dir"):
            files = (place / stored.location for place in places)
            manifest = next((file for file in files if file.is_file()), None)
            members.update(read_members(manifest, stored) if manifest else ())
    return sorted({*found, *members}, key=lambda stored: (stored.path, stored.oid))


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
            what = f"{size / 1e6:.0f} MB, and git hosting refuses files over 100 MB"
            mistakes.append(MlgitopsError(what, where=stored.path))
        elif size > WARN_BYTES:
            console.warn(f"{stored.path} has {size / 1e6:.0f} MB: large for storage in git")
    if mistakes:
        raise MistakesError(
            "too large for storage in the repository:",
            mistakes,
            hint=f"move to S3: `dvc remote modify {remote.name} url s3://BUCKET/PREFIX`, "
            "then add dvc-s3 to requirements/ci.in and lock it",
        )


def _push_verified(project: Path, worktree: Path) -> None:
    """Run `dvc push`; what an earlier one left half-written is dropped, and sent again."""
    run_dvc(project, ["push", "--quiet"])
    if _drop_damaged(worktree):
        run_dvc(project, ["push", "--quiet"])
        damaged = _drop_damaged(worktree)
        if damaged:
            raise MlgitopsError(
                f"{len(damaged)} objects do not have the content of their name, first {damaged[0]}",
                where=str(find_cache(project)),
                hint="this cache is damaged: delete these files there and run `mlgitops train`",
            )


def _new_files(worktree: Path) -> list[str]:
    options = ["--others", "-z", "--", "files"]
    return [path for path in run_git(worktree, "ls-files", *options).split("\0") if path]


def _drop_damaged(worktree: Path) -> list[str]:
    """Remove new files whose content is not that of their name; return their paths."""
    damaged = [path for path in _new_files(worktree) if not _is_sound(worktree, path)]
    for path in damaged:
        (worktree / path).unlink()
    return damaged


def _is_sound(worktree: Path, path: str) -> bool:
    file = worktree / path
    oid = "".join(path.split("/")[2:])
    regular = file.is_file() and not file.is_symlink()
    return regular and locate(oid) == path and hash_file(file) == oid.removesuffix(".dir")


def _refuse_changed(worktree: Path) -> None:
    """Raise when a stored file was edited or removed in the work tree of the branch."""
    listed = run_git(worktree, "ls-files", "--deleted", "--modified", "-z").split("\0")
    changed = [path for path in listed if path]
    if changed:
        raise MlgitopsError(
            f"{len(set(changed))} stored objects were changed or removed, first {changed[0]}",
            where=str(worktree),
            hint=f"objects are add-only: `git -C {worktree.name} checkout -- .` restores them",
        )


def _commit_new(worktree: Path) -> int:
    """Commit the new objects, which were verified; return how many."""
    paths = _new_files(worktree)
    if not paths:
        return 0
    listing = worktree / ".git-add"
    listing.write_text("\0".join(paths), encoding="utf-8")
    options = [f"--pathspec-from-file={listing}", "--pathspec-file-nul"]
    try:
        run_git(worktree, "add", "--force", *options)
    finally:
        listing.unlink()
    message = f"Store {len(paths)} objects"
    run_git(worktree, *identity_options(worktree), "commit", "--quiet", "-m", message)
    return len(paths)


def _push_branch(project: Path, worktree: Path, console: Console) -> None:
    """Push without force; when somebody was quicker, put our additions on top of theirs."""
    for attempt in range(1, PUSH_ATTEMPTS + 1):
        try:
            run_git(worktree, "push", "--quiet", "origin", f"{BRANCH}:{BRANCH}")
        except MlgitopsError as error:
            lost_race = any(
                word in error.what for word in ("rejected", "fetch first", "cannot lock")
            )
            if not lost_race or attempt == PUSH_ATTEMPTS:
                raise MlgitopsError(
                    error.what,
                    where=f"branch {BRANCH}",
                    hint="the objects are committed here; `mlgitops publish` again pushes them",
                ) from error
            time.sleep(random.uniform(0, 0.2 * attempt))  # noqa: S311 - spreads the others
            fetch_branch(project, console)
            integrate(project, worktree)
        else:
            return


def _prove_branch(
    project: Path, worktree: Path, objects: list[StoredObject], *, pushed: bool
) -> None:
    head = run_git(worktree, "rev-parse", "HEAD").strip()
    if pushed:
        listed = run_git(project, "ls-remote", "origin", f"refs/heads/{BRANCH}").split()
        upstream = listed[0] if listed else "nothing"
        if upstream != head and not _contains(project, worktree, upstream, head):
            raise MlgitopsError(
                f"origin holds {upstream[:12]}, not the {head[:12]} that was pushed",
                where=f"branch {BRANCH}",
                hint="run `mlgitops publish` again",
            )
    stored = _list_tree(worktree, head)
    _refuse_missing(project, objects, stored, where=f"branch {BRANCH} at {head[:12]}")


def _contains(project: Path, worktree: Path, upstream: str, head: str) -> bool:
    """Tell whether ``upstream``, pushed by another since, holds our commit."""
    try:
        run_git(project, "fetch", "--quiet", "--no-tags", "origin", upstream)
        run_git(worktree, "merge-base", "--is-ancestor", head, upstream)
    except MlgitopsError:
        return False
    return True


def _list_tree(worktree: Path, revision: str) -> dict[str, int]:
    """Return path to size in bytes of every object in the branch."""
    lines = run_git(worktree, "ls-tree", "-r", "-l", "-z", revision, "files").split("\0")
    rows = (line.split("\t", 1) for line in lines if line)
    return {path: int(head.split()[3]) for head, path in rows}


def _prove(project: Path, remote: Remote, objects: list[StoredObject]) -> None:
    """List the remote: the exit code of a push is no proof that everything arrived."""
    if remote.path is not None:
        stored = {
            stored_object.location: (remote.path / stored_object.location).stat().st_size
            for stored_object in objects
            if (remote.path / stored_object.location).is_file()
        }
        _refuse_missing(project, objects, stored, where=remote.url)
        return
    answer = run_dvc(project, ["data", "status", "--json", "--not-in-remote"])
    missing = json.loads(answer).get("not_in_remote") or []
    if missing:
        raise MlgitopsError(
            f"{len(missing)} outputs did not arrive, first {missing[0]}",
            where=remote.url,
            hint="run `mlgitops publish` again",
        )


def _refuse_missing(
    project: Path, objects: list[StoredObject], stored: dict[str, int], *, where: str
) -> None:
    cache = find_cache(project)
    missing = []
    for wanted in objects:
        cached, size = cache / wanted.location, wanted.size
        if size is None and cached.is_file():
            size = cached.stat().st_size
        found = stored.get(wanted.location)
        if found is None:
            missing.append(MlgitopsError("missing", where=wanted.path))
        elif size is not None and found != size:
            missing.append(MlgitopsError(f"{found} bytes, not {size}", where=wanted.path))
    if missing:
        raise MistakesError(
            f"the storage is not complete ({where}):",
            missing[:20],
            hint="the data must be in .dvc/cache here: run `mlgitops train`, then publish again",
        )
