"""What is said of the facts: a verdict for each metric and slice rule, and one for all."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from mlgitops.model.fields import Name, Path_, Share, Struct, Text
from mlgitops.model.policy import Rule, SliceRule
from mlgitops.model.promotion import MAX_PROMOTIONS
from mlgitops.model.slices import MAX_SLICE_RULES, Group


class Kind(StrEnum):
    """How a metric moved from base to head."""

    IMPROVED = "improved"
    WORSENED = "worsened"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    UNCHANGED = "unchanged"
    CHANGED = "changed"  # it moved, and no direction is known: not gated
    ADDED = "added"
    REMOVED = "removed"
    INCOMPARABLE = "incomparable"


class Verdict(StrEnum):
    """The judgement on one metric, or on the whole report."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    SKIP = "skip"  # nothing to judge: not gated, or no policy
    WAIVED = "waived"  # it fails, and somebody who may has let it merge all the same
    UNDECIDED = "undecided"  # what was to be judged cannot be


class Power(Struct, frozen=True, kw_only=True):
    """What becomes of changes that move the test rows as this one did, by the metric's margin."""

    stopped: Annotated[float, Meta(ge=0)]  # true loss that fails with 80 % probability
    neutral: Share  # chance that a change that loses nothing passes


class MetricVerdict(Struct, frozen=True, kw_only=True):
    """The judgement on one metric."""

    name: Name  # as the policy writes it
    path: Path_ | None = None  # the metrics file; None when it is in none
    kind: Kind
    verdict: Verdict
    rule: Rule = Rule()
    budget: bool = False
    reasons: tuple[Text, ...] = ()  # why it fails, each the end of "the metric …"
    unproven: Text | None = None  # why a loss above the margin is not ruled out; likewise an end
    power: Power | None = None  # None: no margin, or no interval
    claimed: Text | None = None  # why head's value is its own run's word alone; likewise an end


class SliceVerdict(Struct, frozen=True, kw_only=True):
    """The judgement on one slice rule."""

    rule: SliceRule
    verdict: Verdict
    group: Group | None = None  # the group that decides
    reasons: tuple[Text, ...] = ()  # why it fails, one sentence each
    claimed: Text | None = None  # why the groups' values at head are its own run's word alone
    hopeless: tuple[Group, ...] = ()  # judged groups whose few rows cannot hold the margin


class PromotionVerdict(Struct, frozen=True, kw_only=True):
    """The judgement on the model that one environment shall serve."""

    environment: Name
    metrics: tuple[MetricVerdict, ...] = ()


class Judgement(Struct, frozen=True, kw_only=True):
    """The verdict, the metric that decides it, and why."""

    verdict: Verdict
    deciding: Name | None = None  # the metric shown on the first line
    metrics: tuple[MetricVerdict, ...] = ()
    slices: Annotated[tuple[SliceVerdict, ...], Meta(max_length=MAX_SLICE_RULES)] = ()
    reference: tuple[MetricVerdict, ...] = ()  # on what was lost since the reference, if one is set
    promotions: Annotated[tuple[PromotionVerdict, ...], Meta(max_length=MAX_PROMOTIONS)] = ()
    failures: tuple[Text, ...] = ()  # every reason for a fail, in order of importance
