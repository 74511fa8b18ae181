"""The rows of a day and their labels to facts: sums above and below the line. Pure.

The figure of a period is Σ numerator / Σ denominator, which for RMSE is its square. The area
under the ROC curve is of pairs within a day: wins over pairs, ties counting half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

from mlgitops.model.monitoring import DayFact
from mlgitops.model.slice_metrics import split_metric
from mlgitops.monitoring.day_rows import SCORE_BINS
from mlgitops.statistics import losses
from mlgitops.statistics.names import find_quantile
from mlgitops.statistics.ranking import place_rows, rank_scores
from mlgitops.statistics.terms import ERRORS, RATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mlgitops.monitoring.day_rows import DayRows, Kept, Refusals
    from mlgitops.monitoring.plan import Plan

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

#: With more, the confusion of classes is not kept: its cells are their square.
MOST_CLASSES = 50
#: Above and below the line; the latter: one value for each row, or the number of rows.
Sums = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Key:
    """The day and the model that facts are of."""

    day: str
    model: str

    def fact(
        self, name: str, sums: Sums, rows: int, part: Mapping[str, object] | None = None
    ) -> DayFact:
        """Return a fact; ``part`` says what it is of, in the order given."""
        above, below = sums
        of = urlencode(part) if part else None
        return DayFact(
            day=self.day,
            model=self.model,
            name=name,
            of=of,
            rows=rows,
            numerator=float(above),
            denominator=float(below),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """The rows that have a label: what the model said, and what came true."""

    target: Floats  # the position of a class, or the number
    answer: Floats
    score: Floats  # rows by classes, as in :class:`~mlgitops.monitoring.day_rows.Kept`
    groups: NDArray[np.int16]

    @property
    def rows(self) -> int:
        """Return how many there are."""
        return len(self.target)

    def keep_scored(self) -> Labelled:
        """Return those that the model gave a score."""
        scored: Flags = np.asarray(np.isfinite(self.score).all(axis=1))
        return self if scored.all() else self.choose(scored)

    def choose(self, chosen: Flags) -> Labelled:
        """Return some of them."""
        return Labelled(
            target=self.target[chosen],
            answer=self.answer[chosen],
            score=self.score[chosen],
            groups=self.groups[chosen],
        )


def join_labels(kept: Kept, labels: Mapping[str, float]) -> tuple[Labelled, int]:
    """Give each row its label by its id; also return how many rows repeat an id.

    Only the first row of an id has a label: who sends an id again gains no weight by it.
    """
    first = _find_first(kept.ids)
    repeated = len(kept.ids) - len(first)
    hashes = np.fromiter(map(hash, labels), dtype=np.int64, count=len(labels))
    outcomes = np.fromiter(labels.values(), dtype=np.float64, count=len(labels))
    order = np.argsort(hashes)
    hashes, outcomes = hashes[order], outcomes[order]
    if not len(hashes):
        first = first[:0]
    positions = np.searchsorted(hashes, kept.ids[first])
    np.minimum(positions, len(hashes) - 1, out=positions)
    matched = hashes[positions] == kept.ids[first] if len(hashes) else np.zeros(0, dtype=bool)
    rows = first[matched]
    return Labelled(
        target=outcomes[positions[matched]],
        answer=kept.answers[rows],
        score=kept.scores[rows],
        groups=kept.groups[rows],
    ), repeated


def _find_first(ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the row in which each id comes first, in the order of the rows."""
    ordered = np.sort(ids)  # far quicker than to sort positions, and ids seldom repeat
    if not (ordered[1:] == ordered[:-1]).any():
        return np.arange(len(ids))
    return np.sort(np.unique(ids, return_index=True)[1])


def measure_day(
    key: Key, day: DayRows, refusals: Refusals, labels: Mapping[str, float], plan: Plan
) -> Iterator[DayFact]:
    """Yield the facts of one day and model."""
    yield from _count_refusals(key, day, refusals)
    if not day.rows:
        return
    yield from _count_columns(key, day, plan)
    kept = day.keep()
    labelled, repeated = join_labels(kept, labels)
    yield key.fact("repeated", (repeated, day.rows), day.rows)
    yield key.fact("labels", (labelled.rows, day.rows), day.rows)
    yield from _describe_answers(key, kept, plan)
    if labelled.rows:
        yield from _measure_metrics(key, labelled, plan)
        yield from _measure_slices(key, labelled, day.sliced, plan)


