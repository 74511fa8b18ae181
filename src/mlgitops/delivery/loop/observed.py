"""What a decision is made from: what git wants, and what was seen of an environment. Pure.

A driver (`reconcile.Driver`) reads it anew before every decision. Nothing in it is a time: what
came first stands in git's history and in the ledger's `seq`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from mlgitops.model.fields import Count, Struct
from mlgitops.model.ledger import LedgerEntry

ALL = 100  # percent
UNSURE = "unsure"  # whether an issue is open: a request was sent, and its answer is not known
Percent = Annotated[int, Meta(ge=0, le=100)]


class Slot(StrEnum):
    """One of the two places where an environment can run a server."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Slot:
        """Return the slot beside this one.

        >>> Slot.A.other
        <Slot.B: 'b'>
        """
        return Slot.B if self is Slot.A else Slot.A


class ServedModel(Struct, frozen=True, kw_only=True):
    """A model with the code that serves it, and the commit that asked for it."""

    model: str
    version: str | None = None  # of the release; None when a commit is named without one
    sha256: str  # of the model file
    revision: str  # whose dvc.lock names the model and whose code serves it
    commit: str  # of the default branch, at which the environment's file asked for it
    forced: bool = False  # asked for by --force: not merged, or not published

    @property
    def bundle(self) -> tuple[str, str]:
        """Return what makes two of them the same on disk: model file and code."""
        return self.sha256, self.revision

    @property
    def request(self) -> tuple[str, str, str]:
        """Return what is condemned if it fails: this bundle, asked for by this commit."""
        return self.sha256, self.revision, self.commit

    @property
    def label(self) -> str:
        """Return what people call it: the model with its version, or with its digest's start."""
        return f"{self.model} {self.version or self.sha256[:12]}"


class Desired(Struct, frozen=True, kw_only=True):
    """What git wants for an environment: approved by who merged it, or forced."""

    served: ServedModel
    canary: Percent = 0  # of the requests that a new model answers during the bake; 0: no canary
    bake: Count = 0  # seconds that a new model must answer well before the old one ends


class ServerState(StrEnum):
    """How a server is; a slot without one is empty."""

    STARTING = "starting"  # runs, and is not ready yet
    READY = "ready"
    DEAD = "dead"  # ended by itself, was not ready in time, or failed a check


class Server(Struct, frozen=True, kw_only=True):
    """What a slot holds.

    A server that nobody can blame is no dead one but an empty slot: its start was cut off, it
    was stopped on request, or the whole machine was restarted.
    """

    served: ServedModel
    state: ServerState
    verified: bool = False  # gave the golden prediction since this start; stays when it dies
    restarts: Count = 0  # as the `Start` said that started it
    reason: str | None = None  # why it is dead


class Active(Struct, frozen=True, kw_only=True):
    """Which server the users are sent to, and since that switch, what was seen."""

    slot: Slot
    served: ServedModel  # as the switch named it
    share: Percent = ALL  # of the requests; the rest goes to the other slot, during a canary
    confirmed: bool = False  # the golden prediction came through the public address
    baked: bool = False  # the bake time that the switch gave is over
    reason: str | None = None  # why a return made it active; None after a switch

    @property
    def is_proven(self) -> bool:
        """Tell whether the model served well: only then is its end not held against it."""
        return self.confirmed and self.baked


class Observed(Struct, frozen=True, kw_only=True):
    """An environment as it is."""

    a: Server | None = None  # None: empty
    b: Server | None = None
    active: Active | None = None  # None: nothing was deployed, or it was stopped
    stopped: ServedModel | None = None  # was active, was ended on request, is yet to be recorded
    routed: bool = True  # the router runs and sends where `active` says
    bundles: frozenset[tuple[str, str]] = frozenset()  # on disk and verified
    ledger: tuple[LedgerEntry, ...] = ()
    reported: str | None = (
        None  # the desired state's commit for which an issue is open, or `UNSURE`
    )

    def find_server(self, slot: Slot) -> Server | None:
        """Return what ``slot`` holds, None when it is empty."""
        return self.a if slot is Slot.A else self.b
