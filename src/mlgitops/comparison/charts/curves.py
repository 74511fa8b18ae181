"""Many points to a few that draw the same line. Pure.

Visvalingam & Whyatt 1993, "Line generalisation by repeated elimination of points"
(The Cartographic Journal 30:46): the point whose triangle with its neighbours is smallest
goes first. It keeps real points, both ends, and, unlike a fixed step, the corners. Our
addition keeps the area under the curve: of the smallest triangle above the line and the
smallest below it, the one goes that brings the area nearer to what it was.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Points of one line in a chart: as many as Mermaid is known to draw well.
MOST_POINTS = 30
_DIGITS = 6  # more than a screen can show


def simplify(x: Sequence[float], y: Sequence[float], most: int) -> list[int]:
    """Return the positions of at most ``most`` points, in order, the ends among them.

    Areas are measured with both axes scaled to their range. O(n log n).

    >>> simplify([0, 1, 2, 3, 4], [0.0, 0.1, 5.0, 0.1, 0.0], 3)
    [0, 2, 4]
    """
    wide, high = max(x) - min(x) or 1.0, max(y) - min(y) or 1.0
    points = [(a / wide, b / high) for a, b in zip(x, y, strict=True)]
    line = _Line(points)
    while line.left > most:
        line.drop_point()
    return [at for at, kept in enumerate(line.kept) if kept]


class _Line:
    """A line that loses one point after the other."""

    def __init__(self, points: list[tuple[float, float]]) -> None:
        self.left = len(points)
        self.kept = [True] * len(points)
        self._points = points
        self._before = list(range(-1, len(points) - 1))
        self._after = list(range(1, len(points) + 1))
        self._versions = [0] * len(points)
        self._sizes = [0.0] * len(points)
        self._drift = 0.0  # how much area was won so far, less what was lost
        self._queues: tuple[list[_Entry], list[_Entry]] = ([], [])  # area is lost, won
        for at in range(1, len(points) - 1):
            self._measure(at)

    def drop_point(self) -> None:
        """Drop the point that matters least; there must be one between the ends."""
        tops = []
        for queue in self._queues:
            while queue and queue[0].version != self._versions[queue[0].at]:
                heapq.heappop(queue)  # it has been measured again since
            if queue:
                tops.append((abs(self._drift + queue[0].area), queue[0].size, queue))
        entry = heapq.heappop(min(tops, key=lambda top: top[:2])[2])
        at = entry.at
        self._drift += entry.area
        self._versions[at] += 1
        self.kept[at] = False
        self.left -= 1
        before, after = self._before[at], self._after[at]
        self._after[before], self._before[after] = after, before
        for near in (before, after):
            if 0 < near < len(self._points) - 1:
                # Not below the one just taken: a corner must not go in small bites.
                self._sizes[near] = entry.size
                self._measure(near)

    def _measure(self, at: int) -> None:
        """Put a point into the queue, by the area that is won or lost without it."""
        (ax, ay), (bx, by), (cx, cy) = (
            self._points[near] for near in (self._before[at], at, self._after[at])
        )
        area = ((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2
        size = max(self._sizes[at], abs(area))
        self._versions[at] += 1
        heapq.heappush(self._queues[area > 0], _Entry(size, at, self._versions[at], area))


class _Entry(NamedTuple):
    """A point in the queue; the smallest size comes first."""

    size: float
    at: int
    version: int
    area: float


def round_number(value: float, digits: int = _DIGITS) -> float:
    """Round to significant digits.

    >>> round_number(0.123456789), round_number(1234567.8, 2)
    (0.123457, 1200000.0)
    """
    return float(f"{value:.{digits}g}")


def round_numbers(values: Iterable[float]) -> tuple[float, ...]:
    """Round to what a screen can show of the whole, so that neighbours stay apart.

    >>> round_numbers([1_000_000.1234567, 1_000_000.2])
    (1000000.1234567, 1000000.2)
    """
    numbers = [float(value) for value in values]
    span = max(numbers) - min(numbers) or abs(numbers[0]) or 1.0
    decimals = min(300, _DIGITS - math.floor(math.log10(span)))
    return tuple(round(value, decimals) + 0.0 for value in numbers)
