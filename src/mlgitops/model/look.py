"""What one look at production says: each figure beside its limit, and what is only shown. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from mlgitops.model.documents import encode_document
from mlgitops.model.facts import Interval
from mlgitops.model.fields import Count, Name, Struct, Text

#: Version of the document; raised when a reader of the old form would be misled.
LOOK_SCHEMA: Literal[1] = 1
#: Weeks that a trace goes back.
MOST_WEEKS = 26
_Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$(?!\n)")]


class AlertKind(StrEnum):
    """Who is to act: there is one issue for each kind."""

    MODEL = "model"  # its answers got worse than the policy allows
    DATA = "data"  # what is asked is not what it was
    SYSTEM = "system"  # the server does not answer as it should


class FindingState(StrEnum):
    """What is said of a figure."""

    ALERT = "alert"  # beyond its limit, and beyond what noise explains
    HOLDS = "holds"
    NOT_ENOUGH = "not enough"  # too few days or rows to say anything
    SHOWN = "shown"  # never alerted: it has no limit, or says too little of the model


class Finding(Struct, frozen=True, kw_only=True):
    """One figure of a look; in the unit of its name."""

    kind: AlertKind
    name: Name  # of the facts, such as `test.brier`, `missing`, `silence`
    of: Text | None = None  # the column or the groups
    state: FindingState
    figure: float | None = None
    interval: Interval | None = None  # of the figure; where there is a limit, at its level
    limit: float | None = None
    upper: bool = True  # whether the limit is one from above
    source: Text | None = None  # who sets the limit
    days: Count = 0  # with rows that the figure is of
    rows: Count = 0
    since: _Day | None = None  # of the first look of this alert
    lingers: bool = False  # whether it was an alert, and did not hold at two looks since
    reason: Text | None = None  # why it is not enough, or only shown


class Trace(Struct, frozen=True, kw_only=True):
    """A figure week by week, for a chart; the last week ends on the day of the look."""

    name: Name
    weeks: Annotated[tuple[int, ...], Meta(max_length=MOST_WEEKS)]  # before the look's: -25 … 0
    values: Annotated[tuple[float, ...], Meta(max_length=MOST_WEEKS)]
    limit: float | None = None


class Look(Struct, frozen=True, kw_only=True):
    """What `mlgitops monitor` says."""

    schema: Literal[1] = LOOK_SCHEMA
    toolkit: Text
    project: Text
    environment: Text
    day: _Day  # the last one that was complete, UTC
    week: _Day  # the Sunday that the figures of labelled rows end with
    model: Text | None  # sha256 of the model that was asked last; None: none ever was
    findings: tuple[Finding, ...]
    open_kinds: tuple[AlertKind, ...]  # with an alert now, or one that is not over
    traces: tuple[Trace, ...] = ()
    notices: tuple[Text, ...] = ()

    def alerts(self, kind: AlertKind | None = None) -> list[Finding]:
        """Return what is beyond its limit, of one kind or of all."""
        return [
            finding
            for finding in self.findings
            if finding.state is FindingState.ALERT and kind in (None, finding.kind)
        ]


def encode_look(look: Look) -> bytes:
    """Encode as indented JSON with sorted keys and a final newline."""
    return encode_document(look)
