"""Counts against what is usual here: refusals, gaps, new levels, silence, unreadable lines. Pure.

They are of the environment: whichever models were asked, together. A day is an alert where its
share is above what the settings allow, above what the first four weeks or the last ones lead one
to expect of a single day (Student's t, with the days' own spread), whichever is less, and above
both by more than so few rows do by chance (the exact binomial tail). A day that is an alert never
becomes usual, so a fault that lasts stays one; and beside the first weeks, one that creeps does.
The seven days of a look and all columns of a rule share one chance of a false alarm. Of lines that
nobody can read no share is usual: in the place of what was, the days of a look are held to what is
allowed together. A file that is not read to its end is always one too many.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from mlgitops.model.look import AlertKind, Finding, FindingState
from mlgitops.model.monitoring import DAMAGED, OF_FILES, UNREADABLE, UNREADABLE_LABELS
from mlgitops.monitoring.history import DaySum, shift_day, split_part
from mlgitops.statistics.longrun import ALPHA
from mlgitops.statistics.quantiles import incomplete_beta, student_quantile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlgitops.model.monitoring import AlertSettings
    from mlgitops.monitoring.history import Archive

#: Days that a look is at, and those that say what is usual: the first ones, and the last.
LOOKED_AT, USUAL = 7, 28
_FEWEST_USUAL = 7  # days; with fewer, only the settings say what is too much
_REFERENCES = 2
_MOST_TRIALS = 2.0**53  # so many or more are as good as endlessly many
_SILENCE_DAYS = 90  # that say how long gaps usually are
_ONLY_SHOWN = ("json", "protocol", "too_large")
_UNSTEADY = "no day can be too much beside those before; `alerts: usual_since:` forgets them"


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """One share that is counted."""

    kind: AlertKind
    name: str  # of the facts
    of: str | None
    allowed: float
    alpha: float
    period: int = LOOKED_AT  # days that a look is at
    learns: bool = True  # whether more than that is right where it is usual


class _Day(NamedTuple):
    """The share of one day beside its limit."""

    entry: DaySum
    limit: float
    usual: float  # 0 where too few days say what is
    excess: float  # 0 where chance or the limit explains it


class Counts:
    """What is counted of an environment, each day held to those before it."""

    def __init__(self, archive: Archive, settings: AlertSettings) -> None:
        self._archive, self._settings = archive, settings
        self._requests = archive.count_requests()
        self._days = {counted: self._hold_days(counted) for counted in self._list_counted()}

    def _list_counted(self) -> Iterator[_Counted]:
        settings = self._settings
        yield _count("refused.contract", settings.refused)
        yield _count("refused.scoring", settings.failed, kind=AlertKind.SYSTEM)
        for name, allowed in (("missing", settings.missing), ("new_level", settings.new_levels)):
            parts = sorted(of for key, of in self._archive.counts if key == name and of)
            for of in parts:
                yield _count(name, allowed, of=of, alpha=ALPHA / len(parts))
        for name in (UNREADABLE, UNREADABLE_LABELS):
            if self._archive.has_lost(name):
                yield _Counted(
                    kind=AlertKind.DATA,
                    name=name,
                    of=None,
                    allowed=settings.unreadable,
                    alpha=ALPHA,
                    period=LOOKED_AT if name == UNREADABLE else self._labelled_period,
                    learns=False,
                )

    def judge(self, until: str) -> Iterator[Finding]:
        """Judge what is counted without labels, as of the end of a day."""
        if min(self._requests, default=until) > until:
            return
        yield judge_silence(self._archive.list_days(until), self._settings, until)
        if (DAMAGED, None) in self._archive.counts:
            yield self._judge_damaged(until)
        for counted, days in self._days.items():
            past = [day for day in days if day.entry.day <= until]
            if not _is_gone(counted, past, until):
                yield _judge_share(counted, past, until)

    @property
    def _labelled_period(self) -> int:
        """Return the days whose labels still come, or are judged by."""
        return USUAL + self._settings.wait_days

    def _judge_damaged(self, until: str) -> Finding:
        """Judge the files that were not read to their end: none is allowed."""
        start = shift_day(until, 1 - self._labelled_period)
        days = [it for it in self._archive.counts[DAMAGED, None] if start <= it.day <= until]
        return Finding(
            kind=AlertKind.DATA,
            name=DAMAGED,
            state=FindingState.ALERT if days else FindingState.HOLDS,
            figure=math.fsum(entry.numerator for entry in days),
            limit=0.0,
            source="always",
            days=len(days),
            reason=f"the newest of {days[-1].day}" if days else None,
        )

    def show(self, until: str) -> Iterator[Finding]:
        """Show how often callers sent what no server could answer."""
        for reason in _ONLY_SHOWN:
            if (f"refused.{reason}", None) in self._archive.counts:
                yield self._show_share(f"refused.{reason}", until)

    def _hold_days(self, counted: _Counted) -> list[_Day]:
        """Hold each day of a share to the settings and to what was usual by then."""
        alpha = counted.alpha / counted.period / _REFERENCES
        days: list[_Day] = []
        usual: list[float] = []  # shares of the days that say what is
        for entry in self._fill_days(counted.name, counted.of):
            expected = min(_expect_day(usual[:USUAL], alpha), _expect_day(usual[-USUAL:], alpha))
            if not counted.learns:
                expected = 0.0
            limit = max(counted.allowed, expected)
            day = _Day(entry, limit, expected, _excess(entry, limit, alpha))
            if not day.excess or len(usual) < _FEWEST_USUAL:
                usual.append(entry.numerator / entry.denominator)
            days.append(day)
        return days

    def _fill_days(self, name: str, of: str | None) -> list[DaySum]:
        """Return the days of a share; one on which nothing was refused or lost is one with none."""
        since = self._settings.usual_since or ""
        sums = {entry.day: entry for entry in self._archive.counts.get((name, of), [])}
        if name.startswith("refused."):
            sums = {
                day: DaySum(day, sums[day].numerator if day in sums else 0.0, asked, round(asked))
                for day, asked in sorted(self._requests.items())
            }
        if name in OF_FILES:
            sums = dict(sorted({**self._list_whole(name), **sums}.items()))
        return [entry for day, entry in sums.items() if entry.denominator > 0 and day >= since]

    def _list_whole(self, name: str) -> dict[str, DaySum]:
        """Return the days that have lines or labels, as if none was lost."""
        if name == UNREADABLE:
            whole = self._requests
        else:
            labels = self._archive.counts.get(("labels", None), [])
            whole = {entry.day: entry.numerator for entry in labels}
        return {day: DaySum(day, 0.0, count, round(count)) for day, count in whole.items()}

    def _show_share(self, name: str, until: str) -> Finding:
        start = shift_day(until, 1 - LOOKED_AT)
        recent = [it for it in self._fill_days(name, None) if start <= it.day <= until]
        total = sum(entry.denominator for entry in recent)
        return Finding(
            kind=AlertKind.SYSTEM,
            name=name,
            state=FindingState.SHOWN,
            figure=sum(entry.numerator for entry in recent) / total if total else None,
            days=len(recent),
            reason="what callers send is not the server's fault",
        )


def _count(
    name: str,
    allowed: float,
    *,
    of: str | None = None,
    kind: AlertKind = AlertKind.DATA,
    alpha: float = ALPHA,
) -> _Counted:
    return _Counted(kind=kind, name=name, of=of, allowed=allowed, alpha=alpha)


def judge_silence(answered: Sequence[str], settings: AlertSettings, until: str) -> Finding:
    """Judge how many days in a row nothing was answered, against the gaps that there usually are.

    ``answered``: the days with a row up to ``until``, in their order. More days than
    ``silent_days``, and more than twice the longest gap of the last 90 days.
    """
    days = [day for day in answered if day >= shift_day(until, -_SILENCE_DAYS)]
    finding = Finding(kind=AlertKind.DATA, name="silence", state=FindingState.NOT_ENOUGH)
    if not answered:
        return replace(finding, reason="no row was ever answered")
    silent = _count_between(answered[-1], until)
    longest = max((_count_between(a, b) - 1 for a, b in pairwise(days)), default=0)
    limit = max(settings.silent_days, 2 * longest)
    return replace(
        finding,
        state=FindingState.ALERT if silent > limit else FindingState.HOLDS,
        figure=float(silent),
        limit=float(limit),
        source="monitor.yaml" if limit == settings.silent_days else "the gaps before",
        days=len(days),
    )


def _count_between(first: str, last: str) -> int:
    return (dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days


def _is_gone(counted: _Counted, past: Sequence[_Day], until: str) -> bool:
    """Tell whether a column is no longer asked for, such as by a later model."""
    last = past[-1].entry.day if past else ""
    return counted.of is not None and last <= shift_day(until, -LOOKED_AT - USUAL)


def _judge_share(counted: _Counted, past: Sequence[_Day], until: str) -> Finding:
    """Judge the worst of the last seven days."""
    start = shift_day(until, 1 - counted.period)
    recent = [day for day in past if day.entry.day >= start]
    finding = Finding(
        kind=counted.kind,
        name=counted.name,
        of=split_part(counted.of).get("column"),
        state=FindingState.NOT_ENOUGH,
        days=len(recent),
        rows=sum(day.entry.rows for day in recent),
    )
    if not recent:
        return replace(finding, reason=_describe_nothing(counted))
    worst = max(recent, key=lambda day: (day.excess, day.entry.numerator / day.entry.denominator))
    when = f"on {worst.entry.day}"
    if not worst.excess and not counted.learns and (together := _add_up(counted, recent)).excess:
        worst, when = together, f"on {len(recent)} days up to {together.entry.day}"
    if min(day.limit for day in recent) >= 1 > counted.allowed:
        return replace(finding, reason=_UNSTEADY)
    entry = worst.entry
    return replace(
        finding,
        state=FindingState.ALERT if worst.excess > 0 else FindingState.HOLDS,
        figure=entry.numerator / entry.denominator,
        limit=worst.limit,
        source="what is usual here" if worst.usual > counted.allowed else "monitor.yaml",
        reason=f"{when}: {entry.numerator:,.0f} of {entry.denominator:,.0f}",
    )


def _add_up(counted: _Counted, days: Sequence[_Day]) -> _Day:
    """Hold days to what is allowed together: of a few lines a day none says much by itself.

    Where no share is usual, this takes the chance that a second reference has elsewhere.
    """
    entries = [day.entry for day in days]
    entry = DaySum(
        entries[-1].day,
        math.fsum(entry.numerator for entry in entries),
        math.fsum(entry.denominator for entry in entries),
        sum(entry.rows for entry in entries),
    )
    excess = _excess(entry, counted.allowed, counted.alpha / _REFERENCES)
    return _Day(entry, counted.allowed, 0.0, excess)


def _describe_nothing(counted: _Counted) -> str:
    if counted.name == UNREADABLE_LABELS:
        return f"no row of the last {counted.period} days has a label"
    return "nothing was asked in the last seven days"


def _expect_day(shares: Sequence[float], alpha: float) -> float:
    """Return the share that one more day exceeds with a chance of ``alpha``, at most 1.

    The worst days, one fewer than there are weeks, count as the next one: a bad day is not usual,
    and what is so on one day of each week is.
    """
    if len(shares) < _FEWEST_USUAL:
        return 0.0
    ordered, weeks = sorted(shares), len(shares) // LOOKED_AT
    ordered = ordered[: len(shares) - weeks + 1] + [ordered[-weeks]] * (weeks - 1)
    mean = math.fsum(ordered) / len(ordered)
    squares = math.fsum((share - mean) ** 2 for share in ordered)
    spread = math.sqrt(squares / (len(ordered) - 1) * (1 + 1 / len(ordered)))
    return min(1.0, mean + student_quantile(1 - alpha, len(ordered) - 1) * spread)


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
    if count > trials or trials > _MOST_TRIALS:  # facts that nobody counted
        return float(count / trials <= share)
    return 1.0 if count <= 0 else incomplete_beta(count, trials - count + 1, share)
