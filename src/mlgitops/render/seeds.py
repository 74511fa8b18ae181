"""What the seeds of the training do to the judged metrics, in sentences. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.judgement.moved import Joined
from mlgitops.render.numbers import choose_decimals, render_delta, render_number
from mlgitops.statistics.intervals import UNCOUNTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.model import MetricChange, Report, SeedNoise

_MOST_SENTENCES = 5


def describe_seeds(report: Report) -> list[str]:
    """Say of each judged metric what other rows and what other seeds could do; a few at most."""
    noises = [(change.name, noise) for change in _list_judged(report) if (noise := _find(change))]
    sentences = [_describe(name, noise) for name, noise in noises[:_MOST_SENTENCES]]
    more = len(noises) - len(sentences)
    return [*sentences, *([f"So for {more} more judged metrics."] if more > 0 else [])]


def name_seeds(report: Report) -> str:
    """Say how many trainings of each side the intervals are of; empty without any interval."""
    evidence = [change.evidence for change in report.metrics if change.evidence]
    counts = [item.seeds.seeds if item.seeds else 1 for item in evidence if item.interval]
    if not counts:
        return ""
    if max(counts) > 1:
        return f", and {max(counts)} seeds a side"
    is_tried = any(UNCOUNTED in (item.reason or "") for item in evidence)
    return f"; {UNCOUNTED}" if is_tried else "; another seed was not tried"


def _list_judged(report: Report) -> Iterator[MetricChange]:
    joined = Joined(report.metrics)
    for verdict in report.judgement.metrics if report.judgement else ():
        matches = joined.match(verdict.name)
        if len(matches) == 1 and not verdict.budget:
            yield matches[0]


def _find(change: MetricChange) -> SeedNoise | None:
    return change.evidence.seeds if change.evidence else None


def _describe(name: str, noise: SeedNoise) -> str:
    reach = max(noise.by_rows, noise.by_seeds)
    decimals = choose_decimals(0.0, noise.delta, half_width=reach)
    rows, seeds = (render_number(value, decimals) for value in (noise.by_rows, noise.by_seeds))
    return (
        f"`{name}`: with {noise.seeds} seeds a side the change is"
        f" {render_delta(noise.delta, decimals)} on average; other test rows could move that by"
        f" ±{rows}, other seeds by ±{seeds}."
    )
