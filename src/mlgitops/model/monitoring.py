"""What a project wants watched (`monitor.yaml`), and the facts of a day that are kept of it. Pure.

A fact is a sum over the rows of one UTC day that one model answered. It holds no id, and a value
of a column only where the contract lists all that the column may hold.
"""

from __future__ import annotations

import datetime as dt
import math
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec
from msgspec import Meta

from mlgitops.errors import MlgitopsError
from mlgitops.model.fields import Count, Name, Share, Struct, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The largest file of facts that is read, in bytes: a month of some hundred thousand lines.
MAX_FACTS_BYTES = 64 * 2**20
_MENDED = "nobody edits it: restore the file, or remove it and run `mlgitops monitor` again"
_ENCODER = msgspec.json.Encoder(order="sorted")
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
_Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$(?!\n)")]


#: In the place of a model: of a line that nobody can read, none is known.
NO_MODEL = "0" * 64
#: Facts of what the files of the log and the labels hold that nobody can use.
UNREADABLE, UNREADABLE_LABELS, DAMAGED = "unreadable", "unreadable_labels", "damaged"
OF_FILES = (UNREADABLE, UNREADABLE_LABELS, DAMAGED)


class DayFact(Struct, frozen=True, kw_only=True):
    """One figure of one day: that of several days is Σ numerator / Σ denominator.

    ``name``: a judged metric as policy.yaml names it, or one of those that
    :mod:`mlgitops.monitoring.facts` lists. ``of``: None for all rows, else the part that it is
    of, in the form of a query string: `carrier=AA&origin=EWR`.
    """

    day: _Day  # UTC, of the request
    model: _Digest  # sha256 of the model file, or :data:`NO_MODEL`
    name: Name
    of: Text | None = None
    rows: Count  # that the figure rests on
    numerator: float
    denominator: float


def encode_facts(facts: Iterable[DayFact]) -> bytes:
    """Encode facts as sorted lines: the same facts give the same bytes, in whatever order."""
    ordered = sorted(facts, key=sort_key)
    return b"".join(_ENCODER.encode(fact) + b"\n" for fact in ordered)


def parse_facts(data: bytes, where: str) -> tuple[DayFact, ...]:
    """Read lines of facts; raises :class:`MlgitopsError` naming the first one that is wrong.

    Each must be strict, of a real day, finite, and the only one of its day, model, name and part.
    """
    if len(data) > MAX_FACTS_BYTES:
        problem = f"{len(data):,} bytes are more than the {MAX_FACTS_BYTES:,} we read"
        raise MlgitopsError(problem, where=where)
    *lines, rest = data.split(b"\n")
    if rest:
        raise MlgitopsError("the last line is cut off", where=where, hint=_MENDED)
    facts: dict[tuple[str, ...], DayFact] = {}
    for number, line in enumerate(lines, start=1):
        fact = _parse_fact(line, f"{where}:{number}")
        if sort_key(fact) in facts:
            problem = f"`{fact.name}` of {fact.day} stands there twice"
            raise MlgitopsError(problem, where=f"{where}:{number}", hint=_MENDED)
        facts[sort_key(fact)] = fact
    return tuple(facts.values())


def sort_key(fact: DayFact) -> tuple[str, ...]:
    """Return what no two facts share, and what their lines are sorted by."""
    return (fact.day, fact.model, fact.name, "" if fact.of is None else f"={fact.of}")


def _parse_fact(line: bytes, where: str) -> DayFact:
    try:
        fact = msgspec.json.decode(line, type=DayFact)
        dt.date.fromisoformat(fact.day)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MlgitopsError(f"no fact of a day: {error}", where=where, hint=_MENDED) from error
    if not (math.isfinite(fact.numerator) and math.isfinite(fact.denominator)):
        raise MlgitopsError("no fact of a day: not finite", where=where, hint=_MENDED)
    if _ENCODER.encode(fact) != line:  # a key twice, or other spellings of a number
        raise MlgitopsError("no fact of a day as it is written", where=where, hint=_MENDED)
    return fact


class Redaction(StrEnum):
    """What the log keeps of a column's values, or of the rows' ids."""

    KEEP = "keep"
    HASH = "hash"  # salted: equal values stay equal, on one host
    DROP = "drop"


class RequestSettings(Struct, frozen=True, kw_only=True):
    """What the server logs; it reads these itself."""

    sample: Share = 1.0  # of the rows, chosen by their ids
    max_bytes: Count = 1_000_000_000  # of one day
    keep_days: Annotated[int, Meta(ge=1)] = 90
    ids: Redaction = Redaction.KEEP
    columns: dict[Name, Redaction] = {}  # noqa: RUF012 - each gets its own


