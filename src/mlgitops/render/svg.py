"""Charts to SVG, drawn for the HTML report: no script, colours by class. Pure.

Base is grey and dashed, head is blue and solid: form tells them apart where colour can't.
Everything that is not our own words is escaped by markupsafe.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

from mlgitops.model import ChartKind
from mlgitops.render.escape import clean_text
from mlgitops.render.numbers import render_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlgitops.model import Chart, Series

_WIDTH, _HEIGHT = 440, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 12, 46
_TICKS = 6
_BAR_HEIGHT = 26
_LABEL_WIDTH = 110


class Scale:
    """A stretch of numbers on a stretch of the picture."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self._start, self._end = low, high, start, end

    def place(self, value: float) -> str:
        """Return where ``value`` stands, in the picture's units."""
        part = (value - self.low) / (self.high - self.low)
        return f"{self._start + part * (self._end - self._start):.1f}"


def draw_chart(chart: Chart, ident: str) -> Markup:
    """Draw a line chart, a histogram or bars; ``ident`` is unique on the page."""
    if chart.kind is ChartKind.BARS:
        return _draw_bars(chart, ident)
    x, y = _choose_scales(chart)
    body = [_draw_grid(chart, x, y)]
    if chart.diagonal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        if low < high:
            body.append(_line(x.place(low), y.place(low), x.place(high), y.place(high), "diagonal"))
    trace = _trace_steps if chart.kind is ChartKind.STEPS else _trace_line
    body += [
        Markup('<path class="line {}" d="{}"/>').format(series.side, trace(series, x, y))
        for series in chart.series
    ]
    return _frame(chart, ident, _HEIGHT, body)


