"""A metric whose file moved: base's value in one file and head's in another, held together. Pure.

A report lists both files as they are, so that git can confirm each. What judges, shows and measures
joins them first: a margin is not dodged by another path, nor is an honest move refused.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from mlgitops.judgement.absence import is_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model import MetricChange


class Joined:
    """The metrics of a report, each that moved as one with both values, below head's path."""

    def __init__(self, changes: Sequence[MetricChange]) -> None:
        pairs = _find_pairs(changes)
        joined = {id(new): _join(gone, new) for gone, new in pairs}
        left = {id(gone) for gone, _ in pairs}
        self.changes = tuple(
            joined.get(id(change), change) for change in changes if id(change) not in left
        )
        #: Where base has each metric that moved: `path:name` there → the change.
        self.moved = {f"{gone.path}:{gone.name}": joined[id(new)] for gone, new in pairs}
        self._origins = {(new.path, new.name): gone.path for gone, new in pairs}

    def find_origin(self, change: MetricChange) -> str:
        """Return the file that base's value of ``change`` is in."""
        return self._origins.get((change.path, change.name), change.path)

    def list_origins(self) -> dict[str, set[str]]:
        """Return head's file of metrics that moved → base's files of them."""
        origins: dict[str, set[str]] = {}
        for (path, _), origin in self._origins.items():
            origins.setdefault(path, set()).add(origin)
        return origins

    def match(self, name: str) -> list[MetricChange]:
        """Find the metrics that a policy's ``name`` judges: one that moved by either path."""
        if name in self.moved:
            return [self.moved[name]]
        return [
            change
            for change in self.changes
            if name in (change.name, f"{change.path}:{change.name}")
        ]


def describe_moves(changes: Sequence[MetricChange]) -> list[str]:
    """Say of each metric that moved where base has it, as one sentence."""
    return [
        f"`{change.name}` moved: base's value is in `{place.removesuffix(f':{change.name}')}`,"
        f" and head's in `{change.path}`."
        for place, change in Joined(changes).moved.items()
    ]


def _find_pairs(changes: Sequence[MetricChange]) -> list[tuple[MetricChange, MetricChange]]:
    """Pair each metric that is in one file at base alone with the one file of it at head alone.

    With two such files on a side it is not known which went where, and none has moved. A file of
    head that has the name with no usable value is not gone.
    """
    gone, new = defaultdict(list), defaultdict(list)
    for change in changes:
        if is_gone(change) and change.reason is None:
            gone[change.name].append(change)
        elif change.base is None and change.head is not None:
            new[change.name].append(change)
    return [
        (lost[0], new[name][0])
        for name, lost in gone.items()
        if len(lost) == 1 and len(new[name]) == 1
    ]


def _join(gone: MetricChange, new: MetricChange) -> MetricChange:
    """Return base's value of one change and head's of the other, with their difference."""
    base, head = gone.base or 0.0, new.head or 0.0
    delta = head - base
    relative = delta / abs(base) if base else math.nan
    reason = new.reason or (
        None if math.isfinite(delta) else "the difference is too large a number"
    )
    return msgspec.structs.replace(
        new,
        base=base,
        base_missing=None,
        delta=delta if reason is None else None,
        relative_delta=relative if reason is None and math.isfinite(relative) else None,
        reason=reason,
    )