def _count_refusals(key: Key, day: DayRows, refusals: Refusals) -> Iterator[DayFact]:
    attempts = day.rows + refusals.requests.total()
    yield key.fact("rows", (day.rows, 1), day.rows)
    for reason, count in refusals.requests.items():
        yield key.fact(f"refused.{reason}", (count, attempts), attempts)
    for (reason, column), count in refusals.by_column.items():
        yield key.fact(f"refused.{reason}", (count, attempts), attempts, {"column": column})


def _count_columns(key: Key, day: DayRows, plan: Plan) -> Iterator[DayFact]:
    for column in plan.columns:
        counts = day.columns[column.name]
        rows = counts.logged
        if not rows:
            continue
        yield key.fact("missing", (counts.missing, rows), rows, {"column": column.name})
        if column.levels:
            yield key.fact("new_level", (counts.new, rows), rows, {"column": column.name})
        names = column.levels or range(len(counts.bins))
        for name, count in zip(names, counts.bins.tolist(), strict=True):
            if count:
                part = {"column": column.name, "bin": name}
                yield key.fact("histogram", (count, rows), rows, part)


def _describe_answers(key: Key, kept: Kept, plan: Plan) -> Iterator[DayFact]:
    """Yield what the model said, whatever came true, and how well it would do by its own scores."""
    rows = len(kept.answers)
    if plan.task == "regression":
        yield key.fact("answer", (kept.answers.sum(), rows), rows)
        return
    counts = np.bincount(kept.answers.astype(np.intp), minlength=len(plan.classes))
    for answer, count in zip(plan.classes, counts.tolist(), strict=True):
        yield key.fact("answer", (count, rows), rows, {"class": answer})
    scores = kept.scores[np.isfinite(kept.scores).all(axis=1)]
    if len(scores):
        yield from _describe_scores(key, scores, plan)


def _describe_scores(key: Key, scores: Floats, plan: Plan) -> Iterator[DayFact]:
    rows = len(scores)
    names: Sequence[str | None] = [plan.positive] if plan.task == "binary" else plan.classes
    for name, score in zip(names, scores.T, strict=True):
        yield key.fact("score", (score.sum(), rows), rows, {"class": name})
        bins = np.minimum((score * SCORE_BINS).astype(np.intp), SCORE_BINS - 1)
        for number, count in enumerate(np.bincount(bins, minlength=SCORE_BINS).tolist()):
            if count:
                part = {"class": name, "bin": number}
                yield key.fact("score_histogram", (count, rows), rows, part)
    yield from _estimate_losses(key, scores, plan)


def _estimate_losses(key: Key, scores: Floats, plan: Plan) -> Iterator[DayFact]:
    """Yield what the losses would be if each score were the true probability."""
    by_class = np.hstack([scores, 1 - scores]) if plan.task == "binary" else scores
    rows = len(scores)
    for metric, estimator in plan.metrics:
        if estimator == "log_loss":
            total = float((by_class * losses.log_loss(by_class)).sum())
            yield key.fact(f"estimated.{metric}", (total, rows), rows)
        elif estimator == "brier":
            total = float((scores * (1 - scores)).sum())
            yield key.fact(f"estimated.{metric}", (total, rows), rows)


def _measure_metrics(key: Key, labelled: Labelled, plan: Plan) -> Iterator[DayFact]:
    for metric, estimator in plan.metrics:
        sums, rows = find_sums(estimator, labelled, plan)
        if sums is not None:
            yield key.fact(metric, sums, rows)
    if plan.task == "regression":
        error = ERRORS["mean_error"](labelled.target, labelled.answer)
        yield key.fact("calibration", (error.sum(), labelled.rows), labelled.rows)
        return
    if len(plan.classes) > MOST_CLASSES:
        return
    yield from _count_confusion(key, labelled, plan)
    scored = labelled.keep_scored()
    if not scored.rows:
        return
    if plan.task == "binary":
        gap = scored.score[:, 0] - _is_positive(scored.target, plan)
        yield key.fact("calibration", _total(gap), scored.rows)
        return
    for code, name in enumerate(plan.classes):
        gap = scored.score[:, code] - (scored.target == code)
        yield key.fact("calibration", _total(gap), scored.rows, {"class": name})


