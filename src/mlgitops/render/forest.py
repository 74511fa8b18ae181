"""The forest plot: each judged metric's gain with its interval, around the line of no change.

Right is better, whichever way the metric counts. A row has its own scale (metrics have
different units) and is drawn in percent of the width, so that it fits any screen. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup
from msgspec import Struct

from mlgitops.judgement.judge import find_gain, find_margin
from mlgitops.render.numbers import render_plain

if TYPE_CHECKING:
    from mlgitops.model import MetricChange, MetricVerdict
    from mlgitops.render.rows import Row

_ROOM = 1.5  # what is drawn reaches to 1 / this of the half width: numbers stand beside it
_MIDDLE = 22  # height of the bar's axis, in pixels
_HEIGHT = 44
_LABEL_SPACE = 62.0  # percent of the width beyond which a label is written to the left
_LABEL_START = 26.0  # percent before which the margin's label is written to the right


class Gain(Struct, frozen=True, kw_only=True):
    """What one row of the plot shows; positive is better, in the metric's unit."""

    gain: float
    low: float | None
    high: float | None
    margin: float | None
    low_text: str
    high_text: str
    tone: str  # improved, worsened, equivalent, ...
    bound: float | None = None  # the gain at which min_value or max_value is met
    bound_text: str = ""


def find_row_gain(row: Row, verdict: MetricVerdict, change: MetricChange | None) -> Gain | None:
    """Return what the plot shows of a judged metric; None when there is no difference."""
    if change is None or change.delta is None or change.base is None or change.reason:
        return None
    rule = verdict.rule
    sign = 1 if rule.greater_is_better else -1
    interval = find_gain(change, rule)
    texts = (row.interval or " to ").split(" to ")
    ends = texts if sign > 0 else texts[::-1]
    bound = rule.min_value if rule.greater_is_better else rule.max_value
    return Gain(
        gain=sign * change.delta,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        margin=find_margin(rule, change.base),
        low_text=ends[0],
        high_text=ends[1],
        tone=row.kind.value,
        bound=sign * (bound - change.base) if bound is not None else None,
        bound_text=f"{'at least' if sign > 0 else 'at most'} {render_plain(bound or 0.0)}",
    )


def draw_gain(gain: Gain, *, label: str) -> Markup:
    """Draw one row, around a middle that the page draws; ``label`` says the same in words."""
    reach = _find_reach(gain)

    def place(value: float) -> float:
        return 50 + 50 * max(-1.0, min(1.0, value / reach))

    parts = [*_draw_margin(gain, place(-(gain.margin or 0)))]
    parts += _draw_bound(gain, reach)
    if gain.low is not None and gain.high is not None:
        parts += _draw_interval(gain, place(gain.low), place(gain.high))
        parts.append(_dot(place(gain.gain), f"point {gain.tone}", 5.5))
    else:
        parts.append(_dot(place(gain.gain), f"point hollow {gain.tone}", 5.5))
    return Markup('<svg class="forest" height="{}" role="img" aria-label="{}">{}</svg>').format(
        _HEIGHT, label, Markup("").join(parts)
    )


def draw_budget(base: float | None, head: float, limit: float, *, failed: bool) -> Markup:
    """Draw how much of a budget is used: a bar for head, a tick for base, a line for the limit."""
    whole = max(limit, head, base or 0.0, 0.0) * 1.25 or 1.0
    limit = max(limit, 0.0)
    parts = [
        Markup(
            '<rect class="track" x="0" y="{}" width="{:.2f}%" height="12" rx="2"/>'
            '<rect class="used {}" x="0" y="{}" width="{:.2f}%" height="12" rx="2"/>'
        ).format(
            _MIDDLE - 6, 100 * (limit / whole), "over" if failed else "within", _MIDDLE - 6,
            100 * (max(head, 0.0) / whole),
        )
    ]  # fmt: skip
    if base is not None:
        parts.append(_upright(100 * (max(base, 0.0) / whole), "was", 12, 32))
    at = 100 * (limit / whole)
    parts.append(_upright(at, "limit", 8, 36))
    parts.append(
        Markup('<text class="limit end" x="{:.2f}%" y="8">{}</text>').format(
            at, f"at most {render_plain(limit)}"
        )
    )
    words = f"head uses {head / limit:.0%} of the budget" if limit else "a budget of nothing"
    return Markup('<svg class="forest" height="{}" role="img" aria-label="{}">{}</svg>').format(
        _HEIGHT, words, Markup("").join(parts)
    )


def _find_reach(gain: Gain) -> float:
    """Return the gain at the right edge."""
    seen = [abs(value) for value in (gain.gain, gain.low, gain.high) if value is not None]
    return max([*seen, gain.margin or 0.0]) * _ROOM or 1.0


def _draw_margin(gain: Gain, at: float) -> list[Markup]:
    """Shade what may not be lost, and name the limit."""
    if gain.margin is None:
        return []
    text = f"may lose {render_plain(float(f'{gain.margin:.4g}'))}"
    side, shift = ("end", -4) if at > _LABEL_START else ("start", 4)
    return [
        Markup('<rect class="forbidden" x="0" y="0" width="{:.2f}%" height="100%"/>').format(at),
        _upright(at, "limit", 0, _HEIGHT),
        Markup('<text class="limit {}" x="{:.2f}%" dx="{}" y="9">{}</text>').format(
            side, at, shift, text
        ),
    ]


def _draw_bound(gain: Gain, reach: float) -> list[Markup]:
    """Draw the bound on head's own value, where it falls into the row."""
    if gain.bound is None or abs(gain.bound) >= reach:
        return []
    at = 50 + 50 * gain.bound / reach
    side, shift = ("end", -4) if at > _LABEL_SPACE else ("start", 4)
    return [
        _upright(at, "bound", 6, _HEIGHT),
        Markup('<text class="limit {}" x="{:.2f}%" dx="{}" y="{}">{}</text>').format(
            side, at, shift, _HEIGHT - 2, gain.bound_text
        ),
    ]


def _draw_interval(gain: Gain, low: float, high: float) -> list[Markup]:
    bar = Markup(
        '<rect class="interval {}" x="{:.2f}%" y="{}" width="{:.2f}%" height="8" rx="1"/>'
    ).format(gain.tone, low, _MIDDLE - 4, max(high - low, 0.4))
    texts = [
        Markup('<text class="end-label {}" x="{:.2f}%" dx="{}" y="{}">{}</text>').format(
            side, at, shift, _MIDDLE + 4, text
        )
        for side, at, shift, text in (
            ("end", low, -8, gain.low_text),
            ("start", high, 8, gain.high_text),
        )
    ]
    return [bar, *texts]


def _dot(at: float, name: str, radius: float) -> Markup:
    return Markup('<circle class="{}" cx="{:.2f}%" cy="{}" r="{}"/>').format(
        name, at, _MIDDLE, radius
    )


def _upright(at: float, name: str, top: int, bottom: int) -> Markup:
    return Markup('<line class="{}" x1="{:.2f}%" x2="{:.2f}%" y1="{}" y2="{}"/>').format(
        name, at, at, top, bottom
    )
