"""What is done with what is new in a source, where no update is open. No git, no network."""

from __future__ import annotations

import pytest

from mlgitops.delivery.proposals.attempts import Attempt
from mlgitops.updating.imports import Followed
from mlgitops.updating.plan import Plan
from mlgitops.updating.plan import Step as PlanStep
from mlgitops.updating.report import Taken
from mlgitops.updating.turn import Step, decide

TAKEN = Taken(
    repository="https://github.com/acme/features",
    old_revision="v1.0.0",
    revision="v1.1.0",
    old_commit="1" * 40,
    commit="2" * 40,
    commits=3,
)
FOLLOWED = Followed(repository=TAKEN.repository, revision="v1.0.0", imports=())
PLAN = Plan([PlanStep(FOLLOWED, TAKEN)], [])


def attempt(state: str) -> Attempt:
    """Describe a branch that was proposed."""
    return Attempt(
        branch="mlgitops/update/0123456789ab",
        tip="4" * 40,
        day="2026-11-01",
        is_merged=state == "merged",
        is_closed=state == "closed",
    )


@pytest.mark.parametrize(
    ("plan", "past", "is_named", "step"),
    [
        (PLAN, None, False, Step.UPDATE),
        (PLAN, "closed", False, Step.NOTHING),
        (PLAN, "merged", False, Step.NOTHING),
        (PLAN, "closed", True, Step.UPDATE),
        (PLAN, "merged", True, Step.UPDATE),
        (Plan([], []), None, True, Step.NOTHING),
        (Plan([], []), "closed", True, Step.NOTHING),
    ],
)
def test_what_is_done(plan: Plan, past: str | None, step: Step, *, is_named: bool) -> None:
    """What was given up comes again only for whoever names it."""
    before = None if past is None else attempt(past)
    assert decide(plan, before, is_named=is_named).step is step


def test_the_reason_names_the_way_out() -> None:
    """What was reverted is not proposed for ever."""
    reverted = decide(PLAN, attempt("merged"), is_named=False)
    assert "taken back after it was merged: `--to REV` proposes it again" in reverted.why
