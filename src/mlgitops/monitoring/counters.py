"""What a server counted since it started: the text of its `/metrics` to a few sums. Pure.

The names are those of a generated project's server (docs/how-to/monitor.md) and of Prometheus's
own client. A line that is none of them is passed over: KServe writes many others.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: The longest text that is read, in bytes.
MAX_COUNTERS_BYTES = 2**20
#: Name of a figure → the label that its parts are told apart by.
_KEYS = {
    "mlgitops_requests_total": "status",
    "mlgitops_request_seconds_bucket": "le",
    "mlgitops_rows_total": "",
    "mlgitops_log_dropped_total": "reason",
    "process_resident_memory_bytes": "",
    "process_start_time_seconds": "",
}
_LINE = re.compile(r"([a-z_]{1,80})(?:\{([^{}\n]{0,1000})\})? ([^ \n]{1,40})")
_LABEL = re.compile(r'([a-z_0-9]{1,40})="([^"\\\n]{0,100})"')
_STATUS = re.compile(r"[1-5]\d\d")
_DROPPED = ("full", "disk", "unwritable")
_FAILED = 400
_LARGEST = 1e18  # of a count or a size: the sum of all that a text holds is finite


@dataclass(frozen=True, kw_only=True)
class ServerCounts:
    """Sums since a server's start, as it says itself; empty where it says nothing."""

    started: float | None = None  # seconds since 1970
    memory: float | None = None  # bytes that it has in main memory
    rows: float | None = None
    requests: Mapping[str, float] = field(default_factory=dict)  # status → answers
    dropped: Mapping[str, float] = field(default_factory=dict)  # reason → records not logged
    seconds: tuple[tuple[float, float], ...] = ()  # up to so many seconds → answers, rising

    def count_requests(self) -> float:
        """Return how many requests were answered, with whatever status."""
        return math.fsum(self.requests.values())

    def list_failed(self) -> Iterator[tuple[str, float]]:
        """Yield each status from 400 on with its number of answers."""
        return ((name, count) for name, count in self.requests.items() if int(name) >= _FAILED)

    def find_seconds(self, share: float) -> float | None:
        """Return the seconds within which this share of the answers came, between two ends.

        Above the last end it is that end: the histogram says no more. None without an answer.
        Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
        """
        total = self.seconds[-1][1] if self.seconds else 0.0
        below_end = below = 0.0
        for end, count in self.seconds:
            if total > 0 and count >= share * total and count > below:
                if math.isinf(end):
                    return below_end
                return below_end + (end - below_end) * (share * total - below) / (count - below)
            below_end, below = end, count
        return None


def parse_counters(data: bytes) -> ServerCounts:
    """Read the text of a server, which may be anybody's: what is not as it should be is left out.

    More than :data:`MAX_COUNTERS_BYTES` are not read at all.
    """
    sums: dict[str, dict[str, float]] = {name: {} for name in _KEYS}
    text = data.decode("utf-8", "replace") if len(data) <= MAX_COUNTERS_BYTES else ""
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        number = _read_number(match[3]) if match and match[1] in _KEYS else None
        if match is None or number is None:
            continue
        labels = dict(_LABEL.findall(match[2] or ""))
        of, parts = labels.get(_KEYS[match[1]], ""), sums[match[1]]
        parts[of] = parts.get(of, 0.0) + number
    requests, dropped = sums["mlgitops_requests_total"], sums["mlgitops_log_dropped_total"]
    return ServerCounts(
        started=_find_single(sums["process_start_time_seconds"]),
        memory=_find_single(sums["process_resident_memory_bytes"]),
        rows=_find_single(sums["mlgitops_rows_total"]),
        requests={name: n for name, n in sorted(requests.items()) if _STATUS.fullmatch(name)},
        dropped={name: dropped[name] for name in _DROPPED if name in dropped},
        seconds=_read_ends(sums["mlgitops_request_seconds_bucket"]),
    )


def _read_number(text: str) -> float | None:
    """Read a count or a size: neither negative nor more than anything has."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= _LARGEST else None


def _find_single(sums: Mapping[str, float]) -> float | None:
    return next(iter(sums.values()), None)


def _read_ends(sums: Mapping[str, float]) -> tuple[tuple[float, float], ...]:
    """Return the ends of a histogram in their order; nothing where its counts contradict."""
    ends = []
    for text, count in sums.items():
        try:
            ends.append((float(text), count))
        except ValueError:
            return ()
    ends.sort()
    counts = [count for _, count in ends]
    is_whole = bool(ends) and math.isinf(ends[-1][0]) and all(end > 0 for end, _ in ends)
    if not is_whole or counts != sorted(counts):
        return ()
    return tuple(ends)
