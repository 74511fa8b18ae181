"""Where a released model comes from: the JSON document in its tag. Strict when read; no I/O.

What is not known is null, and ``absent`` says why; nothing is filled in. The message of a release's
tag is one line for people, a blank line, and this document, so that `git show` shows both.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from mlgitops.errors import MlgitopsError
from mlgitops.model.documents import encode_document, parse_document
from mlgitops.model.facts import ImportSource, Interval
from mlgitops.model.fields import Count, Name, Path_, Sha, Struct, Text
from mlgitops.model.policy import DemandedEvidence
from mlgitops.model.waiver import Waiver

#: Version of the document; raised when a reader of the old form would be misled.
LINEAGE_SCHEMA: Literal[1] = 1
MAX_LINEAGE_BYTES = 2**18
#: Fields that may be null or empty; ``absent`` gives the reason for each one that is.
OPTIONAL = (
    *("contract", "parameters", "environment", "serving", "data", "test_data", "metrics"),
    *("measured_by", "verdict", "statement", "pull_request", "author", "approvers", "cost"),
)

_Model = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$(?!\n)")]
_Version = Annotated[
    str, Meta(pattern=r"^v(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$(?!\n)")
]
_Md5 = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
_Hash = Annotated[str, Meta(max_length=100)]  # as dvc.lock has it: "md5:…"
# Of one line: the document is for people to read, too.
_Person = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]


class Change(StrEnum):
    """What is new in a release against the one before, by which its version is counted."""

    FIRST = "first"
    CONTRACT = "contract"  # what goes in or comes out: the major version
    BEHAVIOUR = "behaviour"  # the code that trains or serves, or its parameters: the minor version
    DATA = "data"  # trained on other data: the patch version


class DataHash(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that the model was made from, as dvc.lock or a .dvc file names it."""

    path: Path_  # from the project's folder
    hash: _Hash
    imported: ImportSource | None = None  # from another repository, by `dvc import`


class ReleasedMetric(Struct, frozen=True, kw_only=True):
    """One number of the model."""

    name: Name  # dotted, such as "test.roc_auc"
    value: float
    delta: float | None = None  # against the base that it was judged with
    interval: Interval | None = None  # of that delta


class Lineage(Struct, frozen=True, kw_only=True):
    """What a release is made of, who measured it, and who let it in."""

    schema: Literal[1] = LINEAGE_SCHEMA
    model: _Model
    version: _Version
    previous: _Version | None  # the release before; None for the first
    change: Change
    changed: Annotated[tuple[Path_, ...], Meta(max_length=100)]  # files that made it that change
    project: Annotated[str, Meta(max_length=500)]  # folder in the repository with a slash, or ""
    commit: Sha  # of the default branch, whose dvc.lock names the model and whose code serves it
    path: Path_  # of the model's file, from the project's folder
    md5: _Md5
    sha256: _Sha256
    size: Count  # bytes
    contract: _Sha256 | None  # of contract.yaml
    parameters: _Sha256 | None  # of params.yaml
    environment: _Sha256 | None  # of the lock that trains
    serving: _Sha256 | None  # of the lock that serves
    data: Annotated[tuple[DataHash, ...], Meta(max_length=1000)]
    test_data: _Hash | None  # of the rows that it was measured on
    metrics: Annotated[tuple[ReleasedMetric, ...], Meta(max_length=500)]
    measured_by: DemandedEvidence | None  # base's own code, or the run that trained
    verdict: Literal["pass", "waived"] | None
    waiver: Waiver | None = None  # of a verdict `waived`
    statement: _Sha256 | None  # of the verdict's statement, as `report --statement` wrote it
    pull_request: Annotated[int, Meta(ge=1)] | None
    author: _Person | None
    approvers: Annotated[tuple[_Person, ...], Meta(max_length=50)] | None
    cost: Annotated[tuple[ReleasedMetric, ...], Meta(max_length=20)] | None
    sources: dict[Name, Text]  # name of a field above → who says so, where git alone does not
    absent: dict[Name, Text]  # name of a field above that is null or empty → why


def encode_message(lineage: Lineage) -> bytes:
    """Encode the message of the release's tag: a line for people, then the document."""
    return write_title(lineage).encode() + b"\n\n" + encode_document(lineage)


def parse_message(data: bytes, where: str) -> Lineage:
    """Read the message of a release's tag; raises :class:`MlgitopsError` on any other."""
    title, _, document = data.partition(b"\n\n")
    lineage = parse_document(
        *(document, Lineage, where),
        limit=MAX_LINEAGE_BYTES,
        problem="this is no lineage of a release",
        hint="`mlgitops release` writes it; a tag made by hand is no release",
    )
    if title != write_title(lineage).encode():
        raise MlgitopsError(
            f"its first line is {title[:100]!r}, not {write_title(lineage)!r}", where=where
        )
    _check_absences(lineage, where)
    return lineage


def write_title(lineage: Lineage) -> str:
    """Write the line for people."""
    since = f" since {lineage.previous}" if lineage.previous else ""
    news = {
        Change.FIRST: "the first release",
        Change.CONTRACT: f"other inputs or outputs{since}",
        Change.BEHAVIOUR: f"another behaviour{since}",
        Change.DATA: f"trained on other data{since}",
    }
    return f"{lineage.model} {lineage.version}: {news[lineage.change]}"


def _check_absences(lineage: Lineage, where: str) -> None:
    """Raise unless ``absent`` names just the fields that are, and what depends on another fits."""
    empty = {name for name in OPTIONAL if getattr(lineage, name) in (None, ())}
    if empty != lineage.absent.keys():
        odd = min(empty ^ lineage.absent.keys())
        problem = (
            "is not there, without a reason" if odd in empty else "is named absent, and is not"
        )
        raise MlgitopsError(f"`{odd[:100]}` {problem}", where=where)
    if not lineage.sources.keys() <= set(OPTIONAL) - empty:
        raise MlgitopsError("it names a source of what is not there", where=where)
    if (lineage.verdict == "waived") != (lineage.waiver is not None):
        raise MlgitopsError("its verdict and its waiver contradict each other", where=where)
    # A waiver stands in git as well; a pass is the statement's word alone.
    if lineage.verdict == "pass" and lineage.statement is None:
        raise MlgitopsError("its verdict is a pass, and of no statement", where=where)
    if (lineage.change is Change.FIRST) != (lineage.previous is None):
        raise MlgitopsError("its change and its previous version contradict", where=where)
