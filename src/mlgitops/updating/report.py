"""What an update takes, and what is known of it: `reports/update.json`. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mlgitops.errors import MlgitopsError
from mlgitops.model.documents import encode_document, parse_document
from mlgitops.model.fields import Count, OneLine, Path_, Sha, Struct, Text

#: In a project's folder, kept by git.
REPORT = "reports/update.json"
_MOST_BYTES = 4 * 2**20
_Column = Annotated[str, Meta(max_length=1000)]
_Columns = Annotated[tuple[_Column, ...], Meta(max_length=20_000)]


class Taken(Struct, frozen=True, kw_only=True):
    """One source, before and now."""

    repository: OneLine  # address, as the .dvc files have it
    old_revision: OneLine | None  # None: its default branch
    revision: OneLine | None
    old_commit: Sha
    commit: Sha
    commits: Count | None  # between the two; None: the old one is not in the new one's history
    stray: Annotated[tuple[OneLine, ...], Meta(max_length=100)] = ()


class Shape(Struct, frozen=True, kw_only=True):
    """The size of a table."""

    rows: Count
    columns: _Columns


class TakenFile(Struct, frozen=True, kw_only=True):
    """One imported file, before and now; None where it is no table, or could not be read."""

    path: Path_
    before: Shape | None = None
    now: Shape | None = None
    changed: bool = True  # its bytes are others


class UpdateReport(Struct, frozen=True, kw_only=True):
    """What a pull request of an update rests on."""

    schema: Literal[1] = 1
    toolkit: Text
    sources: Annotated[tuple[Taken, ...], Meta(min_length=1, max_length=200)]
    files: Annotated[tuple[TakenFile, ...], Meta(min_length=1, max_length=1000)]
    #: Rules of contract.yaml that the imported contract does not promise to keep.
    stricter: Annotated[tuple[Text, ...], Meta(max_length=1000)] = ()
    stricter_before: Annotated[tuple[Text, ...], Meta(max_length=1000)] | None = None


def fit_report(report: UpdateReport) -> UpdateReport:
    """Return a report that :func:`parse_update` reads: without the shapes of very wide tables."""
    try:
        return parse_update(encode_document(report), REPORT)
    except MlgitopsError:
        files = [msgspec.structs.replace(it, before=None, now=None) for it in report.files]
        return msgspec.structs.replace(report, files=tuple(files))


def parse_update(data: bytes, where: str) -> UpdateReport:
    """Read a report that a branch may hold; raises :class:`MlgitopsError` for what is none."""
    return parse_document(
        *(data, UpdateReport, where),
        limit=_MOST_BYTES,
        problem="no report of an update",
        hint="`mlgitops update` writes it: nobody edits it",
    )
