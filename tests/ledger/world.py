"""A host, a repository and GitHub, as values: everything that a delivery touches, and can break.

Time is counted in ticks. At a tick anything may happen: this process is killed, somebody merges,
a server ends, the machine restarts, the network goes, the clock jumps by days. A seed decides.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import structs

from mlgitops.delivery.loop.observed import Desired, ServedModel, Slot

if TYPE_CHECKING:
    from ledger.oracle import Oracle

    from mlgitops.model.ledger import LedgerEntry

DAY = 86_400


class Killed(BaseException):
    """`kill -9` of the process that runs now."""


class Nature(StrEnum):
    """What is true of a model, whatever anybody thinks of it."""

    GOOD = "good"
    ENDS_EARLY = "it ends before it is ready"
    NEVER_READY = "it is never ready"
    WRONG = "it gives another golden prediction"
    WRONG_OUTSIDE = "it gives another one through the public address"
    ENDS_LATER = "it ends during its bake"


@dataclass(slots=True)
class Process:
    """A server that runs."""

    served: ServedModel
    ready: bool = False
    checked: bool = False  # it gave the golden prediction


@dataclass(slots=True)
class SlotFile:
    """What a driver has written down of a slot."""

    served: ServedModel
    restarts: int
    booted: int  # when the machine had been restarted so often
    started: bool = False  # the start came to its end
    stopping: bool = False
    verified: bool = False
    reason: str | None = None


@dataclass(slots=True)
class ActiveFile:
    """What a driver has written down of the active slot, by one rename."""

    slot: Slot
    served: ServedModel
    share: int
    bake: int
    since: int  # of the host's clock, whatever that says
    reason: str | None
    confirmed: bool = False
    baked: bool = False  # once it was over; a clock that goes back changes nothing


@dataclass(slots=True)
class Reached:
    """Which parts of the network answer."""

    git: bool = True
    storage: bool = True
    github: bool = True


@dataclass(slots=True)
class Counts:
    """What a simulation went through."""

    effects: int = 0
    kills: int = 0  # of a process of ours
    inside: int = 0  # of those, inside an effect
    merges: int = 0
    deaths: int = 0  # of servers
    restarts: int = 0  # of the machine
    stops: int = 0  # on request
    jumps: int = 0  # of the clock
    lost: int = 0  # pushes of the ledger


class World:
    """Everything outside of the code under test."""

    def __init__(self, seed: int, oracle: Oracle) -> None:
        self.random = random.Random(seed)  # noqa: S311 - to be the same for the same seed
        self.oracle = oracle
        self.counts = Counts()
        self.quiet = False  # nothing happens by itself any more
        self.inside_effect = False
        self.turn: object = None  # whoever held the lock last
        self.booted = 0  # how often the machine was restarted
        self.clock = 20_000 * DAY
        self.reached = Reached()
        self.natures: dict[str, Nature] = {}  # by sha256
        self.commits: list[Desired] = []  # the default branch at origin, newest last
        self.fetched: Desired  # its tip, as this host's clone has it
        self.files: dict[Slot, SlotFile | None] = dict.fromkeys(Slot)
        self.processes: dict[Slot, Process | None] = dict.fromkeys(Slot)
        self.active: ActiveFile | None = None
        self.stopped: ServedModel | None = None  # was active, and the ledger has no word of it yet
        self.router: tuple[Slot, int] | None = None
        self.bundles: frozenset[tuple[str, str]] = frozenset()
        self.waiting: tuple[LedgerEntry, ...] = ()  # the ledger in this clone
        self.ledger: tuple[LedgerEntry, ...] = ()  # the ledger at origin
        self.issue: str | None = None  # the commit that the open issue on GitHub names
        self.reported: str | None = None  # the same, as this host has written it down
        self._ticks, self._next = 0, self._wait()
        self.merge(self._make_served())
        self.fetched = self.commits[0]

    def tick(self) -> None:
        """Let something happen, now and then."""
        if self.quiet:
            return
        self._ticks += 1
        if self._ticks >= self._next:
            self._next = self._ticks + self._wait()
            self._happen()

    def note_bake(self) -> None:
        """Write down that the bake is over; it begins anew where the clock was set back."""
        if self.active:
            self.active.since = min(self.active.since, self.clock)
        if self.active and self.clock - self.active.since >= self.active.bake:
            self.active.baked = True

    def is_proven(self) -> bool:
        """Tell whether the active model has served well since the switch."""
        return self.active is not None and self.active.confirmed and self.active.baked

    def kill_server(self, slot: Slot) -> None:
        """End a server that did nothing wrong, or did."""
        if self.processes[slot]:
            self.oracle.note_failure(slot, self)
            self.processes[slot] = None

    def merge(self, served: ServedModel) -> None:
        """Merge a change of the environment's file that asks for this."""
        commit = f"{len(self.commits) + 1:040x}"
        canary = self.random.choice((0, 0, 20))
        bake = self.random.choice((0, 60, DAY))
        desired = Desired(served=structs.replace(served, commit=commit), canary=canary, bake=bake)
        self.commits.append(desired)
        self.counts.merges += 1
        self.oracle.note_merge(desired)

    def force(self) -> ServedModel:
        """Return a model that somebody forces over what git wants, as this clone has it."""
        served = structs.replace(
            self._make_served(), commit=self.fetched.served.commit, forced=True
        )
        self.oracle.note_forced(served)
        return served

    def settle(self) -> None:
        """Let nothing more happen; everything can be reached again."""
        self.quiet = True
        self.reached = Reached()
        self.clock += 10 * DAY

    def _wait(self) -> int:
        return self.random.randint(1, 16)

    def _happen(self) -> None:
        name = self.random.choices(*_EVENTS)[0]
        getattr(self, f"_{name}")()

    def _kill(self) -> None:
        self.counts.kills += 1
        self.counts.inside += self.inside_effect
        raise Killed

    def _restart(self) -> None:
        self.counts.restarts += 1
        self.booted += 1
        self.processes = dict.fromkeys(Slot)
        self.router = None
        self._kill()

    def _end_server(self) -> None:
        self.counts.deaths += 1
        self.kill_server(self.random.choice((Slot.A, Slot.B)))

    def _end_router(self) -> None:
        self.router = None

    def _cut(self) -> None:
        part = self.random.choice(("storage", "git", "github"))
        setattr(self.reached, part, not getattr(self.reached, part))

    def _prune(self) -> None:
        self.bundles = frozenset()

    def _jump(self) -> None:
        self.counts.jumps += 1
        self.clock += self.random.randint(-5 * DAY, 5 * DAY)

    def _rot(self) -> None:
        """Let a model that served well never start again: what it needs is gone."""
        if self.active and self.natures[self.active.served.sha256] is Nature.GOOD:
            self.natures[self.active.served.sha256] = Nature.NEVER_READY

    def _promote(self) -> None:
        self.merge(self._make_served())

    def _revert(self) -> None:
        self.merge(self.random.choice(self.commits[-4:]).served)

    def _make_served(self) -> ServedModel:
        number = len(self.natures) + 1
        sha256 = f"{number:064x}"
        good = self.random.random() < 0.6
        bad = [nature for nature in Nature if nature is not Nature.GOOD]
        self.natures[sha256] = Nature.GOOD if good else self.random.choice(bad)
        return ServedModel(
            model="flights",
            version=f"v0.{number}.0",
            sha256=sha256,
            revision=f"{number:040x}",
            commit="0" * 40,
        )


_WEIGHTS = {
    "kill": 30,
    "promote": 5,
    "revert": 4,
    "end_server": 8,
    "end_router": 4,
    "restart": 2,
    "cut": 8,
    "jump": 5,
    "prune": 1,
    "rot": 1,
}
_EVENTS = (list(_WEIGHTS), list(_WEIGHTS.values()))
