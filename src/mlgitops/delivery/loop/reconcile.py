"""The loop: lock, observe, decide, one effect, and again, until there is nothing to do.

The lock is held for one round, not for the whole: another run may go on where this one is, and
one that is killed leaves nothing that the next does not see. A `Driver` does the I/O.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from mlgitops.delivery.loop.decision import decide, find_condemnation, find_effective, find_target
from mlgitops.delivery.loop.effects import Bake, CloseIssue, OpenIssue, Wait
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from mlgitops.console import Console
    from mlgitops.delivery.loop.effects import Effect
    from mlgitops.delivery.loop.observed import Desired, Observed, ServedModel

#: How often the same effect is performed in one run before the next run has to go on.
MAX_REPEATS = 4


class Driver(Protocol):
    """One environment of one target: what is seen of it, and what can be done to it.

    ``perform`` may be cut off anywhere and run again. What fails because of the model is written
    down as the state of its server; what fails for another reason is raised as
    :class:`MlgitopsError`, and condemns nobody.
    """

    def lock(self) -> AbstractContextManager[None]:
        """Keep other runs for this environment out, on this host, while the block runs."""

    def observe(self) -> tuple[Desired, Observed]:
        """Read what git wants and how everything is. Called with the lock held.

        What is remembered of git and of the ledger counts only while no other run had a turn
        (:class:`~mlgitops.delivery.loop.turns.Turns`). Raises :class:`MlgitopsError` when
        what is forced was forced over an older desired state.
        """

    def perform(self, effect: Effect) -> None:
        """Do it. Called with the lock held, except for :class:`Bake`."""


class Ending(StrEnum):
    """How a run ended."""

    SERVING = "serving"  # what git wants is in service, and past its bake
    BAKING = "baking"  # it is in service, and the old one still runs beside it
    RETURNED = "returned"  # it failed, and the last healthy model is in service
    FAILED = "failed"  # it failed, and there is nothing that could serve instead


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run of the loop came to."""

    desired: Desired
    served: ServedModel | None  # by the active server; None when there is none
    ending: Ending
    reason: str | None  # why the desired state was condemned
    effects: tuple[Effect, ...]  # in their order


def reconcile(driver: Driver, console: Console, *, patient: bool = True) -> Outcome:
    """Bring what is as near as can be to what git wants, and say how far it came.

    ``patient`` waits for the end of the bake; without it the run ends there, and a later one
    goes on. Raises :class:`MlgitopsError` when something else than the model is at fault, and
    when the same effect changed nothing several times.
    """
    run = Run(driver, console, patient=patient)
    while (outcome := run.step()) is None:
        pass
    return outcome


class Run:
    """One run of the loop, round by round; between two rounds it holds nothing."""

    def __init__(self, driver: Driver, console: Console, *, patient: bool = True) -> None:
        self._driver = driver
        self._console = console
        self._patient = patient
        self._effects: list[Effect] = []
        self._unsent: MlgitopsError | None = None

    def step(self) -> Outcome | None:
        """Lock, observe, decide, one effect; return how the run ended, None while it goes on."""
        with self._driver.lock():
            desired, observed = self._driver.observe()
            effect = decide(
                desired, _assume_reported(desired, observed) if self._unsent else observed
            )
            if effect is None or (isinstance(effect, Bake) and not self._patient):
                if self._unsent:
                    raise self._unsent
                return _conclude(desired, observed, self._effects)
            self._effects.append(effect)
            _refuse_endless(self._effects)
            if isinstance(effect, OpenIssue | CloseIssue):
                self._report(effect)
            elif not isinstance(effect, Bake):
                self._driver.perform(effect)
        if isinstance(effect, Bake):
            self._driver.perform(effect)
        return None

    def _report(self, effect: Effect) -> None:
        """Write to GitHub; that it cannot be reached keeps nobody from restoring service."""
        try:
            self._driver.perform(effect)
        except MlgitopsError as error:
            self._console.warn(f"the issue could not be written; the next run tries again: {error}")
            self._unsent = error


def _assume_reported(desired: Desired, observed: Observed) -> Observed:
    """Return what was seen as if the issue was as it should be, for the rest of this run."""
    desired = find_effective(desired, observed.ledger)
    target = find_target(desired, observed.ledger)
    healthy = target is not None and target.request == desired.served.request
    return structs.replace(observed, reported=None if healthy else desired.served.commit)


def _refuse_endless(effects: Sequence[Effect]) -> None:
    """Stop a run that gets nowhere; the next one, a minute later, may have more luck."""
    newest = effects[-1]
    if isinstance(newest, Bake | Wait):
        return
    if Counter(effects)[newest] > MAX_REPEATS:
        name = type(newest).__name__.lower()
        raise MlgitopsError(
            f"`{name}` was done {MAX_REPEATS} times and changed nothing",
            hint="read the log of the server and of the router; the next run tries again",
        )


def _conclude(desired: Desired, observed: Observed, effects: Sequence[Effect]) -> Outcome:
    desired = find_effective(desired, observed.ledger)
    condemnation = find_condemnation(desired.served, observed.ledger)
    active, target = observed.active, find_target(desired, observed.ledger)
    if target is None or active is None:
        ending = Ending.FAILED
    elif target.request != desired.served.request:
        ending = Ending.RETURNED
    else:
        ending = Ending.SERVING if active.is_proven else Ending.BAKING
    return Outcome(
        desired=desired,
        served=active.served if active else None,
        ending=ending,
        reason=condemnation.reason if condemnation else None,
        effects=tuple(effects),
    )
