"""Figures of labelled rows against the policy's limits: metrics, calibration, slices. Pure.

Each is of the last 28 days that have labels, with an interval that knows that days resemble their
neighbours. Of 250 looks at a figure that is just at its limit about one calls it beyond by chance;
with more than three figures they share what three would have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mlgitops.judgement.judge import find_margin
from mlgitops.model import Interval, Statistic
from mlgitops.model.look import AlertKind, Finding, FindingState
from mlgitops.monitoring.history import shift_day, split_part
from mlgitops.monitoring.plan import name_slice
from mlgitops.statistics.intervals import FEWEST_ROWS
from mlgitops.statistics.longrun import ALPHA, CLUSTERS, LongRun, measure_ratio
from mlgitops.statistics.names import RANKINGS, find_estimator, names_other_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlgitops.model import Policy, Rule, SliceRule
    from mlgitops.model.monitoring import AlertSettings
    from mlgitops.monitoring.history import DaySum, History

METHOD = f"Newey-West, {CLUSTERS} days"
#: Rows of all classes but the most frequent one, below which a figure rests on a few of them.
FEWEST_OF_A_CLASS = 10
#: Days without a label after which old ones no longer show that a figure holds.
STALE_AFTER = 28
CALIBRATION = "calibration"
_DEFAULT_CALIBRATION = 0.05
#: Figures that share what is lost to chance as they are; with more, each gets less.
_FEW_FIGURES = 3
_WITHIN_DAYS = (
    "ranked within each day, which the policy's limit is not of; `alerts: limits:` in "
    "monitor.yaml sets one"
)
_NO_LIMIT = "the policy has no bound for it, and no release was measured"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What a figure must not be beyond."""

    value: float
    upper: bool  # whether a figure above it is beyond
    source: str

    def measure_excess(self, figure: float) -> float:
        """Return how far a figure is beyond; negative where it is not."""
        return figure - self.value if self.upper else self.value - figure


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What is demanded of an environment, and how closely it is watched."""

    policy: Policy
    settings: AlertSettings
    #: sha256 of a model → metric → what its release was measured with.
    released: Mapping[str, Mapping[str, float]]
    #: Metrics and slices that the facts cannot hold → why.
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def alpha(self) -> float:
        """Return the chance that is left to each figure."""
        figures = len(self.policy.metrics) + len(self.policy.slices) + 1
        return ALPHA * min(1.0, _FEW_FIGURES / figures)


def judge_labelled(history: History, demands: Demands, until: str) -> Iterator[Finding]:
    """Judge every figure that labels are needed for, as of the end of a day."""
    for name, rule in demands.policy.metrics.items():
        if not names_other_rows(name):
            finding = _judge_metric(history, demands, name, rule, until)
            yield _doubt_stale(finding, history.read(name, until=until), until)
    if _has_calibration(history):
        finding = _judge_calibration(history, demands, until)
        yield _doubt_stale(finding, history.read(CALIBRATION, until=until), until)
    for slice_rule in demands.policy.slices:
        if slice_rule.statistic is not None:
            finding = _judge_slice(history, demands, slice_rule, until)
            sums = [
                entry
                for of in history.list_parts(slice_rule.metric)
                if tuple(split_part(of)) == slice_rule.by
                for entry in history.read(slice_rule.metric, of, until=until)
            ]
            yield _doubt_stale(finding, sums, until)


def _has_calibration(history: History) -> bool:
    """Tell whether labels give it, or will: a model in service since yesterday has none yet."""
    has_one_score = len(history.list_parts("score")) == 1
    return (
        (CALIBRATION, None) in history.series or has_one_score or ("answer", None) in history.series
    )


def _doubt_stale(finding: Finding, sums: Sequence[DaySum], until: str) -> Finding:
    """Say that labels ended: nothing shows whether a figure holds; an alert stays one, and old."""
    last = max((entry.day for entry in sums), default=until)
    decided = (FindingState.HOLDS, FindingState.ALERT)
    if finding.state not in decided or last >= shift_day(until, -STALE_AFTER):
        return finding
    is_alert = finding.state is FindingState.ALERT
    state = finding.state if is_alert else FindingState.NOT_ENOUGH
    return replace(finding, state=state, reason=f"no labels since {last}")


def find_bound(name: str, rule: Rule, settings: AlertSettings) -> Limit | None:
    """Return the limit that somebody wrote: in monitor.yaml, else as the policy's bound."""
    upper = not rule.greater_is_better
    if name in settings.limits:
        return Limit(value=settings.limits[name], upper=upper, source="monitor.yaml")
    bound = rule.max_value if upper else rule.min_value
    return None if bound is None else Limit(value=bound, upper=upper, source="policy.yaml")


