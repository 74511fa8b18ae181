"""What git wants and what was seen of an environment, into the one next effect. Pure.

No clock, no memory, no disk: the same input gives the same effect, so it does not matter who was
killed where, or how many run at once. The rules stand in the order in which they are tried;
docs/explanation/delivery.md says why each is where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from mlgitops.delivery.loop.effects import (
    Append,
    Bake,
    CloseIssue,
    Confirm,
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
from mlgitops.delivery.loop.observed import ALL, ServedModel, ServerState, Slot
from mlgitops.model.ledger import Event, LedgerEntry, find_live

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.delivery.loop.effects import Effect
    from mlgitops.delivery.loop.observed import Active, Desired, Observed, Server

#: Starts in a row that a model which served well may fail before it is condemned, too.
MAX_RESTARTS = 3
_NO_REASON = "it ended"


def decide(desired: Desired, observed: Observed) -> Effect | None:
    """Return the next effect; None when there is nothing to do."""
    desired = find_effective(desired, observed.ledger)
    return (
        _record(observed)
        or _route(observed)
        or _return_at_once(desired, observed)
        or _condemn(desired, observed)
        or _report(desired, observed)
        or _serve(desired, observed)
    )


def is_condemned(served: ServedModel, ledger: Sequence[LedgerEntry]) -> bool:
    """Tell whether this bundle failed when this commit asked for it."""
    return find_condemnation(served, ledger) is not None


def find_condemnation(served: ServedModel, ledger: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """Return the entry by which ``served`` was given up, None if it was not."""
    entries = (entry for entry in reversed(ledger) if entry.event is Event.CONDEMNED)
    return next((entry for entry in entries if read_served(entry).request == served.request), None)


def find_healthy(ledger: Sequence[LedgerEntry], *, instead_of: ServedModel) -> ServedModel | None:
    """Return the last model that served, was not given up, and is another than ``instead_of``."""
    switched = (read_served(entry) for entry in reversed(ledger) if entry.event is Event.SWITCHED)
    others = (served for served in switched if served.bundle != instead_of.bundle)
    return next((served for served in others if not is_condemned(served, ledger)), None)


def find_effective(desired: Desired, ledger: Sequence[LedgerEntry]) -> Desired:
    """Return the desired state with what was forced in its place, until git wants something else.

    The newest entry names the commit that it overrides; a forced model that failed, or was
    stopped, overrides nothing.
    """
    newest = find_live(ledger)
    if newest is None or not newest.forced or newest.commit != desired.served.commit:
        return desired
    forced = read_served(newest)
    if desired.served.forced or is_condemned(forced, ledger):
        return desired
    return structs.replace(desired, served=forced)


def find_target(desired: Desired, ledger: Sequence[LedgerEntry]) -> ServedModel | None:
    """Return what should serve: the desired state, or, once it failed, the last healthy model."""
    if is_condemned(desired.served, ledger):
        return find_healthy(ledger, instead_of=desired.served)
    return desired.served


def make_entry(
    effect: Append, ledger: Sequence[LedgerEntry], *, environment: str, actor: str | None, at: str
) -> LedgerEntry | None:
    """Return the entry that ``effect`` adds to ``ledger``; None when it is there already."""
    newest, served = find_live(ledger), effect.served
    if _is_written(effect, ledger):
        return None
    return LedgerEntry(
        seq=ledger[-1].seq + 1 if ledger else 1,
        environment=environment,
        event=effect.event,
        model=served.model,
        version=served.version,
        sha256=served.sha256,
        commit=served.commit,
        revision=served.revision,
        previous=newest.sha256 if newest else None,
        forced=served.forced,
        reason=effect.reason,
        actor=actor,
        at=at,
    )


def _is_written(effect: Append, ledger: Sequence[LedgerEntry]) -> bool:
    """Tell whether the ledger says that already; what does not serve cannot be stopped."""
    if effect.event is Event.CONDEMNED:
        return is_condemned(effect.served, ledger)
    newest = find_live(ledger)
    is_live = newest is not None and read_served(newest).request == effect.served.request
    return is_live is (effect.event is Event.SWITCHED)


def read_served(entry: LedgerEntry) -> ServedModel:
    """Return the model that ``entry`` is about."""
    return ServedModel(
        model=entry.model,
        version=entry.version,
        sha256=entry.sha256,
        revision=entry.revision,
        commit=entry.commit,
        forced=entry.forced,
    )


def _record(observed: Observed) -> Effect | None:
    """Write down what users are answered by, or not any more, before that can change."""
    if observed.stopped is not None:
        return Append(event=Event.STOPPED, served=observed.stopped)
    active, newest = observed.active, find_live(observed.ledger)
    if active is None or (newest and read_served(newest).request == active.served.request):
        return None
    return Append(event=Event.SWITCHED, served=active.served, reason=active.reason)


def _route(observed: Observed) -> Effect | None:
    active = observed.active
    return Route(slot=active.slot) if active and not observed.routed else None


def _return_at_once(desired: Desired, observed: Observed) -> Effect | None:
    """Send the users back while the old server still runs: before the network is asked.

    A model that is superseded during its bake goes as well. Nobody can say yet whether it is
    healthy, and its slot is needed.
    """
    active = observed.active
    if active is None or active.is_proven:
        return None
    healthy = find_healthy(observed.ledger, instead_of=active.served)
    if healthy is None or not _is_fit(observed.find_server(active.slot.other), healthy):
        return None
    server = observed.find_server(active.slot)
    is_superseded = desired.served.bundle not in {active.served.bundle, healthy.bundle}
    if _is_dead(server):
        reason = _read_reason(server)
    elif active.reason is None and is_superseded:
        reason = f"superseded by {desired.served.commit[:12]} before its bake was over"
    else:
        return None
    return Return(slot=active.slot.other, served=healthy, reason=reason)


def _condemn(desired: Desired, observed: Observed) -> Effect | None:
    """Give the desired state up when its server failed."""
    if is_condemned(desired.served, observed.ledger):
        return None
    for slot in Slot:
        server = observed.find_server(slot)
        if server and _is_dead(server) and server.served.request == desired.served.request:
            if _is_excused(slot, server, observed):
                continue
            return Append(event=Event.CONDEMNED, served=desired.served, reason=_read_reason(server))
    return None


def _is_excused(slot: Slot, server: Server, observed: Observed) -> bool:
    """Tell whether a server that is dead is to be started again, and not to be blamed.

    A model that served well and ended is started again. It is given up only when it does not
    come back, and there is another one to go to.
    """
    active, newest = observed.active, find_live(observed.ledger)
    if active is None or active.slot is not slot:
        is_forced_aside = newest and newest.forced and newest.commit == server.served.commit
        return server.verified and bool(is_forced_aside)
    if not active.is_proven:
        return False
    if server.verified or server.restarts < MAX_RESTARTS:
        return True
    return find_healthy(observed.ledger, instead_of=server.served) is None


def _report(desired: Desired, observed: Observed) -> Effect | None:
    """Say that the desired state failed; whoever forced one is told at the terminal."""
    condemnation = find_condemnation(desired.served, observed.ledger)
    if condemnation is None or desired.served.forced or observed.reported == desired.served.commit:
        return None
    return OpenIssue(served=desired.served, reason=condemnation.reason or _NO_REASON)


def _serve(desired: Desired, observed: Observed) -> Effect | None:
    target, active = find_target(desired, observed.ledger), observed.active
    if target is None:
        return None
    slot = _choose_slot(target, observed)
    return (
        _heal(desired, target, observed)
        or _bring_up(slot, target, observed)
        or (
            _switch(slot, target, desired, observed)
            if active is None or active.slot != slot
            else None
        )
        or _settle(slot, target, desired, observed)
    )


def _choose_slot(target: ServedModel, observed: Observed) -> Slot:
    active = observed.active
    if active is None:
        return Slot.B if _is_fit(observed.b, target) else Slot.A
    return active.slot if active.served.bundle == target.bundle else active.slot.other


def _heal(desired: Desired, target: ServedModel, observed: Observed) -> Effect | None:
    """Have users answered again before another model is brought up, unless that can take over.

    The active model is started again if it served well, once. Where that does not help, the last
    healthy one is brought back: what is wanted may be no better.
    """
    active = observed.active
    if active is None or active.served.bundle == target.bundle:
        return None
    beside = observed.find_server(active.slot.other)
    if beside and not _is_dead(beside) and beside.served.bundle == target.bundle:
        return None
    if not _is_hopeless(active, desired, observed):
        return _bring_up(active.slot, active.served, observed)
    healthy = find_healthy(observed.ledger, instead_of=active.served)
    if healthy is None or healthy.bundle == target.bundle:
        return None
    if beside and _is_dead(beside) and beside.served.bundle == healthy.bundle:
        return None
    return _bring_up(active.slot.other, healthy, observed) or Return(
        slot=active.slot.other,
        served=healthy,
        reason=_read_reason(observed.find_server(active.slot)),
    )


def _is_hopeless(active: Active, desired: Desired, observed: Observed) -> bool:
    """Tell whether the active model is not to be started again in its slot."""
    served = active.served
    if served.bundle == desired.served.bundle or is_condemned(served, observed.ledger):
        return True
    server = observed.find_server(active.slot)
    if server is None or not _is_dead(server):
        return False
    return not (active.is_proven and server.verified)


def _bring_up(slot: Slot, served: ServedModel, observed: Observed) -> Effect | None:
    """Return the next step until the slot has a verified server of this bundle, then None."""
    server, active = observed.find_server(slot), observed.active
    is_alive = _is_alive(server)
    if server and is_alive and server.served.bundle == served.bundle:
        if server.state is ServerState.STARTING:
            return Wait(slot=slot)
        return None if server.verified else Golden(slot=slot)
    if active and active.slot is not slot and active.share < ALL:
        return Widen(slot=active.slot)  # or who is to be answered there meets a server unchecked
    if is_alive:
        return Stop(slot=slot)
    if served.bundle not in observed.bundles:
        return Fetch(served=served)
    return Start(slot=slot, served=served, restarts=_count_restarts(server, served))


def _count_restarts(server: Server | None, served: ServedModel) -> int:
    if server is None or server.served.bundle != served.bundle:
        return 0
    return 1 if server.verified else min(server.restarts + 1, MAX_RESTARTS)


def _switch(slot: Slot, target: ServedModel, desired: Desired, observed: Observed) -> Effect:
    if target.request != desired.served.request:
        condemnation = find_condemnation(desired.served, observed.ledger)
        reason = condemnation.reason if condemnation else None
        return Return(slot=slot, served=target, reason=reason or _NO_REASON)
    previous = observed.active and observed.find_server(observed.active.slot)
    canary = desired.canary if previous and not _is_dead(previous) else 0
    return Switch(slot=slot, served=target, share=canary or ALL, bake=desired.bake)


def _settle(slot: Slot, target: ServedModel, desired: Desired, observed: Observed) -> Effect | None:
    """Finish what a switch began, the old server last."""
    active = observed.active
    if active is None or not active.confirmed:
        return Confirm(slot=slot)
    if not active.baked:
        # Who is not drawn for a canary needs the other server all the while.
        is_split = active.share < ALL and not _is_alive(observed.find_server(slot.other))
        return Widen(slot=slot) if is_split else Bake(slot=slot)
    if active.share < ALL:
        return Widen(slot=slot)
    if observed.find_server(slot.other):
        return Stop(slot=slot.other)
    if observed.reported and target.request == desired.served.request:
        return CloseIssue()
    return None


def _is_alive(server: Server | None) -> bool:
    return server is not None and not _is_dead(server)


def _is_dead(server: Server | None) -> bool:
    return server is not None and server.state is ServerState.DEAD


def _is_fit(server: Server | None, served: ServedModel) -> bool:
    """Tell whether the server can answer for ``served`` at once."""
    return (
        server is not None
        and server.state is ServerState.READY
        and server.verified
        and server.served.bundle == served.bundle
    )


def _read_reason(server: Server | None) -> str:
    return (server.reason if server else None) or _NO_REASON
