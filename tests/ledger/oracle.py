"""Says whether what happened may happen, from a history of its own.

It hears of merges, failures, switches and stops when they happen, from the world and never from
the ledger: a decision that reads a wrong ledger, or writes one, is seen. What is in the ledger at
the end is held against that history.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ledger.world import Nature

from mlgitops.delivery.loop.decision import MAX_RESTARTS
from mlgitops.delivery.loop.effects import Effect, Return, Start, Switch
from mlgitops.delivery.loop.observed import ALL, Desired, ServedModel, Slot
from mlgitops.delivery.loop.reconcile import Ending, Outcome
from mlgitops.model.ledger import Event

if TYPE_CHECKING:
    from ledger.world import World


class ViolationError(AssertionError):
    """An invariant does not hold."""


class Switched(NamedTuple):
    """A change of the active server, or its end on request, as it happened."""

    served: ServedModel
    event: Event = Event.SWITCHED


class Oracle:
    """The invariants, and the history that they are held against."""

    def __init__(self) -> None:
        self.trace: list[str] = []
        self.history: list[Switched] = []
        self.condemned: list[tuple[str, str, str]] = []
        self._desired_states: list[Desired] = []
        self._forced: set[tuple[str, str, str]] = set()
        self._failed: set[tuple[str, str, str]] = set()  # may be condemned
        self._failed_starts: Counter[tuple[str, str]] = Counter()  # of what served well, in a row
        self._heads: list[Desired] = []  # newest commits since the effect began
        self._filled: frozenset[Slot] = frozenset()  # slots with a process when it began
        self._bundles: frozenset[tuple[str, str]] = frozenset()  # on disk when it began

    def note_merge(self, desired: Desired) -> None:
        """Hear that git wants something else from now on."""
        self.trace.append(f"merge {desired}")
        self._desired_states.append(desired)
        self._heads.append(desired)

    def note_forced(self, served: ServedModel) -> None:
        """Hear that somebody forces this."""
        self.trace.append(f"force {served}")
        self._forced.add(served.request)

    def note_failure(self, slot: Slot, world: World) -> None:
        """Hear that the server in ``slot`` ended, or failed a check."""
        process, file = world.processes[slot], world.files[slot]
        assert process
        bundle = process.served.bundle
        self.trace.append(f"failure in {slot.value}: {process}")
        active = world.active if world.active and world.active.slot is slot else None
        if active is None or not world.is_proven():
            self._failed |= {process.served.request, (active or process).served.request}
        elif file and file.verified:
            self._failed_starts[bundle] = 0
        else:
            self._failed_starts[bundle] += 1
            if self._failed_starts[bundle] >= MAX_RESTARTS:
                self._failed.add(process.served.request)

    def note_stopped(self, served: ServedModel) -> None:
        """Hear that somebody ended it all, so that nothing is active any more."""
        self.trace.append(f"stop of {served}")
        self.history.append(Switched(served, Event.STOPPED))

    def begin(self, effect: Effect, world: World) -> None:
        """Hear which effect begins."""
        self.trace.append(f"{effect}")
        self._heads = [world.commits[-1]]
        self._filled = frozenset(slot for slot in Slot if world.processes[slot])
        self._bundles = world.bundles

    def note_condemned(self, served: ServedModel, world: World) -> None:
        """Hear that a desired state was given up: only for a failure, and once."""
        if world.is_proven() and world.active and world.active.served.bundle == served.bundle:
            _require(self._find_previous(served), f"the only model was given up: {served}")
        request = served.request
        _require(request in self._failed, f"condemned though nothing failed: {served}")
        _require(request not in self.condemned, f"condemned twice: {served}")
        self.condemned.append(request)

    def check_start(self, effect: Start, world: World) -> None:
        """Refuse a start of what was given up, and one in the place of a server that is needed."""
        served, file = effect.served, world.files[effect.slot]
        _require(served.request not in self.condemned, f"tried again: {served}")
        _require(served.bundle in self._bundles, f"started without its bundle: {served}")
        _require(not self._is_waiting(effect, world), f"users wait for {served}")
        active = world.active
        if active and active.slot is not effect.slot:
            _require(active.share == ALL, "started where a share of the requests goes")
        if world.processes[effect.slot] and file and file.reason is None and file.started:
            self.check_stop(effect.slot, world)

    def check_stop(self, slot: Slot, world: World) -> None:
        """Refuse to stop the active server, and the one to go back to before the bake is over."""
        active = world.active
        if active is None:
            return
        _require(active.slot is not slot, "the live server was stopped")
        _require(active.share == ALL, "a server that answers a share was stopped")
        _require(not self._can_return(slot, world), "the server to go back to was stopped")

    def check_widen(self, world: World) -> None:
        """Refuse to end a canary before its bake is over, while there is one to share with."""
        active = world.active
        failed = active is None or active.served.request in self._failed
        is_early = active is not None and self._can_return(active.slot.other, world)
        _require(failed or not is_early, "the canary ended before its bake was over")

    def check_bake(self, world: World) -> None:
        """Refuse to wait while nobody answers those who were not drawn for the canary."""
        active = world.active
        is_shared = active is not None and active.share < ALL
        is_alone = active is not None and active.slot.other not in self._filled
        _require(not (is_shared and is_alone), "a bake without the server of the other share")

    def check_switch(self, effect: Switch | Return, world: World) -> None:
        """Refuse a model that is not approved, not checked, given up, or is there for no reason."""
        served, process = effect.served, world.processes[effect.slot]
        _require(effect.slot in self._filled, "switched to an empty slot")
        _require(served.request not in self.condemned, f"switched to what was given up: {served}")
        is_checked = process is None or (process.checked and process.served.bundle == served.bundle)
        _require(is_checked, f"switched to what was not checked: {process} for {served}")
        if isinstance(effect, Switch):
            self._check_approved(effect, world)
        else:
            self._check_return(effect, world)
        self.history.append(Switched(served))

    def check_issue(self, commit: str | None, desired: ServedModel, world: World) -> None:
        """Refuse an issue about what was not given up, and the end of one that is needed.

        ``desired`` is what the run saw when it had its turn: another one may have fetched since.
        """
        given_up = desired.request in self.condemned
        if commit is None:
            serves = world.active and world.active.served.bundle == self._effective(desired).bundle
            _require(serves, "the issue was closed before git's desired state was in service")
        else:
            _require(given_up and commit == desired.commit, f"an issue about {commit} for nothing")

    def find_desired(self, world: World) -> ServedModel:
        """Return what should be in service if it is good: what is forced, else git's newest."""
        return self._effective(world.commits[-1].served)

    def _effective(self, desired: ServedModel) -> ServedModel:
        newest = self._find_live()
        if newest and newest.forced and newest.commit == desired.commit:
            return desired if newest.request in self.condemned else newest
        return desired

    def find_target(self, world: World) -> ServedModel | None:
        """Return what should be in service: the desired state, or the last healthy model."""
        desired = self.find_desired(world)
        return self._find_previous(desired) if desired.request in self.condemned else desired

    def check_service(self, world: World) -> None:
        """Hold what serves, at rest, against what should."""
        target, active = self.find_target(world), world.active
        if target is None:
            given_up = active is None or active.served.bundle == self.find_desired(world).bundle
            _require(given_up or active.served.request in self.condemned, "at rest: not given up")  # type: ignore[union-attr]
            return
        _require(active is not None, f"at rest: nothing serves, not {target}")
        assert active
        process = world.processes[active.slot]
        _require(active.served.bundle == target.bundle, f"at rest: {active}, not {target}")
        _require(process is not None and process.ready and process.checked, "at rest: no server")
        _require(process is not None and process.served.bundle == target.bundle, "at rest: another")
        _require(world.is_proven() and active.share == ALL, f"at rest: not finished: {active}")
        _require(world.router == (active.slot, ALL), f"at rest: the router is at {world.router}")
        rest = world.processes[active.slot.other], world.files[active.slot.other]
        _require(rest[0] is None, "at rest: a server too much")

    def check_error(self, world: World) -> None:
        """Hold an end with an error against what can be helped: a bad desired state is given up."""
        desired, target = self.find_desired(world), self.find_target(world)
        is_good = target is not None and world.natures[target.sha256] is Nature.GOOD
        _require(not is_good, f"nothing serves, and {target} could")
        served = {item.served.bundle for item in self.history}
        is_only = desired.bundle in served and self._find_previous(desired) is None
        _require(is_only or desired.request in self.condemned, f"not given up: {desired}")

    def check_rest(self, world: World, outcome: Outcome) -> None:
        """Hold the end of everything against the history: service, issue, ledger, exit code."""
        self.check_service(world)
        desired, target = self.find_desired(world), self.find_target(world)
        ending = Ending.FAILED if target is None else Ending.RETURNED
        if target and target.request == desired.request:
            ending = Ending.SERVING
        _require(outcome.ending == ending, f"at rest: it says {outcome.ending}, not {ending}")
        _require(not outcome.effects, f"at rest: it goes on: {outcome.effects}")
        issue = None if ending is Ending.SERVING else desired.commit
        _require(world.issue == issue, f"at rest: the issue is about {world.issue}, not {issue}")

    def check_ledger(self, world: World) -> None:
        """Hold the ledger, at the end, against what happened."""
        ledger = world.ledger
        _require(ledger == world.waiting, "entries wait though origin can be reached")
        _require([entry.seq for entry in ledger] == list(range(1, len(ledger) + 1)), "a gap")
        switched = [
            (entry.sha256, entry.revision, entry.commit, entry.forced, entry.event)
            for entry in ledger
            if entry.event is not Event.CONDEMNED
        ]
        happened = [(*served.request, served.forced, event) for served, event in self.history]
        _require(
            switched == happened,
            f"the ledger has {len(switched)} other switches and stops, not {len(happened)}",
        )
        condemned = [
            (entry.sha256, entry.revision, entry.commit)
            for entry in ledger
            if entry.event is Event.CONDEMNED
        ]
        _require(condemned == self.condemned, "the ledger gives up another desired state")

    def _find_live(self) -> ServedModel | None:
        """Return what users are answered by, None once it was stopped."""
        newest = self.history[-1] if self.history else None
        return newest.served if newest and newest.event is Event.SWITCHED else None

    def _find_previous(self, served: ServedModel) -> ServedModel | None:
        """Return the last model that served and was not given up, of another bundle."""
        for switched, _ in reversed(self.history):
            if switched.bundle != served.bundle and switched.request not in self.condemned:
                return switched
        return None

    def _is_waiting(self, effect: Start, world: World) -> bool:
        """Tell whether users wait for another model though the active one served well."""
        active = world.active
        if active is None or active.slot is effect.slot or active.slot in self._filled:
            return False
        file = world.files[active.slot]
        is_sound = file is not None and file.verified and file.reason is None
        return is_sound and world.is_proven() and active.served.request not in self.condemned

    def _can_return(self, slot: Slot, world: World) -> bool:
        """Tell whether ``slot`` holds who is to take over if the active model fails its bake."""
        active, process, file = world.active, world.processes[slot], world.files[slot]
        if active is None or active.reason or world.is_proven():
            return False
        if process is None or file is None or not file.verified:
            return False
        previous = self._find_previous(active.served)
        return previous is not None and previous.bundle == process.served.bundle

    def _check_approved(self, effect: Switch, world: World) -> None:
        served = effect.served
        commits = {desired.served.commit: desired for desired in self._heads}
        desired = commits.get(served.commit)
        _require(desired is not None, f"switched to what git does not want any more: {served}")
        assert desired
        is_forced = served.forced and served.request in self._forced
        _require(
            is_forced or served == desired.served, f"switched to what git never wanted: {served}"
        )
        beside = bool(world.active and world.active.slot in self._filled)
        shares = {desired.canary or ALL} if beside and desired.canary else {ALL}
        if world.active and beside:
            file = world.files[world.active.slot]
            shares |= {ALL} if file and file.reason else set()
        _require(effect.share in shares, f"switched with {effect.share} %, not {shares}")
        _require(effect.bake == desired.bake, f"switched with another bake: {effect.bake}")

    def _check_return(self, effect: Return, world: World) -> None:
        served, active = effect.served, world.active
        switched = {item.served.request for item in self.history}
        _require(served.request in switched, f"returned to what never served: {served}")
        if active is None:
            return
        request, desired = active.served.request, world.fetched.served
        file = world.files[active.slot]
        is_gone = active.slot not in self._filled or bool(file and file.reason)
        given_up = is_gone or request in self._failed or request in self.condemned
        forced = any(commit == desired.commit for _, _, commit in self._forced)
        is_wanted = desired.bundle == active.served.bundle and not forced
        superseded = not world.is_proven() and not is_wanted
        condemned = any(item[:2] == active.served.bundle for item in self.condemned)
        _require(given_up or superseded or condemned, f"returned for no reason to {served}")


def _require(holds: object, violation: str) -> None:
    if not holds:
        raise ViolationError(violation)
