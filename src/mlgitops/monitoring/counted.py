"""Counts that need no labels against what is usual here: refusals, gaps, new levels, silence. Pure.

A day is an alert where its share is above what the settings allow, above what the four weeks
before lead one to expect of a single day (Student's t, with the days' own spread), and above both
by more than so few rows do by chance (the exact binomial tail). The seven days of a look and all
columns of a rule share one chance of a false alarm.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mlgitops.model.look import AlertKind, Finding, FindingState
from mlgitops.monitoring.history import shift_day, split_part
from mlgitops.statistics.longrun import ALPHA
from mlgitops.statistics.quantiles import incomplete_beta, student_quantile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlgitops.model.monitoring import AlertSettings
    from mlgitops.monitoring.history import DaySum, History

#: Days that a look is at, and those before that say what is usual.
LOOKED_AT, USUAL = 7, 28
_FEWEST_USUAL = 7  # days; with fewer, only the settings say what is too much
_SILENCE_DAYS = 90  # that say how long gaps usually are
_ONLY_SHOWN = ("json", "protocol", "too_large")


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """One share that is counted."""

    kind: AlertKind
    name: str  # of the facts
    of: str | None
    allowed: float
    alpha: float


def judge_counts(history: History, settings: AlertSettings, until: str) -> Iterator[Finding]:
    """Judge what is counted without labels, as of the end of a day."""
    yield judge_silence(history, settings, until)
    yield _judge_share(history, _count("refused.contract", settings.refused), until)
    scoring = _count("refused.scoring", settings.failed, kind=AlertKind.SYSTEM)
    yield _judge_share(history, scoring, until)
    for reason in _ONLY_SHOWN:
        if (f"refused.{reason}", None) in history.series:
            yield _show_share(history, f"refused.{reason}", until)
    for name, allowed in (("missing", settings.missing), ("new_level", settings.new_levels)):
        parts = history.list_parts(name)
        for of in parts:
            counted = _count(name, allowed, of=of, alpha=ALPHA / len(parts))
            yield _judge_share(history, counted, until)


def _count(
    name: str,
    allowed: float,
    *,
    of: str | None = None,
    kind: AlertKind = AlertKind.DATA,
    alpha: float = ALPHA,
) -> _Counted:
    return _Counted(kind=kind, name=name, of=of, allowed=allowed, alpha=alpha)


def judge_silence(history: History, settings: AlertSettings, until: str) -> Finding:
    """Judge how many days in a row nothing was answered, against the gaps that there usually are.

    More days than ``silent_days``, and more than twice the longest gap of the last 90 days.
    """
    days = [day for day in history.days if shift_day(until, -_SILENCE_DAYS) <= day <= until]
    last = max(day for day in history.days if day <= until)
    silent = _count_between(last, until)
    longest = max((_count_between(a, b) - 1 for a, b in pairwise(days)), default=0)
    limit = max(settings.silent_days, 2 * longest)
    return Finding(
        kind=AlertKind.DATA,
        name="silence",
        state=FindingState.ALERT if silent > limit else FindingState.HOLDS,
        figure=float(silent),
        limit=float(limit),
        source="monitor.yaml" if limit == settings.silent_days else "the gaps before",
        days=len(days),
    )


def _count_between(first: str, last: str) -> int:
    return (dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days


def _judge_share(history: History, counted: _Counted, until: str) -> Finding:
    """Judge the worst of the last seven days."""
    sums = _fill_days(history, counted, until)
    start = shift_day(until, 1 - LOOKED_AT)
    recent = [entry for entry in sums if entry.day >= start]
    before = [entry for entry in sums if shift_day(start, -USUAL) <= entry.day < start]
    finding = Finding(
        kind=counted.kind,
        name=counted.name,
        of=split_part(counted.of).get("column"),
        state=FindingState.NOT_ENOUGH,
        days=len(recent),
        rows=sum(entry.rows for entry in recent),
    )
    if not recent:
        return replace(finding, reason="nothing was asked in the last seven days")
    alpha = counted.alpha / LOOKED_AT
    usual = _expect_day(before, alpha)
    limit = max(counted.allowed, usual)
    worst = max(recent, key=lambda entry: _excess(entry, limit, alpha))
    return replace(
        finding,
        state=FindingState.ALERT if _excess(worst, limit, alpha) > 0 else FindingState.HOLDS,
        figure=worst.numerator / worst.denominator,
        limit=limit,
        source="what is usual here" if usual > counted.allowed else "monitor.yaml",
        reason=f"on {worst.day}: {worst.numerator:,.0f} of {worst.denominator:,.0f}",
    )


def _fill_days(history: History, counted: _Counted, until: str) -> list[DaySum]:
    """Return the days of a share; one without a refusal is a day with none of them."""
    sums = history.read(counted.name, counted.of, until=until)
    if not counted.name.startswith("refused."):
        return sums
    refused = {entry.day: entry for entry in sums}
    answered = {entry.day: entry for entry in history.read("rows", until=until)}
    return [
        refused.get(day) or answered[day]._replace(numerator=0.0, denominator=answered[day].rows)
        for day in sorted(refused.keys() | answered.keys())
    ]


def _expect_day(before: Sequence[DaySum], alpha: float) -> float:
    """Return the share that one more day exceeds with a chance of ``alpha``, at most 1."""
    if len(before) < _FEWEST_USUAL:
        return 0.0
    shares = [entry.numerator / entry.denominator for entry in before]
    mean = math.fsum(shares) / len(shares)
    squares = math.fsum((share - mean) ** 2 for share in shares)
    spread = math.sqrt(squares / (len(shares) - 1) * (1 + 1 / len(shares)))
    return min(1.0, mean + student_quantile(1 - alpha, len(shares) - 1) * spread)


def _excess(entry: DaySum, limit: float, alpha: float) -> float:
    """Return how far a day is above a limit; 0 where chance or the limit explains it."""
    excess = entry.numerator / entry.denominator - limit
    if excess <= 0:
        return 0.0
    tail = 1.0 if limit >= 1 else binomial_tail(entry.numerator, entry.denominator, limit)
    return excess if tail < alpha else 0.0


def binomial_tail(count: float, trials: float, share: float) -> float:
    """Return the chance of at least ``count`` of ``trials`` where each has the chance ``share``.

    >>> round(binomial_tail(3, 10, 0.1), 4)
    0.0702
    """
    return 1.0 if count <= 0 else incomplete_beta(count, trials - count + 1, share)


def _show_share(history: History, name: str, until: str) -> Finding:
    start = shift_day(until, 1 - LOOKED_AT)
    sums = _fill_days(history, _count(name, 1.0), until)
    recent = [entry for entry in sums if entry.day >= start]
    total = sum(entry.denominator for entry in recent)
    return Finding(
        kind=AlertKind.SYSTEM,
        name=name,
        state=FindingState.SHOWN,
        figure=sum(entry.numerator for entry in recent) / total if total else None,
        days=len(recent),
        reason="what callers send is not the server's fault",
    )
