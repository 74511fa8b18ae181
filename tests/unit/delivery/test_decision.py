"""`decide`, rule by rule; that the rules hold together is what the simulation shows."""

from __future__ import annotations

import pytest
from msgspec import structs

from mlgitops.delivery.loop.decision import MAX_RESTARTS, decide, make_entry
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
    Active,
    Desired,
    Observed,
    ServedModel,
    Server,
    ServerState,
    Slot,
)
from mlgitops.model.ledger import Event, LedgerEntry


def make_served(name: str, commit: str, *, forced: bool = False) -> ServedModel:
    """Return the model ``name`` (a hex digit), asked for by ``commit`` (another one)."""
    return ServedModel(
        model="flights",
        version="v1.0.0",
        sha256=name * 64,
        revision=name * 40,
        commit=commit * 40,
        forced=forced,
    )


OLD, NEW = make_served("1", "a"), make_served("2", "b")
BUNDLES = frozenset({OLD.bundle, NEW.bundle})
DESIRED = Desired(served=NEW, canary=0, bake=60)
READY, STARTING, DEAD = ServerState.READY, ServerState.STARTING, ServerState.DEAD


def make_server(
    served: ServedModel, state: ServerState = READY, *, verified: bool = True, restarts: int = 0
) -> Server:
    """Return a server; a dead one says why."""
    reason = "it ended with 1" if state is DEAD else None
    return Server(served=served, state=state, verified=verified, restarts=restarts, reason=reason)


def make_ledger(*entries: tuple[Event, ServedModel]) -> tuple[LedgerEntry, ...]:
    """Return the ledger with these entries, in their order."""
    ledger: tuple[LedgerEntry, ...] = ()
    for event, served in entries:
        entry = make_entry(
            Append(event=event, served=served, reason="why" if event is CONDEMNED else None),
            ledger,
            environment="production",
            actor=None,
            at="2026-11-28T00:00:00Z",
        )
        assert entry is not None
        ledger = (*ledger, entry)
    return ledger


SWITCHED, STOPPED, CONDEMNED = Event.SWITCHED, Event.STOPPED, Event.CONDEMNED
ON_A = Active(slot=Slot.A, served=OLD, confirmed=True, baked=True)
ON_B = Active(slot=Slot.B, served=NEW, confirmed=True, baked=True)
BAKING = structs.replace(ON_B, baked=False)
QUIET = Observed(
    a=make_server(OLD), active=ON_A, bundles=BUNDLES, ledger=make_ledger((SWITCHED, OLD))
)
ENDED = make_ledger((SWITCHED, OLD), (STOPPED, OLD))
BOTH = make_ledger((SWITCHED, OLD), (SWITCHED, NEW))
GIVEN_UP = make_ledger((SWITCHED, OLD), (SWITCHED, NEW), (CONDEMNED, NEW))
RETURNED = make_ledger((SWITCHED, OLD), (SWITCHED, NEW), (CONDEMNED, NEW), (SWITCHED, OLD))
MOVED = Observed(
    a=make_server(OLD), b=make_server(NEW), active=BAKING, bundles=BUNDLES, ledger=BOTH
)
DEAD_NEW = make_server(NEW, DEAD)
NO_RETURN = make_server(NEW, DEAD, verified=False, restarts=MAX_RESTARTS)
SETTLED = structs.replace(MOVED, a=None, active=ON_B)
BACK = structs.replace(MOVED, b=None, active=ON_A, ledger=RETURNED)
THIRD = make_served("3", "c")
FORCED = make_served("4", "b", forced=True)
OVERRIDDEN = make_ledger((SWITCHED, OLD), (SWITCHED, FORCED))
OVER_OLD = make_served("4", "a", forced=True)
AGAIN = structs.replace(NEW, commit="d" * 40)
LOST = Append(event=CONDEMNED, served=NEW, reason="it ended with 1")

