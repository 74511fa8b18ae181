"""What predictions say of one slice rule: the statistic over groups, and the groups."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mlgitops.model.facts import Interval
from mlgitops.model.fields import Count, Name, Struct, Text
from mlgitops.model.policy import Statistic

#: Slices that are listed for one rule, and rules that a policy may hold.
MAX_SLICES, MAX_SLICE_RULES = 40, 20

#: One group: its value in each column that the rule slices by.
Group = Annotated[tuple[Text, ...], Meta(min_length=1, max_length=10)]


class SliceResult(Struct, frozen=True, kw_only=True):
    """One group of test rows: a metric at base and head."""

    group: Group
    rows: Count
    base: float | None = None
    head: float | None = None
    delta: float | None = None  # head - base
    interval: Interval | None = None  # of the delta, paired on the group's rows
    reason: Text | None = None  # why there is no value, or no interval: it is not judged


class SliceFacts(Struct, frozen=True, kw_only=True):
    """What predictions say of one slice rule: the statistic over groups, and the groups."""

    by: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=10)]
    metric: Name
    statistic: Statistic | None = None
    min_rows: Annotated[int, Meta(ge=1)] = 1
    base: float | None = None  # the statistic over groups of at least `min_rows` rows
    head: float | None = None
    interval: Interval | None = None  # of head's statistic, with at least this confidence
    # The lowest and highest group come first, then those that lost most, then the largest.
    slices: Annotated[tuple[SliceResult, ...], Meta(max_length=MAX_SLICES)] = ()
    omitted: Count = 0  # groups that are not listed
    small: Count = 0  # groups with fewer than `min_rows` rows
    reason: Text | None = None  # why the rule could not be evaluated
    base_reason: Text | None = None  # why there is nothing to compare with at base
    remark: Text | None = None  # what the numbers rest on
