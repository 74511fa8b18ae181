"""Charts to Mermaid, which GitHub draws in a comment. Pure.

What is written here parses in Mermaid 10.9 to 12 and looks the same there: `xychart-beta`,
numbers with a fixed point, a y-range, and labels instead of a numeric x-axis, which 10.9
stretches wrongly. Lines have no legend before 2026 and bars cover each other, so base and
head differ in colour (lines) or form (bars and a line), and a sentence says which is which.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from typing import TYPE_CHECKING

from mlgitops.model import ChartKind
from mlgitops.render.escape import clean_text, escape_code, escape_prose
from mlgitops.render.numbers import render_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlgitops.model import Chart, Series

#: Bars that a comment shows; the HTML report shows all.
MOST_BARS = 12
_COLOURS = {"base": "#8c959f", "head": "#4493f8", "diagonal": "#d4a72c"}
_NAMES = {
    "roc": "ROC",
    "precision_recall": "precision and recall",
    "calibration": "calibration",
    "scores": "scores",
    "confusion": "confusion",
    "f1_by_class": "F1",
    "recall_by_class": "recall",
    "residuals": "residuals",
    "error_by_prediction": "errors",
}
_WIDTH, _HEIGHT = 640, 320
_UNIT_POINTS, _POINTS = 21, 11  # on an axis from 0 to 1, and on any other
_LABEL_ROOM = 84  # characters that fit below the x-axis
_PLAIN = frozenset(" .,:()/+_-")  # beside letters and digits
_LARGE, _SMALL = 1e4, 1e-2
_LEAST_POWER = -300  # what is smaller still is drawn as zero


def render_charts(charts: Iterable[Chart]) -> str:
    """Render all charts as Markdown, one below the other."""
    blocks = [render_chart(chart) for chart in charts]
    return "\n\n".join(block for block in blocks if block)


def list_charts(charts: Iterable[Chart]) -> str:
    """Name the charts in our own words: it stands in a title, where nothing is escaped.

    >>> list_charts([])
    ''
    """
    own_names = [_NAMES.get(chart.name) for chart in charts]
    names = [name for name in own_names if name]
    plots = own_names.count(None)
    if plots:
        names.append("a plot of the project" if plots == 1 else f"{plots} plots of the project")
    return ", ".join(names)


def render_chart(chart: Chart) -> str:
    """Render one chart as Markdown: a diagram and its legend, or a table; "" if it has none."""
    title = f"**{escape_prose(chart.title)}**"
    if chart.kind is ChartKind.MATRIX:
        return f"{title}\n\n{_render_matrix(chart)}"
    diagram = render_mermaid(chart)
    return f"{title}\n\n```mermaid\n{diagram}```\n\n{_legend(chart)}" if diagram else ""


def render_mermaid(chart: Chart) -> str | None:
    """Render a line, histogram or bar chart as a Mermaid diagram.

    None when there is nothing to lay over each other: a matrix, or lines that share no x.
    """
    if chart.kind is ChartKind.MATRIX:
        return None
    by_label = chart.kind is ChartKind.BARS
    points = _pick_bars(chart) if by_label else _resample(chart)
    if points is None:
        return None
    labels, note, values = points
    marks = {side: "bar" if by_label and side == "base" else "line" for side in values}
    return compose_diagram(
        {side: (marks[side], _COLOURS[side], column) for side, column in values.items()},
        labels,
        x_label=f"{plain_label(chart.x_label, 60)}{note}",
        y_label=chart.y_label,
        reach=_find_range(chart, values),
    )


def compose_diagram(
    columns: Mapping[str, tuple[str, str, Sequence[float]]],
    labels: Sequence[str],
    *,
    x_label: str,
    y_label: str,
    reach: tuple[float, float],
) -> str:
    """Compose a diagram of bars and lines: name → kind of mark, colour and values.

    ``labels`` stand below the values and are plain, as ``x_label`` is; ``reach`` is the lowest
    and the highest value of the y-axis.
    """
    low, high = reach
    power = _choose_power(low, high)
    scale = 10.0**-power
    colours = ", ".join(colour for _, colour, _ in columns.values())
    setting = (
        f'%%{{init: {{"xyChart": {{"width": {_WIDTH}, "height": {_HEIGHT}}}, '
        f'"themeVariables": {{"xyChart": {{"plotColorPalette": "{colours}"}}}}}}}}%%'
    )
    rows = [
        f'{mark} "{name}" [{", ".join(_fixed(value * scale) for value in values)}]'
        for name, (mark, _, values) in columns.items()
    ]
    ends = f"{_fixed(low * scale)} --> {_fixed(high * scale)}"
    quoted = ", ".join(f'"{label}"' for label in labels)
    lines = [
        f'x-axis "{x_label}" [{quoted}]',
        f'y-axis "{plain_label(y_label, 60)}{_unit(power)}" {ends}',
        *rows,
    ]
    return "\n".join([setting, "xychart-beta", *(f"    {line}" for line in lines)]) + "\n"


def plain_label(text: str, limit: int) -> str:
    """Keep letters, digits and a few marks of ``text``: nothing that Mermaid could act on.

    >>> plain_label('a"b] %%{x}', 20)
    'a b x'
    """
    kept = "".join(
        char if char.isalnum() or char in _PLAIN else " " for char in clean_text(text, limit=200)
    )
    words = " ".join(re.sub("-{2,}", "-", kept).split())
    return words if len(words) <= limit else words[: max(1, limit - 1)].rstrip() + "."


_Points = tuple[list[str], str, dict[str, list[float]]]


def _pick_bars(chart: Chart) -> _Points | None:
    """Return labels and values of the bars, those that moved most when there are many."""
    sides = {series.side: series.y for series in chart.series}
    count = len(chart.labels)
    if not count:
        return None
    moved = [max(ys) - min(ys) for ys in zip(*sides.values(), strict=True)]
    chosen = sorted(sorted(range(count), key=lambda at: -moved[at])[:MOST_BARS])
    labels = _distinct([chart.labels[at] for at in chosen])
    note = f", {len(chosen)} of {count}: those that moved most" if len(chosen) < count else ""
    return labels, note, {side: [ys[at] for at in chosen] for side, ys in sides.items()}


def _distinct(names: Sequence[str]) -> list[str]:
    """Shorten labels to the room there is, to their ends where the beginnings are the same."""
    limit = max(4, _LABEL_ROOM // len(names))
    whole = [plain_label(name, 200) or "?" for name in names]
    labels = [plain_label(name, limit) for name in whole]
    if len(set(labels)) < len(labels):
        labels = [
            name if len(name) <= limit else f".{name[1 - limit :].lstrip()}" for name in whole
        ]
    if len(set(labels)) < len(labels):
        labels = [f"{label[: limit - 3]} {at}" for at, label in enumerate(labels, 1)]
    return labels


def _resample(chart: Chart) -> _Points | None:
    """Read all lines at the same x, evenly spaced over what they share."""
    low = max(series.x[0] for series in chart.series)
    high = min(series.x[-1] for series in chart.series)
    if high - low <= max(abs(low), abs(high)) * 1e-9 + 1e-99:
        return None
    if chart.kind is ChartKind.STEPS:
        return _merge_bins(chart)
    unit = low >= 0 and high <= 1 and high - low > 0.9  # noqa: PLR2004 - nearly all of 0 to 1
    count = _UNIT_POINTS if unit else _POINTS
    places = [low + (high - low) * at / (count - 1) for at in range(count)]
    values: dict[str, list[float]] = {"diagonal": places} if chart.diagonal else {}
    values |= {series.side: [_read_at(series, x) for x in places] for series in chart.series}
    labels, note = _number_labels(places)
    if unit:
        labels = [label.lstrip("0") or "0" for label in labels]  # 21 of them have to fit
    return labels, note, values


def _merge_bins(chart: Chart) -> _Points:
    """Join bins two by two: the labels of all would overlap."""
    first = chart.series[0].x
    size = 2 if len(first) > MOST_BARS and len(first) % 2 == 0 else 1
    places = [sum(first[at : at + size]) / size for at in range(0, len(first), size)]
    values: dict[str, list[float]] = {
        series.side: [sum(series.y[at : at + size]) for at in range(0, len(first), size)]
        for series in chart.series
    }
    labels, note = _number_labels(places)
    return labels, note, values


def _read_at(series: Series, x: float) -> float:
    """Return y at ``x``, on the straight line between two points; the later where it jumps."""
    at = bisect_right(series.x, x)
    if at == len(series.x):
        return series.y[-1]
    x0, x1, y0, y1 = series.x[at - 1], series.x[at], series.y[at - 1], series.y[at]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _number_labels(ticks: Sequence[float]) -> tuple[list[str], str]:
    """Write numbers so short that they fit side by side, and the unit they are in."""
    power = _choose_power(min(ticks), max(ticks))
    scaled = [tick * 10.0**-power for tick in ticks]
    step = scaled[1] - scaled[0]
    decimals = max(0, min(8, -math.floor(math.log10(step))))
    labels = [_trim(f"{value:.{decimals}f}") for value in scaled]
    if len(set(labels)) < len(labels):
        labels = [_trim(f"{value:.{decimals + 1}f}") for value in scaled]
    return labels, _unit(power)


def _find_range(chart: Chart, values: dict[str, list[float]]) -> tuple[float, float]:
    """Choose the y-axis: 0 to 1 where that fits, from 0 for what is counted, else with air."""
    every = [value for column in values.values() for value in column]
    low, high = min(every), max(every)
    counted = chart.kind is not ChartKind.LINE
    if low >= 0 and high <= 1 and (high - low > 0.5 or chart.kind is ChartKind.BARS):  # noqa: PLR2004 - half of the axis
        return 0.0, 1.0
    air = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    if counted and low >= 0:
        return 0.0, high + air
    return low - air, high + air


def _choose_power(low: float, high: float) -> int:
    """Return the power of ten, a multiple of three, that numbers are written in units of."""
    largest = max(abs(low), abs(high))
    if largest == 0 or _SMALL <= largest < _LARGE:
        return 0
    return max(_LEAST_POWER, 3 * math.floor(math.log10(largest) / 3))


def _unit(power: int) -> str:
    return f", in units of 1e{power}" if power else ""


def _fixed(value: float) -> str:
    """Write a number as Mermaid reads it: no exponent, no minus zero."""
    return _trim(f"{value:.5f}")


def _trim(text: str) -> str:
    short = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if short in ("-0", "") else short


def _legend(chart: Chart) -> str:
    sides = [series.side for series in chart.series]
    forms = {"base": "grey", "head": "blue"}
    if chart.kind is ChartKind.BARS:
        forms = {"base": "grey bars", "head": "blue line"}
    parts = [f"{forms[side]}: {side}" for side in sides]
    parts += ["yellow: the diagonal"] if chart.diagonal else []
    text = ", ".join(parts)
    return f"<sub>{text[0].upper()}{text[1:]}.</sub>"


def _render_matrix(chart: Chart) -> str:
    """Render counts as a table: one number where base and head agree, else both."""
    size = len(chart.labels)
    names = [escape_code(label, limit=30, cell=True) for label in chart.labels]
    head = [f"{chart.y_label} ↓ {chart.x_label} →", *names]
    columns = [series.y for series in chart.series]
    rows = [
        [
            names[row],
            *(_cell([column[row * size + at] for column in columns]) for at in range(size)),
        ]
        for row in range(size)
    ]
    rule = ["---", *["--:"] * size]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))
    return f"{table}\n\n<sub>Rows at base → head.</sub>" if len(columns) > 1 else table


def _cell(values: Sequence[float]) -> str:
    shown = list(dict.fromkeys(render_plain(value) for value in values))
    return " → ".join(shown)
