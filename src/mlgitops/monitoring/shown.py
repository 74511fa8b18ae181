"""What is shown and never alerted: how far inputs and scores moved, and what scores promise. Pure.

Drift of inputs says little of whether the model is still right: docs/reference/monitoring.md has
how often it warns where nothing changed. So each index stands beside its own noise: how far the
weeks of the first four are from each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.model.look import AlertKind, Finding, FindingState
from mlgitops.monitoring.history import shift_day, split_part
from mlgitops.monitoring.labelled import make_interval, measure_days
from mlgitops.statistics.longrun import ALPHA, CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.monitoring.history import History

_WEEK = 7
_PREFIX = "estimated."
_ASSUMES = "assumes unchanged P(y|x): it cannot see that the same inputs now end differently"
_NEVER = "never an alert: it warns where nothing is wrong"


def show_figures(history: History, until: str) -> Iterator[Finding]:
    """Yield what is only shown, as of the end of a day."""
    yield from _show_estimates(history, until)
    for name in ("score_histogram", "histogram"):
        columns = {_name_histogram(of) for of in history.list_parts(name)}
        for column in sorted(columns):
            finding = _show_index(history, name, column, until)
            if finding is not None:
                yield finding


def _show_estimates(history: History, until: str) -> Iterator[Finding]:
    for name in sorted(name for name, of in history.series if name.startswith(_PREFIX) and not of):
        sums = history.read(name, until=until)
        if len(sums) < CLUSTERS:
            continue
        figure = measure_days(sums)
        yield Finding(
            kind=AlertKind.MODEL,
            name=name,
            state=FindingState.SHOWN,
            figure=figure.value,
            interval=make_interval(figure, ALPHA),
            days=CLUSTERS,
            rows=sum(entry.rows for entry in sums[-CLUSTERS:]),
            reason=_ASSUMES,
        )


def _name_histogram(of: str) -> str:
    part = split_part(of)
    return part.get("column") or part.get("class", "")


def _show_index(history: History, name: str, column: str, until: str) -> Finding | None:
    """Show the PSI of the last four weeks to the first four; None where these overlap."""
    first = min((entry.day for entry in history.read("rows", until=until)), default=until)
    if shift_day(first, 2 * CLUSTERS - 1) > until:
        return None
    bins = [of for of in history.list_parts(name) if _name_histogram(of) == column]
    start = _sum_bins(history, name, bins, first, shift_day(first, CLUSTERS - 1))
    now = _sum_bins(history, name, bins, shift_day(until, 1 - CLUSTERS), until)
    if not sum(start) or not sum(now):
        return None
    weeks = [
        _sum_bins(history, name, bins, shift_day(first, at), shift_day(first, at + _WEEK - 1))
        for at in range(0, CLUSTERS, _WEEK)
    ]
    noise = max(
        (
            _index([whole - own for whole, own in zip(start, week, strict=True)], week)
            for week in weeks
            if 0 < sum(week) < sum(start)
        ),
        default=0.0,
    )
    return Finding(
        kind=AlertKind.DATA,
        name="psi of scores" if name == "score_histogram" else "psi",
        of=column[:500],
        state=FindingState.SHOWN,
        figure=_index(start, now),
        days=CLUSTERS,
        rows=int(sum(now)),
        reason=f"the first four weeks among themselves: up to {noise:.2g}; {_NEVER}",
    )


def _sum_bins(history: History, name: str, bins: list[str], first: str, last: str) -> list[float]:
    return [
        sum(entry.numerator for entry in history.series[name, of] if first <= entry.day <= last)
        for of in bins
    ]


def _index(base: list[float], head: list[float]) -> float:
    import numpy as np

    from mlgitops.statistics.drift import compute_psi

    return compute_psi(np.array(base, dtype=np.int64), np.array(head, dtype=np.int64))
