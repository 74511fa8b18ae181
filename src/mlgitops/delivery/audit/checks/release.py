"""The checks of the release: its tag, here and at origin, its signature, and its lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.delivery.audit.checks.subject import Subject, judge_signature, shorten
from mlgitops.delivery.audit.imported import describe_source
from mlgitops.delivery.audit.outcomes import AbsentError, OpenError
from mlgitops.delivery.releases.provenance import find_unmeasured, trace_model
from mlgitops.delivery.releases.release import (
    Release,
    find_release,
    list_releases,
)
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import find_remote_ref, run_git
from mlgitops.model.lineage import DataHash

if TYPE_CHECKING:
    from mlgitops.git.repository import Repository
    from mlgitops.model.ledger import LedgerEntry


_HASHED = ("contract", "parameters", "environment", "serving")


_SECONDS = 60.0  # that origin has for its answer


def look_for_release(repository: Repository, entry: LedgerEntry) -> Release | MlgitopsError | None:
    """Find the release that ``entry`` names, or that stands on its model; an error if it lies."""
    try:
        if entry.version is not None:
            return find_release(repository, entry.model, entry.version)
        releases = list_releases(repository, entry.model)
    except MlgitopsError as error:
        return error
    return next((r for r in reversed(releases) if r.revision == entry.revision), None)


def check_release(subject: Subject) -> str:
    """Hold the release's tag against the entry."""
    entry, release = subject.entry, subject.release
    if isinstance(release, MlgitopsError):
        raise release
    if release is None:
        raise AbsentError("no release names this model")
    pairs = {
        "revision": (release.revision, entry.revision),
        "sha256": (release.sha256, entry.sha256),
    }
    for name, (released, served) in pairs.items():
        if released != served:
            problem = f"its {name} is {released[:12]}, and {served[:12]} was served"
            raise MlgitopsError(problem, where=f"tag {release.tag}")
    return f"tag {release.tag} stands on {release.revision[:12]} and names this model"


def check_origin(subject: Subject) -> str:
    """Hold the release's tag against origin's: one that was moved there or here differs."""
    if isinstance(subject.release, MlgitopsError) or subject.release is None:
        raise AbsentError("no release names this model")
    ref, root = f"refs/tags/{subject.release.tag}", subject.repository.root
    if "origin" not in run_git(root, "remote").split():
        raise AbsentError("there is no origin")
    try:
        theirs = find_remote_ref(root, ref, timeout=_SECONDS)
    except MlgitopsError as error:
        raise OpenError(f"origin could not be asked: {error.what.splitlines()[-1]}") from error
    ours = run_git(root, "rev-parse", ref).strip()
    if theirs != ours:
        problem = f"origin has {shorten(theirs)} under this name, and this clone {shorten(ours)}"
        raise MlgitopsError(problem, where=f"tag {subject.release.tag}")
    return "origin has the same tag"


def check_signature(subject: Subject) -> str:
    """Say who signed the release's tag."""
    if isinstance(subject.release, MlgitopsError) or subject.release is None:
        raise AbsentError("no release names this model")
    return judge_signature(subject.release.signature, f"tag {subject.release.tag}")


def check_lineage(subject: Subject) -> str:
    """Hold each hash of the lineage against the files, dvc.lock and .dvc files of its commit."""
    lineage, entry = subject.lineage, subject.entry
    held = trace_model(subject.repository, subject.prefix, entry.revision).fields
    where = f"tag {entry.model}@{lineage.version}"
    for name in _HASHED:
        written = getattr(lineage, name)
        if held[name] != written:
            problem = f"its {name} is {shorten(written)}, and git has {shorten(held[name])}"
            raise MlgitopsError(problem, where=where)
    counted = sum(getattr(lineage, name) is not None for name in _HASHED)
    data = {item.path: item for item in msgspec.convert(held["data"], tuple[DataHash, ...])}
    for item in lineage.data:
        named = data.get(item.path)
        if named is None or named.hash != item.hash:
            digest = named.hash if named else None
            problem = f"its data {item.path} are {item.hash}, and git names {digest}"
            raise MlgitopsError(problem, where=where)
        if named.imported != item.imported:
            said, kept = describe_source(item.imported), describe_source(named.imported)
            problem = f"its data {item.path} are {said}, and git says {kept}"
            raise MlgitopsError(problem, where=where)
    left_out = sorted(data.keys() - {item.path for item in lineage.data})
    if left_out:
        raise MlgitopsError(f"it leaves out the data {left_out[0]}, which git names", where=where)
    # With a statement the numbers are that one's, which `verdict: statement` holds.
    unmeasured = find_unmeasured(lineage, held)
    if unmeasured:
        raise MlgitopsError(unmeasured, where=where)
    return f"{counted} hashes of files and {len(lineage.data)} of data are git's"
