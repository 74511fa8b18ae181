"""What is audited, and what several checks ask of it: GitHub, signatures, the default branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.delivery.audit.outcomes import AbsentError, OpenError, UnverifiedError
from mlgitops.delivery.releases.release import (
    SIGNED_BY,
    UNSIGNED,
    Release,
)
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import UNSHALLOW

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.images.layout import Image
    from mlgitops.git.repository import Repository
    from mlgitops.model.audit import CommitFacts, PullRequestFacts
    from mlgitops.model.ledger import LedgerEntry
    from mlgitops.model.lineage import Lineage


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


def check_pull_request(subject: Subject, commit: CommitFacts | None) -> str:
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
        problem = f"it was merged as {shorten(request.merged_as)}, and {commit.sha[:12]} names it"
        raise MlgitopsError(problem, where=where)
    by = f"by {request.author or 'an account that is gone'}, merged by {request.merged_by}"
    if not request.approvals:
        raise AbsentError(f"nobody approved {where} {by}")
    late = " (before its last commit)"
    names = [item.login + ("" if item.newest else late) for item in request.approvals]
    return f"{', '.join(names)} approved {where} {by}"


def explain_unmerged(subject: Subject, commit: str, did: str) -> MlgitopsError:
    """Return the error for a commit that is not known to have been on the default branch."""
    if subject.repository.is_shallow():
        return OpenError("this clone lacks the history of the default branch", hint=UNSHALLOW)
    return MlgitopsError(
        f"{commit[:12]}, which {did}, never was the tip of the default branch",
        hint="`git fetch` first; if that does not help, nobody merged it",
    )


def judge_signature(signature: str, where: str) -> str:
    """Return who signed, in the words of :mod:`~mlgitops.delivery.releases.release`, or raise."""
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


def shorten(text: object) -> str:
    """Return the beginning of a hash, enough to tell it from another."""
    return str(text)[:12]
