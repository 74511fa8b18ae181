"""Figures of the system: how much is asked, how fast answers come, how old model and data are.

Pure. All are shown and never alerted: how fast is fast enough is Prometheus's to know, and its
rules (deploy/monitoring/ of a project) alert by the minute, not by the day.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.model.look import AlertKind, Finding, FindingState
from mlgitops.monitoring.history import shift_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.monitoring.counters import ServerCounts
    from mlgitops.monitoring.history import Archive

#: Before the names of these figures.
PREFIX = "system."
_DAYS = 7
_DAY_SECONDS = 24 * 60 * 60
_SHARES = ((0.5, "half of the answers"), (0.95, "95 % of the answers"), (0.99, "99 %"))
_MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class Ages:
    """Since when a model and its data are there; None: git does not say."""

    version: str  # of the release
    model_day: str  # of the commit that was released
    data_day: str | None  # of the last commit that changed what it was trained on


def show_traffic(archive: Archive, until: str) -> Iterator[Finding]:
    """Yield how many rows a second were answered in the seven days up to one."""
    start = shift_day(until, 1 - _DAYS)
    days = [
        entry
        for entry in archive.counts.get(("rows", None), [])
        if start <= entry.day <= until and entry.rows
    ]
    rows = sum(entry.rows for entry in days)
    if not rows:
        return
    busiest = max(days, key=lambda entry: entry.rows)
    reason = f"of the last seven days; {busiest.rows:,} rows on {busiest.day}, the busiest"
    figure = rows / (_DAYS * _DAY_SECONDS)
    yield _show("rows_per_second", figure, reason, days=len(days), rows=rows)


def show_server(counts: ServerCounts, now: float) -> Iterator[Finding]:
    """Yield what a server counted since it started; ``now``: seconds since 1970."""
    total = counts.count_requests()
    lived = now - counts.started if counts.started is not None else 0.0
    if lived > 0 and total:
        reason = f"{total:,.0f} in the {_write_span(lived)} since the server's start"
        yield _show("requests_per_second", total / lived, reason)
    for share, of in _SHARES:
        seconds = counts.find_seconds(share)
        if seconds is not None:
            yield _show("seconds", seconds, "since the server's start", of=of)
    for status, failed in counts.list_failed():
        reason = f"{failed:,.0f} of {total:,.0f} requests since the server's start"
        yield _show("failed", failed / total if total else None, reason, of=f"status {status}")
    for why, records in counts.dropped.items():
        reason = "records that the log has not, since the server's start"
        yield _show("dropped", records, reason, of=why)
    if counts.memory is not None:
        yield _show("memory_mb", counts.memory / _MEGABYTE, "of the server, now")


def show_ages(ages: Ages, day: str) -> Iterator[Finding]:
    """Yield how old model and data are at the end of a day; nothing before they were there."""
    if ages.model_day <= day:
        reason = f"{ages.version}, of {ages.model_day}"
        yield _show("model_age_days", _count_days(ages.model_day, day), reason)
    if ages.data_day is not None and ages.data_day <= day:
        reason = f"what it was trained on last changed on {ages.data_day}"
        yield _show("data_age_days", _count_days(ages.data_day, day), reason)


def _show(
    name: str,
    figure: float | None,
    reason: str,
    *,
    of: str | None = None,
    days: int = 0,
    rows: int = 0,
) -> Finding:
    return Finding(
        kind=AlertKind.SYSTEM,
        name=f"{PREFIX}{name}",
        of=of,
        state=FindingState.SHOWN,
        figure=figure,
        days=days,
        rows=rows,
        reason=reason,
    )


def _count_days(first: str, last: str) -> float:
    return float((dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days)


def _write_span(seconds: float) -> str:
    """Write a time in the largest unit of which there are two.

    >>> _write_span(90), _write_span(7300), _write_span(200_000)
    ('90 seconds', '2 hours', '2 days')
    """
    for unit, length in (("days", _DAY_SECONDS), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