def find_limit(name: str, rule: Rule, demands: Demands, model: str) -> Limit | None:
    """Return the limit of a metric: the one that somebody wrote, else the release's.

    That is what the release of the model was measured with, worse by the policy's margin; it is
    as noisy as that measurement.
    """
    limit = find_bound(name, rule, demands.settings)
    if limit is not None:
        return limit
    upper = not rule.greater_is_better
    value = demands.released.get(model, {}).get(name)
    margin = None if value is None else find_margin(rule, value)
    if value is None or margin is None:
        return None
    worst = value + margin if upper else value - margin
    return Limit(value=worst, upper=upper, source="the release's value and the policy's margin")


def _judge_metric(history: History, demands: Demands, name: str, rule: Rule, until: str) -> Finding:
    if name in demands.left_out:
        reason = demands.left_out[name]
        return Finding(
            kind=AlertKind.MODEL, name=name, state=FindingState.NOT_ENOUGH, reason=reason
        )
    estimator = find_estimator(name)
    limit = find_limit(name, rule, demands, history.model)
    is_root = has_root(name)
    shown = None
    if estimator in RANKINGS and name not in demands.settings.limits:
        shown = _WITHIN_DAYS
    elif limit is None:
        shown = _NO_LIMIT
    if is_root and limit is not None:
        square = limit.value * abs(limit.value)  # below 0 it stays what no root keeps
        limit = Limit(value=square, upper=limit.upper, source=limit.source)
    sums = history.read(name, until=until)
    finding = _judge_sums(history, sums, name, None if shown else limit, demands.alpha)
    finding = replace(finding, reason=finding.reason or shown)
    return _take_root(finding) if is_root else finding


def has_root(name: str) -> bool:
    """Tell whether the facts of a metric hold squares, of whose mean the figure is the root."""
    return find_estimator(name) == "rmse"


def _judge_calibration(history: History, demands: Demands, until: str) -> Finding:
    """Judge the mean score less the share that came true, both ways."""
    distance = demands.settings.calibration
    is_score = any(name == "score" for name, _ in history.series)
    if distance is None and is_score:
        distance = _DEFAULT_CALIBRATION
    sums = history.read(CALIBRATION, until=until)
    if distance is None:
        finding = _judge_sums(history, sums, CALIBRATION, None, demands.alpha)
        reason = finding.reason or "`alerts: calibration:` in monitor.yaml sets a limit"
        return replace(finding, reason=reason)
    last = sums[-CLUSTERS:]
    upper = sum(entry.numerator for entry in last) >= 0
    limit = Limit(value=distance if upper else -distance, upper=upper, source="monitor.yaml")
    return _judge_sums(history, sums, CALIBRATION, limit, demands.alpha)


