"""The checks of the desired state: merged, approved, signed, and what was served."""

from __future__ import annotations

from mlgitops.delivery.audit.checks.subject import (
    Subject,
    check_pull_request,
    explain_unmerged,
    judge_signature,
    shorten,
)
from mlgitops.delivery.audit.outcomes import OpenError
from mlgitops.errors import MlgitopsError
from mlgitops.git.repository import UNSHALLOW
from mlgitops.git.wanted import read_wanted


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
        raise explain_unmerged(subject, entry.commit, "asked for it")
    commit = subject.desired_by
    number = commit.pull_request
    by = f"pull request {number}" if number else f"{commit.subject!a:.120}"
    return f"{entry.commit[:12]} stands on the default branch: {by}, by {commit.committer}"


def check_request_approvers(subject: Subject) -> str:
    """Say who approved the pull request that asked for the model, as GitHub says."""
    return check_pull_request(subject, subject.desired_by)


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
            problem = f"it asks for the {name} {shorten(asked)}, and {shorten(served)} was served"
            raise MlgitopsError(problem, where=where)
    return f"{where} asks for this model"


def check_request_signature(subject: Subject) -> str:
    """Say who signed the commit that asked for the model."""
    if subject.desired_by is None:
        raise OpenError(f"the commit {subject.entry.commit[:12]} is not in this clone")
    return judge_signature(subject.desired_by.signature, f"commit {subject.entry.commit[:12]}")