CASES: dict[str, tuple[Desired, Observed, Effect | None]] = {
    "nothing there: fetch": (DESIRED, Observed(), Fetch(served=NEW)),
    "nothing there: start": (DESIRED, Observed(bundles=BUNDLES), Start(slot=Slot.A, served=NEW)),
    "beside the old one: start": (DESIRED, QUIET, Start(slot=Slot.B, served=NEW)),
    "starting: wait": (
        DESIRED,
        structs.replace(QUIET, b=make_server(NEW, STARTING, verified=False)),
        Wait(slot=Slot.B),
    ),
    "ready: the golden prediction": (
        DESIRED,
        structs.replace(QUIET, b=make_server(NEW, verified=False)),
        Golden(slot=Slot.B),
    ),
    "verified: switch": (
        DESIRED,
        structs.replace(QUIET, b=make_server(NEW)),
        Switch(slot=Slot.B, served=NEW, bake=60),
    ),
    "verified, with a canary": (
        structs.replace(DESIRED, canary=20),
        structs.replace(QUIET, b=make_server(NEW)),
        Switch(slot=Slot.B, served=NEW, share=20, bake=60),
    ),
    "no canary beside a dead server": (
        structs.replace(DESIRED, canary=20),
        structs.replace(QUIET, a=make_server(OLD, DEAD), b=make_server(NEW)),
        Switch(slot=Slot.B, served=NEW, bake=60),
    ),
    "switched: append": (
        DESIRED,
        structs.replace(MOVED, ledger=QUIET.ledger, b=DEAD_NEW, routed=False),
        Append(event=SWITCHED, served=NEW),
    ),
    "stopped, and cut off: append": (
        DESIRED,
        structs.replace(QUIET, a=None, active=None, stopped=OLD),
        Append(event=STOPPED, served=OLD),
    ),
    "stopped, and asked for again": (
        Desired(served=OLD),
        Observed(a=make_server(OLD), active=ON_A, bundles=BUNDLES, ledger=ENDED),
        Append(event=SWITCHED, served=OLD),
    ),
    "stopped, and the next one failed: the last healthy": (
        DESIRED,
        Observed(
            bundles=BUNDLES,
            ledger=make_ledger((SWITCHED, OLD), (STOPPED, OLD), (CONDEMNED, NEW)),
            reported=NEW.commit,
        ),
        Start(slot=Slot.A, served=OLD),
    ),
    "forced ends with a stop": (
        DESIRED,
        Observed(
            bundles=BUNDLES,
            ledger=make_ledger((SWITCHED, OLD), (SWITCHED, FORCED), (STOPPED, FORCED)),
        ),
        Start(slot=Slot.A, served=NEW),
    ),
    "the router is gone": (DESIRED, structs.replace(MOVED, routed=False), Route(slot=Slot.B)),
    "not confirmed": (
        DESIRED,
        structs.replace(MOVED, active=structs.replace(BAKING, confirmed=False)),
        Confirm(slot=Slot.B),
    ),
    "the bake": (DESIRED, MOVED, Bake(slot=Slot.B)),
    "a canary whose old server died: all go to the new one": (
        DESIRED,
        structs.replace(MOVED, a=make_server(OLD, DEAD), active=structs.replace(BAKING, share=20)),
        Widen(slot=Slot.B),
    ),
    "a canary without its old server: all go to the new one": (
        DESIRED,
        structs.replace(MOVED, a=None, active=structs.replace(BAKING, share=20)),
        Widen(slot=Slot.B),
    ),
    "a canary beside its old server: the bake": (
        DESIRED,
        structs.replace(MOVED, active=structs.replace(BAKING, share=20)),
        Bake(slot=Slot.B),
    ),
    "the end of a canary": (
        DESIRED,
        structs.replace(MOVED, active=structs.replace(ON_B, share=20)),
        Widen(slot=Slot.B),
    ),
    "after the bake: stop the old one": (
        DESIRED,
        structs.replace(MOVED, active=ON_B),
        Stop(slot=Slot.A),
    ),
    "at rest": (DESIRED, SETTLED, None),
    "at rest by an older commit": (
        Desired(served=structs.replace(NEW, commit="d" * 40)),
        SETTLED,
        None,
    ),
    "in order again": (
        DESIRED,
        structs.replace(SETTLED, reported="e" * 40),
        CloseIssue(),
    ),
    "dead in the bake: back at once": (
        DESIRED,
        structs.replace(MOVED, b=DEAD_NEW),
        Return(slot=Slot.A, served=OLD, reason="it ended with 1"),
    ),
    "back to nothing that is not ready": (
        DESIRED,
        structs.replace(MOVED, a=None, b=DEAD_NEW),
        Append(event=CONDEMNED, served=NEW, reason="it ended with 1"),
    ),
    "back: condemn": (
        DESIRED,
        structs.replace(
            MOVED,
            b=DEAD_NEW,
            active=ON_A,
            ledger=make_ledger((SWITCHED, OLD), (SWITCHED, NEW), (SWITCHED, OLD)),
        ),
        Append(event=CONDEMNED, served=NEW, reason="it ended with 1"),
    ),
    "never ready: condemn": (
        DESIRED,
        structs.replace(QUIET, b=make_server(NEW, DEAD, verified=False)),
        Append(event=CONDEMNED, served=NEW, reason="it ended with 1"),
    ),
    "condemned: the issue": (DESIRED, BACK, OpenIssue(served=NEW, reason="why")),
    "condemned: at rest": (DESIRED, structs.replace(BACK, reported=NEW.commit), None),
    "condemned with the old one gone: start it": (
        DESIRED,
        structs.replace(
            MOVED, a=None, b=DEAD_NEW, active=ON_B, ledger=GIVEN_UP, reported=NEW.commit
        ),
        Start(slot=Slot.A, served=OLD),
    ),
    "condemned, and the old one is verified": (
        DESIRED,
        structs.replace(MOVED, active=ON_B, b=DEAD_NEW, ledger=GIVEN_UP, reported=NEW.commit),
        Return(slot=Slot.A, served=OLD, reason="why"),
    ),
    "condemned, and nothing was ever healthy": (
        DESIRED,
        Observed(
            a=DEAD_NEW,
            bundles=BUNDLES,
            ledger=make_ledger((CONDEMNED, NEW)),
            reported=NEW.commit,
        ),
        None,
    ),
    "asked for again by a newer commit": (
        Desired(served=structs.replace(NEW, commit="d" * 40)),
        structs.replace(BACK, b=DEAD_NEW),
        Start(slot=Slot.B, served=structs.replace(NEW, commit="d" * 40), restarts=1),
    ),
    "a proven one ended: start it again": (
        DESIRED,
        structs.replace(SETTLED, b=DEAD_NEW),
        Start(slot=Slot.B, served=NEW, restarts=1),
    ),
    "a proven one after the machine restarted": (
        DESIRED,
        structs.replace(SETTLED, b=None),
        Start(slot=Slot.B, served=NEW),
    ),
    "a proven one that does not come back": (
        DESIRED,
        structs.replace(SETTLED, b=NO_RETURN),
        Append(event=CONDEMNED, served=NEW, reason="it ended with 1"),
    ),
    "a proven one with nothing else to go to": (
        DESIRED,
        structs.replace(SETTLED, b=NO_RETURN, ledger=make_ledger((SWITCHED, NEW))),
        Start(slot=Slot.B, served=NEW, restarts=MAX_RESTARTS),
    ),
    "the old one ended while a new one is wanted": (
        DESIRED,
        structs.replace(QUIET, a=make_server(OLD, DEAD)),
        Start(slot=Slot.A, served=OLD, restarts=1),
    ),
    "the old one does not come back while a new one is wanted": (
        DESIRED,
        structs.replace(QUIET, a=make_server(OLD, DEAD, verified=False, restarts=1)),
        Start(slot=Slot.B, served=NEW),
    ),
    "superseded in its bake": (
        Desired(served=THIRD),
        MOVED,
        Return(
            slot=Slot.A, served=OLD, reason="superseded by cccccccccccc before its bake was over"
        ),
    ),
    "superseded, returned, not again": (
        Desired(served=THIRD),
        structs.replace(
            MOVED,
            active=structs.replace(ON_A, confirmed=False, reason="superseded"),
            ledger=make_ledger((SWITCHED, OLD), (SWITCHED, NEW), (SWITCHED, OLD)),
        ),
        Stop(slot=Slot.B),
    ),
    "the revert within the bake": (
        Desired(served=structs.replace(OLD, commit="c" * 40), bake=60),
        MOVED,
        Switch(slot=Slot.A, served=structs.replace(OLD, commit="c" * 40), bake=60),
    ),
    "dead, and so is the old one": (
        DESIRED,
        structs.replace(MOVED, a=make_server(OLD, DEAD), b=DEAD_NEW),
        LOST,
    ),
    "dead, and the old one is not checked since its start": (
        DESIRED,
        structs.replace(MOVED, a=make_server(OLD, verified=False), b=DEAD_NEW),
        LOST,
    ),
    "dead, and another one than the old one is beside it": (
        DESIRED,
        structs.replace(MOVED, a=make_server(THIRD), b=DEAD_NEW),
        LOST,
    ),
    "a proven one that failed to start once": (
        DESIRED,
        structs.replace(SETTLED, b=make_server(NEW, DEAD, verified=False, restarts=1)),
        Start(slot=Slot.B, served=NEW, restarts=2),
    ),
    "a share of the requests goes to the slot that is needed": (
        Desired(served=THIRD),
        structs.replace(MOVED, a=None, active=structs.replace(BAKING, share=20)),
        Widen(slot=Slot.B),
    ),
    "condemned by a newer commit: the same model is not the last healthy": (
        Desired(served=AGAIN),
        structs.replace(
            SETTLED,
            b=DEAD_NEW,
            ledger=make_ledger((SWITCHED, OLD), (SWITCHED, NEW), (CONDEMNED, AGAIN)),
            reported=AGAIN.commit,
        ),
        Start(slot=Slot.A, served=OLD),
    ),
    "the last healthy one is one that was not given up": (
        DESIRED,
        Observed(
            bundles=BUNDLES,
            ledger=make_ledger(
                (SWITCHED, OLD), (SWITCHED, THIRD), (CONDEMNED, THIRD), (CONDEMNED, NEW)
            ),
            reported=NEW.commit,
        ),
        Start(slot=Slot.A, served=OLD),
    ),
    "what was forced failed: the desired state again": (
        DESIRED,
        Observed(
            a=make_server(FORCED, DEAD),
            b=make_server(NEW),
            active=structs.replace(ON_A, served=FORCED),
            ledger=make_ledger((SWITCHED, OLD), (SWITCHED, FORCED), (CONDEMNED, FORCED)),
        ),
        Switch(slot=Slot.B, served=NEW, bake=60),
    ),
    "what was forced aside may have ended": (
        Desired(served=OLD),
        Observed(
            a=make_server(OLD, DEAD),
            b=make_server(OVER_OLD, DEAD),
            active=structs.replace(BAKING, served=OVER_OLD),
            bundles=BUNDLES,
            ledger=make_ledger((SWITCHED, OLD), (SWITCHED, OVER_OLD), (CONDEMNED, OVER_OLD)),
        ),
        Start(slot=Slot.A, served=OLD, restarts=1),
    ),
    "forced stays": (
        DESIRED,
        Observed(
            a=make_server(FORCED),
            active=structs.replace(ON_A, served=FORCED),
            bundles=BUNDLES,
            ledger=OVERRIDDEN,
        ),
        None,
    ),
    "forced ends with the next commit": (
        Desired(served=THIRD),
        Observed(
            a=make_server(FORCED),
            active=structs.replace(ON_A, served=FORCED),
            bundles=frozenset({THIRD.bundle}),
            ledger=OVERRIDDEN,
        ),
        Start(slot=Slot.B, served=THIRD),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_next_effect(case: str) -> None:
    """Each rule, in the situation that it is for."""
    desired, observed, effect = CASES[case]
    assert decide(desired, observed) == effect


def test_an_entry_is_written_once() -> None:
    """A push whose answer was lost, or another run that was quicker, adds nothing."""
    stopped = make_ledger((SWITCHED, NEW), (STOPPED, NEW))
    written = ((SWITCHED, BOTH), (CONDEMNED, GIVEN_UP), (STOPPED, stopped), (STOPPED, RETURNED))
    for event, ledger in written:
        effect = Append(event=event, served=NEW)
        assert make_entry(effect, ledger, environment="production", actor=None, at="now") is None


def test_entries_count_up_and_name_what_served_before() -> None:
    """`seq` has no gap, and `previous` is the model of the switch before."""
    assert [(entry.seq, entry.previous) for entry in RETURNED] == [
        (1, None),
        (2, OLD.sha256),
        (3, NEW.sha256),
        (4, NEW.sha256),
    ]
