"""Slice rules to facts: each group at base and head, and the statistic over the groups. Pure.

Per group, the delta's interval is by linearisation on the group's own rows (or clusters), and
leaves out zero only where a score test does too. A group in which too little is counted has no
interval and a reason, and is not judged; only base's rows and columns decide that. All compared
groups of all rules share one error rate, by Holm's steps, as the metrics do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from mlgitops.model import MAX_SLICES, Interval, SliceFacts, SliceResult
from mlgitops.model.slice_metrics import find_statistic, is_greater_better
from mlgitops.statistics.estimate import FEWEST_CLUSTERS, Undefined
from mlgitops.statistics.gaps import MOST_COMPARED, bound_statistic
from mlgitops.statistics.groups import code_values, group_rows
from mlgitops.statistics.linear import (
    cross_clusters,
    find_covariance,
    find_variances,
    linearise,
    linearise_ranking,
)
from mlgitops.statistics.quantiles import student_quantile, student_tail
from mlgitops.statistics.terms import PREDICTED, Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mlgitops.model import SliceRule
    from mlgitops.statistics.groups import Groups
    from mlgitops.statistics.linear import Cells, Linear, Variances
    from mlgitops.statistics.matching import Pair

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]


#: Where base's value rests on fewer rows than these, no loss could be told from noise.
FEWEST_COUNTED = 5
#: What precision rests on is the model's own doing: head's may be far fewer by chance.
FEWEST_PREDICTED = 10
_FEWEST_UNITS = 2  # rows, or clusters: one has no spread
_MANY = 1e9  # degrees of freedom at which Student's t is the normal distribution


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """What one rule rests on: groups, values, errors."""

    rule: SliceRule
    groups: Groups
    linear: Linear
    variances: Variances
    judged: Codes  # groups with enough rows and a value
    clusters: Codes | None

    @property
    def delta(self) -> Floats:
        """Return head minus base of each group."""
        return self.linear.head - self.linear.base

    def find_lack(self, group: int) -> str | None:
        """Say why a group is too small to be compared; None when it is not."""
        rows, clusters = int(self.groups.rows[group]), self.variances.clusters
        if rows < _FEWEST_UNITS:
            return "it has only 1 row"
        if clusters is not None and clusters[group] < _FEWEST_UNITS:
            return "all its rows belong to one cluster"
        counted = math.floor(float(self.linear.counted[group]))
        fewest = FEWEST_PREDICTED if self.linear.counts == PREDICTED else FEWEST_COUNTED
        if self.linear.counts and counted < fewest:
            return f"it has only {counted} {self.linear.counts}; {fewest} are needed"
        return None

    def is_identical(self, group: int) -> bool:
        """Tell whether both sides answer alike on every row that counts."""
        return not (self.delta[group] or self.variances.null[group] or self.variances.delta[group])


class Slicer:
    """A pair of predictions, and what its slice rules share."""

    def __init__(self, pair: Pair, cluster: str | None) -> None:
        self._pair = pair
        self._cluster = cluster
        self._source = Source(pair)
        self._clusters: Codes | None = None
        self._groups: dict[tuple[str, ...], Groups] = {}
        self._cells: dict[tuple[str, ...], Cells] = {}
        self._linears: dict[tuple[tuple[str, ...], str, int], Linear] = {}

    def measure(self, rule: SliceRule) -> Measured:
        """Measure one rule. Raises Undefined with the reason when that cannot be."""
        if not self._pair.rows:
            raise Undefined("base and head share no test rows")
        clusters = self._find_clusters()
        if rule.by not in self._groups:
            self._groups[rule.by] = group_rows(self._pair.columns, rule.by)
        groups = self._groups[rule.by]
        with np.errstate(all="ignore"):  # what overflows is refused as not finite
            linear = self._find_linear(rule, groups)
            cells = None if clusters is None else self._find_cells(rule.by, clusters)
            variances = find_variances(linear, cells)
        judged = np.flatnonzero((groups.rows >= rule.min_rows) & np.isfinite(linear.head))
        _check_judged(rule, groups, linear, judged)
        return Measured(
            rule=rule,
            groups=groups,
            linear=linear,
            variances=variances,
            judged=judged,
            clusters=clusters,
        )

    def _find_linear(self, rule: SliceRule, groups: Groups) -> Linear:
        ranked = rule.metric == "roc_auc"
        key = (rule.by, rule.metric, rule.min_rows if ranked else 0)
        if key not in self._linears:
            if ranked:
                self._source.check_class(rule.metric)
                linear = linearise_ranking(
                    self._pair, groups, rule.min_rows, by_row=bool(self._cluster)
                )
            else:
                units, terms = self._source.find_terms(
                    rule.metric, groups.codes, len(groups.rows), by_row=bool(self._cluster)
                )
                linear = linearise(units, terms, len(groups.rows))
            self._linears[key] = linear
        return self._linears[key]

    def _find_cells(self, by: tuple[str, ...], clusters: Codes) -> Cells:
        if by not in self._cells:
            self._cells[by] = cross_clusters(self._groups[by], clusters)
        return self._cells[by]

    def _find_clusters(self) -> Codes | None:
        if self._cluster is None or self._clusters is not None:
            return self._clusters
        column = self._pair.columns.get(self._cluster)
        if column is None:
            raise Undefined(f"the predictions have no column `{self._cluster[:80]}` to cluster by")
        self._clusters = code_values(column)
        return self._clusters


def _check_judged(rule: SliceRule, groups: Groups, linear: Linear, judged: Codes) -> None:
    """Raise Undefined when the rule has nothing to judge, or a group's value cannot be had."""
    endless = (groups.rows >= rule.min_rows) & linear.given & ~np.isfinite(linear.head)
    if endless.any():
        name = ", ".join(groups.name(int(endless.argmax())))
        raise Undefined(f"head's `{rule.metric}` is not a finite number in the group {name!r}")
    if len(judged):
        return
    if (groups.rows >= rule.min_rows).any():
        raise Undefined(f"`{rule.metric}` is not defined in any group: {linear.absent}")
    most = int(groups.rows.max())
    raise Undefined(f"no group has {rule.min_rows:,} rows: the largest has {most:,}")


