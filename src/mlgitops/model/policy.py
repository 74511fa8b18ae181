"""What a model must satisfy to merge: the types of `policy.yaml`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from mlgitops.model.fields import Name, Path_, Struct


class Rule(Struct, frozen=True, kw_only=True):
    """What the policy asks of one metric; bounds are inclusive."""

    greater_is_better: bool = True
    min_value: float | None = None
    max_value: float | None = None
    max_worsening: Annotated[float, Meta(ge=0)] | None = None  # in the metric's unit
    max_relative_worsening: Annotated[float, Meta(ge=0)] | None = None  # a fraction of abs(base)
    max_worsening_since_reference: Annotated[float, Meta(ge=0)] | None = None  # of many changes


class Statistic(StrEnum):
    """How the values of a slice's groups become one number."""

    DIFFERENCE = "difference"  # largest minus smallest
    RATIO = "ratio"  # smallest over largest
    MINIMUM = "minimum"  # of the lowest group
    MAXIMUM = "maximum"  # of the highest group


class SliceRule(Struct, frozen=True, kw_only=True):
    """What the policy asks of a metric across the groups of some columns."""

    by: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=10)]
    metric: Name
    statistic: Statistic | None = None  # what the bounds are of; None: there are none
    min_value: float | None = None
    max_value: float | None = None
    max_worsening: Annotated[float, Meta(ge=0)] | None = None  # of each group, against base
    min_rows: Annotated[int, Meta(ge=1)] = 1  # smaller groups are shown, not judged


class OnInconclusive(StrEnum):
    """What happens when noise hides whether more than the margin was lost."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"


class DemandedEvidence(StrEnum):
    """Who must have measured what is judged, in a pull request."""

    INDEPENDENT = "independent"  # base's code, in a job that runs no code of the pull request
    CLAIMED = "claimed"  # the pull request's own run will do, and the report says so


class Waivers(StrEnum):
    """Whether somebody who may write can let a failing change merge."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"


class Files(Struct, frozen=True, kw_only=True):
    """Where the helper finds what it compares, beside what dvc.yaml declares."""

    test_data: Path_ | None = None
    predictions: Path_ | None = None
    seeds: Path_ | None = None  # folder: the same of each model that another seed made
    model: Path_ | None = None


class Policy(Struct, frozen=True, kw_only=True):
    """What a model must satisfy to merge: `policy.yaml`, checked."""

    version: int = 1
    confidence: Annotated[float, Meta(gt=0.5, lt=1)] = 0.95
    files: Files = Files()
    metrics: dict[Name, Rule] = {}  # noqa: RUF012 - each policy gets its own
    budgets: dict[Name, Rule] = {}  # noqa: RUF012 - each policy gets its own
    slices: tuple[SliceRule, ...] = ()
    cluster: Name | None = None  # column whose rows belong together: customer, patient
    inconclusive: OnInconclusive = OnInconclusive.PASS
    waivers: Waivers = Waivers.ALLOWED
    evidence: DemandedEvidence = DemandedEvidence.CLAIMED
    inconclusive_since_reference: OnInconclusive = OnInconclusive.FAIL
    reference: Name | None = None  # `release`, `deploy/ENVIRONMENT`, a tag or a commit's full sha
