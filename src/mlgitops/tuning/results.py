"""The trials of all shards to the best of them, and to what it gains beyond noise. Pure."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError
from mlgitops.model.tuning import Choices, Gain, Tuning
from mlgitops.statistics.quantiles import student_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlgitops.model.tuning import Choice, Fold, NumberRange, Scores, Shard, ShardResult, Trial
    from mlgitops.tuning.inputs import Inputs

#: Of the lower bound of what is gained, one-sided.
CONFIDENCE = 0.95
#: Machines differ in the last digits of a sum; beyond this they measured something else.
_SAME = 1e-6


def summarise(inputs: Inputs, results: Sequence[tuple[str, ShardResult]]) -> Tuning:
    """Return all trials and the best; ``results`` are journals with the names to blame.

    Raises :class:`MlgitopsError` for a journal of other inputs, of another number of shards, of
    folds or scores that another one contradicts, and for values that nobody asked to be tried.
    """
    if not results:
        raise MlgitopsError("there is no journal to read")
    first = results[0][1]
    for where, result in results:
        _check_result(where, result, inputs, first)
    trials = _merge_trials(results)
    scored = [trial for trial in trials if trial.scores is not None]
    sign = 1 if inputs.greater_is_better else -1
    numbers = {result.shard.number for _, result in results}
    winner = pick_winner(scored, sign)
    return Tuning(
        inputs=inputs.digest,
        metric=inputs.metric,
        greater_is_better=inputs.greater_is_better,
        shards=first.shard.count,
        missing_shards=tuple(sorted(set(range(1, first.shard.count + 1)) - numbers)),
        folds=first.folds,
        current_values=inputs.current,
        current_scores=first.current,
        trials=tuple(trials),
        winner=winner,
        gain=None if winner is None else measure_gain(scored, first.current, first.folds, sign),
    )


def is_better(tuning: Tuning) -> bool:
    """Tell whether the best trial beats params.yaml as it is beyond the folds' noise."""
    return tuning.gain is not None and tuning.gain.is_real


def pick_winner(scored: Sequence[Trial], sign: int) -> Trial | None:
    """Return the trial whose mean score is best, the first of equals; None where there is none."""
    return max(scored, key=lambda trial: sign * _mean(trial.scores or ()), default=None)


def measure_gain(
    scored: Sequence[Trial], current: Scores, folds: Sequence[Fold], sign: int
) -> Gain:
    """Measure what the choice of a best trial gains over ``current``, in the metric's unit.

    The best of many trials is the luckiest, too: its own mean says too much. So each fold judges
    the trial that is best on the other folds (Tibshirani & Tibshirani 2009, doi:10.1214/08-AOAS224:
    the same idea). Folds share rows to learn from, hence the variance of a mean over them is
    larger than that of independent ones: Nadeau & Bengio 2003, doi:10.1023/A:1024068626366.
    A metric that comes in steps, such as accuracy, gives few folds equal gains by chance: their
    variance is no less than that of the rounding of two scores, a sixth of a step's square.
    """
    table = [
        [sign * (score - now) for score, now in zip(trial.scores or (), current, strict=True)]
        for trial in scored
    ]
    count = len(folds)
    left_out = []
    for fold in range(count):
        row = max(table, key=lambda gains: _mean(gains[:fold] + gains[fold + 1 :]))
        left_out.append(row[fold])
    mean = _mean(left_out)
    spread = math.fsum((gain - mean) ** 2 for gain in left_out) / (count - 1)
    variance = max(spread, _find_grain(table) / 6)
    overlap = sum(fold.test for fold in folds) / sum(fold.train for fold in folds)
    error = math.sqrt(variance * (1 / count + overlap))
    return Gain(
        best=max(_mean(gains) for gains in table),
        honest=mean,
        least=mean - student_quantile(CONFIDENCE, count - 1) * error,
        confidence=CONFIDENCE,
    )


def _find_grain(table: Sequence[Sequence[float]]) -> float:
    """Find the mean over folds of the square of a step: how little two gains there can differ."""
    steps = []
    for gains in zip(*table, strict=True):
        ordered = sorted({0.0, *gains})  # 0: params.yaml as it is
        apart = [above - below for below, above in itertools.pairwise(ordered)]
        steps.append(min((gap for gap in apart if gap > _SAME), default=0.0))
    return _mean([step**2 for step in steps])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _merge_trials(results: Sequence[tuple[str, ShardResult]]) -> list[Trial]:
    """Return each trial once, the first of every shard first; a journal may be given twice."""
    merged: dict[tuple[int, int], Trial] = {}
    for where, result in results:
        for trial in result.trials:
            key = (trial.number, trial.shard)
            if merged.setdefault(key, trial) != trial:
                raise MlgitopsError(
                    f"another journal has another trial {trial.number} of shard {trial.shard}",
                    where=where,
                    hint="name each shard's journal once",
                )
    return [merged[key] for key in sorted(merged)]


def _check_result(where: str, result: ShardResult, inputs: Inputs, first: ShardResult) -> None:
    """Refuse a journal that does not belong to ``inputs`` and to the ``first`` of them."""
    settings = inputs.settings
    lengths = {len(trial.scores) for trial in result.trials if trial.scores is not None}
    numbers = [trial.scores for trial in result.trials if trial.scores is not None]
    problems = [
        (result.inputs != inputs.digest, "it is of other parameters, rows, settings or code"),
        (not _is_shard(result.shard), f"shard {result.shard.number} of {result.shard.count}"),
        (result.shard.count != first.shard.count, "it counts another number of shards"),
        (result.folds != first.folds, "its folds are other ones"),
        (
            {*lengths, len(result.folds), len(result.current)} != {settings.folds},
            f"it does not have {settings.folds} folds everywhere",
        ),
        (
            not all(math.isfinite(score) for row in [*numbers, result.current] for score in row),
            "a score is no finite number",
        ),
        (
            not all(
                math.isclose(score, other, rel_tol=_SAME, abs_tol=_SAME)
                for score, other in zip(result.current, first.current, strict=False)
            ),
            "its machine measures params.yaml as it is differently",
        ),
        (
            not all(_fits(trial.values, settings.space) for trial in result.trials),
            "it tried values that tune.yaml does not name",
        ),
    ]
    for is_wrong, problem in problems:
        if is_wrong:
            hint = "take the journals of one run, and the commit that it ran on"
            raise MlgitopsError(problem, where=where, hint=hint)


def _is_shard(shard: Shard) -> bool:
    return 1 <= shard.number <= shard.count


def _fits(values: Mapping[str, Choice], space: Mapping[str, NumberRange | Choices]) -> bool:
    """Tell whether each path of the space has a value that may be tried there."""
    return values.keys() == space.keys() and all(
        _allows(entry, values[path]) for path, entry in space.items()
    )


def _allows(entry: NumberRange | Choices, value: Choice) -> bool:
    if isinstance(entry, Choices):
        return any(value == choice and type(value) is type(choice) for choice in entry.choices)
    if isinstance(value, bool | str) or entry.is_whole != isinstance(value, int):
        return False
    return entry.low <= value <= entry.high
