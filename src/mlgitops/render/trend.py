"""The judged metric over the last merges: a sentence where it slides, and a small chart. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.judgement.judge import find_margin
from mlgitops.judgement.moved import Joined
from mlgitops.judgement.slices import exceeds
from mlgitops.model import (
    Chart,
    ChartKind,
    Interval,
    MetricChange,
    MetricVerdict,
    Series,
    TestData,
    Trend,
)
from mlgitops.render.blocks import render_count
from mlgitops.render.escape import escape_code, escape_prose
from mlgitops.render.mermaid import compose_diagram
from mlgitops.render.numbers import choose_decimals, render_ends, render_number, render_plain

if TYPE_CHECKING:
    from mlgitops.model import Report

_COLOURS = {"low": "#8c959f", "high": "#8c959f", "limit": "#d4a72c", "metric": "#4493f8"}
_AIR = 0.08  # of the height, above and below what is drawn


class _Drawn(Struct, frozen=True, kw_only=True):
    """What the chart of a trend is made of; values in the metric's unit."""

    trend: Trend
    verdict: MetricVerdict
    change: MetricChange  # of head, against what it is held to
    label: str  # of that: base, or the reference's name
    limit: float | None  # what head's value must not be worse than
    interval: Interval | None  # of head minus that

    @property
    def values(self) -> list[float]:
        """Return the merges' values, then head's."""
        head = self.change.head
        return [*(point.value for point in self.trend.points), *([] if head is None else [head])]


def describe_slide(report: Report) -> list[str]:
    """Say where the last merges lost more together than one change may, and nothing bounds that."""
    drawn = _find_drawn(report)
    if drawn is None or (report.judgement is not None and report.judgement.reference):
        return []
    points, rule, values = drawn.trend.points, drawn.verdict.rule, drawn.values
    margin = find_margin(rule, values[0])
    lost = (values[0] - values[-1]) * (1 if rule.greater_is_better else -1)
    if margin is None or not exceeds(lost, margin, values[0], values[-1]):
        return []
    decimals = choose_decimals(values[0], values[-1])
    merges = render_count(len(points) - 1, "merge")
    first, last = (render_number(value, decimals) for value in (values[0], values[-1]))
    times = f", {lost / margin:.2g} times what one change may lose" if margin else ""
    text = (
        f"`{drawn.trend.name}` went from {first} to {last} over the last {merges}"
        f" that changed it and this change{times}: small losses add up. A `reference` in"
        " policy.yaml bounds them."
    )
    return [text]


def render_trend(report: Report) -> str:
    """Render the chart as Markdown; "" where git holds no trend of a judged metric."""
    drawn = _find_drawn(report)
    if drawn is None:
        return ""
    lines = _list_lines(drawn)
    every = [value for line in lines.values() for value in line]
    air = (max(every) - min(every)) * _AIR or 1.0
    diagram = compose_diagram(
        {name: ("line", _COLOURS[name], line) for name, line in lines.items()},
        _label(drawn),
        x_label="merges before base",
        y_label=drawn.trend.name,
        reach=(min(every) - air, max(every) + air),
    )
    title = f"**{escape_code(drawn.trend.name)} over the last merges**"
    return f"{title}\n\n```mermaid\n{diagram}```\n\n<sub>{escape_prose(_explain(drawn))}</sub>"


def draw_trend(report: Report) -> list[Chart]:
    """Return the chart for the page: the merges up to base, and the step to head."""
    drawn = _find_drawn(report)
    if drawn is None:
        return []
    points = drawn.trend.points
    merges = Series(
        side="base",
        x=tuple(float(at + 1 - len(points)) for at in range(len(points))),
        y=tuple(point.value for point in points),
    )
    head = drawn.change.head
    step = (
        [Series(side="head", x=(0.0, 1.0), y=(points[-1].value, head))] if head is not None else []
    )
    return [
        Chart(
            name="trend",
            kind=ChartKind.LINE,
            title=f"{drawn.trend.name[:70]} over the last merges",
            x_label="merges, base is 0",
            y_label=drawn.trend.name[:60],
            series=(merges, *step),
        )
    ]


def _find_drawn(report: Report) -> _Drawn | None:
    """Find the judged metric of the trend, as held against the reference, else against base.

    None where head has other test data than the merges: no line leads from one to the other.
    """
    trend, judgement, reference = report.trend, report.judgement, report.reference
    if report.test_data is TestData.CHANGED:
        return None
    if trend is None or len(trend.points) < 2 or judgement is None:  # noqa: PLR2004 - no line
        return None
    held = [("base", verdict, report.metrics) for verdict in judgement.metrics]
    if reference is not None and reference.reason is None:
        since = [(reference.label, row, reference.metrics) for row in judgement.reference]
        held = [*since, *held]
    for label, verdict, changes in held:
        for change in Joined(changes).match(verdict.name):
            if (change.path, change.name) == (trend.path, trend.name) and change.base is not None:
                return _draw(trend, verdict, change, change.base, label=label)
    return None


def _draw(
    trend: Trend, verdict: MetricVerdict, change: MetricChange, base: float, *, label: str
) -> _Drawn:
    margin = find_margin(verdict.rule, base)
    sign = -1 if verdict.rule.greater_is_better else 1
    return _Drawn(
        trend=trend,
        verdict=verdict,
        change=change,
        label=label,
        limit=None if margin is None else base + sign * margin,
        interval=change.evidence.interval if change.evidence else None,
    )


def _list_lines(drawn: _Drawn) -> dict[str, list[float]]:
    """List the lines by name: the metric, what it may lose, and the ends of head's interval."""
    count, base = len(drawn.values), drawn.change.base or 0.0
    lines: dict[str, list[float]] = {}
    if drawn.interval is not None:
        lines["low"] = [base + drawn.interval.low] * count
        lines["high"] = [base + drawn.interval.high] * count
    if drawn.limit is not None:
        lines["limit"] = [drawn.limit] * count
    return {**lines, "metric": drawn.values}


def _label(drawn: _Drawn) -> list[str]:
    """Name the merges by how far they lie back; the last two are base and head."""
    back = [str(at) for at in range(len(drawn.trend.points) - 1, 0, -1)]
    return [*back, "base", *([] if drawn.change.head is None else ["head"])]


def _explain(drawn: _Drawn) -> str:
    """Say which line is which, with the numbers of the straight ones."""
    parts = [f"Blue: `{drawn.trend.name}`, by git, on the test data that base has"]
    if drawn.limit is not None:
        parts.append(f"yellow: what may be lost since `{drawn.label}`")
    if drawn.interval is not None:
        low, high = drawn.interval.low, drawn.interval.high
        half = (high - low) / 2
        decimals = choose_decimals(drawn.change.base, drawn.change.head, half_width=half)
        level = render_plain(drawn.interval.confidence * 100)
        ends = render_ends(low, high, decimals)
        parts.append(f"grey: the {level}% interval of head, {ends} against `{drawn.label}`")
    return f"{'; '.join(parts)}."