def measure_slices(
    pair: Pair,
    rules: Sequence[SliceRule],
    *,
    confidence: float,
    cluster: str | None = None,
    with_base: bool = True,
) -> tuple[SliceFacts, ...]:
    """Measure every rule; one that cannot be evaluated has a reason instead of numbers.

    ``with_base`` false: ``pair`` is head beside itself, so only head's values are told.
    """
    slicer = Slicer(pair, cluster)
    measured = [_attempt(slicer, rule) for rule in rules]
    evaluated = [result for result in measured if isinstance(result, Measured)]
    levels = iter(_find_levels(evaluated, confidence))
    notices = [notice.rstrip(".") for notice in pair.notices]
    facts = []
    for rule, result in zip(rules, measured, strict=True):
        empty = SliceFacts(
            by=rule.by, metric=rule.metric, statistic=rule.statistic, min_rows=rule.min_rows
        )
        if isinstance(result, Undefined):
            facts.append(msgspec.structs.replace(empty, reason=str(result)[:500]))
        else:
            rule_facts = _tell(result, empty, next(levels), confidence, with_base=with_base)
            remark = "; ".join([*([rule_facts.remark] if rule_facts.remark else []), *notices])[
                :500
            ]
            facts.append(msgspec.structs.replace(rule_facts, remark=remark or None))
    return tuple(facts)


def _attempt(slicer: Slicer, rule: SliceRule) -> Measured | Undefined:
    try:
        return slicer.measure(rule)
    except Undefined as reason:
        return reason


