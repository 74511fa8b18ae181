"""What an audit holds against what, one function each. Reads git, the cache and the storage.

Each returns the sentence that says what was seen. It raises :class:`MlgitopsError` when that
contradicts the ledger, :class:`OpenError` when it could not be looked at from here, and
:class:`AbsentError` when there is nothing to look at, and :class:`UnverifiedError` for a signature
whose key is not here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from mlgitops.delivery.audit.facts import hash_file_at, read_at_revision
from mlgitops.delivery.audit.imported import check_import, describe_source, list_imported
from mlgitops.delivery.audit.outcomes import AbsentError, OpenError, UnverifiedError
from mlgitops.delivery.bundle import (
    DESCRIPTION,
    MODEL,
    hash_sha256,
    read_model_oid,
    read_model_sha256,
)
from mlgitops.delivery.images.layers import UnsupportedError
from mlgitops.delivery.images.layout import read_images
from mlgitops.delivery.images.pinned import locate_overlay, read_pinned
from mlgitops.delivery.releases.provenance import find_unmeasured, take_metrics, trace_model
from mlgitops.delivery.releases.release import (
    SIGNED_BY,
    UNSIGNED,
    Release,
    find_release,
    list_releases,
)
from mlgitops.dvc.remote import find_cache
from mlgitops.dvc.stored import hash_file, locate
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import find_remote_ref, run_git
from mlgitops.git.repository import UNSHALLOW
from mlgitops.git.wanted import read_wanted
from mlgitops.github.statement_check import check_statement
from mlgitops.model.lineage import DataHash
from mlgitops.model.policy import DemandedEvidence
from mlgitops.model.statement import MAX_STATEMENT_BYTES, parse_statement
from mlgitops.storage.published import is_published, restore_published

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.images.layout import Image
    from mlgitops.git.repository import Repository
    from mlgitops.model.audit import CommitFacts, PullRequestFacts
    from mlgitops.model.ledger import LedgerEntry
    from mlgitops.model.lineage import Lineage
    from mlgitops.model.statement import Statement

_HASHED = ("contract", "parameters", "environment", "serving")
_MEASURERS = {
    DemandedEvidence.INDEPENDENT: "base's own code",
    DemandedEvidence.CLAIMED: "the run that trained it",
    None: "nobody who is named",
}
_SECONDS = 60.0  # that origin has for its answer
_BUNDLES = ".mlgitops/deploy"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The entry that is audited, and where what it names can be read."""

    entry: LedgerEntry
    project: Path
    repository: Repository
    prefix: str
    line: frozenset[str]  # commits at which the default branch stood
    desired_by: CommitFacts | None
    release: Release | MlgitopsError | None  # an error: the tag is there, and is none
    statement: Path | None
    images: tuple[Image, ...] | MlgitopsError | None = None  # an error: not what git pins
    clones: tuple[Path, ...] = ()  # of repositories that data was imported from
    trained: CommitFacts | None
    requests: Mapping[int, PullRequestFacts | MlgitopsError] | None  # None: GitHub was not asked
    console: Console

    @property
    def lineage(self) -> Lineage:
        """Return what the release's tag says; raises :class:`AbsentError` without a release."""
        if self.release is None or isinstance(self.release, MlgitopsError):
            raise AbsentError("no release names this model, so nobody wrote it down")
        return self.release.lineage


def look_for_release(repository: Repository, entry: LedgerEntry) -> Release | MlgitopsError | None:
    """Find the release that ``entry`` names, or that stands on its model; an error if it lies."""
    try:
        if entry.version is not None:
            return find_release(repository, entry.model, entry.version)
        releases = list_releases(repository, entry.model)
    except MlgitopsError as error:
        return error
    return next((r for r in reversed(releases) if r.revision == entry.revision), None)


