"""What git says of a commit and of what a model was made from. Reads git."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any

from mlgitops.delivery.bundle import MODEL, SERVING_LOCK
from mlgitops.delivery.releases.version import CONTRACT, PARAMETERS, TRAINING_LOCK
from mlgitops.dvc.reader import read_pipeline
from mlgitops.git.program import ask_git
from mlgitops.model.audit import CommitFacts, Ingredient, Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.dvc.pipeline import LockEntry, Pipeline
    from mlgitops.git.repository import Repository

_PULL_REQUEST = re.compile(r"^Merge pull request #(\d{1,9})\b|\(#(\d{1,9})\)$")
_PIN = re.compile(
    rb"^([A-Za-z0-9][A-Za-z0-9._-]{0,199})==([A-Za-z0-9][A-Za-z0-9.!+_-]{0,199})", re.MULTILINE
)
_FORM = "%an <%ae>%x00%cn <%ce>%x00%cI%x00%s%x00%G?%x00%GS%x00%GF"
# What git's letter means beside good, bad and none: https://git-scm.com/docs/git-log, `%G?`.
# GitHub signs what its button merges, by a PGP key that hardly a clone has: E, or U untrusted.
_REASONS = {
    "E": "not verified: the key that signed it is not here",
    "U": "not verified: by a key that this clone does not trust",
    "R": "refused: its key was revoked",
}
_UNCHECKED = "not verified: git has no key, program or setting here that checks it"
_UNLISTED = "refused: by a key that nobody named as allowed"
_SSH = "SHA256:"  # how the fingerprint of such a key begins; git says U only where it has a list
_LONGEST = 200


def read_commit(repository: Repository, sha: str) -> CommitFacts | None:
    """Read who made the commit ``sha``; None where it is not here."""
    done = ask_git(repository.root, "log", "-1", f"--format={_FORM}", sha, "--")
    if done.returncode != 0:
        return None
    fields = os.fsdecode(done.stdout).removesuffix("\n").split("\0")
    author, committer, at, subject, *signed = (_show(field) for field in fields[:7])
    match = _PULL_REQUEST.search(subject)
    number = next((int(group) for group in match.groups() if group), None) if match else None
    return CommitFacts(
        sha=sha,
        author=author,
        committer=committer,
        at=at,
        subject=subject,
        pull_request=number,
        signature=_describe_signature(repository, sha, *signed),
    )


def read_at_revision(repository: Repository, commit: str) -> Pipeline:
    """Read the pipeline as it stood at ``commit``."""
    return read_pipeline(repository.list_files(commit), lambda path: repository.read(commit, path))


def hash_file_at(repository: Repository, commit: str, path: str) -> str | None:
    """Return the sha256 of a file that git keeps; None where it keeps none there."""
    data = repository.read(commit, path)
    return None if data is None else hashlib.sha256(data).hexdigest()


def list_ingredients(
    repository: Repository, prefix: str, commit: str, pipeline: Pipeline
) -> Iterator[Ingredient]:
    """List what the model of ``commit`` was made from, and what serves it.

    Data as dvc.lock and the .dvc files name it, the rest by its content in git.
    """
    files = repository.list_files(commit)
    for path, named in sorted(find_sources(pipeline, f"{prefix}{MODEL}").items()):
        kept_by_git = path in files or repository.tree(commit).is_folder(path)
        if named.startswith("md5:") and not kept_by_git:
            digest = named.removeprefix("md5:")
            source = pipeline.find_source(path, named)
            yield Ingredient(
                kind="data", path=path, algorithm="md5", digest=digest, imported=source
            )
    fixed: tuple[tuple[str, Any], ...] = (
        (CONTRACT, "contract"),
        (PARAMETERS, "parameters"),
        (TRAINING_LOCK, "environment"),
        (SERVING_LOCK, "environment"),
    )
    code = [path for path in files if path.startswith(f"{prefix}src/")]
    for path, kind in (
        *((prefix + name, kind) for name, kind in fixed),
        *((p, "code") for p in code),
    ):
        sha256 = hash_file_at(repository, commit, path)
        if sha256 is not None:
            yield Ingredient(kind=kind, path=path, algorithm="sha256", digest=sha256)


def list_packages(repository: Repository, prefix: str, commit: str) -> tuple[Package, ...]:
    """List what the lock at ``commit`` pins for serving."""
    lock = repository.read(commit, f"{prefix}{SERVING_LOCK}") or b""
    pins = sorted(
        {(name.decode().lower(), version.decode()) for name, version in _PIN.findall(lock)}
    )
    return tuple(Package(name=name, version=version) for name, version in pins)


def read_parameters(prefix: str, pipeline: Pipeline) -> dict[str, Any]:
    """Read the parameters with which the model was trained, as dvc.lock says: name → value."""
    parameters: dict[str, Any] = {}
    for lock in _list_locks(pipeline, f"{prefix}{MODEL}"):
        for values in lock.values.values():
            parameters |= values
    return dict(sorted(parameters.items()))


def _list_locks(pipeline: Pipeline, path: str) -> list[LockEntry]:
    """List the runs that led to ``path``, the last one first."""
    makers = {out: lock for lock in pipeline.locks.values() for out in lock.outs}
    locks: list[LockEntry] = []
    waiting = [path]
    while waiting:
        lock = makers.get(waiting.pop())
        if lock is not None and lock not in locks:
            locks.append(lock)
            waiting += lock.deps
    return locks


def find_sources(pipeline: Pipeline, path: str) -> dict[str, str]:
    """Find what the runs that led to ``path`` began with, and none of them made: path → hash.

    What a .dvc file keeps is such a beginning, whatever dvc.lock says of it besides: a stage that
    dvc.yaml does not have can be written there.
    """
    outputs = {out for lock in pipeline.locks.values() for out in lock.outs}
    locks = _list_locks(pipeline, path)
    deps = {dep: named for lock in locks for dep, named in lock.deps.items()}
    kept = pipeline.pointers.keys()
    return {dep: named for dep, named in deps.items() if dep in kept or dep not in outputs}


def _describe_signature(
    repository: Repository, sha: str, state: str, signer: str, fingerprint: str
) -> str:
    """Say by whom the commit ``sha`` is signed; ``state`` is git's letter for it.

    git says N of a signature, too, that it has no program or setting for.
    """
    if state == "N":
        header = ask_git(repository.root, "cat-file", "commit", sha).stdout.partition(b"\n\n")[0]
        return _UNCHECKED if b"\ngpgsig" in header else "unsigned"
    if state == "G":
        return f"signed by {signer}"
    if state == "B":
        return "bad"
    if state == "U" and fingerprint.startswith(_SSH):
        return _UNLISTED
    return _REASONS.get(state, f"not verified: it, or its key, has expired ({state})")


def _show(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()[:_LONGEST]
