"""What an audit says: which model decided, what it is made of, who let it in, what was checked.

Written as `audit --json`, and what the page and the standard documents are made of. No I/O.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from mlgitops.model.documents import encode_document
from mlgitops.model.facts import ImportSource
from mlgitops.model.fields import Count, Name, Path_, Sha, Struct, Text
from mlgitops.model.lineage import Lineage

if TYPE_CHECKING:
    from collections.abc import Iterator

AUDIT_SCHEMA: Literal[1] = 1


class CheckState(StrEnum):
    """What came of one check."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "not checked"  # it could not be made here
    ABSENT = "absent"  # there is nothing to check, which is no failure
    UNVERIFIED = "not verified"  # signed by a key that is not here: proves and stops nothing


class Check(Struct, frozen=True, kw_only=True):
    """One thing that was held against another."""

    name: Name
    state: CheckState
    detail: str  # what was seen, or why not


class Period(Struct, frozen=True, kw_only=True):
    """A time in which a model answered, by the clocks of those who wrote the ledger."""

    seq: Count  # of the entry of the ledger that begins it
    since: Text  # UTC, ISO 8601
    until: Text | None  # None: it still answers
    forced: bool
    actor: Text | None


class CommitFacts(Struct, frozen=True, kw_only=True):
    """Who made a commit, as git says; names are their own word unless it is signed."""

    sha: Sha
    author: Name
    committer: Name
    at: Text  # UTC offset included, ISO 8601
    subject: Text
    pull_request: Count | None  # that its subject names
    # Begins with `signed by`, `not verified` or `refused`; or is `unsigned` or `bad`.
    signature: Text


class Approval(Struct, frozen=True, kw_only=True):
    """An account that approved a pull request, and did not take it back."""

    login: Name
    at: Text | None
    newest: bool  # of the commit that was merged; False: commits came after it


class PullRequestFacts(Struct, frozen=True, kw_only=True):
    """Who wrote, approved and merged a pull request, as GitHub says."""

    number: Count
    author: Name | None
    merged_by: Name | None
    merged_as: Sha | None  # commit on the base branch; None: it was not merged
    approvals: tuple[Approval, ...]


class Ingredient(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a model was made from or is served with, as its commit names it."""

    kind: Literal["data", "code", "parameters", "environment", "contract"]
    path: Path_  # from the repository's root
    algorithm: Literal["sha256", "md5"]  # md5 is DVC's name for the bytes
    digest: Text
    imported: ImportSource | None = None  # of data: from another repository, by `dvc import`


class Package(Struct, frozen=True, kw_only=True):
    """One package of the lock with which the model is served."""

    name: Name
    version: Name


class AuditedModel(Struct, frozen=True, kw_only=True):
    """One model that an environment served, with all that was found of it."""

    model: Name
    version: Text | None
    sha256: Text
    md5: Text | None
    revision: Sha  # whose dvc.lock names the model and whose code serves it
    desired_by: CommitFacts | None  # the commit of the default branch that asked for it
    promotion: PullRequestFacts | None  # that the desired state names; None: GitHub was not asked
    trained: CommitFacts | None  # the commit that brought the model in
    training: PullRequestFacts | None  # that this commit names
    periods: tuple[Period, ...]  # all in which this environment served it
    ingredients: tuple[Ingredient, ...]
    packages: tuple[Package, ...]
    parameters: dict[str, Any]  # name as in params.yaml → value that trained
    lineage: Lineage | None  # of the release's tag
    signature: Text | None  # of that tag
    checks: tuple[Check, ...]  # in the order in which they were made


class LedgerFacts(Struct, frozen=True, kw_only=True):
    """The ledger as it was read."""

    commit: Sha | None  # None: there is none
    entries: Count  # of the environment
    waiting: Count  # of them, how many origin does not have
    problem: Text | None  # why origin could not be asked


class Audit(Struct, frozen=True, kw_only=True):
    """What decided in an environment, and whether it can be proved."""

    schema: Literal[1] = AUDIT_SCHEMA
    toolkit: Text  # version of mlgitops
    environment: Name
    project: Text  # folder in the repository; "" is its root
    asked: Text  # "now", a time, or a sha256
    ledger: LedgerFacts
    notices: tuple[Text, ...]
    checks: tuple[Check, ...]  # of the ledger as a whole
    models: tuple[AuditedModel, ...]  # in the order in which they came into service

    def list_checks(self) -> Iterator[Check]:
        """Return every check in its order."""
        yield from self.checks
        for model in self.models:
            yield from model.checks

    def find_first(self, state: CheckState) -> Check | None:
        """Find the first check that ended so."""
        return next((check for check in self.list_checks() if check.state is state), None)


def encode_audit(audit: Audit) -> bytes:
    """Encode as indented JSON with sorted keys and a final newline."""
    return encode_document(audit)