def _judge_sums(
    history: History, sums: Sequence[DaySum], name: str, limit: Limit | None, alpha: float
) -> Finding:
    """Judge a figure of days; without a limit it is only shown."""
    last = sums[-CLUSTERS:]
    finding = Finding(
        kind=AlertKind.MODEL,
        name=name,
        state=FindingState.NOT_ENOUGH,
        days=len(last),
        rows=sum(entry.rows for entry in last),
        limit=limit.value if limit else None,
        upper=limit.upper if limit else True,
        source=limit.source if limit else None,
        reason=find_shortage(history, last),
    )
    if finding.reason is not None:
        return finding
    figure = measure_days(sums)
    finding = replace(
        finding,
        state=FindingState.SHOWN,
        figure=figure.value,
        interval=make_interval(figure, alpha),
    )
    if limit is None:
        return finding
    beyond = is_beyond(figure, limit, alpha)
    return replace(finding, state=FindingState.ALERT if beyond else FindingState.HOLDS)


def find_shortage(history: History, days: Sequence[DaySum]) -> str | None:
    """Say why some days are not enough to judge by; None: they are."""
    if len(days) < CLUSTERS:
        return f"{len(days)} of {CLUSTERS} days with labels"
    rows = sum(entry.rows for entry in days)
    if rows < FEWEST_ROWS:
        return f"{rows} of {FEWEST_ROWS} rows with labels"
    least = _count_rare(history, days[0].day, days[-1].day)
    if least is not None and least < FEWEST_OF_A_CLASS:
        return f"{least:g} of {FEWEST_OF_A_CLASS} rows that are not of the most frequent class"
    return None


def _count_rare(history: History, first: str, last: str) -> float | None:
    """Return the rows of all classes but the most frequent one; None where there are none."""
    counts: dict[str, float] = {}
    for of in history.list_parts("confusion"):
        target = split_part(of).get("target", "")
        days = history.series["confusion", of]
        count = sum(entry.numerator for entry in days if first <= entry.day <= last)
        counts[target] = counts.get(target, 0.0) + count
    return sum(counts.values()) - max(counts.values()) if counts else None


def measure_days(sums: Sequence[DaySum]) -> LongRun:
    """Measure the last 28 days of a series, and its error from those before as well."""
    return measure_ratio([entry.numerator for entry in sums], [entry.denominator for entry in sums])


def is_beyond(figure: LongRun, limit: Limit, alpha: float = ALPHA) -> bool:
    """Tell whether a figure is beyond its limit by more than noise explains."""
    rounding = 1e-9 * max(abs(limit.value), abs(figure.value))
    return limit.measure_excess(figure.value) > max(figure.reach(alpha), rounding)


def make_interval(figure: LongRun, alpha: float) -> Interval:
    """Return the interval whose end is beyond the limit just where the figure is."""
    reach = figure.reach(alpha)
    return Interval(
        low=figure.value - reach,
        high=figure.value + reach,
        confidence=1 - 2 * alpha,
        method=METHOD,
    )