def check_approval(subject: Subject) -> str:
    """Hold the desired state against the default branch: merged there, and not forced past it."""
    entry = subject.entry
    if entry.forced:
        raise MlgitopsError(
            f"entry {entry.seq} says that it was deployed with --force: not merged, or not "
            "published, so nobody approved it"
        )
    if subject.desired_by is None:
        raise OpenError(f"the commit {entry.commit[:12]} is not in this clone", hint=UNSHALLOW)
    if entry.commit not in subject.line:
        raise _explain_unmerged(subject, entry.commit, "asked for it")
    commit = subject.desired_by
    number = commit.pull_request
    by = f"pull request {number}" if number else f"{commit.subject!a:.120}"
    return f"{entry.commit[:12]} stands on the default branch: {by}, by {commit.committer}"


def check_request_approvers(subject: Subject) -> str:
    """Say who approved the pull request that asked for the model, as GitHub says."""
    return _check_request(subject, subject.desired_by)


def check_desired(subject: Subject) -> str:
    """Hold the entry against deploy/ENV/model.yaml at the commit that it names."""
    entry = subject.entry
    if subject.desired_by is None:
        raise OpenError(f"the commit {entry.commit[:12]} is not in this clone", hint=UNSHALLOW)
    wanted = read_wanted(subject.repository, subject.prefix, entry.environment, entry.commit)
    where = f"{subject.prefix}deploy/{entry.environment}/model.yaml at {entry.commit[:12]}"
    pairs = {
        "model": (wanted.model, entry.model),
        "revision": (wanted.commit, entry.revision),
        "version": (wanted.version, entry.version if wanted.version else wanted.version),
        "sha256": (wanted.sha256 or entry.sha256, entry.sha256),
    }
    for name, (asked, served) in pairs.items():
        if asked != served:
            problem = f"it asks for the {name} {_cut(asked)}, and {_cut(served)} was served"
            raise MlgitopsError(problem, where=where)
    return f"{where} asks for this model"


def check_request_signature(subject: Subject) -> str:
    """Say who signed the commit that asked for the model."""
    if subject.desired_by is None:
        raise OpenError(f"the commit {subject.entry.commit[:12]} is not in this clone")
    return _judge_signature(subject.desired_by.signature, f"commit {subject.entry.commit[:12]}")


def check_revision(subject: Subject) -> str:
    """Hold the model's commit against the default branch: it was merged there."""
    revision = subject.entry.revision
    if subject.repository.find(revision) is None:
        raise OpenError(f"the commit {revision[:12]} is not in this clone", hint=UNSHALLOW)
    if revision not in subject.line:
        raise _explain_unmerged(subject, revision, "names the model")
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
        problem = f"origin has {_cut(theirs)} under this name, and this clone {_cut(ours)}"
        raise MlgitopsError(problem, where=f"tag {subject.release.tag}")
    return "origin has the same tag"


def check_signature(subject: Subject) -> str:
    """Say who signed the release's tag."""
    if isinstance(subject.release, MlgitopsError) or subject.release is None:
        raise AbsentError("no release names this model")
    return _judge_signature(subject.release.signature, f"tag {subject.release.tag}")


def check_lineage(subject: Subject) -> str:
    """Hold each hash of the lineage against the files, dvc.lock and .dvc files of its commit."""
    lineage, entry = subject.lineage, subject.entry
    held = trace_model(subject.repository, subject.prefix, entry.revision).fields
    where = f"tag {entry.model}@{lineage.version}"
    for name in _HASHED:
        written = getattr(lineage, name)
        if held[name] != written:
            problem = f"its {name} is {_cut(written)}, and git has {_cut(held[name])}"
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


def check_verdict(subject: Subject) -> str:
    """Say with which verdict the model was let in, and by whom a fail was waived."""
    lineage = subject.lineage
    if lineage.verdict is None:
        raise AbsentError(lineage.absent.get("verdict", "the lineage holds none"))
    by = _MEASURERS[lineage.measured_by]
    if lineage.waiver is not None:
        waiver = lineage.waiver
        return (
            f"waived by {waiver.login} on {waiver.at:%Y-%m-%d}: {waiver.reason} (measured by {by})"
        )
    return f"pass, measured by {by}"


