"""The trusted half's decision as an in-toto Statement: evidence to keep. Pure.

Only a verdict on a model that somebody else than the pull request's code names becomes one: its
hash stands in the commit with the run's results, or in what base's code measured.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import msgspec

from mlgitops import __version__
from mlgitops.errors import MlgitopsError
from mlgitops.github.decision import Undecided
from mlgitops.model import Verdict
from mlgitops.model.statement import (
    Digest,
    PolicySource,
    Statement,
    Subject,
    VerdictPredicate,
    find_evidence,
)

if TYPE_CHECKING:
    from mlgitops.github.decision import Decision, Judged
    from mlgitops.github.event import Event
    from mlgitops.verification.record import Record

_MD5 = "md5:"
_WORDS: dict[Verdict, Literal["pass", "waived", "fail"]] = {
    Verdict.PASS: "pass",
    Verdict.WAIVED: "waived",
    Verdict.FAIL: "fail",
}


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True):
    """The policy that judged: where it stands at base, and what it holds."""

    project: str  # folder in the repository; "" is its root
    path: str  # from there
    data: bytes


def build_statement(
    decision: Decision, event: Event, record: Record, policy: PolicyFile
) -> Statement:
    """Build the statement of ``decision``; ``record`` is what git holds of its commits.

    Raises :class:`MlgitopsError` with the reason when there is none: nothing was decided, or
    nobody but the pull request's own run names the model.
    """
    if isinstance(decision, Undecided) or decision.verdict not in _WORDS:
        raise MlgitopsError(f"the verdict is {decision.verdict}, which is no verdict on a model")
    results = record.results.sha if record.results else None
    report = msgspec.structs.replace(decision.report, charts=(), tables=())
    return Statement(
        subject=(_name_subject(decision, record),),
        predicate=VerdictPredicate(
            toolkit=__version__,
            repository=event.run.repository_url,
            project=policy.project,
            pull_request=event.number,
            run=event.run.run_url,
            policy=PolicySource(
                commit=event.base_sha, path=policy.path, sha256=sha256(policy.data).hexdigest()
            ),
            results=results,
            verdict=_WORDS[decision.verdict],
            evidence=find_evidence(report),
            waiver=decision.waiver,
            report=report,
        ),
    )


def find_model(judged: Judged, record: Record) -> str | None:
    """Find the MD5 of the model that was judged; None when only the run itself names it.

    That the commit with the results holds the model that was measured is checked before.
    """
    measurement = judged.report.measurement
    recorded = record.results.model if record.results else None
    named = recorded or (measurement.model if measurement else None) or ""
    return named.removeprefix(_MD5) if named.startswith(_MD5) and "." not in named else None


def _name_subject(judged: Judged, record: Record) -> Subject:
    """Name the model by its hashes."""
    path, measurement = judged.rules.files.model, judged.report.measurement
    if path is None:
        raise MlgitopsError("the policy at base names no model (`files: {model: ...}`)")
    md5 = find_model(judged, record)
    if md5 is None:
        raise MlgitopsError(
            "neither a commit with the run's results nor a measurement names the model's file"
        )
    if measurement is None or measurement.sha256 is None:
        raise MlgitopsError(
            "the SHA-256 of the model's file is not known: only the job `evaluate` reads that file"
        )
    return Subject(name=path, digest=Digest(md5=md5, sha256=measurement.sha256))
