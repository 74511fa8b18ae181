"""What is done with what is new in a source: one update is open at a time. No git, no network."""

from __future__ import annotations

import pytest

from mlgitops.delivery.proposals.attempts import Attempt, Series, list_names
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
NAME = "mlgitops/update/features-v1-1-0-0123456789ab"
OTHER = "mlgitops/update/features-v1-0-9-0123456789ab"
SERIES = Series(
    base="main",
    tip="3" * 40,
    stem="mlgitops/update/",
    ending=".*",
    report="reports/update.json",
    names=list_names(NAME),
)


def attempt(branch: str, state: str = "open", *, asked: bool = True) -> Attempt:
    """Describe a branch that was proposed."""
    return Attempt(
        branch=branch,
        day="2026-11-01",
        is_merged=state == "merged",
        is_closed=state == "closed",
        is_asked=asked,
    )


@pytest.mark.parametrize(
    ("attempts", "is_named", "step"),
    [
        ([], False, Step.UPDATE),
        ([attempt(NAME)], False, Step.GO_ON),
        ([attempt(NAME)], True, Step.GO_ON),
        ([attempt(f"{NAME}-2"), attempt(NAME, "closed")], False, Step.GO_ON),
        ([attempt(OTHER)], False, Step.WAIT),
        ([attempt(OTHER)], True, Step.WAIT),
        ([attempt(OTHER), attempt(NAME)], False, Step.GO_ON),
        ([attempt(OTHER, "merged")], False, Step.UPDATE),
        ([attempt(OTHER, "closed")], False, Step.UPDATE),
        ([attempt(NAME, "closed")], False, Step.NOTHING),
        ([attempt(NAME, "merged")], False, Step.NOTHING),
        ([attempt(NAME, "closed")], True, Step.UPDATE),
    ],
)
def test_what_is_done(attempts: list[Attempt], step: Step, *, is_named: bool) -> None:
    """What is open comes first; what was given up comes again only for whoever names it."""
    assert decide(PLAN, SERIES, attempts, is_named=is_named).step is step


@pytest.mark.parametrize("asked", [False, True])
def test_the_reason_names_the_way_out(*, asked: bool) -> None:
    """A branch looks open whose pull request was closed, without a token, or never opened."""
    waiting = decide(PLAN, SERIES, [attempt(OTHER, asked=asked)], is_named=False)
    assert f"merge or close branch {OTHER} first" in waiting.why
    assert f"`git push origin --delete {OTHER}`" in waiting.why
    reverted = decide(PLAN, SERIES, [attempt(NAME, "merged")], is_named=False)
    assert "taken back after it was merged: `--to REV` proposes it again" in reverted.why
