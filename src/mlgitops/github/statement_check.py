"""A statement held against git, the policy at base and the model's file. Offline.

Reads git, and nothing that git lacks is fetched. The verdict is made again from the facts in
the statement, by the very code that the trusted half uses.
"""

from __future__ import annotations

from hashlib import file_digest, sha256
from typing import TYPE_CHECKING

import msgspec

from mlgitops.errors import EXIT_FAIL, EXIT_PASS, MlgitopsError
from mlgitops.git.program import find_revision
from mlgitops.github.decision import (
    Judged,
    Undecided,
    check_record,
    check_results,
    refuse_contradictions,
)
from mlgitops.github.statement import find_model
from mlgitops.judgement.judge import judge_report
from mlgitops.judgement.policy import parse_policy
from mlgitops.judgement.reference import RELEASE
from mlgitops.model import Waivers, Waiving
from mlgitops.model.statement import MAX_STATEMENT_BYTES, find_evidence, parse_statement
from mlgitops.storage.handover.commit import read_waived
from mlgitops.verification.claims import list_claims
from mlgitops.verification.consistency import find_contradictions
from mlgitops.verification.record import Record, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlgitops.git.repository import Repository
    from mlgitops.model import Policy, Report
    from mlgitops.model.statement import Statement


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of holding a statement against what can be had offline."""

    statement: Statement
    problems: tuple[str, ...]  # what does not hold, one sentence each
    claims: tuple[str, ...] = ()  # what nothing here vouches for
    has_model: bool = False  # the model's file was at hand

    @property
    def exit_code(self) -> int:
        """Return 0 for a statement that holds, of a verdict with which a model may merge."""
        may_merge = self.statement.predicate.verdict != "fail"
        return EXIT_PASS if may_merge and not self.problems else EXIT_FAIL


def read_statement(path: Path) -> tuple[Statement, bytes]:
    """Read the file of a statement: what it says, and its bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_STATEMENT_BYTES + 1)
    except OSError as error:
        raise MlgitopsError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return parse_statement(data, str(path)), data


def check_statement(
    statement: Statement,
    repository: Repository,
    *,
    branch: str | None,
    policy_path: str,
    model: Path | None,
) -> Checked:
    """Hold ``statement`` against ``repository``, and against the file ``model`` if there is one.

    Base must stand on ``branch``, by default the repository's default branch, and the project's
    file ``policy_path`` must have judged. Raises :class:`MlgitopsError` when it cannot be checked:
    a commit or a file is not here.
    """
    predicate = statement.predicate
    _require_commits(statement, repository)
    problems = [*_check_branch(statement, repository, branch)]
    problems += _check_model(statement, model) if model else ()
    problems += _check_policy(predicate.policy.path, policy_path)
    project = repository.root / predicate.project
    name = predicate.find_path(predicate.policy.path)
    policy = repository.read(predicate.policy.commit, name)
    if policy is None or sha256(policy).hexdigest() != predicate.policy.sha256:
        held = "another one" if policy is not None else "none"
        problems.append(f"the policy is not that of base: git has {held} at {name}")
        return Checked(statement=statement, problems=tuple(problems), has_model=model is not None)
    rules = parse_policy(policy, where=name)
    reference = predicate.report.reference
    release = reference.label if reference and reference.name == RELEASE else None
    record = read_record(
        project,
        predicate.report,
        rules,
        policy_path=predicate.policy.path,
        published=predicate.results,
        release=release,
    )
    _require_read(record, predicate.results)
    problems += _check_verdict(statement, rules, record, project)
    claims = list_claims(predicate.report, rules, record)
    if release is not None:  # tags have no time that could be believed
        claims.append(f"that {release[:100]} was the newest release when it was judged")
    return Checked(
        statement=statement,
        problems=tuple(problems),
        claims=tuple(claims),
        has_model=model is not None,
    )


def _require_commits(statement: Statement, repository: Repository) -> None:
    """Raise unless every commit is here: another repository's statement ends here, too."""
    predicate = statement.predicate
    sides = {"base": predicate.report.base.sha, "head": predicate.report.head.sha}
    for name, sha in {**sides, "results": predicate.results}.items():
        if sha is None and name != "results":
            raise MlgitopsError(f"the statement names no commit as its {name}")
        if sha and find_revision(repository.root, sha) is None:
            raise MlgitopsError(
                f"the statement's {name} {sha[:12]} is not a commit of this repository",
                where=str(repository.root),
                hint=f"it is a statement of {predicate.repository[:200]}; in a clone of that, run"
                f" `git fetch origin {sha}`",
            )


def _require_read(record: Record, results: str | None) -> None:
    """Raise where git could not be read: what was not read contradicts nothing."""
    for name, side in (("base", record.base), ("head", record.head)):
        if side is None:
            reason = record.problems.get(name, "git did not say")
            raise MlgitopsError(f"the statement's {name} cannot be read: {reason}")
    if results and record.results is None:
        reason = record.problems.get("results", "git did not say")
        raise MlgitopsError(f"the statement's results cannot be read: {reason}")


