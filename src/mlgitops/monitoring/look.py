"""Facts, policy and settings to one look: what is beyond its limit, since when, what is shown.

Pure. What needs labels is looked at once a week, as of the last Sunday, however often it is asked:
more looks would be more false alarms. Counts are looked at as of the last complete day.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mlgitops import __version__
from mlgitops.model.look import MOST_WEEKS, AlertKind, Finding, FindingState, Look, Trace
from mlgitops.monitoring.counted import Counts
from mlgitops.monitoring.history import cut_weeks, find_week_end, read_archive, shift_day
from mlgitops.monitoring.labelled import has_root, judge_labelled
from mlgitops.monitoring.shown import show_figures
from mlgitops.monitoring.system import show_traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlgitops.model.monitoring import DayFact
    from mlgitops.monitoring.history import DaySum, History
    from mlgitops.monitoring.labelled import Demands

    Judge = Callable[[str], Iterable[Finding]]

_WEEK = 7
#: Looks without an alert that a figure must have held at before its alert is over.
_CLEAN = 2
#: Looks that are taken again at most, to see whether an alert is over: those of a year.
_MOST_LOOKS = 52
_MOST_TRACES = 8
_NOTHING = "no row was ever answered, as far as the facts say: rows after {} do not count yet"


def take_look(
    facts: Iterable[DayFact], demands: Demands, *, day: str, project: str, environment: str
) -> Look:
    """Look at production as of the end of ``day``, the last one that is complete (UTC)."""
    archive = read_archive(facts, day)
    history, week = archive.choose(day), find_week_end(day)
    names = project, environment
    settings = demands.settings
    if history is None:
        lost = _follow(Counts(archive, settings).judge, day) if archive.has_losses else ()
        return _make_look(None, lost, day=day, names=names, notices=(_NOTHING.format(day),))
    counts = Counts(archive, settings)

    def judge_week(until: str) -> Iterable[Finding]:
        seen = history if until == week else archive.choose(until)
        labelled_until = shift_day(until, -settings.wait_days)
        return () if seen is None else judge_labelled(seen, demands, labelled_until)

    findings = [*_follow(judge_week, week), *_follow(counts.judge, day)]
    findings += [*counts.show(day), *show_traffic(archive, day), *show_figures(history, day)]
    traces = _draw_traces(history, findings, week)
    return _make_look(history, findings, day=day, names=names, traces=traces)


def _make_look(
    history: History | None,
    findings: Iterable[Finding],
    *,
    day: str,
    names: tuple[str, str],
    traces: tuple[Trace, ...] = (),
    notices: tuple[str, ...] = (),
) -> Look:
    findings = tuple(findings)
    alerted = {it.kind for it in findings if it.state is FindingState.ALERT or it.lingers}
    return Look(
        toolkit=__version__,
        project=names[0],
        environment=names[1],
        day=day,
        week=find_week_end(day),
        model=history.model if history else None,
        findings=findings,
        open_kinds=tuple(kind for kind in AlertKind if kind in alerted),
        traces=traces,
        notices=notices,
    )


def _key(finding: Finding) -> tuple[AlertKind, str, str | None]:
    """Return what makes two findings the same one; the worst pair of groups may change."""
    of = finding.of if finding.kind is not AlertKind.MODEL else None
    return finding.kind, finding.name, of


def _follow(judge: Judge, until: str) -> Iterator[Finding]:
    """Say since when each alert is one without a break, and which past ones are not over yet.

    Each earlier look is taken again as it was: with the model that was asked last by then.
    """
    findings = list(judge(until))
    trails = {_key(finding): [finding.state] for finding in findings}
    for back in range(1, _MOST_LOOKS):
        if all(map(_is_settled, trails.values())):
            break
        earlier = {_key(it): it.state for it in judge(shift_day(until, -_WEEK * back))}
        if not earlier:
            break
        for key, trail in trails.items():
            trail.append(earlier.get(key, FindingState.NOT_ENOUGH))
    for finding in findings:
        trail = trails[_key(finding)]
        if finding.state is FindingState.ALERT:
            looks = _count_alerts(trail)
            yield replace(finding, since=shift_day(until, _WEEK * (1 - looks)))
        else:
            yield replace(finding, lingers=_lingers(trail))


def _count_alerts(trail: list[FindingState]) -> int:
    """Return how many looks, the newest first, are alerts without a break."""
    return next(
        (at for at, state in enumerate(trail) if state is not FindingState.ALERT), len(trail)
    )


def _is_settled(trail: list[FindingState]) -> bool:
    """Tell whether looks before these change nothing of what is said of a figure."""
    if trail[0] is FindingState.ALERT:
        return _count_alerts(trail) < len(trail) or len(trail) > MOST_WEEKS
    return FindingState.ALERT in trail or trail.count(FindingState.HOLDS) >= _CLEAN


def _lingers(trail: list[FindingState]) -> bool:
    """Tell whether a figure was an alert and did not hold at two looks since.

    A look at which there was too little to say anything is not one at which it held.
    """
    if FindingState.ALERT not in trail:
        return False
    return trail[: trail.index(FindingState.ALERT)].count(FindingState.HOLDS) < _CLEAN


def _draw_traces(history: History, findings: list[Finding], week: str) -> tuple[Trace, ...]:
    """Return the weekly figures of what is judged by labels, for all rows."""
    traces = (
        _trace(history, finding, week)
        for finding in findings
        if finding.kind is AlertKind.MODEL and (finding.name, None) in history.series
    )
    return tuple(trace for trace in traces if len(trace.weeks) > 1)[:_MOST_TRACES]


def _trace(history: History, finding: Finding, week: str) -> Trace:
    sums = history.read(finding.name, until=week)
    weeks = cut_weeks(sums, week, MOST_WEEKS)
    points = list(_sum_weeks(weeks, is_root=has_root(finding.name)))
    return Trace(
        name=finding.name,
        weeks=tuple(at for at, _ in points),
        values=tuple(value for _, value in points),
        limit=finding.limit,
    )


def _sum_weeks(
    weeks: Iterable[tuple[int, list[DaySum]]], *, is_root: bool
) -> Iterator[tuple[int, float]]:
    for at, days in weeks:
        below = sum(entry.denominator for entry in days)
        if below > 0:
            value = sum(entry.numerator for entry in days) / below
            yield at, math.sqrt(max(value, 0.0)) if is_root else value
