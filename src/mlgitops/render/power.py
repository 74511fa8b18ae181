"""What is said of the test rows themselves: how large a true loss they stop. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.judgement.slices import name_group
from mlgitops.render.numbers import render_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model import MetricVerdict, Power, Report

_MOST_NAMES = 5
#: A change without a loss that passes less often than this is worth a word.
_EASILY = 0.95


def describe_power(report: Report) -> str:
    """Say which true losses these rows stop with 80 % probability; "" where nothing is known."""
    judgement = report.judgement
    if judgement is None:
        return ""
    rows = [(verdict, verdict.power) for verdict in judgement.metrics if verdict.power is not None]
    return " ".join([*_list_stopped(rows), *_list_neutral(rows), *_list_hopeless(report)])


def render_loss(loss: float) -> str:
    """Render an estimated loss with the three digits that it deserves.

    >>> render_loss(0.0114567), render_loss(12345.6)
    ('0.0115', '12300')
    """
    return render_plain(float(f"{loss:.3g}"))


def _list_stopped(rows: Sequence[tuple[MetricVerdict, Power]]) -> list[str]:
    seen = [(verdict.name, power.stopped) for verdict, power in rows if power.stopped > 0]
    if not seen:
        return []
    texts = [f"{render_loss(loss)} in `{name}`" for name, loss in seen[:_MOST_NAMES]]
    more = f", and {len(seen) - len(texts)} more" if len(seen) > len(texts) else ""
    losses = f"With 80 % probability these rows stop a true loss of {_join(texts)}{more}"
    return [f"{losses}, of changes that differ from base as much as this one."]


def _list_neutral(rows: Sequence[tuple[MetricVerdict, Power]]) -> list[str]:
    """Say where a policy that asks for proof stops what loses nothing, too."""
    texts = [
        f"{100 * power.neutral:.0f} % in `{verdict.name}`"
        for verdict, power in rows
        if power.neutral < _EASILY
    ]
    if not texts:
        return []
    chances = (
        f"A change that loses nothing passes with a probability of {_join(texts[:_MOST_NAMES])}"
    )
    return [f"{chances}: few rows to prove the margin."]


def _list_hopeless(report: Report) -> list[str]:
    """Name the slices whose few rows hold no margin of theirs."""
    verdicts = report.judgement.slices if report.judgement else ()
    groups = list(dict.fromkeys(group for verdict in verdicts for group in verdict.hopeless))
    if not groups:
        return []
    few = len(groups) <= _MOST_NAMES
    names = _join([name_group(group) for group in groups[:_MOST_NAMES]])
    more = "" if few else f" and {len(groups) - _MOST_NAMES} more"
    return [f"Too few rows for their margin, a loss of twice that rather passes: {names}{more}."]


def _join(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