def choose_ticks(low: float, high: float, count: int = _TICKS) -> list[float]:
    """Choose round numbers from ``low`` to ``high``, about ``count`` of them.

    Steps of 1, 2 or 5 times a power of ten (Heckbert 1990, Nice numbers for graph labels).

    >>> choose_ticks(0, 1), choose_ticks(-3, 17)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 5.0, 10.0, 15.0])
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.7)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(at * step, 12 - math.floor(math.log10(step))) for at in range(first, last + 1)]


def render_tick(value: float) -> str:
    """Write a tick's number short.

    >>> render_tick(0.2), render_tick(25_000.0), render_tick(0.0)
    ('0.2', '25k', '0')
    """
    if not value:
        return "0"
    for power, sign in ((9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power * (10 if sign == "k" else 1):
            return render_plain(value / 10**power) + sign
    return render_plain(value) if abs(value) >= 1e-4 else f"{value:.3g}"  # noqa: PLR2004 - four zeros fit


def _choose_scales(chart: Chart) -> tuple[Scale, Scale]:
    """Fit both axes to all series; shares keep 0 to 1 where they nearly fill it."""
    half = 0.0
    if chart.kind is ChartKind.STEPS:
        points = chart.series[0].x
        half = (points[-1] - points[0]) / (len(points) - 1) / 2
    x = _find_range([v for series in chart.series for v in series.x], air=0.0)
    y_values = [v for series in chart.series for v in series.y]
    low, high = _find_range(y_values, air=0.06)
    if chart.kind is ChartKind.STEPS:
        x, low = (x[0] - half, x[1] + half), min(0.0, low) if min(y_values) < 0 else 0.0
    return (
        Scale(*x, _LEFT, _WIDTH - _RIGHT),
        Scale(low, high, _HEIGHT - _BOTTOM, _TOP),
    )


def _find_range(values: Sequence[float], *, air: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low >= 0 and high <= 1 and high - low > 0.5:  # noqa: PLR2004 - half of the axis
        return 0.0, 1.0
    if high - low > max(abs(low), abs(high)) * 1e-9 + 1e-99:
        return low - (high - low) * air, high + (high - low) * air
    pad = max(abs(high) * 0.05, 0.5)  # a flat line lies in the middle
    return low - pad, high + pad


def _draw_grid(chart: Chart, x: Scale, y: Scale) -> Markup:
    """Draw ticks, grid and the names of the axes."""
    bottom = _HEIGHT - _BOTTOM
    parts = []
    for tick in choose_ticks(y.low, y.high):
        at = y.place(tick)
        parts.append(_line(_LEFT, at, _WIDTH - _RIGHT, at, "grid"))
        parts.append(_text(_LEFT - 6, float(at) + 4, render_tick(tick), "tick end"))
    for tick in choose_ticks(x.low, x.high):
        at = x.place(tick)
        parts.append(_line(at, bottom, at, bottom + 4, "axis"))
        parts.append(_text(at, bottom + 17, render_tick(tick), "tick middle"))
    parts.append(_line(_LEFT, bottom, _WIDTH - _RIGHT, bottom, "axis"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(_text(middle, _HEIGHT - 8, clean_text(chart.x_label), "label middle"))
    high = (_TOP + bottom) / 2
    parts.append(
        Markup(
            '<text class="label middle" transform="translate(13 {}) rotate(-90)">{}</text>'
        ).format(f"{high:.1f}", clean_text(chart.y_label))
    )
    return Markup("").join(parts)


def _trace_line(series: Series, x: Scale, y: Scale) -> str:
    points = (f"{x.place(a)} {y.place(b)}" for a, b in zip(series.x, series.y, strict=True))
    return "M" + "L".join(points)


def _trace_steps(series: Series, x: Scale, y: Scale) -> str:
    half = (series.x[-1] - series.x[0]) / (len(series.x) - 1) / 2
    path = f"M{x.place(series.x[0] - half)} {y.place(0)}"
    for middle, value in zip(series.x, series.y, strict=True):
        path += f"V{y.place(value)}H{x.place(middle + half)}"
    return f"{path}V{y.place(0)}"


def _draw_bars(chart: Chart, ident: str) -> Markup:
    """Draw a pair of bars for each label, one below the other, with their values."""
    every = [value for series in chart.series for value in series.y]
    low, high = min(0.0, *every), max(*every, 1.0 if max(every) > 0.5 else 0.0)  # noqa: PLR2004
    scale = Scale(low, high if high > low else 1.0, _LABEL_WIDTH, _WIDTH - 72)
    zero = scale.place(0)
    parts = []
    thick = (_BAR_HEIGHT - 6) / len(chart.series)
    for row, label in enumerate(chart.labels):
        top = _TOP + row * _BAR_HEIGHT
        shown = clean_text(label, limit=18)
        parts.append(_text(_LABEL_WIDTH - 8, top + 14, shown, "tick end"))
        for at, series in enumerate(chart.series):
            end = scale.place(series.y[row])
            left, wide = min(float(zero), float(end)), abs(float(end) - float(zero))
            parts.append(
                Markup(
                    '<rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(series.side, left, top + at * thick, wide, thick - 1)
            )
        values = " → ".join(f"{series.y[row]:.2f}" for series in chart.series)
        parts.append(_text(_WIDTH - 2, top + 14, values, "value end"))
    height = _TOP + len(chart.labels) * _BAR_HEIGHT + 4
    parts.append(_line(zero, _TOP - 4, zero, height - 6, "axis"))
    return _frame(chart, ident, height, parts)


def _frame(chart: Chart, ident: str, height: float, body: Iterable[Markup]) -> Markup:
    """Put the drawing into an SVG with a title and a description that can be read aloud."""
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {:.0f}" role="img" aria-labelledby="{}-t {}-d">'
        '<title id="{}-t">{}</title><desc id="{}-d">{}</desc>{}</svg>'
    ).format(
        _WIDTH,
        height,
        ident,
        ident,
        ident,
        clean_text(chart.title),
        ident,
        describe_chart(chart),
        Markup("").join(body),
    )


def describe_chart(chart: Chart) -> str:
    """Say in words what a chart shows."""
    axes = f"{clean_text(chart.y_label)} against {clean_text(chart.x_label)}"
    sides = []
    for series in chart.series:
        first, last = render_plain(float(f"{series.y[0]:.3g}")), f"{series.y[-1]:.3g}"
        ends = f" from {first} to {last}" if series.x else ""
        sides.append(f"{series.side}, {len(series.y)} values{ends}")
    return f"{axes}: {'; '.join(sides)}."


def _line(x1: object, y1: object, x2: object, y2: object, name: str) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(name, x1, y1, x2, y2)


def _text(x: object, y: object, text: str, name: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(name, x, y, text)
