"""Which entries of the ledger a question is about: now, a time, a day, or a model. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.model.audit import Period
from mlgitops.model.ledger import Event, find_live

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model.ledger import LedgerEntry

_DIGEST = re.compile(r"[0-9a-f]{7,64}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
# Other forms of a day or a week would be taken for their first moment, or for a sha256.
_MOMENT = re.compile(_DAY.pattern + r"([T ]\d\d:\d\d.*)?")
_ODD_DAY = re.compile(r"(19|20)\d{6}")
_HINT = "give a day as 2026-03-03, a time as 2026-03-03T14:00:00Z, or a model's sha256"


def choose_entries(
    entries: Sequence[LedgerEntry], asked: str | None, now: datetime
) -> list[LedgerEntry]:
    """Choose the switches that ``asked`` is about; None asks for what serves ``now``.

    A day is one of UTC, and so is a time without an offset. A sha256 may be cut to seven digits
    or more; it gives the last switch to each model that begins so, once for each revision and
    version with which it served. Empty: nothing served then.
    Raises :class:`MlgitopsError` for a time that has not been yet: nobody knows what will serve.
    """
    if asked is None:
        live = find_live(entries)
        return [live] if live else []
    spans = _list_spans(entries)
    if _is_digest(asked):
        last = {_identify(entry): entry for entry, _ in spans if entry.sha256.startswith(asked)}
        return sorted(last.values(), key=lambda entry: entry.seq)
    start, end = _parse_span(asked)
    if start > now:
        raise MlgitopsError(f"--at {asked[:80]!a} has not been yet", hint=_HINT)
    return [
        entry
        for entry, until in spans
        if _parse_time(entry) < end and (until is None or _parse_time(until) > start)
    ]


def list_periods(entries: Sequence[LedgerEntry], served: LedgerEntry) -> tuple[Period, ...]:
    """List the times in which the model of ``served`` served, with that code and as that version.

    The same bytes with other code may answer otherwise.
    """
    return tuple(
        Period(
            seq=entry.seq,
            since=entry.at,
            until=end.at if end else None,
            forced=entry.forced,
            actor=entry.actor,
        )
        for entry, end in _list_spans(entries)
        if _identify(entry) == _identify(served)
    )


def find_doubt(entries: Sequence[LedgerEntry], asked: str | None) -> str | None:
    """Say why times do not tell what served when ``asked``; None where they do, or are not needed.

    An entry that says an earlier time than one before it leaves open what served between the two.
    """
    if asked is None or _is_digest(asked):
        return None
    start, end = _parse_span(asked)
    latest: LedgerEntry | None = None
    for entry in entries:
        if latest is None or _parse_time(entry) >= _parse_time(latest):
            latest = entry
        elif _parse_time(entry) < end and start <= _parse_time(latest):
            return (
                f"entry {entry.seq} says {entry.at}, and entry {latest.seq}, before it, says "
                f"{latest.at}: what served between these times is not known"
            )
    return None


def find_skew(entries: Sequence[LedgerEntry]) -> str | None:
    """Say where the clocks of those who wrote the ledger disagree: times are not proof there."""
    for before, after in pairwise(entries):
        if _parse_time(after) < _parse_time(before):
            return (
                f"entry {after.seq} says {after.at}, which is before entry {before.seq}: the "
                "order is the ledger's, and times around there are not to be relied on"
            )
    return None


def _is_digest(asked: str) -> bool:
    return bool(_DIGEST.fullmatch(asked) and not _ODD_DAY.fullmatch(asked))


def _identify(entry: LedgerEntry) -> tuple[str, ...]:
    return entry.model, entry.sha256, entry.revision, entry.version or ""


def _list_spans(
    entries: Sequence[LedgerEntry],
) -> list[tuple[LedgerEntry, LedgerEntry | None]]:
    """List each switch with the entry that ended its service, None while it serves."""
    changes = [entry for entry in entries if entry.event is not Event.CONDEMNED]
    spans = zip(changes, [*changes[1:], None], strict=True)
    return [(entry, end) for entry, end in spans if entry.event is Event.SWITCHED]


def _parse_time(entry: LedgerEntry) -> datetime:
    try:
        return datetime.fromisoformat(entry.at)
    except ValueError as error:
        where = f"entry {entry.seq} of {entry.environment}"
        raise MlgitopsError(f"{entry.at!a} is no time", where=where) from error


def _parse_span(asked: str) -> tuple[datetime, datetime]:
    """Return the first moment asked about, and the first one after it that is not."""
    problem = MlgitopsError(f"--at {asked[:80]!a} is no time and no sha256", hint=_HINT)
    if not _MOMENT.fullmatch(asked):
        raise problem
    try:
        start = datetime.fromisoformat(asked)
    except ValueError as error:
        raise problem from error
    start = start.replace(tzinfo=UTC) if start.tzinfo is None else start
    return start, start + (
        timedelta(days=1) if _DAY.fullmatch(asked) else timedelta(microseconds=1)
    )
