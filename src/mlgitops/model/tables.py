"""What changed inside a table of data: rows, columns, and how far they shifted."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mlgitops.model.fields import Count, Name, Path_, Share, Struct, Text

#: From this PSI on a column is said to have shifted, and from that one to have shifted far:
#: the rule of thumb of Siddiqi 2006, Credit Risk Scorecards, ch. 10.
SHIFTED, SHIFTED_FAR = 0.1, 0.25


class ColumnChange(Struct, frozen=True, kw_only=True):
    """One column of a table at base and head: what differs, and how far it shifted."""

    name: Name
    base_kind: Name | None = None  # number, boolean, date, text, empty; None: not there
    head_kind: Name | None = None
    changed_rows: Count | None = None  # rows of one key whose cell differs; None: no key
    base_missing: Share | None = None  # fraction of rows without a value
    head_missing: Share | None = None
    psi: Annotated[float, Meta(ge=0)] | None = None  # population stability index
    psi_expected: Annotated[float, Meta(ge=0)] | None = None  # its mean without any drift
    mean_shift: float | None = None  # head's mean minus base's, in base's standard deviations
    reason: Text | None = None  # why there is no PSI
    new_levels: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()  # most frequent first
    gone_levels: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()
    more_levels: Count = 0  # new or gone ones that are not listed


class TableChange(Struct, frozen=True, kw_only=True):
    """One table whose content differs: rows and columns."""

    path: Path_
    base_rows: Count | None = None  # None: not there, or not readable
    head_rows: Count | None = None
    key: Name | None = None  # the column that tells rows apart; None: whole rows are compared
    added: Count | None = None  # rows only at head
    removed: Count | None = None
    changed: Count | None = None  # rows of one key that differ; None: without a key
    columns: Annotated[tuple[ColumnChange, ...], Meta(max_length=100)] = ()  # that differ
    omitted_columns: Count = 0
    reason: Text | None = None  # why it could not be compared
    remark: Text | None = None  # what the comparison rests on
