"""What is searched and what was measured: the types of `tune.yaml`, trials and their report."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mlgitops.model.fields import Count, Name, Struct

Finite = Annotated[float, Meta(ge=-1e100, le=1e100)]
Choice = bool | int | Finite | Annotated[str, Meta(max_length=200)]
Score = Finite
Number = Annotated[int, Meta(ge=1, le=10_000)]
#: Path in params.yaml → value there.
Values = Annotated[dict[Name, Choice], Meta(min_length=1, max_length=50)]
#: One number for each fold, in their order.
Scores = Annotated[tuple[Score, ...], Meta(min_length=2, max_length=50)]


class NumberRange(Struct, frozen=True, kw_only=True):
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float
    log: bool = False  # as many between 0.1 and 1 as between 1 and 10
    is_whole: bool = False


class Choices(Struct, frozen=True, kw_only=True):
    """Values without an order."""

    choices: tuple[Choice, ...]


class TuneSettings(Struct, frozen=True, kw_only=True):
    """What `tune.yaml` says, checked."""

    space: dict[Name, NumberRange | Choices]
    trials: Number = 20
    minutes: float = 30.0
    folds: Annotated[int, Meta(ge=2, le=50)] = 5
    metric: Name | None = None  # a judged metric of the policy; None: its first
    seed: Count = 0


class Shard(Struct, frozen=True, kw_only=True):
    """Which part of the trials one process measures: part ``number`` of ``count``."""

    number: Number = 1
    count: Number = 1


class Fold(Struct, frozen=True, kw_only=True):
    """Rows of a fold: those that a model learned from, and those that it was asked about."""

    train: Annotated[int, Meta(ge=1)]
    test: Annotated[int, Meta(ge=1)]


class Trial(Struct, frozen=True, kw_only=True):
    """Values that were tried, and what came of it; without scores, why there are none."""

    shard: Number = 1
    number: Number  # counted by its shard
    values: Values
    scores: Scores | None = None
    problem: Annotated[str, Meta(max_length=500)] | None = None


class ShardResult(Struct, frozen=True, kw_only=True):
    """What the journal of one shard holds."""

    inputs: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]  # see `tuning.inputs`
    shard: Shard
    folds: Annotated[tuple[Fold, ...], Meta(min_length=2, max_length=50)]
    current: Scores  # of params.yaml as it is
    trials: tuple[Trial, ...]


class Gain(Struct, frozen=True, kw_only=True):
    """By how much the best trial is better, where better is always more.

    ``honest`` is the mean over the folds, each with the trial that is best on the other folds;
    ``least`` its lower bound.
    """

    best: float
    honest: float
    least: float
    confidence: float

    @property
    def is_real(self) -> bool:
        """Tell whether the best trial is better beyond the folds' noise."""
        return self.best > 0 and self.least > 0


class Tuning(Struct, frozen=True, kw_only=True):
    """All trials of all shards, and the best: `reports/tuning.json`."""

    version: int = 1
    inputs: str
    metric: Name
    greater_is_better: bool
    shards: Number
    missing_shards: tuple[int, ...] = ()
    folds: tuple[Fold, ...]
    current_values: Values  # of params.yaml as it is, where others were tried
    current_scores: Scores
    trials: tuple[Trial, ...]
    winner: Trial | None  # None: no trial has scores
    gain: Gain | None
