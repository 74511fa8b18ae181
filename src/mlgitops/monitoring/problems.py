"""What could not be used of a log or of labels: counted by reason, with a few positions. Pure.

A position is a file and a line. Never a value: what nobody checked is not repeated.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_MOST_SHOWN = 5  # positions of one reason


@dataclass(kw_only=True)
class Problems:
    """Counts by reason, and the first positions of each."""

    counts: Counter[str] = field(default_factory=Counter)
    positions: dict[str, list[str]] = field(default_factory=dict)
    damaged: int = 0  # files, among the counts, that were not read to their end

    def add(self, reason: str, position: str, times: int = 1) -> None:
        """Count ``times`` lines that ``reason`` made unusable; the first is at ``position``."""
        if times:
            self.counts[reason] += times
            shown = self.positions.setdefault(reason, [])
            if len(shown) < _MOST_SHOWN:
                shown.append(position)

    def add_file(self, reason: str, position: str) -> None:
        """Count a file that was not read to its end: nobody knows how many lines are left."""
        self.add(reason, position)
        self.damaged += 1

    @property
    def lines(self) -> int:
        """Return how many lines were unusable, without what damaged files may have held."""
        return self.counts.total() - self.damaged

    def merge(self, other: Problems) -> None:
        """Take over what another reader counted."""
        self.counts.update(other.counts)
        self.damaged += other.damaged
        for reason, positions in other.positions.items():
            shown = self.positions.setdefault(reason, [])
            shown.extend(positions[: _MOST_SHOWN - len(shown)])

    def render(self) -> list[str]:
        """Return a line for each reason, the most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return [
            f"{count:,} left out: {reason} ({', '.join(self.positions[reason])}"
            f"{', …' if count > len(self.positions[reason]) else ''})"
            for reason, count in ordered
        ]