def _check_branch(
    statement: Statement, repository: Repository, branch: str | None
) -> Iterator[str]:
    """Refuse a base that was never merged: whoever makes it writes the policy that judges."""
    name = branch or repository.find_default_branch()
    if name is None:
        raise MlgitopsError("no default branch was found", hint="name it: `--branch NAME`")
    base = statement.predicate.report.base.sha or ""
    if not repository.is_first_parent_ancestor(base, name):
        yield (
            f"its base {base[:12]} never stood on {name} as this clone has it, so nobody merged"
            " the policy that judged"
        )
    if statement.predicate.policy.commit != base:
        yield f"the policy is of {statement.predicate.policy.commit[:12]}, and base is {base[:12]}"


def _check_policy(stated: str, expected: str) -> Iterator[str]:
    """Refuse another file than the project's policy: base may hold an example of a lax one."""
    if stated != expected:
        yield f"it was judged by {stated}, and the policy is {expected} (`--policy` names another)"


def _check_model(statement: Statement, path: Path) -> Iterator[str]:
    """Hold the model's file against the subject: both hashes, as git knows DVC's alone."""
    (subject,) = statement.subject
    for name, stated in (("sha256", subject.digest.sha256), ("md5", subject.digest.md5)):
        try:
            with path.open("rb") as file:
                digest = file_digest(file, name).hexdigest()
        except OSError as error:
            raise MlgitopsError(f"cannot be read: {error.strerror}", where=str(path)) from error
        if digest != stated:
            yield f"{path} is another model: its {name} is {digest}, the statement's is {stated}"


def _check_verdict(
    statement: Statement, rules: Policy, record: Record, project: Path
) -> Iterator[str]:
    """Hold facts against git, and judge them again by the policy at base."""
    predicate = statement.predicate
    report = predicate.report
    judged = Judged(report=judge_report(report, rules), rules=rules)
    if predicate.waiver:
        judged = msgspec.structs.replace(judged, waiving=Waiving(waiver=predicate.waiver))
        yield from _check_waiver(statement, rules, project)
    try:
        refuse_contradictions(find_contradictions(report, rules), "the report contradicts itself")
        corrected = _accept(check_record(judged, record))
        _accept(check_results(corrected, record))
        md5 = find_model(judged, record)
    except MlgitopsError as error:
        yield str(error)
        return
    yield from _compare_corrected(report, corrected.report)
    if judged.verdict != predicate.verdict:
        yield f"its verdict is {predicate.verdict}, and by the policy at base {judged.verdict}"
    evidence = find_evidence(judged.report)
    if evidence != predicate.evidence:
        yield f"its evidence is called {predicate.evidence}, and by its own facts it is {evidence}"
    yield from _check_subject(statement, rules, md5)


def _compare_corrected(stated: Report, corrected: Report) -> Iterator[str]:
    """Name what git, or the policy at base, says in another way; notices are for people."""
    for name in stated.__struct_fields__:
        if name != "notices" and getattr(stated, name) != getattr(corrected, name):
            source = "the policy at base makes of its facts" if name == "judgement" else "git says"
            yield f"its `{name}` is not what {source}"


def _check_subject(statement: Statement, rules: Policy, md5: str | None) -> Iterator[str]:
    """Hold the subject against the policy, and the model that was judged."""
    (subject,), measurement = statement.subject, statement.predicate.report.measurement
    if subject.name != rules.files.model:
        yield f"its model is {subject.name}, and the policy's is {rules.files.model}"
    if md5 != subject.digest.md5:
        yield f"its model has the MD5 {subject.digest.md5}, and what was judged has {md5}"
    if measurement is None or measurement.sha256 != subject.digest.sha256:
        yield "its model's SHA-256 is not that of the file that was measured"


def _check_waiver(statement: Statement, rules: Policy, project: Path) -> Iterator[str]:
    """Hold a waiver against the policy, the head, and the commit that records it."""
    predicate = statement.predicate
    head, waiver = predicate.report.head.sha or "", predicate.waiver
    if rules.waivers is Waivers.FORBIDDEN:
        yield "it is waived, and the policy at base forbids waivers"
    if waiver is None or waiver.sha != head:
        yield "its waiver is for another commit than its head"
    recorded = read_waived(project, head, predicate.results) if predicate.results else []
    by = f"Waived-by: {waiver.login if waiver else ''}"
    if not any(by in message.splitlines() for message in recorded):
        yield "no commit with the run's results records its waiver"


def _accept(decision: Judged | Undecided) -> Judged:
    """Return a judged report; raises :class:`MlgitopsError` with the problem of another one."""
    if isinstance(decision, Undecided):
        raise MlgitopsError(decision.problem)
    return decision