def _find_levels(measured: Sequence[Measured], confidence: float) -> list[dict[int, float]]:
    """Return the confidence of each judged group's interval, rule by rule: Holm's steps.

    With k groups left, those whose p-value is below alpha / k are settled at 1 - alpha / k,
    and the step repeats: the same as reading intervals at Holm's levels
    (:func:`mlgitops.statistics.intervals.holm_confidence`), without reading one twice.
    """
    places = [
        (at, int(group))
        for at, result in enumerate(measured)
        for group in result.judged
        if result.is_identical(group) or result.find_lack(group) is None
    ]
    chances = np.array([_find_chance(measured[at], group) for at, group in places])
    levels = np.ones(len(places))
    left, alpha = np.ones(len(places), dtype=bool), 1 - confidence
    while left.any():
        share = alpha / np.count_nonzero(left)
        settled = left & (chances < share)
        settled = settled if settled.any() else left.copy()
        levels[settled] = 1 - share
        left &= ~settled
    by_rule: list[dict[int, float]] = [{} for _ in measured]
    for (at, group), level in zip(places, levels.tolist(), strict=True):
        by_rule[at][group] = level
    return by_rule


def _find_chance(measured: Measured, group: int) -> float:
    """Return the two-sided p-value of "the group's delta is zero"."""
    delta, chances = abs(float(measured.delta[group])), []
    if not np.isfinite(delta):
        return 1.0
    for error, freedom in _find_errors(measured, group):
        if not (error > 0 and np.isfinite(error)):
            return 1.0
        chances.append(2 * student_tail(delta / error, freedom))
    return max(chances, default=1.0)


def _find_errors(measured: Measured, group: int) -> list[tuple[float, float]]:
    """Return the standard errors of a group's delta, and the degrees of freedom of each.

    The first is of the difference as it is, and 0 where all rows that differ say the same; the
    second holds if there is no difference.
    """
    variances = measured.variances
    error, null = (float(np.sqrt(part[group])) for part in (variances.delta, variances.null))
    plain = [(error, max(1.0, float(variances.freedom[group])))] if error > 0 else []
    return [*plain, (null, _MANY)]


def _tell(
    measured: Measured,
    empty: SliceFacts,
    levels: Mapping[int, float],
    confidence: float,
    *,
    with_base: bool,
) -> SliceFacts:
    """Fill in the facts of one rule."""
    base, head, interval, remark = None, None, None, None
    statistic = measured.rule.statistic
    if statistic is not None:
        head = find_statistic(statistic, measured.linear.head[measured.judged].tolist())
        base = (
            find_statistic(statistic, measured.linear.base[measured.judged].tolist())
            if with_base
            else None
        )
        if head is None:
            return msgspec.structs.replace(empty, reason=_say_undefined(measured))
        interval, remark = _bound(measured, confidence)
    order = _order_groups(measured, levels, with_base=with_base)
    listed = [
        _tell_group(measured, group, levels.get(group), with_base=with_base)
        for group in order[:MAX_SLICES].tolist()
    ]
    return msgspec.structs.replace(
        empty,
        base=base,
        head=head,
        interval=interval,
        slices=tuple(listed),
        omitted=len(order) - len(listed),
        small=int(np.count_nonzero(measured.groups.rows < measured.rule.min_rows)),
        remark=remark,
    )


def _say_undefined(measured: Measured) -> str:
    if len(measured.judged) == 1:
        few = f"only one group has {measured.rule.min_rows:,} rows"
        return f"{few}, so there is none to compare it with"
    return f"`{measured.rule.metric}` is 0 in every group, so a ratio is not defined"


