"""The checks of the verdict: how the model was let in, by whom, and what the statement says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mlgitops.delivery.audit.checks.subject import Subject, check_pull_request
from mlgitops.delivery.audit.outcomes import AbsentError, OpenError
from mlgitops.delivery.releases.provenance import take_metrics
from mlgitops.errors import MlgitopsError
from mlgitops.github.statement_check import check_statement
from mlgitops.model.policy import DemandedEvidence
from mlgitops.model.statement import MAX_STATEMENT_BYTES, parse_statement

if TYPE_CHECKING:
    from mlgitops.model.statement import Statement


_MEASURERS = {
    DemandedEvidence.INDEPENDENT: "base's own code",
    DemandedEvidence.CLAIMED: "the run that trained it",
    None: "nobody who is named",
}


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
        return check_pull_request(subject, subject.trained)
    lineage = subject.lineage
    if not lineage.approvers:
        raise AbsentError(lineage.absent.get("approvers", "the release names none"))
    number = f" (pull request {lineage.pull_request})" if lineage.pull_request else ""
    names = f"{', '.join(lineage.approvers)}{number}, author {lineage.author or 'not known'}"
    raise AbsentError(f"the release names {names}: nobody vouches for that, and --github asks")


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
