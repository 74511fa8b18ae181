"""What a driver can be asked to do to an environment, one thing at a time. Pure.

Each can be performed again after it was cut off anywhere: what it leaves half done is observed
as not done, or as done.
"""

from __future__ import annotations

from mlgitops.delivery.loop.observed import ALL, Percent, ServedModel, Slot
from mlgitops.model.fields import Count, Struct
from mlgitops.model.ledger import Event


class Fetch(Struct, frozen=True, kw_only=True, tag=True):
    """Make the bundle on disk and verify it. What is wrong with a storage condemns nobody."""

    served: ServedModel


class Start(Struct, frozen=True, kw_only=True, tag=True):
    """Start a server in a slot, in the place of what is empty or dead there.

    No user reaches it before it gave the golden prediction (:class:`Golden`).
    """

    slot: Slot
    served: ServedModel
    restarts: Count = 0  # starts in a row that did not come to a verified server


class Wait(Struct, frozen=True, kw_only=True, tag=True):
    """Wait until the server is ready; the driver calls it dead if that takes too long."""

    slot: Slot


class Golden(Struct, frozen=True, kw_only=True, tag=True):
    """Ask the server itself for the golden prediction; a wrong one makes it dead."""

    slot: Slot


class Switch(Struct, frozen=True, kw_only=True, tag=True):
    """Read git again, and only if the desired state is the same, make this slot the active one.

    What is written is one `Active`, at once, with a bake that starts; then the router follows.
    """

    slot: Slot
    served: ServedModel
    share: Percent = ALL
    bake: Count = 0  # seconds


class Return(Struct, frozen=True, kw_only=True, tag=True):
    """Make the slot with the last healthy model the active one. There is no bake."""

    slot: Slot
    served: ServedModel
    reason: str


class Route(Struct, frozen=True, kw_only=True, tag=True):
    """Start the router, or have it follow what `Active` says."""

    slot: Slot


class Confirm(Struct, frozen=True, kw_only=True, tag=True):
    """Ask for the golden prediction through the public address; a wrong one makes it dead."""

    slot: Slot


class Bake(Struct, frozen=True, kw_only=True, tag=True):
    """Let some of the bake time pass; the lock is not held meanwhile."""

    slot: Slot


class Widen(Struct, frozen=True, kw_only=True, tag=True):
    """End the canary: no request goes to the other slot any more."""

    slot: Slot


class Stop(Struct, frozen=True, kw_only=True, tag=True):
    """End a server that is not the active one, and leave its slot empty."""

    slot: Slot


class Append(Struct, frozen=True, kw_only=True, tag=True):
    """Write one entry to the ledger, unless its newest state has that already."""

    event: Event
    served: ServedModel
    reason: str | None = None


class OpenIssue(Struct, frozen=True, kw_only=True, tag=True):
    """Say that the desired state failed: one issue, and the pull request that reverts it.

    Before the request is sent, `UNSURE` is written down; after its answer, the commit.
    """

    served: ServedModel
    reason: str


class CloseIssue(Struct, frozen=True, kw_only=True, tag=True):
    """Close the issue: what git wants is in service."""


Effect = (
    Fetch
    | Start
    | Wait
    | Golden
    | Switch
    | Return
    | Route
    | Confirm
    | Bake
    | Widen
    | Stop
    | Append
    | OpenIssue
    | CloseIssue
)