def _bound(measured: Measured, confidence: float) -> tuple[Interval | None, str | None]:
    """Return the interval of head's statistic, or why it has none or a rough one."""
    judged, statistic = measured.judged, measured.rule.statistic
    if statistic is None:
        return None, None
    if len(judged) > MOST_COMPARED:
        return None, f"no interval: there are more than {MOST_COMPARED} groups"
    with np.errstate(all="ignore"):
        covariance = find_covariance(measured.linear, judged, measured.clusters)
        freedom = max(1.0, float(measured.variances.freedom[judged].min()))
        bounds = bound_statistic(
            statistic,
            measured.linear.head[judged],
            covariance,
            freedom=freedom,
            confidence=confidence,
        )
    if bounds is None:
        return None, None
    low, high = bounds
    if measured.linear.share:
        low, high = max(low, 0.0), min(high, 1.0)
    method = "all pairs, linearised" if len(judged) > 1 else "linearised"
    remark = None
    if measured.clusters is not None:
        method += ", by cluster"
        count = int(measured.clusters.max()) + 1
        if count < FEWEST_CLUSTERS:
            remark = f"only {count} clusters; {FEWEST_CLUSTERS} or more are needed"
    return Interval(low=low, high=high, confidence=confidence, method=method), remark


def _order_groups(measured: Measured, levels: Mapping[int, float], *, with_base: bool) -> Codes:
    """Order the groups: what decides first, as only some are listed.

    Lowest and highest, then losses that count, then those that may be above the margin, then
    the largest.
    """
    count = len(measured.groups.rows)
    rank = np.full(count, 3)
    loss = np.zeros(count)
    better = is_greater_better(measured.rule.metric)
    margin = measured.rule.max_worsening
    if with_base and better is not None:
        for group, level in levels.items():
            sure, possible = _find_losses(measured, group, level, better=better)
            if sure > 0:
                rank[group], loss[group] = 1, sure
            elif margin is not None and possible > margin:
                rank[group], loss[group] = 2, possible
    values = measured.linear.head[measured.judged]
    rank[measured.judged[[int(values.argmin()), int(values.argmax())]]] = 0
    return np.lexsort((np.arange(count), -measured.groups.rows, -loss, rank))


def _find_losses(
    measured: Measured, group: int, level: float, *, better: bool
) -> tuple[float, float]:
    """Return what a group lost, 0 if noise may explain it, and what it may have lost."""
    delta = float(measured.delta[group])
    loss = -delta if better else delta
    interval = _interval(measured, group, level)
    if interval is None:  # head took it away: the plain numbers decide
        return max(loss, 0.0), loss
    ends = (interval.low, interval.high)
    least, most = (-ends[1], -ends[0]) if better else ends
    return loss if least > 0 else 0.0, most


def _tell_group(
    measured: Measured, group: int, level: float | None, *, with_base: bool
) -> SliceResult:
    base, head = (float(side[group]) for side in (measured.linear.base, measured.linear.head))
    name, rows = measured.groups.name(group), int(measured.groups.rows[group])
    enough = rows >= measured.rule.min_rows
    if not np.isfinite(head):
        few = f"fewer than {measured.rule.min_rows:,} rows"
        return SliceResult(group=name, rows=rows, reason=measured.linear.absent if enough else few)
    if not (with_base and np.isfinite(base)):
        reason = "base's value is not a finite number" if with_base else None
        return SliceResult(group=name, rows=rows, head=head, reason=reason)
    return SliceResult(
        group=name,
        rows=rows,
        base=base,
        head=head,
        delta=head - base,
        interval=_interval(measured, group, level),
        reason=measured.find_lack(group) if enough and level is None else None,
    )


def _interval(measured: Measured, group: int, level: float | None) -> Interval | None:
    """Return the interval of a compared group's delta; small groups have none.

    Nor has a group in which head counts no row where base counts enough.
    """
    if level is None or not measured.linear.given[group]:
        return None
    delta = float(measured.delta[group])
    if measured.is_identical(group):
        return Interval(low=delta, high=delta, confidence=level, method="identical")
    reach = max(
        error * _quantile(level, freedom) for error, freedom in _find_errors(measured, group)
    )
    if not np.isfinite(reach):
        return None
    method = "linearised, by cluster" if measured.clusters is not None else "linearised"
    return Interval(low=delta - reach, high=delta + reach, confidence=level, method=method)


def _quantile(confidence: float, freedom: float) -> float:
    return student_quantile((1 + confidence) / 2, freedom)
