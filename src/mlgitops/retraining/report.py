"""What a retraining learned from, and what came of it: `reports/retraining.json`. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from mlgitops.model.documents import parse_document
from mlgitops.model.fields import Count, Name, Share, Struct, Text

#: In a project's folder, kept by git.
REPORT = "reports/retraining.json"
_MOST_BYTES = 4 * 2**20
_MOST_DAYS = 4000
_Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$(?!\n)")]


class DayRows(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the rows of one day that have a label; each is counted once."""

    day: _Day  # UTC, of the request
    appended: Count = 0
    held_out: Count = 0  # to compare on
    taken: Count = 0  # the table has them already
    refused: Count = 0  # by the contract
    over_day: Count = 0  # more than a day may add
    over_client: Count = 0  # more than a client may add


class MetricPair(Struct, frozen=True, kw_only=True):
    """One metric of champion and challenger on the same rows."""

    name: Name
    greater_is_better: bool
    champion: float | None = None
    challenger: float | None = None
    low: float | None = None  # of the interval of challenger minus champion
    high: float | None = None
    confidence: Share | None = None
    reason: Text | None = None  # why there is no interval, or what to mind

    @property
    def gain(self) -> Literal["better", "worse"] | None:
        """Tell which way the interval leaves out 0; None where it does not."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return None
        return "better" if (self.low > 0) == self.greater_is_better else "worse"


class Champion(Struct, frozen=True, kw_only=True):
    """The model that an environment wants, which the new one is compared with."""

    environment: Name
    version: Text | None
    revision: Text
    sha256: Text


class RetrainingReport(Struct, frozen=True, kw_only=True):
    """What a pull request of a retraining rests on."""

    schema: Literal[1] = 1
    toolkit: Text
    day: _Day  # on which it was made, UTC
    reason: Name
    why: Annotated[str, Meta(max_length=2000)]
    champion: Champion
    log: Text  # where the rows come from
    labels: Text  # where their labels come from
    rows_before: Count  # of the table
    agreeing: Share | None  # labels that are what the model answered
    days: Annotated[tuple[DayRows, ...], Meta(max_length=_MOST_DAYS)]
    refusals: dict[Annotated[str, Meta(max_length=1000)], Count] = {}  # noqa: RUF012 - own
    metrics: Annotated[tuple[MetricPair, ...], Meta(max_length=200)] = ()

    def count(self, name: str) -> int:
        """Return the sum of a count over all days."""
        return sum(getattr(day, name) for day in self.days)


def parse_report(data: bytes, where: str) -> RetrainingReport:
    """Read a report that a branch may hold; raises :class:`MlgitopsError` for what is none."""
    return parse_document(
        *(data, RetrainingReport, where),
        limit=_MOST_BYTES,
        problem="no report of a retraining",
        hint="`mlgitops retrain` writes it: nobody edits it",
    )
