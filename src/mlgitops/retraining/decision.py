"""What was seen of a project into the one thing to do: train again, go on, or leave it. Pure.

No clock, no memory, no disk: the same input gives the same action. Drift of inputs is no reason to
train: it is not among what is observed.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.delivery.proposals.attempts import find_open
from mlgitops.monitoring.history import shift_day

if TYPE_CHECKING:
    from mlgitops.delivery.proposals.attempts import Attempt
    from mlgitops.model.monitoring import RetrainSettings


class Reason(StrEnum):
    """Why a model is trained again, in the order in which the reasons are looked for."""

    PERFORMANCE = "performance"  # an alert of kind `model` in the newest look
    DATA = "data"  # the default branch has other data than the model in service learned from
    AGE = "age"  # of the model in service
    BY_HAND = "by-hand"  # somebody wants it


class Step(StrEnum):
    """What is done next."""

    NOTHING = "nothing"
    GO_ON = "go on"  # the branch is there: its pull request is opened, if it is not
    TRAIN = "train"


class Observed(Struct, frozen=True, kw_only=True):
    """What was seen of a project on ``day``."""

    day: str  # UTC, today
    alerts: tuple[str, ...]  # of the model that shall serve, in words, of the newest look
    facts_day: str | None  # the newest day of the facts; None: nobody looked yet
    model_day: str  # of the commit that the model in service is of
    has_new_data: bool  # since that commit
    attempts: tuple[Attempt, ...] = ()
    merged_day: str | None = None  # of the newest retraining that was merged


class Action(Struct, frozen=True, kw_only=True):
    """What to do, and why, in a sentence."""

    step: Step
    why: str
    reason: Reason | None = None
    branch: str | None = None  # to go on with


def decide(observed: Observed, settings: RetrainSettings, asked: Reason | None) -> Action:
    """Return what to do; ``asked`` is the only reason that counts, None: any that holds.

    A retraining that is under way comes first, then the rest after the last one, which only what
    somebody wants by hand cuts short.
    """
    under_way = find_open(observed.attempts)
    if under_way is not None:
        why = under_way.describe("a retraining")
        return Action(step=Step.GO_ON, why=why, branch=under_way.branch)
    reason = _find_reason(observed, settings, asked)
    if reason is None:
        return Action(step=Step.NOTHING, why=_explain_none(observed, settings, asked))
    until = _find_rest(observed, settings)
    if until is not None and observed.day < until and reason[0] is not Reason.BY_HAND:
        why = f"{reason[1]}; but the last retraining rests until {until}"
        return Action(step=Step.NOTHING, why=why, reason=reason[0])
    return Action(step=Step.TRAIN, why=reason[1], reason=reason[0])


def _find_reason(
    observed: Observed, settings: RetrainSettings, asked: Reason | None
) -> tuple[Reason, str] | None:
    """Return the first reason that holds, with a sentence."""
    reasons = {
        Reason.PERFORMANCE: "; ".join(observed.alerts[:3]),
        Reason.DATA: _describe_data(observed),
        Reason.AGE: _describe_age(observed, settings),
        Reason.BY_HAND: "somebody wants it" if asked is Reason.BY_HAND else "",
    }
    held = ((reason, why) for reason, why in reasons.items() if why and asked in (None, reason))
    return next(held, None)


def _describe_data(observed: Observed) -> str:
    return "the data changed since the model in service was trained" * observed.has_new_data


def _describe_age(observed: Observed, settings: RetrainSettings) -> str:
    age = count_days(observed.model_day, observed.day)
    if settings.age_days is None or age < settings.age_days:
        return ""
    return f"the model in service is {age} days old, and {settings.age_days} are allowed"


def _explain_none(observed: Observed, settings: RetrainSettings, asked: Reason | None) -> str:
    """Say why no reason holds."""
    if asked is Reason.AGE and settings.age_days is None:
        return "monitor.yaml sets no age: `retrain: {age_days: 180}`"
    if asked in (None, Reason.PERFORMANCE) and observed.facts_day is None:
        return "nobody looked at production yet: `mlgitops monitor` does"
    if asked in (None, Reason.PERFORMANCE):
        return f"no figure of the model in service is an alert, as of {observed.facts_day}"
    return "the data is that of the model in service" if asked is Reason.DATA else "it is young"


def _find_rest(observed: Observed, settings: RetrainSettings) -> str | None:
    """Return the first day on which another retraining may come; None: there was none.

    Whoever pushes a branch dates its commit: one of days to come says nothing of a rest.
    """
    days = [it.day for it in observed.attempts]
    days += [observed.merged_day] if observed.merged_day else []
    days = [day for day in days if len(day) == len(observed.day) and day <= observed.day]
    return shift_day(max(days), settings.cooldown_days) if days else None


def count_days(first: str, last: str) -> int:
    """Count the days from one to another.

    >>> count_days("2026-02-27", "2026-03-01")
    2
    """
    return (dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days