def _count_confusion(key: Key, labelled: Labelled, plan: Plan) -> Iterator[DayFact]:
    classes = len(plan.classes)
    cells = (labelled.target * classes + labelled.answer).astype(np.intp)
    for cell, count in enumerate(np.bincount(cells, minlength=classes**2).tolist()):
        if count:
            target, answer = plan.classes[cell // classes], plan.classes[cell % classes]
            part = {"target": target, "answer": answer}
            yield key.fact("confusion", (count, labelled.rows), labelled.rows, part)


def _measure_slices(
    key: Key, labelled: Labelled, sliced: list[str], plan: Plan
) -> Iterator[DayFact]:
    for slice_key in plan.slices:
        columns = [plan.find_column(name) for name in slice_key.by]
        levels = [column.levels for column in columns if column is not None]
        codes = labelled.groups[:, [sliced.index(name) for name in slice_key.by]]
        shape = tuple(len(level) for level in levels)
        listed = (codes >= 0).all(axis=1)
        groups = np.full(labelled.rows, -1)
        groups[listed] = np.ravel_multi_index(tuple(codes[listed].T.astype(np.intp)), shape)
        for group in np.flatnonzero(np.bincount(groups[listed])):
            chosen = labelled.choose(groups == group)
            sums, rows = find_sums(slice_key.metric, chosen, plan)
            if sums is not None:
                position = np.unravel_index(int(group), shape)
                names = [level[int(code)] for level, code in zip(levels, position, strict=True)]
                part = dict(zip(slice_key.by, names, strict=True))
                yield key.fact(slice_key.metric, sums, rows, part)


def _is_positive(codes: Floats, plan: Plan) -> Flags:
    return np.asarray(codes == plan.classes.index(str(plan.positive)))


def find_sums(metric: str, labelled: Labelled, plan: Plan) -> tuple[Sums | None, int]:
    """Return a metric's sums over the rows that can give it, and how many these are.

    None where they cannot. ``metric`` is an estimator of :mod:`mlgitops.statistics.names` or a
    slice metric; what is measured of scores is of the rows that have one.
    """
    sums = _find_answer_sums(metric, labelled, plan)
    if sums is not None:
        return sums, labelled.rows
    scored = labelled.keep_scored()
    return _find_score_sums(metric, scored, plan) if scored.rows else None, scored.rows


def _find_answer_sums(metric: str, labelled: Labelled, plan: Plan) -> Sums | None:
    """Return the sums of a metric of answers; None for one of scores."""
    quantile = find_quantile(metric)
    if quantile is not None:
        return _total(losses.pinball(quantile)(labelled.target, labelled.answer))
    if metric in ERRORS:
        return _total(ERRORS[metric](labelled.target, labelled.answer))
    if metric == "accuracy":
        return _total(labelled.target == labelled.answer)
    name = (split_metric(metric) or (metric, None))[0]
    if name in RATES:
        target, answer = (_is_positive(it, plan) for it in (labelled.target, labelled.answer))
        above, below = RATES[name](target, answer)
        return float(above.sum()), float(below.sum())
    return None


def _find_score_sums(metric: str, labelled: Labelled, plan: Plan) -> Sums | None:
    if plan.task == "multiclass":
        own = labelled.score[np.arange(labelled.rows), labelled.target.astype(np.intp)]
        return _total(losses.log_loss(own)) if metric == "log_loss" else None
    target, score = _is_positive(labelled.target, plan), labelled.score[:, 0]
    if metric == "roc_auc":
        return _count_wins(score, target)
    if metric == "brier":
        return _total(losses.squared(target.astype(np.float64), score))
    if metric == "log_loss":
        return _total(losses.log_loss(np.where(target, score, 1 - score)))
    if metric == "calibration":
        return _total(score - target)
    return None


def _count_wins(score: Floats, target: Flags) -> Sums | None:
    """Return how many pairs the score ranks right, and of how many; None without a pair."""
    positives = int(target.sum())
    pairs = positives * (len(target) - positives)
    if not pairs:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):  # of the errors, which are not needed
        area, _ = place_rows(rank_scores(score, target))
    return area * pairs, pairs


def _total(values: NDArray[Any]) -> Sums:
    return float(values.sum()), len(values)