def check_approvers(subject: Subject) -> str:
    """Say who approved the pull request that brought the model in: GitHub, where it was asked.

    Whom a release names is the word of whoever wrote the commit's message, and holds nothing.
    """
    if subject.requests is not None:
        return _check_request(subject, subject.trained)
    lineage = subject.lineage
    if not lineage.approvers:
        raise AbsentError(lineage.absent.get("approvers", "the release names none"))
    number = f" (pull request {lineage.pull_request})" if lineage.pull_request else ""
    names = f"{', '.join(lineage.approvers)}{number}, author {lineage.author or 'not known'}"
    raise AbsentError(f"the release names {names}: nobody vouches for that, and --github asks")


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
            problem = f"the model's sha256 is {_cut(digest)}, not {sha256[:12]}"
            raise MlgitopsError(problem, where=str(bundle / MODEL), hint="remove the bundle")
    return f"{len(bundles)} on this host with this model"


def look_for_images(
    folder: Path | None, repository: Repository, prefix: str, entry: LedgerEntry
) -> tuple[Image, ...] | MlgitopsError | None:
    """Read the image that ``entry``'s commit pins from an OCI layout; an error if it is another."""
    if folder is None:
        return None
    try:
        digest = read_pinned(repository, prefix, entry.environment, entry.commit)
        if digest is None:
            where = f"{locate_overlay(prefix, entry.environment)} at {entry.commit[:12]}"
            return OpenError("git pins no image", where=where)
        return read_images(folder, digest)
    except UnsupportedError as error:
        return OpenError(error.what, where=error.where, hint=error.hint)
    except MlgitopsError as error:
        return error


def check_image(subject: Subject) -> str:
    """Hold index, manifest, configuration and layers of the image against the digest in git."""
    images = _get_images(subject)
    layers = sum(image.layers for image in images)
    count = "1 image" if len(images) == 1 else f"{len(images)} images"
    return f"{count} of {layers} layers, every byte as the digest in git says"


def check_image_files(subject: Subject) -> str:
    """Hold the model in the image against the ledger, and the code beside it against git."""
    entry = subject.entry
    for image in _get_images(subject):
        where = f"image {image.digest[:19]}"
        files = dict(image.files)
        if files.get(MODEL) != entry.sha256:
            problem = f"its model is {_cut(files.get(MODEL))}, and {entry.sha256[:12]} was served"
            raise MlgitopsError(problem, where=where)
        for path in sorted(files.keys() - {MODEL}):
            kept = hash_file_at(subject.repository, entry.revision, f"{subject.prefix}{path}")
            if kept != files[path]:
                problem = f"{path!a:.200} in it is {files[path]:.80}, and git has {_cut(kept)}"
                raise MlgitopsError(problem, where=where)
    return f"it holds the model that was served, and other files are git's at {entry.revision[:12]}"


def _get_images(subject: Subject) -> tuple[Image, ...]:
    if subject.images is None:
        raise AbsentError("none was given: --image DIR")
    if isinstance(subject.images, MlgitopsError):
        raise subject.images
    return subject.images


def check_given_statement(subject: Subject) -> str:
    """Hold the verdict's statement against the model, the lineage and git."""
    if subject.statement is None:
        raise AbsentError("none was given: --statement FILE")
    where = str(subject.statement)
    try:
        with subject.statement.open("rb") as file:
            data = file.read(MAX_STATEMENT_BYTES + 1)
    except OSError as error:
        raise OpenError(f"cannot be read: {error.strerror}", where=where) from error
    statement = parse_statement(data, where)
    digest = statement.subject[0].digest.sha256
    if digest != subject.entry.sha256:
        problem = f"it is about the model {digest[:12]}, not {subject.entry.sha256[:12]}"
        raise MlgitopsError(problem, where=where)
    if statement.predicate.project != subject.prefix.rstrip("/"):
        named = statement.predicate.project or "the root"
        raise MlgitopsError(f"it is a statement of the project in {named}", where=where)
    _hold_statement_against_lineage(subject, statement, data, where)
    checked = check_statement(
        statement, subject.repository, branch=None, policy_path="policy.yaml", model=None
    )
    if checked.problems:
        raise MlgitopsError(checked.problems[0], where=where)
    if checked.exit_code:
        raise MlgitopsError("its verdict is fail", where=where)
    return f"{statement.predicate.verdict}, and all it says of git holds"


