"""Some of the stories that `make ledger` plays in full, and whether it would notice a mistake."""

from __future__ import annotations

from ledger.rules import list_mutants, weaken
from ledger.simulation import simulate

SEEDS = range(400)
QUICK = (
    "a switch is not written down before the next effect",
    "a failure of one commit gives every commit up",
    "users are sent to an unchecked model",
    "the old server ends before the bake is over",
    "a return ends with success",
)


def test_nothing_breaks_an_invariant() -> None:
    """Kills, merges, lost pushes, dead servers and clocks that jump: the oracle accuses nobody."""
    stories = [simulate(seed) for seed in SEEDS]
    assert [(story.seed, story.violation) for story in stories if story.violation] == []
    for name in ("kills", "inside", "deaths", "restarts", "jumps", "lost"):
        assert sum(getattr(story.counts, name) for story in stories) > 50


def test_a_story_is_its_seed() -> None:
    """What a seed shows can be looked at again."""
    assert simulate(7).trace == simulate(7).trace
    assert simulate(7).trace != simulate(8).trace


def test_a_weakened_line_is_noticed() -> None:
    """Each area of the rules has a mutant that few stories show; `make ledger` tries them all."""
    mutants = [mutant for mutant in list_mutants() if mutant.name in QUICK]
    assert len(mutants) == len(QUICK)
    for mutant in mutants:
        rules = weaken(mutant)
        assert any(simulate(seed, rules).violation for seed in range(20)), mutant.name
