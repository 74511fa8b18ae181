"""The checks of the model: its commit, its data, and every copy of its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.delivery.audit.facts import read_at_revision
from mlgitops.delivery.audit.imported import check_import, describe_source, list_imported
from mlgitops.delivery.audit.outcomes import AbsentError, OpenError
from mlgitops.delivery.bundle import (
    DESCRIPTION,
    MODEL,
    hash_sha256,
    read_model_oid,
    read_model_sha256,
)
from mlgitops.dvc.remote import find_cache
from mlgitops.dvc.stored import hash_file, locate
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import UNSHALLOW
from mlgitops.storage.published import is_published, restore_published

if TYPE_CHECKING:
    from pathlib import Path

from mlgitops.delivery.audit.checks.subject import Subject, explain_unmerged, shorten

_BUNDLES = ".mlgitops/deploy"


def check_revision(subject: Subject) -> str:
    """Hold the model's commit against the default branch: it was merged there."""
    revision = subject.entry.revision
    if subject.repository.find(revision) is None:
        raise OpenError(f"the commit {revision[:12]} is not in this clone", hint=UNSHALLOW)
    if revision not in subject.line:
        raise explain_unmerged(subject, revision, "names the model")
    return f"{revision[:12]} stands on the default branch"


def check_description(subject: Subject) -> str:
    """Hold the entry against model.json at the model's commit."""
    entry = subject.entry
    sha256 = read_model_sha256(subject.repository, subject.prefix, entry.revision)
    if sha256 != entry.sha256:
        raise MlgitopsError(
            f"it describes the model {sha256[:12]}, and {entry.sha256[:12]} was served",
            where=f"{subject.prefix}{DESCRIPTION} at {entry.revision[:12]}",
        )
    return f"{DESCRIPTION} at {entry.revision[:12]} has SHA-256 {sha256}"


def check_lock(subject: Subject) -> str:
    """Read which object dvc.lock names as the model."""
    oid = read_model_oid(subject.repository, subject.prefix, subject.entry.revision)
    return f"dvc.lock at {subject.entry.revision[:12]} names the object {oid}"


def check_imported(subject: Subject) -> str:
    """Hold the data that were imported against clones of the repositories that they are from."""
    if subject.repository.find(subject.entry.revision) is None:
        raise OpenError(f"the commit {subject.entry.revision[:12]} is not in this clone")
    pipeline = read_at_revision(subject.repository, subject.entry.revision)
    items = list_imported(pipeline, subject.prefix)
    if not items:
        raise AbsentError("the model was made from nothing that `dvc import` brought")
    if not subject.clones:
        named = describe_source(items[0].source)
        raise AbsentError(f"{items[0].path} is {named}; no clone of that was given: --source DIR")
    for item in items:
        check_import(item, subject.clones)
    return f"{len(items)} imported, with the bytes that their source has at the pinned commit"


def check_cache(subject: Subject) -> str:
    """Hash the copy in DVC's cache, where this clone has one."""
    oid = read_model_oid(subject.repository, subject.prefix, subject.entry.revision)
    file = find_cache(subject.project) / locate(oid)
    if not file.is_file():
        raise AbsentError("this clone has no copy of it")
    return _check_bytes(file, oid, subject.entry.sha256)


def check_storage(subject: Subject) -> str:
    """Fetch the model from the storage, and hash every byte."""
    oid = read_model_oid(subject.repository, subject.prefix, subject.entry.revision)
    try:
        published = is_published(subject.project, oid, subject.console)
    except MlgitopsError as error:
        raise OpenError(error.what, where=error.where) from error
    if not published:
        raise MlgitopsError(f"the object {oid} is not in the storage")
    with restore_published(subject.project, oid, subject.console) as file:
        _check_bytes(file, oid, subject.entry.sha256)
        return f"{file.stat().st_size:,} bytes with both hashes"


def check_bundles(subject: Subject) -> str:
    """Hash the model in every bundle of this host that should hold it."""
    sha256 = subject.entry.sha256
    folder = subject.project / _BUNDLES / subject.entry.environment / "bundles"
    bundles = sorted(folder.glob(f"{sha256[:16]}-*"))
    if not bundles:
        raise AbsentError("this host has no bundle of it")
    for bundle in bundles:
        digest = hash_sha256(bundle / MODEL)
        if digest != sha256:
            problem = f"the model's sha256 is {shorten(digest)}, not {sha256[:12]}"
            raise MlgitopsError(problem, where=str(bundle / MODEL), hint="remove the bundle")
    return f"{len(bundles)} on this host with this model"


def _check_bytes(file: Path, oid: str, sha256: str) -> str:
    for name, actual, wanted in (
        ("md5", hash_file(file), oid),
        ("sha256", hash_sha256(file), sha256),
    ):
        if actual != wanted:
            problem = f"the model's {name} is {shorten(actual)}, not {wanted[:12]}"
            raise MlgitopsError(problem, where=str(file))
    return f"{shorten(oid)} has both hashes"
