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
from mlgitops.monitoring.counted import judge_counts
from mlgitops.monitoring.history import cut_weeks, find_week_end, read_history, shift_day
from mlgitops.monitoring.labelled import CALIBRATION, judge_labelled
from mlgitops.monitoring.shown import show_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlgitops.model.monitoring import DayFact
    from mlgitops.monitoring.history import DaySum, History
    from mlgitops.monitoring.labelled import Demands

    Judge = Callable[[str], Iterable[Finding]]

_WEEK = 7
_MOST_TRACES = 8
_NOTHING = "no row was ever answered, as far as the facts say"


def take_look(
    facts: Iterable[DayFact], demands: Demands, *, day: str, project: str, environment: str
) -> Look:
    """Look at production as of the end of ``day``, the last one that is complete (UTC)."""
    history = read_history(facts, day)
    week = find_week_end(day)
    if history is None:
        return _make_look(None, (), (), day=day, names=(project, environment), notices=(_NOTHING,))
    settings = demands.settings

    def judge_week(until: str) -> Iterable[Finding]:
        labelled_until = shift_day(until, -settings.wait_days)
        return judge_labelled(history, demands, labelled_until)

    def judge_day(until: str) -> Iterable[Finding]:
        if not any(answered <= until for answered in history.days):
            return ()
        return judge_counts(history, settings, until)

    findings: list[Finding] = []
    lingering: set[AlertKind] = set()
    for judge, until in ((judge_week, week), (judge_day, day)):
        now, before = list(judge(until)), _find_alerts(judge, shift_day(until, -_WEEK))
        findings += [_date_alert(finding, judge, until) for finding in now]
        lingering |= {kind for kind, *_ in before}
    findings += show_figures(history, day)
    return _make_look(
        history, findings, lingering, day=day, names=(project, environment),
        traces=_draw_traces(history, findings, week),
    )  # fmt: skip


def _make_look(
    history: History | None,
    findings: Iterable[Finding],
    lingering: Iterable[AlertKind],
    *,
    day: str,
    names: tuple[str, str],
    traces: tuple[Trace, ...] = (),
    notices: tuple[str, ...] = (),
) -> Look:
    findings = tuple(findings)
    alerted = {it.kind for it in findings if it.state is FindingState.ALERT} | set(lingering)
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


def _find_alerts(judge: Judge, until: str) -> set[tuple[AlertKind, str, str | None]]:
    return {_key(it) for it in judge(until) if it.state is FindingState.ALERT}


def _key(finding: Finding) -> tuple[AlertKind, str, str | None]:
    """Return what makes two findings the same one; the worst pair of groups may change."""
    of = finding.of if finding.kind is not AlertKind.MODEL else None
    return finding.kind, finding.name, of


def _date_alert(finding: Finding, judge: Judge, until: str) -> Finding:
    """Say since which look a figure is beyond its limit without a break."""
    if finding.state is not FindingState.ALERT:
        return finding
    since = until
    for _ in range(MOST_WEEKS):
        earlier = shift_day(since, -_WEEK)
        if _key(finding) not in _find_alerts(judge, earlier):
            break
        since = earlier
    return replace(finding, since=since)


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
    is_root = finding.name.rpartition(".")[2] in ("rmse", "root_mean_squared_error")
    points = list(_sum_weeks(cut_weeks(sums, week, MOST_WEEKS), is_root=is_root))
    return Trace(
        name=finding.name,
        weeks=tuple(at for at, _ in points),
        values=tuple(value for _, value in points),
        limit=finding.limit if finding.name != CALIBRATION or finding.figure else None,
    )


def _sum_weeks(
    weeks: Iterable[tuple[int, list[DaySum]]], *, is_root: bool
) -> Iterator[tuple[int, float]]:
    for at, days in weeks:
        below = sum(entry.denominator for entry in days)
        if below > 0:
            value = sum(entry.numerator for entry in days) / below
            yield at, math.sqrt(max(value, 0.0)) if is_root else value
