"""Simulate deliveries, try weakened rules, and kill real processes: `make ledger`.

Each figure stands beside its requirement. Exit code 0 when every one is met.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:1] = [str(ROOT / "tests"), str(ROOT)]  # in the place of this folder

from ledger.kills import play as play_kills  # noqa: E402
from ledger.rules import DECISION, RULES, Rules, list_mutants, weaken  # noqa: E402
from ledger.simulation import simulate  # noqa: E402

STORIES = 10_000
MOST_SECONDS = 60.0  # of a processor, for all stories
LEAST_MUTANTS = 15
PATIENCE = STORIES  # in which a mutant has to show
BATCH = 250
SCENES, KILLS = 2, 16  # of real processes, in each scene
LEAST_KILLS = 30
WORKERS = 2


class Batch(NamedTuple):
    """What some stories came to."""

    violations: list[tuple[int, str]]  # seed, invariant
    counts: Counter[str]
    seconds: float  # of a processor


def main() -> int:
    """Play, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument("--show", type=int, metavar="SEED", help="print one story instead")
    options = parser.parse_args()
    if options.show is not None:
        story = simulate(options.show)
        print(*story.trace, f"violation: {story.violation}", sep="\n")
        return 1 if story.violation else 0
    with ProcessPoolExecutor(WORKERS) as pool:
        starts = range(options.first, options.first + STORIES, BATCH)
        met = show_stories(list(pool.map(play, starts)))
        mutants = list_mutants()
        caught = list(pool.map(catch, range(len(mutants))))
        met &= show_kills(list(pool.map(kill, range(options.first, options.first + SCENES))))
    decided = sum(mutant.file == DECISION for mutant in mutants)
    missed = [mutant.name for mutant, seed in zip(mutants, caught, strict=True) if seed is None]
    met &= show(
        f"mutants caught of {decided} in `decide` and {len(mutants) - decided} in the loop: "
        f"{len(mutants) - len(missed)} (all, at least {LEAST_MUTANTS} in `decide`)",
        holds=not missed and decided >= LEAST_MUTANTS,
    )
    for name in missed:
        print(f"     MISSED: {name}")
    return 0 if met else 1


def play(first: int) -> Batch:
    """Play some stories with the rules as they are."""
    start, counts, violations = time.process_time(), Counter[str](), []
    for seed in range(first, first + BATCH):
        story = simulate(seed, RULES)
        counts += Counter({name: getattr(story.counts, name) for name in story.counts.__slots__})
        if story.violation:
            violations.append((seed, story.violation))
    return Batch(violations, counts, time.process_time() - start)


def catch(number: int) -> int | None:
    """Return the first seed that shows what one mutant breaks, None when none does."""
    rules: Rules = weaken(list_mutants()[number])
    return next((seed for seed in range(PATIENCE) if simulate(seed, rules).violation), None)


def kill(seed: int) -> list[str]:
    """Kill real processes, and let the last one come to rest; return the steps of the kills."""
    with tempfile.TemporaryDirectory(prefix="mlgitops-") as folder:
        try:
            return play_kills(Path(folder), seed, KILLS).kills
        except AssertionError as error:
            print(f"     seed {seed}: {error}")
            return []


def show_kills(scenes: list[list[str]]) -> bool:
    """Print how many processes were killed, and whether any scene failed."""
    kills = [step for scene in scenes for step in scene]
    failed = sum(not scene for scene in scenes)
    return show(
        f"kills of real processes, with a real remote and real servers: {len(kills)} "
        f"(at least {LEAST_KILLS}), {failed} scenes failed",
        holds=len(kills) >= LEAST_KILLS and not failed,
    )


def show_stories(batches: list[Batch]) -> bool:
    """Print what the stories went through, and what broke."""
    counts, violations = Counter[str](), [item for batch in batches for item in batch.violations]
    for batch in batches:
        counts += batch.counts
    seconds = sum(batch.seconds for batch in batches)
    met = show(f"invariants broken in {STORIES:,} stories: {len(violations)}", holds=not violations)
    for seed, violation in violations[:5]:
        print(f"     seed {seed}: {violation}")
    met &= show(
        f"processor time: {seconds:.1f} s (at most {MOST_SECONDS:g})",
        holds=seconds <= MOST_SECONDS,
    )
    print(
        f"     {counts['effects']:,} effects; {counts['kills']:,} kills, "
        f"{counts['inside']:,} of them inside an effect; {counts['merges']:,} merges; "
        f"{counts['deaths']:,} servers ended, {counts['restarts']:,} restarts of the machine, "
        f"{counts['jumps']:,} jumps of the clock by days, {counts['lost']:,} lost pushes"
    )
    return met


def show(line: str, *, holds: bool) -> bool:
    """Print one figure; return whether it holds."""
    print(f"{'ok  ' if holds else 'FAIL'} {line}", flush=True)
    return holds


if __name__ == "__main__":
    raise SystemExit(main())
