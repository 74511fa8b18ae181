"""Data that `dvc import` brought, held against clones of the repositories that it is from.

In: the pipeline at the model's commit, and folders with clones. Reads git alone: nothing is
fetched, since an address in a .dvc file is anybody's to write.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.delivery.audit.facts import find_sources, read_at_revision
from mlgitops.delivery.audit.outcomes import OpenError
from mlgitops.delivery.bundle import MODEL
from mlgitops.dvc.hashes import hash_bytes, hash_directory
from mlgitops.dvc.pointers import name_repository
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import ask_git
from mlgitops.git.repository import UNSHALLOW, Repository

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlgitops.dvc.pipeline import Pipeline
    from mlgitops.model import ImportSource

_OF_BYTES = "md5:"


@dataclass(frozen=True, kw_only=True)
class ImportedData:
    """Data that a model was made from and another repository made."""

    path: str  # from the repository's root
    trained: str  # hash that dvc.lock was run with
    source: ImportSource


def list_imported(pipeline: Pipeline, prefix: str) -> list[ImportedData]:
    """List what the model below ``prefix`` was made from and `dvc import` brought.

    Raises :class:`MlgitopsError` where the .dvc file names no commit, or other bytes than those
    that the model was trained on, and :class:`OpenError` for a folder around imported data.
    """
    imported = []
    for path, trained in sorted(find_sources(pipeline, f"{prefix}{MODEL}").items()):
        if pipeline.find_import(path) is None:
            _refuse_folder(pipeline, path)
            continue
        source, pointer = pipeline.locate_import(path), pipeline.pointers.get(path)
        pinned = pointer.hash if pointer else trained  # in a folder: its .dvc file names no file
        if source is None:
            raise MlgitopsError("it is imported and names no commit (`rev_lock`)", where=path)
        if pinned != trained:
            problem = (
                f"its .dvc file names {pinned}, and dvc.lock says that {trained} was trained on"
            )
            raise MlgitopsError(problem, where=path)
        imported.append(ImportedData(path=path, trained=trained, source=source))
    return imported


def _refuse_folder(pipeline: Pipeline, path: str) -> None:
    """Raise where ``path`` is a folder around imported data: its hash is of more than those."""
    inside = next((item for item in pipeline.imports if item.startswith(f"{path}/")), None)
    if inside is not None:
        raise OpenError(
            f"a stage read this folder as a whole, and {inside} is imported", where=path
        )


def describe_source(source: ImportSource | None) -> str:
    """Say in a few words where data are from."""
    if source is None:
        return "the project's own"
    return f"{source.path} of {source.repository} at {source.commit[:12]}"


def check_import(item: ImportedData, clones: Sequence[Path]) -> None:
    """Raise unless one of ``clones`` has these bytes at the commit that the import is pinned to.

    The commit must be below a branch or a tag: GitHub shows commits of anybody's fork under the
    address of the repository that was forked. And a clone whose remotes are other repositories
    says nothing of this one.
    """
    source, others = item.source, list[str]()
    if not item.trained.startswith(_OF_BYTES):
        problem = f"dvc.lock names it as {item.trained}, which is no hash of its bytes"
        raise MlgitopsError(problem, where=item.path)
    for clone in clones:
        with Repository(clone) as repository:
            if repository.find(source.commit) is None:
                continue
            if not _is_clone_of(repository, source.repository):
                others.append(str(clone))
                continue
            if not _is_kept(repository, source.commit):
                problem = f"no branch or tag of {clone} holds its commit {source.commit[:12]}"
                raise MlgitopsError(problem, where=item.path)
            digest = _hash_at(repository, source)
            if digest != item.trained:
                problem = (
                    f"{describe_source(source)} is {digest}, and {item.trained} was trained on"
                )
                raise MlgitopsError(problem, where=item.path)
            return
    problem = f"no clone that was given has the commit of {describe_source(source)}"
    if others:
        problem = (
            f"{others[0]} has the commit of {describe_source(source)}, and no remote of this"
            f" address; if it is a clone of that: `git remote add source {source.repository}`"
        )
    raise OpenError(problem, where=item.path, hint=UNSHALLOW)


def _is_clone_of(repository: Repository, address: str) -> bool:
    """Tell whether a remote has this address, in any form; one without remotes may be it."""
    words = ("config", "-z", "--get-regexp", r"^remote\..*\.url$")
    entries = os.fsdecode(ask_git(repository.root, *words).stdout).split("\0")
    urls = {entry.partition("\n")[2] for entry in entries if entry}
    return not urls or name_repository(address) in map(name_repository, urls)


def _is_kept(repository: Repository, commit: str) -> bool:
    """Tell whether a branch or a tag holds the commit; what `refs/pull` holds is anybody's."""
    refs = ("refs/heads/", "refs/remotes/", "refs/tags/")
    listed = ask_git(repository.root, "for-each-ref", "--count=1", f"--contains={commit}", *refs)
    return listed.returncode == 0 and bool(listed.stdout.strip())


def _hash_at(repository: Repository, source: ImportSource) -> str | None:
    """Return the hash of what the source has at its path: as DVC records it, or of git's bytes."""
    pipeline = read_at_revision(repository, source.commit)
    recorded = pipeline.find_version(source.path)
    if recorded is not None:
        return recorded.hash
    if pipeline.find_folder(source.path) is not None:
        problem = f"{describe_source(source)} lies in a folder that DVC keeps as a whole"
        raise OpenError(problem, hint="import the folder, or have the file made by a stage")
    data = repository.read(source.commit, source.path)
    if data is not None:
        return f"md5:{hash_bytes(data)}"
    below = f"{source.path}/"
    files = [path for path in repository.list_files(source.commit) if path.startswith(below)]
    contents = repository.read_many(source.commit, files)
    if not contents:
        return None
    entries = (
        (os.fspath(path.removeprefix(below)), hash_bytes(data)) for path, data in contents.items()
    )
    return f"md5:{hash_directory(entries)}"
