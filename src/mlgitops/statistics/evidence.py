"""One pair of predictions to one estimate per metric: which method serves which name. Pure.

What several metrics share (the joint cells, one sort per model) is computed once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mlgitops.numeric import sort_distinct
from mlgitops.statistics import counts, losses, ranking
from mlgitops.statistics.estimate import (
    FEWEST_DECISIVE,
    FEWEST_DECISIVE_ERRORS,
    Estimate,
    Undefined,
    Unseen,
    estimate,
    estimate_by_cluster,
    find_sides,
    warn_of_few,
)
from mlgitops.statistics.groups import code_values
from mlgitops.statistics.intervals import FEWEST_ROWS, IDENTICAL
from mlgitops.statistics.names import (
    COUNTS,
    PROBABILITIES,
    RANKINGS,
    find_estimator,
    find_quantile,
    read_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from mlgitops.statistics.matching import Pair
    from mlgitops.statistics.names import Definition, Reading

    Floats = NDArray[np.float64]

_UNBOUNDED = (
    "scores of exactly 0 or 1 make the log loss nearly unbounded: one more such row that is wrong"
    " could outweigh the rest"
)
_TO_EVERY_ROW = "the same class to every test row"
_SCORE = "score interval of paired shares"
_ERROR_METHODS = {
    "rmse": "jackknife of rows",
    "r2": "jackknife of rows",
    "median_absolute_error": "linearised median",
}
_LOSSES = {"mae": losses.absolute, "mse": losses.squared}


class Comparison:
    """A pair of predictions, and what its metrics share."""

    def __init__(self, pair: Pair, cluster: NDArray[np.intp] | str | None = None) -> None:
        """``cluster``: the cluster of each row as a code, or the column that says it."""
        self.pair = pair
        self._cluster_by = cluster
        self._results: dict[Definition, Estimate | Undefined] = {}

    @cached_property
    def clusters(self) -> NDArray[np.intp] | None:
        """Return the cluster of each row as a code; raises Undefined without its column."""
        if not isinstance(self._cluster_by, str):
            return self._cluster_by
        column = self.pair.columns.get(self._cluster_by)
        if column is None:
            raise Undefined(
                f"the predictions have no column {self._cluster_by!r} to cluster by"[:200]
            )
        return code_values(column)

    def read_name(self, metric: str) -> Reading:
        """Return what a metric's name may stand for, given base's classes."""
        is_of_classes = find_estimator(metric) in COUNTS | RANKINGS | PROBABILITIES
        return read_name(metric, self._classes if is_of_classes else ())

    def attempt(self, metric: str) -> Estimate | Undefined:
        """Return what :meth:`estimate` does, or the reason why that cannot be."""
        reading = self.read_name(metric)
        if not reading.definitions:
            return Undefined("no method is known for a metric of this name")
        return self.measure(reading.definitions[0])

    def measure(self, definition: Definition) -> Estimate | Undefined:
        """Estimate the difference in one definition of a metric, or say why that cannot be."""
        if definition not in self._results:
            try:
                self._results[definition] = self._estimate(*definition)
            except Undefined as reason:
                self._results[definition] = reason
        return self._results[definition]

    def estimate(self, metric: str) -> Estimate:
        """Estimate the difference in ``metric`` as it is usually defined.

        Raises Undefined with the reason.
        """
        result = self.attempt(metric)
        if isinstance(result, Undefined):
            raise result
        return result

    def _estimate(self, name: str, label: str | None) -> Estimate:
        rows = self.pair.rows if self.clusters is None else len(self.clusters)
        if rows < 2:  # noqa: PLR2004 - one row has no spread
            raise Undefined(f"{rows} matched test row(s): at least two are needed")
        with np.errstate(all="ignore"):  # what overflows is refused as not finite
            if label is not None:
                return self._estimate_class(name, label)
            if name in counts.METRICS:
                return self._estimate_counts(name, self._cells, lambda: self._cell_of_row)
            if name in RANKINGS:
                return self._estimate_ranking(name)
            if name in PROBABILITIES:
                return self._estimate_probabilities(name)
            return self._estimate_errors(name)

    def _estimate_class(self, name: str, label: str) -> Estimate:
        """Estimate a metric of one class, which counts as positive against all others."""
        names = self.pair.coded.names
        if label not in names:
            raise Undefined(f"no class is named `{label[:80]}`")
        cells, parts = counts.single_out(self._cells, names.index(label))
        return self._estimate_counts(name, cells, lambda: parts[self._cell_of_row])

    def _estimate_counts(
        self, name: str, cells: counts.Cells, find_cells: Callable[[], NDArray[np.intp]]
    ) -> Estimate:
        """Estimate a metric of ``cells``; ``find_cells`` gives the cell of each row."""
        base, head = cells.sides
        values, by_cell = counts.jackknife_counts(cells, base, head, name)
        steps = counts.find_steps(cells, base, head, name)
        if not cells.disagreements:
            which = "the same class to every test row"
            if cells is not self._cells:
                which = "this class to the same test rows"
            return self._identical(
                values[0], f"both models give {which}", max(step for step, _ in steps)
            )
        shares = counts.find_shares(cells, name) if self.clusters is None else ()
        warnings = counts.find_warnings(cells, name, is_score=bool(shares))
        if shares:
            error = float(by_cell * by_cell @ cells.rows) ** 0.5
            return Estimate(
                values=values, delta=values[1] - values[0], error=error, shares=shares,
                freedom=self.pair.rows - 1, method=_SCORE, warnings=warnings,
                by_row=lambda: by_cell[find_cells()],
            )  # fmt: skip
        method = "jackknife of joint cells"
        result = estimate(values, by_cell, weights=cells.rows, method=method, warnings=warnings)
        result = replace(result, classes=steps)
        if self.clusters is None:
            return replace(result, by_row=lambda: by_cell[find_cells()])
        return estimate_by_cluster(result, by_cell[find_cells()], self.clusters)

    @cached_property
    def _cell_of_row(self) -> NDArray[np.intp]:
        return np.searchsorted(self._cells.codes, counts.code_rows(self.pair.coded))

    def _estimate_ranking(self, name: str) -> Estimate:
        target, base, head = self._scores
        warnings = ranking.check_ranking(target, (base, head))
        measure = ranking.place_rows if name == "roc_auc" else ranking.leave_out_rows
        if np.array_equal(base, head):
            value, by_row = measure(self.pair.rankings[0])
            why = "both models give the same score to every test row"
            return self._identical(value, why, float(np.ptp(by_row)))
        base_terms, head_terms = (measure(side) for side in self.pair.rankings)
        values = base_terms[0], head_terms[0]
        warnings += ranking.warn_of_ceiling(values, target)
        if name == "roc_auc":
            by_row, freedom = ranking.compare_auc(base_terms, head_terms, target)
            method = "paired DeLong"
            result = estimate(values, by_row, method=method, freedom=freedom, warnings=warnings)
            return self._cluster(result, by_row)
        delta, of_sides = ranking.compare_average_precision(base_terms, head_terms)
        by_row = of_sides[1] - of_sides[0]
        result = estimate(
            values,
            by_row,
            delta=delta,
            method="jackknife of rows, logit scale",
            freedom=min(int(np.count_nonzero(target)), int(np.count_nonzero(~target))) - 1,
            warnings=warnings,
            sides=find_sides(*of_sides, self.clusters),
        )
        return self._cluster(result, by_row)

    def _estimate_probabilities(self, name: str) -> Estimate:
        base_losses, head_losses = (
            self._losses(name, scores, side)
            for scores, side in (
                (self.pair.base_scores, "base"),
                (self.pair.head_scores, "head"),
            )
        )
        if np.array_equal(base_losses, head_losses):
            why = "both models have the same loss on every test row"
            return self._identical(
                float(base_losses.mean()), why, float(np.ptp(base_losses)) / len(base_losses)
            )
        values, delta, by_row = losses.compare_means(base_losses, head_losses)
        warnings = self._few_rows + self._few_of_class
        if name == "log_loss" and self._reaches_zero:
            warnings += (_UNBOUNDED,)
        result = estimate(values, by_row, delta=delta, method="paired t", warnings=warnings)
        return self._cluster(result, by_row)

    @cached_property
    def _reaches_zero(self) -> bool:
        """Tell whether a model gives a class probability 0, whether or not it was right."""
        scores = [*self.pair.base_scores.values(), *self.pair.head_scores.values()]
        return any(bool(score.min() <= 0 or score.max() >= 1) for score in scores)

    def _losses(self, name: str, scores: Mapping[str, Floats], side: str) -> Floats:
        """Return each row's log loss or Brier score."""
        if "" in scores:
            target = self.pair.positive
            score = _check_probability(scores[""], side)
            if name == "brier":
                return losses.squared(target.astype(float), score)
            return losses.log_loss(np.where(target, score, 1 - score))
        coded = self.pair.coded
        needed = [coded.names[code] for code in sort_distinct(coded.target).tolist()]
        missing = sorted(set(needed) - set(scores))
        if missing:
            raise Undefined(f"{side} has no column score_{missing[0]}"[:200])
        own = np.empty(self.pair.rows)
        squares = np.zeros(self.pair.rows)
        for label, column in scores.items():
            score = _check_probability(column, side)
            code = coded.names.index(label) if label in coded.names else -1
            is_own = coded.target == code
            own[is_own] = score[is_own]
            squares += (score - is_own) ** 2
        return squares if name == "brier" else losses.log_loss(own)

    def _estimate_errors(self, name: str) -> Estimate:
        target, base, head = self._numbers
        values, delta, by_row = _compare_errors(name, target, base, head)
        if np.array_equal(base, head):
            why = "both models predict the same on every test row"
            # Beside a model without error, the contributions are this one's own.
            _, _, alone = _compare_errors(name, target, target, base)
            return self._identical(values[0], why, float(np.ptp(alone)))
        method = _ERROR_METHODS.get(name, "paired t")
        result = estimate(values, by_row, delta=delta, method=method, warnings=self._few_rows)
        return self._cluster(result, by_row, FEWEST_DECISIVE_ERRORS)

    def _identical(self, value: float, why: str, step: float) -> Estimate:
        """Return a difference of zero: the models can't be told apart on these rows.

        ``step``: what the metric moves by when one row goes from the best answer of the test rows
        to the worst. Rows on which the models do differ may all have been missed.
        """
        units = self.pair.rows if self.clusters is None else int(self.clusters.max()) + 1
        unseen = Unseen(units=units, size=step * self.pair.rows)
        return Estimate(
            values=(value, value), delta=0, error=0, freedom=1, warnings=(why,), unseen=unseen,
            method=f"{IDENTICAL}, rule of three",
        )  # fmt: skip

    def _cluster(self, result: Estimate, by_row: Floats, fewest: int = FEWEST_DECISIVE) -> Estimate:
        """Finish ``result``, of which ``fewest`` rows must make up the spread to be trusted."""
        result = replace(result, warnings=(*result.warnings, *warn_of_few(by_row, fewest)))
        if self.clusters is None:
            return replace(result, by_row=lambda: by_row)
        return estimate_by_cluster(result, by_row, self.clusters)

    @cached_property
    def _few_rows(self) -> tuple[str, ...]:
        rows = self.pair.rows
        if rows >= FEWEST_ROWS:
            return ()
        return (f"only {rows} test rows; the method is shown to hold from {FEWEST_ROWS}",)

    @cached_property
    def _few_of_class(self) -> tuple[str, ...]:
        """Warn of the means of two classes' losses, which rest on the rarer one."""
        if len(self.pair.coded.labels) != 2:  # noqa: PLR2004 - positive and negative
            return ()
        positive = int(np.count_nonzero(self.pair.positive))
        return counts.warn_of_class(min(positive, self.pair.rows - positive))

    @cached_property
    def _cells(self) -> counts.Cells:
        return counts.count_cells(self.pair.coded)

    @cached_property
    def _classes(self) -> frozenset[str]:
        """Return the classes of the target and of base's predictions: head chooses none."""
        try:
            coded = self.pair.coded
        except Undefined:
            return frozenset()
        occurs = np.zeros(len(coded.names), dtype=bool)
        for codes in (coded.target, coded.base):
            occurs[np.flatnonzero(np.bincount(codes))] = True
        return frozenset(
            name for name, is_there in zip(coded.names, occurs, strict=True) if is_there
        )

    @cached_property
    def _scores(self) -> tuple[NDArray[np.bool_], Floats, Floats]:
        """Return the positive rows and both sides' scores, checked."""
        base, head = self.pair.base_scores.get(""), self.pair.head_scores.get("")
        if base is None or head is None:
            side = "base" if base is None else "head"
            raise Undefined(f"{side} has no column `score`, which a ranking of two classes needs")
        return self.pair.positive, _check_finite(base, "base"), _check_finite(head, "head")

    @cached_property
    def _numbers(self) -> tuple[Floats, Floats, Floats]:
        """Return target and predictions as numbers, checked."""
        pair = self.pair
        named = ((pair.target, "target"), (pair.base, "base"), (pair.head, "head"))
        for column, role in named:
            if column.dtype.kind == "S":
                raise Undefined(f"the metric is of numbers, and {role} holds text")
        target, base, head = (_check_finite(column.astype(float), role) for column, role in named)
        return target, base, head


