"""When a model is trained again: reasons, the rest after one, one at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.delivery.proposals.attempts import Attempt
from mlgitops.model.monitoring import RetrainSettings
from mlgitops.retraining.decision import Action, Observed, Reason, Step, decide

ALERT = "test.brier is 0.25, and 0.2 is allowed"


def observe(**named: Any) -> Observed:  # noqa: ANN401 - fields
    """Observe a project of which nothing is the matter."""
    quiet: dict[str, Any] = {
        "day": "2026-11-28",
        "alerts": (),
        "facts_day": "2026-11-27",
        "model_day": "2026-06-01",
        "has_new_data": False,
    }
    return Observed(**quiet | named)


def attempt(day: str, *, merged: bool = False, closed: bool = False) -> Attempt:
    """Describe a retraining."""
    return Attempt(
        branch=f"mlgitops/retrain/{day}", tip="0" * 40, day=day, is_merged=merged, is_closed=closed
    )


def ask(observed: Observed, asked: Reason | None = None, **named: Any) -> Action:  # noqa: ANN401
    """Decide by these settings."""
    return decide(observed, RetrainSettings(**named), asked)


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ({"alerts": (ALERT,)}, Reason.PERFORMANCE),
        ({"has_new_data": True}, Reason.DATA),
        ({"model_day": "2026-05-31"}, Reason.AGE),
        ({"alerts": (ALERT,), "has_new_data": True}, Reason.PERFORMANCE),
    ],
)
def test_each_reason_trains_and_is_named(named: dict[str, Any], reason: Reason) -> None:
    """The first that holds is given; asked for another one, nothing is done."""
    observed = observe(**named)
    action = ask(observed, age_days=181)
    assert (action.step, action.reason) == (Step.TRAIN, reason)
    assert action.why
    others = {Reason.PERFORMANCE, Reason.DATA, Reason.AGE} - {reason}
    if len(named) == 1:
        assert {ask(observed, other, age_days=181).step for other in others} == {Step.NOTHING}


def test_nothing_is_done_without_a_reason_and_said_why() -> None:
    """Nobody looked, no alert, no setting of an age: each is another sentence."""
    said = {
        ask(observe()).why,
        ask(observe(facts_day=None)).why,
        ask(observe(), Reason.AGE).why,
        ask(observe(), Reason.DATA).why,
        ask(observe(model_day="2026-11-01"), Reason.AGE, age_days=90).why,
    }
    assert len(said) == 5
    assert ask(observe()).step is Step.NOTHING


def test_by_hand_needs_no_reason_but_is_never_one_by_itself() -> None:
    """A schedule trains nothing that nobody asked for."""
    assert ask(observe(), Reason.BY_HAND).step is Step.TRAIN
    assert ask(observe()).step is Step.NOTHING


@pytest.mark.parametrize(
    ("day", "step"), [("2026-11-27", Step.NOTHING), ("2026-11-28", Step.TRAIN)]
)
@pytest.mark.parametrize("way", ["merged", "closed", "on main"])
def test_there_is_a_rest_of_28_days_after_one(day: str, step: Step, way: str) -> None:
    """However it ended; by hand it is cut short."""
    last = "2026-10-31"
    tried = (attempt(last, merged=way == "merged", closed=way == "closed"),)
    named: dict[str, Any] = {"merged_day": last} if way == "on main" else {"attempts": tried}
    observed = observe(day=day, alerts=(ALERT,), **named)
    assert ask(observed).step is step
    assert ask(observed, Reason.BY_HAND).step is Step.TRAIN


@pytest.mark.parametrize("day", ["2026-11-29", "2099-01-01", "9999-12-31", "12026-01-01"])
def test_a_commit_of_days_to_come_is_no_rest(day: str) -> None:
    """Its date is what somebody wrote; nothing would be trained until then."""
    observed = observe(alerts=(ALERT,), attempts=(attempt(day, closed=True),), merged_day=day)
    assert ask(observed).step is Step.TRAIN


@given(st.sets(st.sampled_from(["2026-09-01", "2026-11-01", "2026-11-28"])), st.booleans())
def test_one_is_open_at_a_time(days: set[str], is_alert: bool) -> None:
    """Whatever the reason, and by hand too: an open one is gone on with, the newest first."""
    tried = tuple(attempt(day) for day in sorted(days))
    done = (attempt("2026-11-20", merged=True), attempt("2026-11-21", closed=True))
    observed = observe(attempts=(*tried, *done), alerts=(ALERT,) * is_alert)
    for asked in (None, *Reason):
        action = ask(observed, asked)
        assert (action.step is Step.GO_ON) == bool(days)
        if days:
            assert action.branch == f"mlgitops/retrain/{max(days)}"
