"""The publish job's side: check a handover, store its objects, commit its results.

The storage comes first: a lock on the branch never names an object that is not stored.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.dvc.hashes import hash_directory
from mlgitops.dvc.manifests import check_path
from mlgitops.dvc.reader import read_pipeline
from mlgitops.dvc.remote import find_cache
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
from mlgitops.storage.handover.objects import add_objects
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
class HandoverRequest:
    """What a publishing job wants done with a handover, and by which commits it was judged."""

    project: Path  # in a checkout of origin
    handover: Path  # the folder that the run left
    base: str
    head: str
    branch: str  # of origin, which gets the results
    commit: bool  # False: write nothing, only say whether `head` is up to date
    #: Lines that end the commit's message. With them there always is a commit, if only an empty
    #: one, because it is the record of a waiver.
    trailers: Sequence[str] = ()
    #: Gets a commit, on no branch, that holds the results on top of `head`, before anything is
    #: stored, and raises when they are not what was judged.
    verify: Callable[[str], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a handover; ``sha`` is the commit that holds the results."""

    outcome: str
    sha: str
    objects: int = 0  # that the results need, all of them stored
    added: int = 0  # of which new
    results: int = 0  # files that git keeps


@dataclass(frozen=True, kw_only=True)
class _Results:
    """The results of a run that agree with the head's dvc.yaml, and how git keeps them."""

    head: str  # full name of the commit that was judged
    prefix: str  # of the project in its repository: empty, or with a slash at its end
    files: Mapping[str, bytes]  # path in the project to contents, dvc.lock among them
    gone: Sequence[str]  # files of the head that the run did not make again
    claims: Claims
    of_base: frozenset[str]  # names of the objects that the base has


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A tip of the branch on which results are to be committed, and its tree with them."""

    onto: str
    tree: str
    current: bool  # the tip holds them already


def take_handover(request: HandoverRequest, console: Console) -> Taken:
    """Check all of a handover, store it, and commit its results to the branch of origin.

    Where several projects share the repository, the results of others may have been committed
    to the head meanwhile: then these are added to them.
    Raises :class:`MlgitopsError` when anything is not as the head's dvc.yaml says, the base is
    not an ancestor of the head, or the branch moved on.
    """
    project = request.project
    check_branch(project, request.branch)
    results = _check_results(request, console)
    own_tree = _verify_tree(request, results)
    target = _find_target(request, results, own_tree)
    if not request.commit and not target.current:
        return Taken(outcome=STALE, sha=target.onto, results=len(results.files))
    stored = store_claims(
        project,
        request.handover,
        results.claims.objects,
        console,
        of_base=results.of_base,
        write=request.commit,
    )
    outcome, sha = CURRENT, target.onto
    is_recorded = not request.trailers or _is_recorded(request, results.head, target.onto)
    if not target.current or (request.commit and not is_recorded):
        message = _write_message(results.head, len(results.files), stored, request.trailers)
        outputs = len(results.files) - 1
        with console.step(f"Commit dvc.lock and {outputs} results to {request.branch}"):
            outcome, sha = COMMITTED, _push(request, results, own_tree, target, message)
    return Taken(
        outcome=outcome,
        sha=sha,
        objects=stored.objects,
        added=stored.added,
        results=len(results.files),
    )


def commit_handover(request: HandoverRequest, console: Console) -> str:
    """Check a handover, and commit its results to no branch, on top of the head; return the sha.

    Its new objects go into DVC's cache, each only if its content is that of its name. Nothing is
    stored or pushed. Raises :class:`MlgitopsError` as :func:`take_handover` does.
    """
    project = request.project
    results = _check_results(request, console)
    with console.step("Hash the objects of the run"):
        add_objects(request.handover, find_cache(project), results.claims.objects)
    tree = _write_onto(project, results, results.head)
    return commit_tree(project, results.head, tree, write_subject(results.head))


def _check_results(request: HandoverRequest, console: Console) -> _Results:
    """Hold the lock and the files of a handover against the head's dvc.yaml."""
    project = request.project
    with Repository(project) as repository:
        base, head = repository.resolve(request.base), repository.resolve(request.head)
        if repository.merge_base(base, head) != base:
            raise MlgitopsError(
                "the base has commits that the branch lacks, and the run used both",
                where=f"branch {request.branch}",
                hint="merge the base into the branch (`git merge`) and push; nothing was stored",
            )
        folder = Folder(repository, project.resolve())
        with console.step("Hold the results against the pull request's commit"):
            lock = _read_lock(request.handover)
            claims = check_lock(lock, folder.list_files(head), lambda path: folder.read(head, path))
            files = {LOCK: lock, **_read_results(request.handover, claims.results)}
        return _Results(
            head=head,
            prefix=folder.prefix,
            files=files,
            gone=_find_gone(folder.list_files(head), claims, files),
            claims=claims,
            of_base=_list_objects(folder, base),
        )


def _verify_tree(request: HandoverRequest, results: _Results) -> str | None:
    """Let the request verify the results on top of the head; return the project's tree there."""
    project, head = request.project, results.head
    tree = _write_onto(project, results, head)
    if request.verify is not None:
        request.verify(commit_tree(project, head, tree, write_subject(head)))
    return find_tree(project, tree, results.prefix)


def _write_onto(project: Path, results: _Results, onto: str) -> str:
    """Write the tree of the commit ``onto`` with the results put in."""
    files = {results.prefix + path: data for path, data in results.files.items()}
    return write_tree(project, onto, files, [results.prefix + path for path in results.gone])


def _find_target(request: HandoverRequest, results: _Results, own_tree: str | None) -> _Target:
    """Find where the branch stands, and write its tree with the results; ``own_tree`` in it.

    Raises :class:`MovedError` when its project is neither as at the head nor has the results.
    """
    project, head, prefix = request.project, results.head, results.prefix
    # An earlier attempt's record of another waiver may follow the head, too.
    onto = find_tip(project, request.branch, head) if prefix or request.trailers else head
    current_tree = find_tree(project, onto, prefix)
    # Other projects' commits may follow the head; one that changes this project may not.
    if current_tree not in (own_tree, find_tree(project, head, prefix)):
        raise MovedError(request.branch, expected=head, actual=onto)
    tree = _write_onto(project, results, onto)
    return _Target(onto=onto, tree=tree, current=current_tree == own_tree)


def _is_recorded(request: HandoverRequest, head: str, tip: str) -> bool:
    """Say whether a commit after ``head``, up to ``tip``, has the request's trailers."""
    trailer = "\n".join(request.trailers)
    return any(trailer in text for text in read_waived(request.project, head, tip))


def _push(
    request: HandoverRequest,
    results: _Results,
    own_tree: str | None,
    target: _Target,
    message: str,
) -> str:
    """Commit at ``target``, and anew where the branch stands when other results came first."""
    project, branch = request.project, request.branch
    for _ in range(_TRIES):
        commit = commit_tree(project, target.onto, target.tree, message)
        try:
            return push_commit(project, branch, head=target.onto, commit=commit)
        except MovedError:
            before, target = target.onto, _find_target(request, results, own_tree)
            if target.onto == before:
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


def _list_objects(folder: Folder, sha: str) -> frozenset[str]:
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
