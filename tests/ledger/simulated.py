"""The driver of the simulation: each effect in the small steps between which it can be cut off."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ledger.world import ActiveFile, Nature, Process, SlotFile, World
from msgspec import structs

from mlgitops.delivery.loop.effects import (
    Append,
    Bake,
    CloseIssue,
    Confirm,
    Effect,
    Fetch,
    Golden,
    OpenIssue,
    Return,
    Route,
    Start,
    Stop,
    Switch,
    Wait,
    Widen,
)
from mlgitops.delivery.loop.observed import (
    UNSURE,
    Active,
    Desired,
    Observed,
    ServedModel,
    Server,
    ServerState,
    Slot,
)
from mlgitops.errors import MlgitopsError
from mlgitops.model.ledger import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.rules import Rules

    from mlgitops.model.ledger import LedgerEntry


class SimulatedDriver:
    """A :class:`~mlgitops.delivery.loop.reconcile.Driver` of one process in a world."""

    def __init__(self, world: World, rules: Rules, forced: ServedModel | None = None) -> None:
        self.world = world
        self._rules = rules
        self._remembered: tuple[Desired, tuple[LedgerEntry, ...]] | None = None
        self._forced = forced
        self._booted = world.booted
        if world.reached.git:
            world.fetched = world.commits[-1]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock: whatever comes next, no other process does anything."""
        if self._booted != self.world.booted:
            raise MlgitopsError("the machine was restarted, so this process is gone")
        if self.world.turn is not self:  # as `mlgitops.delivery.loop.turns` has it
            self._remembered, self.world.turn = None, self
        yield

    def observe(self) -> tuple[Desired, Observed]:
        """Read what git wants and how everything is."""
        world = self.world
        self._push()
        world.note_bake()
        if self._remembered is None:
            self._remembered = (world.fetched, world.waiting)
        desired, ledger = self._remembered
        if self._forced:
            if self._forced.commit != desired.served.commit:
                raise MlgitopsError("git wants something else than what this was forced over")
            desired = structs.replace(desired, served=self._forced)
        active = world.active
        return desired, Observed(
            a=self._observe_server(Slot.A),
            b=self._observe_server(Slot.B),
            active=self._observe_active(),
            stopped=world.stopped,
            routed=active is None or world.router == (active.slot, active.share),
            bundles=world.bundles,
            ledger=ledger,
            reported=world.reported,
        )

    def perform(self, effect: Effect) -> None:
        """Do it, step by step."""
        world = self.world
        world.counts.effects += 1
        world.oracle.begin(effect, world)
        world.inside_effect = True
        try:
            world.tick()
            _PERFORM[type(effect)](self, effect)
            world.tick()
        finally:
            world.inside_effect = False

    def stop(self) -> None:
        """End everything, as `deploy --stop` does, and write down that nothing serves."""
        world = self.world
        with self.lock():
            world.router = None
            for slot in Slot:
                world.tick()
                world.files[slot] = None
                world.tick()
                world.processes[slot] = None
            world.tick()
            self._record_stop()

    def _record_stop(self) -> None:
        """Write down what was active, should that be missing, and that it was stopped."""
        world = self.world
        if world.active:
            switch = Append(event=Event.SWITCHED, served=world.active.served)
            self._append(switch)
            world.tick()
            world.counts.stops += 1
            world.oracle.note_stopped(world.active.served)
            world.stopped, world.active = world.active.served, None
            world.tick()
        if world.stopped:
            self._append(Append(event=Event.STOPPED, served=world.stopped))

    def _observe_active(self) -> Active | None:
        active = self.world.active
        if active is None:
            return None
        return Active(
            slot=active.slot,
            served=active.served,
            share=active.share,
            confirmed=active.confirmed,
            baked=active.baked,
            reason=active.reason,
        )

    def _observe_server(self, slot: Slot) -> Server | None:
        file, process = self.world.files[slot], self.world.processes[slot]
        if file is None:
            self.world.processes[slot] = None  # left by a stop that was killed
            return None
        state = ServerState.DEAD
        if process and file.reason is None:
            state = ServerState.READY if process.ready else ServerState.STARTING
        elif file.reason is None and not self._is_blamed(file):
            return None
        return Server(
            served=file.served,
            state=state,
            verified=file.verified and not file.stopping,
            restarts=file.restarts,
            reason=file.reason or ("it ended" if state is ServerState.DEAD else None),
        )

    def _is_blamed(self, file: SlotFile) -> bool:
        """Tell whether a server that is gone ended by itself."""
        return file.started and not file.stopping and file.booted == self.world.booted

    def _fetch(self, effect: Fetch) -> None:
        if not self.world.reached.storage:
            raise MlgitopsError("the storage cannot be reached")
        self.world.bundles |= {effect.served.bundle}

    def _start(self, effect: Start) -> None:
        world, slot = self.world, effect.slot
        world.oracle.check_start(effect, world)
        world.processes[slot] = None
        world.files[slot] = file = SlotFile(effect.served, effect.restarts, world.booted)
        world.tick()
        world.processes[slot] = Process(effect.served)
        world.tick()
        file.started = True

    def _wait(self, effect: Wait) -> None:
        world, slot = self.world, effect.slot
        world.tick()
        file, process = world.files[slot], world.processes[slot]
        if process is None or file is None:
            return
        nature = world.natures[process.served.sha256]
        file.started = True
        if nature is Nature.ENDS_EARLY:
            world.kill_server(slot)
        elif nature is Nature.NEVER_READY:
            self._fail(slot, "it was not ready in time")
        else:
            process.ready = True

    def _golden(self, effect: Golden) -> None:
        world, slot = self.world, effect.slot
        file, process = world.files[slot], world.processes[slot]
        if process is None or file is None:
            return
        if world.natures[process.served.sha256] is Nature.WRONG:
            self._fail(slot, "another golden prediction")
            return
        process.checked = True
        world.tick()
        if world.processes[slot] is process:
            file.started, file.stopping = True, False
            file.verified = True

    def _fail(self, slot: Slot, reason: str) -> None:
        """Write down why the server is dead, and then end it."""
        world = self.world
        file, process = world.files[slot], world.processes[slot]
        if file is None or process is None:
            return
        world.oracle.note_failure(slot, world)
        file.reason = reason
        world.tick()
        world.processes[slot] = None

    def _switch(self, effect: Switch) -> None:
        world = self.world
        if not world.reached.git:
            raise MlgitopsError("origin cannot be reached")
        world.fetched = world.commits[-1]
        desired = world.fetched
        self._remembered = None
        wanted = self._forced or desired.served
        is_same = wanted == effect.served and wanted.commit == desired.served.commit
        world.tick()
        if is_same:
            self._activate(effect, effect.share, effect.bake, None)

    def _return(self, effect: Return) -> None:
        self._activate(effect, 100, 0, effect.reason)

    def _activate(self, effect: Switch | Return, share: int, bake: int, reason: str | None) -> None:
        world, slot = self.world, effect.slot
        world.oracle.check_switch(effect, world)
        world.active = ActiveFile(slot, effect.served, share, bake, world.clock, reason)
        world.tick()
        self._route(effect)

    def _route(self, _: Route | Switch | Return) -> None:
        active = self.world.active
        if active:
            self.world.router = (active.slot, active.share)

    def _confirm(self, effect: Confirm) -> None:
        world = self.world
        process, active = world.processes[effect.slot], world.active
        if process is None or active is None:
            return
        if world.natures[process.served.sha256] is Nature.WRONG_OUTSIDE:
            self._fail(effect.slot, "another golden prediction through the public address")
            return
        world.tick()
        active.confirmed = True

    def _bake(self, effect: Bake) -> None:
        world = self.world
        world.oracle.check_bake(world)
        process = world.processes[effect.slot]
        if process and world.natures[process.served.sha256] is Nature.ENDS_LATER:
            world.kill_server(effect.slot)
        world.clock += 1 + (world.active.bake if world.active else 0) // 2

    def _widen(self, effect: Widen) -> None:
        active = self.world.active
        self.world.oracle.check_widen(self.world)
        if active and active.slot is effect.slot:
            active.share = 100
            self.world.tick()
            self.world.router = (active.slot, active.share)

    def _stop(self, effect: Stop) -> None:
        world, slot = self.world, effect.slot
        world.oracle.check_stop(slot, world)
        file = world.files[slot]
        if file:
            file.stopping, file.reason = True, None
        world.tick()
        world.processes[slot] = None
        world.tick()
        world.files[slot] = None

    def _append(self, effect: Append) -> None:
        world = self.world
        entry = self._rules.make_entry(
            effect, world.waiting, environment="production", actor=None, at=f"{world.clock}"
        )
        self._remembered = None
        if entry is not None:
            if effect.event is Event.CONDEMNED:
                world.oracle.note_condemned(effect.served, world)
            world.waiting = (*world.waiting, entry)
            world.tick()
            self._push()
        if effect.event is Event.STOPPED:
            world.stopped = None

    def _push(self) -> None:
        """Send the entries that wait; now and then the push, or its answer, is lost."""
        world = self.world
        if len(world.ledger) == len(world.waiting) or not world.reached.git:
            return
        if not world.quiet and world.random.random() < 0.1:
            world.counts.lost += 1
            return
        world.ledger = world.waiting

    def _open_issue(self, effect: OpenIssue) -> None:
        self._write_issue(effect.served.commit)

    def _close_issue(self, _: CloseIssue) -> None:
        self._write_issue(None)

    def _write_issue(self, commit: str | None) -> None:
        world = self.world
        if not world.reached.github:
            raise MlgitopsError("GitHub cannot be reached")
        assert self._remembered
        world.oracle.check_issue(commit, self._remembered[0].served, world)
        world.reported = UNSURE
        world.tick()
        world.issue = commit
        world.tick()
        world.reported = commit


_PERFORM: dict[type, Callable[[SimulatedDriver, Any], None]] = {
    Fetch: SimulatedDriver._fetch,
    Start: SimulatedDriver._start,
    Wait: SimulatedDriver._wait,
    Golden: SimulatedDriver._golden,
    Switch: SimulatedDriver._switch,
    Return: SimulatedDriver._return,
    Route: SimulatedDriver._route,
    Confirm: SimulatedDriver._confirm,
    Bake: SimulatedDriver._bake,
    Widen: SimulatedDriver._widen,
    Stop: SimulatedDriver._stop,
    Append: SimulatedDriver._append,
    OpenIssue: SimulatedDriver._open_issue,
    CloseIssue: SimulatedDriver._close_issue,
}
