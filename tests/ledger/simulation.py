"""One seeded story: processes that deploy at once, are killed, and then one that comes to rest."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from ledger.oracle import Oracle, ViolationError
from ledger.rules import RULES
from ledger.simulated import SimulatedDriver
from ledger.world import Counts, Killed, Nature, World

from mlgitops.console import Console
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from ledger.rules import Rules

    from mlgitops.delivery.loop.reconcile import Outcome, Run

MAX_PASSES = 40
MAX_ROUNDS = 100  # of one pass
#: Passes that may end with an error before nothing else is expected: it was tried, and it is said.
MAX_ERRORS = 4


class Story(NamedTuple):
    """How one seed went."""

    seed: int
    violation: str | None
    counts: Counts
    trace: list[str]


def simulate(seed: int, rules: Rules = RULES) -> Story:
    """Play the story of ``seed``; ``rules`` are what is under test."""
    oracle = Oracle()
    world = World(seed, oracle)
    violation = None
    try:
        disturb(world, rules)
        world.settle()
        if world.random.random() < 0.3:
            world.reached.github = False
            come_to_rest(world, rules)
            target = oracle.find_target(world)
            if target and world.natures[target.sha256] is Nature.GOOD:
                oracle.check_service(world)
            world.reached.github = True
        check_end(world, come_to_rest(world, rules))
    except ViolationError as error:
        violation = str(error)
    return Story(seed, violation, world.counts, oracle.trace)


def disturb(world: World, rules: Rules) -> None:
    """Let several processes work at once while everything around them fails."""
    chance = world.random
    runs: list[Run] = []
    for _ in range(chance.randint(20, 120)):
        number = chance.randrange(len(runs)) if runs else None
        try:
            if chance.random() < 0.01:
                SimulatedDriver(world, rules).stop()
            elif number is None or chance.random() < 0.1:
                forced = world.force() if chance.random() < 0.25 else None
                driver = SimulatedDriver(world, rules, forced)
                runs.append(rules.make_run(driver, quiet_console(), patient=chance.random() < 0.5))
            elif runs[number].step():
                runs.pop(number)
            world.tick()
        except (Killed, MlgitopsError) as error:
            world.oracle.trace.append(f"run {number} ends: {error!r}")
            if number is not None and number < len(runs):
                runs.pop(number)


def come_to_rest(world: World, rules: Rules) -> Outcome | None:
    """Run the loop as a timer does until it has nothing to do; None when it cannot help."""
    errors = 0
    for _ in range(MAX_PASSES):
        try:
            run = rules.make_run(SimulatedDriver(world, rules), quiet_console(), patient=True)
            for _ in range(MAX_ROUNDS):
                if outcome := run.step():
                    break
            else:
                raise ViolationError("a run goes on for ever")
        except MlgitopsError as error:
            world.oracle.trace.append(f"error: {error}")
            errors += 1
            if errors >= MAX_ERRORS:
                world.oracle.trace.append("it cannot help")
                return None
            continue
        if not outcome.effects:
            return outcome
    raise ViolationError("it never comes to rest")


def check_end(world: World, outcome: Outcome | None) -> None:
    """Hold the end against what the oracle has seen."""
    oracle = world.oracle
    if outcome:
        oracle.check_rest(world, outcome)
    else:
        oracle.check_error(world)
    oracle.check_ledger(world)


def quiet_console() -> Console:
    """Return a console that nobody reads."""
    return Console(out=io.StringIO(), err=io.StringIO(), quiet=True)