class FolderSource(Struct, frozen=True, kw_only=True):
    """The files that the server writes: `YYYY-MM-DD-<process>.jsonl`, or `.jsonl.gz`."""

    folder: Name


class ParquetSource(Struct, frozen=True, kw_only=True):
    """Parquet files that a shipper writes; a pattern, such as `log/*/*.parquet`."""

    parquet: Name


class SqlSource(Struct, frozen=True, kw_only=True):
    """A query of PostgreSQL; ``address`` names the environment variable that holds its address."""

    address: Name
    query: Annotated[str, Meta(max_length=10_000)]


class CommandSource(Struct, frozen=True, kw_only=True):
    """A program that prints JSON Lines; it finds MLGITOPS_SINCE and MLGITOPS_UNTIL set."""

    words: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]


class EventSource(Struct, frozen=True, kw_only=True):
    """A folder of CloudEvents of KServe's logger, requests and responses, one JSON a line."""

    folder: Name
    model: _Digest  # of the model that answered: the events do not say it


class TableSource(Struct, frozen=True, kw_only=True):
    """CSV, Parquet or JSON Lines by the file's ending; a pattern, such as `labels/*.csv`."""

    file: Name


LogSource: TypeAlias = FolderSource | ParquetSource | SqlSource | CommandSource | EventSource
LabelSource: TypeAlias = TableSource | SqlSource | CommandSource


class LabelSettings(Struct, frozen=True, kw_only=True):
    """Where outcomes come from, and what their columns are called."""

    source: LabelSource | None = None  # None: what `mlgitops label` was given, and no more
    id: Name = "id"
    outcome: Name = "outcome"
    late_days: Annotated[int, Meta(ge=1, le=3650)] = 28  # after which one counts as late


class AlertSettings(Struct, frozen=True, kw_only=True):
    """From where a figure of production is an alert, beside what policy.yaml says."""

    limits: dict[Name, float] = {}  # noqa: RUF012 - metric → its limit in production
    calibration: Annotated[float, Meta(ge=0)] | None = None  # |mean score - share|; None: 0.05
    refused: Share = 0.01  # of a day's requests, by the contract
    missing: Share = 0.05  # of a day's rows, in a column
    new_levels: Share = 0.01  # of a day's rows, in a column
    failed: Share = 0.001  # of a day's requests, that the server could not score
    unreadable: Share = 0.01  # of a day's lines of the log, or of its labels
    silent_days: Annotated[int, Meta(ge=0)] = 1  # days in a row without a row
    usual_since: _Day | None = None  # the first day that says what is usual
    wait_days: Annotated[int, Meta(ge=0)] = 0  # until the labels of a day are taken for whole


class RowPart(StrEnum):
    """What of a request, beside its inputs, a column of the raw table may be filled with."""

    ID = "id"
    DAY = "day"  # of the request, UTC, such as 2026-11-22
    TIME = "time"  # of the request, UTC, such as 2026-11-22T08:00:00Z


class RetrainSettings(Struct, frozen=True, kw_only=True):
    """When a model is trained again, and which rows of production it may learn from."""

    cooldown_days: Annotated[int, Meta(ge=0, le=3650)] = 28  # from one retraining to the next
    age_days: Annotated[int, Meta(ge=1, le=3650)] | None = None  # None: age alone is no reason
    minutes: Annotated[int, Meta(ge=1, le=1440)] = 45  # that the training may take
    window_days: Annotated[int, Meta(ge=1, le=365)] = 28  # held out of training, to compare on
    fewest_rows: Annotated[int, Meta(ge=1)] = 100  # new ones, below which nothing is trained
    rows_per_day: Annotated[int, Meta(ge=1)] | None = None
    client: Name | None = None  # the input that says who asked
    rows_per_client: Annotated[int, Meta(ge=1)] | None = None
    columns: dict[Name, RowPart] = {}  # noqa: RUF012 - of the raw table, that no input fills


class MonitorSettings(Struct, frozen=True, kw_only=True):
    """What a project wants watched: `monitor.yaml`, checked."""

    requests: RequestSettings = RequestSettings()
    source: LogSource | None = None  # None: the folder of the local target
    labels: LabelSettings = LabelSettings()
    alerts: AlertSettings = AlertSettings()
    retrain: RetrainSettings = RetrainSettings()
