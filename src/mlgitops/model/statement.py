"""A verdict as evidence to keep: an in-toto Statement about one model. Strict when read; no I/O.

The form is that of https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, with a
predicate of our own, which docs/reference/verdict/v1.md describes. Theirs is a library of two
packages that brings protobuf, fills in what is missing and lets unknown fields through; a
statement is six fields of JSON, and here every one of them must be as we write it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mlgitops.errors import MlgitopsError
from mlgitops.model.documents import encode_document
from mlgitops.model.fields import Path_, Sha, Struct, Text
from mlgitops.model.policy import DemandedEvidence
from mlgitops.model.report import Report
from mlgitops.model.waiver import Waiver
from mlgitops.model.wire import MAX_REPORT_BYTES, check_report
from mlgitops.parsing import parse_json

if TYPE_CHECKING:
    from mlgitops.model.judgement import Judgement

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
#: Of the predicate: the page of that name below the toolkit's repository, whose address is
#: another one for every copy of it. The last part is raised when a reader would be misled.
PREDICATE_TYPE: Literal["mlgitops:docs/reference/verdict/v1"] = "mlgitops:docs/reference/verdict/v1"
#: A statement holds a report and little else.
MAX_STATEMENT_BYTES = MAX_REPORT_BYTES + 2**16

# Forward slashes, from the root of the repository or the project, and never out of it.
_INSIDE = r"^(?!/)(?!\.\.?(/|$))(?!.*/\.\.?(/|$))[^\0\n\\]*$(?!\n)"
_Md5 = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class Digest(Struct, frozen=True, kw_only=True):
    """Hashes of the model's file: DVC's, and one that nobody finds a second file for."""

    md5: _Md5
    sha256: _Sha256


class Subject(Struct, frozen=True, kw_only=True):
    """The model that was judged: its path in the project, and its content."""

    name: Path_
    digest: Digest


class PolicySource(Struct, frozen=True, kw_only=True):
    """The policy that judged: a file of the project at a commit of the base branch."""

    commit: Sha
    path: Annotated[str, Meta(min_length=1, max_length=500, pattern=_INSIDE)]
    sha256: _Sha256


class VerdictPredicate(Struct, frozen=True, kw_only=True):
    """What was judged, by which policy, with which result, and who measured it."""

    toolkit: Text  # version of mlgitops that judged
    repository: Text  # address
    project: Annotated[
        str, Meta(max_length=500, pattern=_INSIDE)
    ]  # folder in the repository; "" is its root
    pull_request: Annotated[int, Meta(ge=1)] | None
    run: Text  # address of the workflow's run
    policy: PolicySource
    results: Sha | None  # commit with the run's results, where one was made
    verdict: Literal["pass", "waived", "fail"]
    evidence: DemandedEvidence  # who measured what was judged
    waiver: Waiver | None = None  # of a verdict `waived`
    report: Report  # as `report.json`, without charts and tables

    def find_path(self, path: str) -> str:
        """Return where a file of the project stands in the repository."""
        return f"{self.project}/{path}".lstrip("/")


class Statement(
    Struct,
    frozen=True,
    kw_only=True,
    rename={"type": "_type", "predicate_type": "predicateType"},
):
    """An in-toto Statement v1 of one verdict on one model."""

    type: Literal["https://in-toto.io/Statement/v1"] = STATEMENT_TYPE
    subject: tuple[Subject]
    predicate_type: Literal["mlgitops:docs/reference/verdict/v1"] = PREDICATE_TYPE
    predicate: VerdictPredicate


def encode_statement(statement: Statement) -> bytes:
    """Encode as indented JSON with sorted keys and a final newline, defaults written out."""
    return _encode(statement)


def encode_predicate(statement: Statement) -> bytes:
    """Encode the predicate alone, which `actions/attest` puts into a statement that it signs."""
    return _encode(statement.predicate)


def parse_statement(data: bytes, where: str) -> Statement:
    """Read a statement; raises :class:`MlgitopsError` on anything that `report` does not write."""
    document = parse_json(data, where, limit=MAX_STATEMENT_BYTES)
    named = document.get("predicateType") if isinstance(document, dict) else None
    if named != PREDICATE_TYPE:
        raise MlgitopsError(
            f"not a statement of a verdict: predicateType is {str(named)[:100]!a}",
            where=where,
            hint=f"mlgitops writes and reads {PREDICATE_TYPE}",
        )
    try:
        statement = msgspec.json.decode(data, type=Statement)
    except msgspec.MsgspecError as error:
        hint = "docs/reference/verdict/v1.schema.json of the toolkit describes the form"
        raise MlgitopsError(f"not a statement: {error}", where=where, hint=hint) from error
    check_report(statement.predicate.report)
    return statement


def find_evidence(report: Report) -> DemandedEvidence:
    """Tell who measured what was judged: base's code all of it, or the run some of it."""
    measurement = report.measurement
    is_measured = measurement is not None and measurement.reason is None
    if is_measured and not _has_claims(report.judgement):
        return DemandedEvidence.INDEPENDENT
    return DemandedEvidence.CLAIMED


def encode_statement_schema() -> bytes:
    """Encode the published JSON Schema (draft 2020-12) of a statement."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.schema(Statement),
    }
    return encode_document(schema, indent=2)


def _has_claims(judgement: Judgement | None) -> bool:
    """Tell whether something that is judged was self-reported; a budget never is marked so."""
    if judgement is None:
        return False
    metrics = (*judgement.metrics, *judgement.reference)
    slices = any(rule.claimed for rule in judgement.slices)
    return slices or any(metric.claimed for metric in metrics)


def _encode(value: Statement | VerdictPredicate) -> bytes:
    return encode_document(value)
