"""Versions of a project's models, what its environments served, and a leaderboard. No I/O."""

from __future__ import annotations

from typing import Literal

from mlgitops.model.documents import encode_document
from mlgitops.model.facts import Interval
from mlgitops.model.fields import Count, Name, Sha, Struct, Text
from mlgitops.model.ledger import LedgerEntry
from mlgitops.model.lineage import Lineage

HISTORY_SCHEMA: Literal[1] = 1


class ReleaseFacts(Struct, frozen=True, kw_only=True):
    """One release, as its tag says and git confirms."""

    tag: Name
    revision: Sha
    signature: Text
    lineage: Lineage


class EnvironmentHistory(Struct, frozen=True, kw_only=True):
    """All that happened to one environment, in the ledger's order."""

    environment: Name
    entries: tuple[LedgerEntry, ...]


class Place(Struct, frozen=True, kw_only=True):
    """One release on a leaderboard."""

    version: Name
    value: float
    delta: float | None = None  # the leader minus this
    interval: Interval | None = None  # of that delta, on the same test rows
    rows: Count | None = None  # test rows that both predicted
    reason: Text | None = None  # why there is no interval


class Leaderboard(Struct, frozen=True, kw_only=True):
    """Releases of one model that were measured on the same test set, the best first."""

    model: Name
    metric: Name
    greater_is_better: bool
    test_data: Text  # the hash that they share
    places: tuple[Place, ...]


class History(Struct, frozen=True, kw_only=True):
    """What `mlgitops history` says."""

    schema: Literal[1] = HISTORY_SCHEMA
    toolkit: Text
    project: Text  # folder in the repository; "" is its root
    ledger: Sha | None  # commit that was read
    notices: tuple[Text, ...]  # what does not hold, or could not be asked
    left_out: tuple[Text, ...]  # tags that look like releases, of nothing in this project
    releases: tuple[ReleaseFacts, ...]  # by model, then by version
    environments: tuple[EnvironmentHistory, ...]
    leaderboards: tuple[Leaderboard, ...]


def encode_history(history: History) -> bytes:
    """Encode as indented JSON with sorted keys and a final newline."""
    return encode_document(history)
