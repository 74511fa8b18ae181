"""What the ledger of deployments holds: one entry for each switch, and for each wish given up.

The order is that of ``seq``: times are for people to read and decide nothing. Pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from mlgitops.model.fields import Sha, Struct, Text

_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class Event(StrEnum):
    """What happened to an environment."""

    SWITCHED = "switched"  # its users are answered by this model since then
    CONDEMNED = "condemned"  # the wish failed, and is not tried again until git changes


class LedgerEntry(Struct, frozen=True, kw_only=True):
    """One line of the ledger: what happened, by which commit."""

    seq: Annotated[int, Meta(ge=1)]  # without a gap within an environment
    environment: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$(?!\n)")]
    event: Event
    model: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$(?!\n)")]
    version: Text | None  # of the release; None when a commit was named without one
    sha256: _Sha256  # of the model file
    commit: Sha  # of the default branch, at which the environment's file asked for this
    revision: Sha  # whose dvc.lock names the model and whose code serves it
    previous: _Sha256 | None  # of the model that served before
    forced: bool = False  # deployed with --force: not merged, or not published
    reason: Text | None = None  # why a wish was condemned, or why the old model came back
    actor: Text | None = None  # who, or which run, brought it about; their own word
    at: Text  # UTC, ISO 8601