#: What is checked, by its name, in this order.
CHECKS: dict[str, Callable[[Subject], str]] = {
    "desired state: merged": check_approval,
    "desired state: approvers": check_request_approvers,
    "desired state: model.yaml": check_desired,
    "desired state: signature": check_request_signature,
    "model: merged": check_revision,
    "model: model.json": check_description,
    "model: dvc.lock": check_lock,
    "data: imported": check_imported,
    "model: cache": check_cache,
    "model: storage": check_storage,
    "model: bundles": check_bundles,
    "image: digest": check_image,
    "image: files": check_image_files,
    "release: tag": check_release,
    "release: origin": check_origin,
    "release: signature": check_signature,
    "release: lineage": check_lineage,
    "verdict": check_verdict,
    "verdict: approvers": check_approvers,
    "verdict: statement": check_given_statement,
}


def _check_request(subject: Subject, commit: CommitFacts | None) -> str:
    """Hold the pull request that ``commit`` names against GitHub, and say who approved it."""
    if commit is None or commit.pull_request is None:
        raise AbsentError("its commit names no pull request")
    if subject.requests is None:
        raise AbsentError("GitHub was not asked: --github asks it")
    request = subject.requests[commit.pull_request]
    if isinstance(request, MlgitopsError):
        raise OpenError(request.what, where=request.where)
    where = f"pull request {request.number}"
    if request.merged_as != commit.sha:
        problem = f"it was merged as {_cut(request.merged_as)}, and {commit.sha[:12]} names it"
        raise MlgitopsError(problem, where=where)
    by = f"by {request.author or 'an account that is gone'}, merged by {request.merged_by}"
    if not request.approvals:
        raise AbsentError(f"nobody approved {where} {by}")
    late = " (before its last commit)"
    names = [item.login + ("" if item.newest else late) for item in request.approvals]
    return f"{', '.join(names)} approved {where} {by}"


def _explain_unmerged(subject: Subject, commit: str, did: str) -> MlgitopsError:
    if subject.repository.is_shallow():
        return OpenError("this clone lacks the history of the default branch", hint=UNSHALLOW)
    return MlgitopsError(
        f"{commit[:12]}, which {did}, never was the tip of the default branch",
        hint="`git fetch` first; if that does not help, nobody merged it",
    )


def _judge_signature(signature: str, where: str) -> str:
    if signature == "bad":
        raise MlgitopsError("the signature is of another content", where=where)
    if signature == UNSIGNED:
        raise AbsentError("nobody signed it")
    if signature.startswith("not verified"):
        raise UnverifiedError(f"it is signed, and {signature}", where=where)
    if not signature.startswith(SIGNED_BY):
        hint = "name who may sign: `git config gpg.ssh.allowedSignersFile FILE`"
        raise OpenError(signature, where=where, hint=hint)
    return signature


def _check_bytes(file: Path, oid: str, sha256: str) -> str:
    for name, actual, wanted in (
        ("md5", hash_file(file), oid),
        ("sha256", hash_sha256(file), sha256),
    ):
        if actual != wanted:
            problem = f"the model's {name} is {_cut(actual)}, not {wanted[:12]}"
            raise MlgitopsError(problem, where=str(file))
    return f"{_cut(oid)} has both hashes"


def _hold_statement_against_lineage(
    subject: Subject, statement: Statement, data: bytes, where: str
) -> None:
    try:
        lineage = subject.lineage
    except AbsentError:
        return
    digest = hashlib.sha256(data).hexdigest()
    if lineage.statement is not None and lineage.statement != digest:
        problem = f"it is not the one of the release, whose sha256 is {lineage.statement[:12]}"
        raise MlgitopsError(problem, where=where)
    predicate = statement.predicate
    pairs = {
        "verdict": (lineage.verdict, predicate.verdict),
        "measured_by": (lineage.measured_by, predicate.evidence),
        "waiver": (lineage.waiver, predicate.waiver),
        "metrics": (lineage.metrics, take_metrics(predicate.report.metrics)),
    }
    for name, (released, stated) in pairs.items():
        if lineage.statement is not None and released != stated:
            raise MlgitopsError(f"its {name} is not what the release says", where=where)


def _cut(text: object) -> str:
    return str(text)[:12]
