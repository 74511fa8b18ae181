"""The publish job's side: check a handover, store its objects, commit its results.

The storage comes first: a lock on the branch never names an object that is not stored.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.dvc.hashes import hash_directory
from mlgitops.dvc.manifests import check_path
from mlgitops.dvc.pipeline import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.storage.handover.claims import MAX_LOCK_BYTES, check_lock
from mlgitops.storage.handover.commit import (
    MovedError,
    check_branch,
    commit_tree,
    find_tip,
    find_tree,
    push_commit,
    read_waived,
    write_subject,
    write_tree,
)
from mlgitops.storage.handover.layout import (
    LOCK,
    MAX_RESULT_BYTES,
    MAX_RESULTS,
    RESULTS,
    find_file,
    list_kept_files,
    read_capped,
)
from mlgitops.storage.handover.store import store_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.model import DataVersion
    from mlgitops.storage.handover.claims import Claims
    from mlgitops.storage.handover.store import Stored

COMMITTED = "committed"
CURRENT = "current"  # the head holds these results already
STALE = "stale"  # it does not, and nothing was to be committed
#: How often a commit is made anew when another project's results came first.
_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where results are to be committed: a tip of the branch, and its tree with them."""

    onto: str
    tree: str
    current: bool  # the tip holds them already


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a handover; ``sha`` is the commit that holds the results."""

    outcome: str
    sha: str
    objects: int = 0  # that the results need, all of them stored
    added: int = 0  # of which new
    results: int = 0  # files that git keeps


def take_handover(
    project: Path,
    handover: Path,
    *,
    base: str,
    head: str,
    branch: str,
    commit: bool,
    console: Console,
    trailers: Sequence[str] = (),
    verify: Callable[[str], None] | None = None,
) -> Taken:
    """Check all of ``handover``, store it, and commit its results to ``branch`` of origin.

    Where several projects share the repository, the results of others may have been committed
    to ``head`` meanwhile: then these are added to them.
    With ``commit`` false nothing is written: the outcome says whether ``head`` is up to date.
    ``trailers`` end the commit's message, one line each; with them there always is a commit,
    if only an empty one, because it is the record of a waiver.
    ``verify`` gets a commit, on no branch, that holds the results on top of ``head``, before
    anything is stored, and raises when they are not what was judged.
    Raises :class:`MlgitopsError` when anything is not as the head's dvc.yaml says, the base is
    not an ancestor of the head, or the branch moved on.
    """
    check_branch(project, branch)
    with Repository(project) as repository:
        base, head = repository.resolve(base), repository.resolve(head)
        if repository.merge_base(base, head) != base:
            raise MlgitopsError(
                "the base has commits that the branch lacks, and the run used both",
                where=f"branch {branch}",
                hint="merge the base into the branch (`git merge`) and push; nothing was stored",
            )
        folder = Folder(repository, project.resolve())
        with console.step("Hold the results against the pull request's commit"):
            lock = _read_lock(handover)
            claims = check_lock(lock, folder.list_files(head), lambda path: folder.read(head, path))
            results = {LOCK: lock, **_read_results(handover, claims.results)}
        of_base = _list_known(folder, base)
        prefix = folder.prefix
        gone = _find_gone(folder.list_files(head), claims, results)

    def write(onto: str) -> str:
        files = {prefix + path: data for path, data in results.items()}
        return write_tree(project, onto, files, [prefix + path for path in gone])

    whole = write(head)
    if verify is not None:
        verify(commit_tree(project, head, whole, write_subject(head)))
    own_tree = find_tree(project, whole, prefix)

    def find_place() -> _Place:
        # An earlier attempt's record of another waiver may follow the head, too.
        onto = find_tip(project, branch, head) if prefix or trailers else head
        current_tree = find_tree(project, onto, prefix)
        # What follows the head may be anything but another state of this project.
        if current_tree not in (own_tree, find_tree(project, head, prefix)):
            raise MovedError(branch, expected=head, actual=onto)
        return _Place(onto=onto, tree=write(onto), current=current_tree == own_tree)

    target_place = find_place()
    if not commit and not target_place.current:
        return Taken(outcome=STALE, sha=target_place.onto, results=len(results))
    stored = store_claims(project, handover, claims.objects, console, of_base=of_base, write=commit)
    counts = {"objects": stored.objects, "added": stored.added, "results": len(results)}
    trailer = "\n".join(trailers)
    recorded = (
        any(trailer in text for text in read_waived(project, head, target_place.onto))
        if trailer
        else True
    )
    if target_place.current and (recorded or not commit):
        return Taken(outcome=CURRENT, sha=target_place.onto, **counts)
    message = _write_message(head, len(results), stored, trailers)
    with console.step(f"Commit dvc.lock and {len(results) - 1} results to {branch}"):
        sha = _push(project, branch, target_place, find_place, message)
    return Taken(outcome=COMMITTED, sha=sha, **counts)


def _push(
    project: Path, branch: str, start: _Place, find_place: Callable[[], _Place], message: str
) -> str:
    """Commit at ``start``, and anew where the branch stands when other results came first."""
    for _ in range(_TRIES):
        commit = commit_tree(project, start.onto, start.tree, message)
        try:
            return push_commit(project, branch, head=start.onto, commit=commit)
        except MovedError:
            before, start = start.onto, find_place()
            if start.onto == before:
                raise
    raise MlgitopsError("the branch keeps moving; run the job again", where=f"branch {branch}")


def _read_lock(handover: Path) -> bytes:
    file = find_file(handover, f"{RESULTS}/{LOCK}")
    if file is None:
        raise MlgitopsError(
            "the run handed over no dvc.lock", hint="the log of the job that trained says why"
        )
    return read_capped(file, MAX_LOCK_BYTES, LOCK)


def _read_results(handover: Path, wanted: Mapping[str, DataVersion]) -> dict[str, bytes]:
    """Read the outputs that git keeps, each held against its hash in the lock."""
    contents: dict[str, bytes] = {}
    for path, version in wanted.items():
        output = handover / RESULTS / path
        find_file(handover, f"{RESULTS}/{path}")  # refuses a link on the way
        files = list(list_kept_files(output))
        if len(files) + len(contents) > MAX_RESULTS:
            raise MlgitopsError(f"over {MAX_RESULTS:,} files for git to keep", where=path)
        names = [file.relative_to(output).as_posix() for file in files]
        entries = []
        for file, name in zip(files, names, strict=True):
            inside = path if name == "." else f"{path}/{name}"
            check_path(inside, LOCK)
            contents[inside] = read_capped(file, MAX_RESULT_BYTES, inside)
            entries.append((name, hashlib.md5(contents[inside], usedforsecurity=False).hexdigest()))
        actual = entries[0][1] if names == ["."] else hash_directory(entries)
        if not entries or version.hash != f"md5:{actual}":
            raise MlgitopsError("missing, or not what the lock says", where=path)
    return contents


def _find_gone(files: Mapping[str, str], claims: Claims, results: Mapping[str, bytes]) -> list[str]:
    """List the head's files in a kept folder that the run did not make."""
    inside = tuple(f"{path}/" for path in claims.results)
    return [path for path in sorted(files) if path.startswith(inside) and path not in results]


def _list_known(folder: Folder, sha: str) -> frozenset[str]:
    """Return the names of the objects that a reviewed revision's lock and .dvc files have."""
    pipeline = read_pipeline(folder.list_files(sha), lambda path: folder.read(sha, path))
    versions = [out for lock in pipeline.locks.values() for out in lock.outs.values()]
    versions += pipeline.pointers.values()
    return frozenset(version.hash.removeprefix("md5:") for version in versions)


def _write_message(head: str, results: int, stored: Stored, trailers: Sequence[str]) -> str:
    end = "".join(f"{line}\n" for line in trailers)
    return (
        f"{write_subject(head)}\n\n"
        f"dvc.lock and {results - 1} results of the pull request's own run; the {stored.objects}\n"
        f"objects that they name are {stored.place}. Made by `mlgitops publish`.\n"
        f"{chr(10) if end else ''}{end}"
    )