def _take_root(finding: Finding) -> Finding:
    """Return what was judged as a mean square as its root."""

    def root(value: float) -> float:
        return math.sqrt(max(value, 0.0))

    interval, limit = finding.interval, finding.limit
    return replace(
        finding,
        figure=None if finding.figure is None else root(finding.figure),
        limit=limit and math.copysign(root(abs(limit)), limit),
        interval=interval
        and Interval(
            low=root(interval.low),
            high=root(interval.high),
            confidence=interval.confidence,
            method=interval.method,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """One group, or two of them, against the limit of a slice rule."""

    label: str
    figure: LongRun
    limit: Limit
    shown: float  # the statistic that the policy bounds


def _judge_slice(history: History, demands: Demands, rule: SliceRule, until: str) -> Finding:
    """Judge the worst of the groups, or pairs of groups, of a slice rule."""
    name = name_slice(rule)
    base = Finding(
        kind=AlertKind.MODEL,
        name=f"{name}, {rule.statistic}"[:200],
        state=FindingState.NOT_ENOUGH,
        reason=demands.left_out.get(name),
    )
    if base.reason is not None:
        return base
    groups, days, rows = _measure_groups(history, rule, until)
    base = replace(base, days=min(days, CLUSTERS), rows=rows)
    if days < CLUSTERS:
        return replace(base, reason=f"{days} of {CLUSTERS} days with labels")
    compared = list(_compare_groups(rule, groups))
    if not compared:
        reason = f"no {'two groups' if _needs_two(rule) else 'group'} of {_least(rule)} rows"
        if _find_bound(rule) is None:
            reason = "the policy bounds it the other way"
        return replace(base, reason=reason)
    alpha = demands.alpha / len(compared)
    worst = max(compared, key=lambda it: it.limit.measure_excess(it.figure.value))
    beyond = any(is_beyond(item.figure, item.limit, alpha) for item in compared)
    if beyond:
        worst = max(
            (item for item in compared if is_beyond(item.figure, item.limit, alpha)),
            key=lambda it: it.limit.measure_excess(it.figure.value),
        )
    return replace(
        base,
        of=worst.label[:500],
        state=FindingState.ALERT if beyond else FindingState.HOLDS,
        figure=worst.shown,
        interval=None if rule.statistic is Statistic.RATIO else make_interval(worst.figure, alpha),
        limit=_find_bound(rule),
        upper=_is_upper(rule),
        source="policy.yaml",
    )


def _least(rule: SliceRule) -> int:
    return max(rule.min_rows, CLUSTERS)


def _needs_two(rule: SliceRule) -> bool:
    return rule.statistic in (Statistic.DIFFERENCE, Statistic.RATIO)


def _is_upper(rule: SliceRule) -> bool:
    return rule.statistic in (Statistic.DIFFERENCE, Statistic.MAXIMUM)


def _find_bound(rule: SliceRule) -> float | None:
    return rule.max_value if _is_upper(rule) else rule.min_value


def _measure_groups(
    history: History, rule: SliceRule, until: str
) -> tuple[dict[str, LongRun], int, int]:
    """Return the figure of each group with enough rows, over the days on which any has labels."""
    series = {
        of: history.read(rule.metric, of, until=until)
        for of in history.list_parts(rule.metric)
        if tuple(split_part(of)) == rule.by
    }
    days = sorted({entry.day for sums in series.values() for entry in sums})
    last = set(days[-CLUSTERS:])
    groups, total = {}, 0
    for of, sums in series.items():
        rows = sum(entry.rows for entry in sums if entry.day in last)
        total += rows
        if rows >= _least(rule) and len(days) >= CLUSTERS:
            figure = _measure_group(sums, days[-CLUSTERS:])
            groups[of] = figure.take_root() if has_root(rule.metric) else figure
    return groups, len(days), total


def _measure_group(sums: Sequence[DaySum], days: Sequence[str]) -> LongRun:
    """Measure a group over days that all groups share; one without it contributes nothing."""
    by_day = {entry.day: entry for entry in sums}
    kept = [by_day.get(day) for day in days]
    return measure_ratio(
        [entry.numerator if entry else 0.0 for entry in kept],
        [entry.denominator if entry else 0.0 for entry in kept],
    )


def _compare_groups(rule: SliceRule, groups: Mapping[str, LongRun]) -> Iterator[_Compared]:
    """Yield what the bound of a rule says of each group, or of each pair the one way round."""
    bound = _find_bound(rule)
    if bound is None:
        return
    if not _needs_two(rule):
        limit = Limit(value=bound, upper=_is_upper(rule), source="policy.yaml")
        for of, figure in groups.items():
            yield _Compared(label=of, figure=figure, limit=limit, shown=figure.value)
        return
    for (of, figure), (other_of, other) in permutations(groups.items(), 2):
        label = f"{of} against {other_of}"
        if rule.statistic is Statistic.DIFFERENCE:
            limit = Limit(value=bound, upper=True, source="policy.yaml")
            gap = figure.minus(other)
            yield _Compared(label=label, figure=gap, limit=limit, shown=gap.value)
        elif other.value > 0:
            limit = Limit(value=0.0, upper=False, source="policy.yaml")
            gap = figure.minus(other, bound)
            yield _Compared(label=label, figure=gap, limit=limit, shown=figure.value / other.value)