def _compare_errors(
    name: str, target: Floats, base: Floats, head: Floats
) -> tuple[tuple[float, float], float | None, Floats]:
    """Return both values of a metric of errors, their difference if known, and contributions."""
    if name == "median_absolute_error":
        base_errors, head_errors = losses.absolute(target, base), losses.absolute(target, head)
        values, by_row = losses.compare_medians(base_errors, head_errors)
        return values, None, by_row
    if name in {"rmse", "r2"}:
        squares = losses.squared(target, base), losses.squared(target, head)
        values, by_row = (
            losses.compare_roots(*squares)
            if name == "rmse"
            else losses.compare_r2(target, *squares)
        )
        return values, None, by_row
    loss = _LOSSES.get(name) or losses.pinball(find_quantile(name) or 0.5)
    return losses.compare_means(loss(target, base), loss(target, head))


def _check_finite(values: Floats, side: str) -> Floats:
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):  # NaN spreads to both
        bad = np.flatnonzero(~np.isfinite(values))
        raise Undefined(
            f"{side} has {len(bad):,} value(s) that are not finite, the first in matched row"
            f" {int(bad[0]) + 1:,}"
        )
    return values


def _check_probability(values: Floats, side: str) -> Floats:
    _check_finite(values, side)
    if values.min() < 0 or values.max() > 1:
        raise Undefined(f"{side}'s scores leave the range from 0 to 1: they are no probabilities")
    return values
