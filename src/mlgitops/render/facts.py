"""What every voice says of a report, as plain text: the comment and the terminal agree.

In: a report. Out: rows and sentences with rounded numbers, names still unescaped. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from mlgitops.judgement.claims import find_broken, find_claim
from mlgitops.judgement.judge import find_kind, find_margin, is_untouched
from mlgitops.judgement.moved import Joined, describe_moves
from mlgitops.judgement.promotion import name_in
from mlgitops.judgement.reference import name_since
from mlgitops.model import Kind, TestData, Verdict
from mlgitops.render.measurement import NOT_HELD, OWN_NUMBER
from mlgitops.render.numbers import (
    DASH,
    choose_decimals,
    render_delta,
    render_ends,
    render_number,
    render_plain,
    render_size,
)
from mlgitops.render.seeds import describe_seeds, name_seeds
from mlgitops.render.slices import count_unproven, has_claimed_slices, passing_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model import (
        DataVersion,
        Interval,
        MetricChange,
        MetricVerdict,
        Report,
        Rule,
        Side,
    )

#: What a change is called that passes though a loss above the margin is not ruled out.
NOT_PROVEN = "not proven safe"
#: What a change is called that passes though base's code did not measure all that is judged.
OWN_NUMBERS = "by its own numbers"
#: How a value is marked that the pipeline did not make from what stands beside it.
OLDER_RUN = "of an older run"
#: Kinds of a metric that is the same on both sides, a number or not.
_AT_REST = (Kind.UNCHANGED, Kind.INCOMPARABLE)
_SHORT = 7
_MOST_NAMES = 5
_MEANINGS = {
    Kind.EQUIVALENT: "`equivalent`: it holds zero and lies within what may be lost, both ways.",
    Kind.INCONCLUSIVE: (
        "`inconclusive`: it holds zero, and is not shown to lie within what may be lost: these rows"
        " cannot tell."
    ),
}
_SHARED = "judged metrics share the policy's error rate, and each has a part"
_READ_IN_STEPS = (
    "Each interval holds the true change at the confidence beside it: judged metrics share the "
    "policy's error rate, and once some of them leave out zero, the others are read at less."
)


class Row(Struct, frozen=True, kw_only=True):
    """One metric, ready to show."""

    name: str
    path: str | None
    base: str
    head: str
    delta: str
    interval: str | None  # such as "+0.021 to +0.039"
    confidence: str | None = None  # of the interval, such as "95%"
    limits: tuple[str, ...]
    kind: Kind
    verdict: Verdict
    reasons: tuple[str, ...]
    budget: bool = False
    stale: bool = False  # head's value is of an older run
    unproven: str | None = None  # why a loss above the margin is not ruled out
    is_claimed: bool = False  # head's value is its own run's word alone
    broken: str | None = None  # that its own run says another value than base's code
    more_rows: int | None = None  # test rows that would settle an inconclusive one
    remark: str | None = None  # what the statistics say of their ground
    chance: str | None = None  # of a metric that is not judged: may noise explain its change?

    @property
    def is_doubtful(self) -> bool:
        """Tell whether it passes though a loss above the margin is not ruled out."""
        return self.verdict is Verdict.PASS and self.unproven is not None

    @property
    def is_open(self) -> bool:
        """Tell whether it passes with something that is not shown: no loss, or its own number."""
        return self.is_doubtful or (self.verdict is Verdict.PASS and self.is_claimed)

    @property
    def result(self) -> str:
        """Say in a few words how it went, and whose number it is where that is not base's."""
        own = [OWN_NUMBER] if self.is_claimed else []
        broken = [NOT_HELD] if self.broken else []
        return ", ".join([self._outcome, *broken, *own])

    @property
    def _outcome(self) -> str:
        """Say in one or two words how it went."""
        if self.stale:
            return f"stale, {OLDER_RUN}"
        if self.unproven is not None:
            return f"{self.kind.value}, {NOT_PROVEN}"
        if self.kind is Kind.WORSENED and self.verdict is Verdict.PASS and not self.budget:
            return "worsened, allowed"
        if not self.budget or self.kind in (Kind.REMOVED, Kind.INCOMPARABLE):
            return self.kind.value
        return "within budget" if self.verdict is Verdict.PASS else "over budget"


def find_row(report: Report, name: str) -> Row | None:
    """Find the row of a judged metric, whatever it is held against."""
    return next((row for row in held_rows(report) if row.name == name), None)


def held_rows(report: Report) -> list[Row]:
    """List the judged metrics against base, the reference, and what environments serve."""
    return [*judged_rows(report), *reference_rows(report), *promotion_rows(report)]


def reference_rows(report: Report) -> list[Row]:
    """List the judged metrics as held against the reference, with its value in base's place."""
    reference = report.reference
    if report.judgement is None or reference is None:
        return []
    joined = Joined(reference.metrics)
    rows = [
        _judged_row(verdict, _find_judged(verdict, joined, ()))
        for verdict in report.judgement.reference
    ]
    return [
        msgspec.structs.replace(row, name=name_since(row.name, reference.label)) for row in rows
    ]


def promotion_rows(report: Report, environment: str | None = None) -> list[Row]:
    """List the judged metrics of promotions, or of one; what is served now in base's place."""
    held = {promotion.environment: promotion for promotion in report.promotions}
    rows = []
    for judged in report.judgement.promotions if report.judgement else ():
        promotion = held.get(judged.environment)
        if promotion is None or environment not in (None, judged.environment):
            continue
        joined = Joined(promotion.metrics)
        for verdict in judged.metrics:
            row = _judged_row(verdict, _find_judged(verdict, joined, ()))
            name = name_in(row.name, judged.environment)
            limits = () if promotion.is_return else row.limits  # they do not count there
            rows.append(msgspec.structs.replace(row, name=name, limits=limits))
    return rows


def judged_rows(report: Report) -> list[Row]:
    """List the judged metrics, what fails first, else in the policy's order."""
    if report.judgement is None:
        return []
    joined = Joined(report.metrics)
    rows = [
        _judged_row(verdict, _find_judged(verdict, joined, report.cost))
        for verdict in report.judgement.metrics
    ]
    return sorted(rows, key=lambda row: row.verdict is not Verdict.FAIL)


def find_verdict(report: Report, row: Row) -> tuple[MetricVerdict | None, MetricChange | None]:
    """Find the verdict and the change that ``row`` shows, against base or the reference."""
    judgement, reference = report.judgement, report.reference
    for verdict in judgement.metrics if judgement else ():
        if verdict.name == row.name:
            return verdict, _find_judged(verdict, Joined(report.metrics), report.cost)
    for verdict in judgement.reference if judgement and reference else ():
        if reference and name_since(verdict.name, reference.label) == row.name:
            return verdict, _find_judged(verdict, Joined(reference.metrics), ())
    held = {promotion.environment: promotion for promotion in report.promotions}
    for judged in judgement.promotions if judgement else ():
        for verdict in judged.metrics:
            if name_in(verdict.name, judged.environment) == row.name:
                metrics = held[judged.environment].metrics
                return verdict, _find_judged(verdict, Joined(metrics), ())
    return None, None


def _find_judged(
    verdict: MetricVerdict, joined: Joined, cost: Sequence[MetricChange]
) -> MetricChange | None:
    """Find what a verdict is of; None where the policy's name stands for none, or several."""
    matches = [*joined.match(verdict.name), *cost]
    plain = verdict.name.removeprefix(f"{verdict.path}:")
    moved = joined.moved.get(verdict.name)
    return moved or next(
        (change for change in matches if (change.path, change.name) == (verdict.path, plain)), None
    )


def other_rows(report: Report) -> list[Row]:
    """List the metrics that the policy does not judge."""
    judged = report.judgement.metrics if report.judgement else ()
    joined = Joined(report.metrics)
    judged_changes = (_find_judged(verdict, joined, report.cost) for verdict in judged)
    taken = {(change.path, change.name) for change in judged_changes if change}
    measured = report.measurement
    is_mixed = measured is not None and measured.reason is None  # else whose they are is said once
    return [
        _plain_row(change, is_claimed=is_mixed and find_claim(change, measured) is not None)
        for change in joined.changes
        if (change.path, change.name) not in taken
    ]


def moved_rows(rows: list[Row]) -> list[Row]:
    """List the metrics that are not told to be unchanged: moved, or not comparable."""
    return [row for row in rows if row.kind is not Kind.UNCHANGED]


def count_moved(rows: list[Row], *, of: int | None = None) -> str:
    """Say how many metrics changed; those that cannot be compared are not among them.

    Such as "6 changed", or "0 of 27 changed, 6 not comparable".
    """
    moved = moved_rows(rows)
    unknown = sum(row.kind is Kind.INCOMPARABLE for row in moved)
    more = f", {unknown:,} not comparable" if unknown else ""
    total = "" if of is None else f" of {of}"
    return f"{len(moved) - unknown:,}{total} changed{more}"


def describe_other(row: Row) -> str:
    """Say how a metric moved that the policy does not judge; never that it is better or worse."""
    if row.reasons:
        return f"{row.kind.value}: {row.reasons[0]}"
    if row.stale:
        return OLDER_RUN
    if row.kind is Kind.UNCHANGED:
        return ""
    own = f", {OWN_NUMBER}" if row.is_claimed else ""
    return f"{row.chance or row.kind.value}{own}"


def explain_judged(report: Report) -> str:
    """Say what the intervals of the judged metrics are, and the words that follow from them.

    "" where none has an interval. Names stand in backticks.
    """
    comparisons = [judged_rows(report), reference_rows(report)]
    comparisons += [promotion_rows(report, each.environment) for each in report.promotions]
    families = [[row for row in rows if row.interval] for rows in comparisons]
    rows = [row for family in families for row in family]
    if not rows:
        return ""
    level = shared_confidence(rows)
    if level is None:  # Holm's steps: what is settled at the first is not asked again
        texts = [_READ_IN_STEPS]
    else:
        held = f"holds the true change in {level.removesuffix('%')} of 100 such comparisons"
        is_shared = max(map(len, families)) > 1
        texts = [f"Each interval {held}: {_SHARED}." if is_shared else f"An interval {held}."]
    kinds = {row.kind for row in rows}
    texts += [text for kind, text in _MEANINGS.items() if kind in kinds]
    return " ".join(texts)


def explain_others(rows: list[Row]) -> str:
    """Say what the intervals of metrics that are not judged are worth; empty without any."""
    if not any(row.interval for row in rows):
        return ""
    level = shared_confidence(rows)
    share = 1 - float(level.rstrip("%")) / 100 if level else 0
    some = f"one in {1 / share:.0f}" if share > 0 else "some"
    return (
        "These metrics are no part of the verdict. Each interval stands alone, without the "
        "correction that judged metrics share: of those that did not really change, "
        f"{some} looks as if it had. No interval: the predictions do not give this metric."
    )


def headline(report: Report) -> str:
    """Say the verdict in two or three words."""
    verdict = report.judgement.verdict if report.judgement else Verdict.SKIP
    if verdict is Verdict.FAIL:
        is_false = any(row.broken for row in judged_rows(report))
        return f"❌ Must not merge{', its numbers do not hold' if is_false else ''}"
    if verdict is Verdict.UNDECIDED:
        return "⚠️ Could not decide"
    if verdict is Verdict.SKIP:
        return "⚪ Not judged"
    doubts = [OWN_NUMBERS] if has_own_numbers(report) else []
    slices = count_unproven(report)
    if unproven_rows(report):
        doubts.append(NOT_PROVEN)
    elif slices:
        doubts.append(f"{NOT_PROVEN} in {slices:,} {'slice' if slices == 1 else 'slices'}")
    return f"⚠️ May merge, {', '.join(doubts)}" if doubts else "✅ May merge"


def has_own_numbers(report: Report) -> bool:
    """Tell whether something that is judged was measured by the pull request alone."""
    return has_claimed_slices(report) or any(row.is_claimed for row in judged_rows(report))


def explain_skip(report: Report) -> str:
    """Say why a report has no verdict: nothing to judge by, and nothing that differs or counts."""
    if not report.metrics and not report.omitted.metrics:
        return "there is no metric to judge"
    if is_untouched(report) and all(find_kind(change) in _AT_REST for change in report.metrics):
        return "base and head are the same in all that is compared"
    return "no policy names a metric to judge"


def is_plain_pass(report: Report) -> bool:
    """Tell whether everything passes, by base's measurement, and each margin is shown kept."""
    passes = report.judgement is not None and report.judgement.verdict is Verdict.PASS
    is_shown = not (unproven_rows(report) or count_unproven(report))
    return passes and is_shown and not has_own_numbers(report)


def shared_confidence(rows: list[Row]) -> str | None:
    """Find the confidence of the intervals when all have the same one.

    They differ where a correction for several metrics settles some of them first.
    """
    levels = {row.confidence for row in rows if row.confidence}
    return levels.pop() if len(levels) == 1 else None


def interval_cells(row: Row, *, with_interval: bool, level: str | None) -> list[str]:
    """Fill a table's column of intervals, if it has one; ``level``: the confidence they share."""
    own = "" if level or not row.confidence else f" ({row.confidence})"
    return [f"{row.interval}{own}" if row.interval else DASH] if with_interval else []


def unproven_rows(report: Report) -> list[Row]:
    """List the judged metrics that pass and may have lost more than they may, for all we know.

    Against base, then against the reference, then against what environments serve.
    """
    return [row for row in held_rows(report) if row.is_doubtful]


def render_side(side: Side) -> str:
    """Name one side: a short sha, or what no commit holds."""
    return side.sha[:_SHORT] if side.sha else "work tree"


def test_data_text(report: Report) -> str:
    """Say whether both sides were measured on the same rows."""
    is_renewed = report.rescoring is not None and report.rescoring.reason is None
    if is_renewed and report.test_data is TestData.CHANGED:
        return "both on head's test data, which changed"
    return {
        TestData.SAME: "same test data",
        TestData.CHANGED: "the test data changed",
        TestData.UNKNOWN: "test data not known",
    }[report.test_data]


def sampling_text(report: Report) -> str:
    """Say how the test rows were chosen, what intervals count, and what both assume."""
    sampling = report.sampling
    column = f"`{sampling.column}`"
    chosen, assumed = {
        "time": (f"the latest by {column}", "rows to come are like the latest ones"),
        "group": (f"whole groups of {column}, at random", "new groups are like these"),
        "hash": ("drawn at random, by id", "the model meets rows like these, of the same time"),
        None: ("how they were chosen is not said", "the model meets rows like these"),
    }[sampling.method]
    unit = f"each `{sampling.cluster}` once" if sampling.cluster is not None else "rows"
    if sampling.cluster is None:
        assumed = f"rows are independent, and {assumed}"
    parts = [
        chosen,
        *_describe_looks(report),
        f"intervals count {unit}{name_seeds(report)}",
        f"assumed: {assumed}",
    ]
    return f"Test rows: {' · '.join(parts)}"


def _describe_looks(report: Report) -> list[str]:
    """Say how often the test rows were measured on before; nothing where git does not tell."""
    if report.looks is None:
        return []
    count, least = report.looks.results, "at least " if report.looks.partial else ""
    if not count:
        return (
            ["no earlier run is known to have been measured on them"]
            if least
            else ["no earlier run was measured on them"]
        )
    runs = "earlier run was" if count == 1 else "earlier runs were"
    return [f"{least}{count:,} {runs} measured on them"]


test_data_text.__test__ = False  # type: ignore[attr-defined]


def noise_notices(report: Report) -> list[str]:
    """Say which metrics moved, and of which judged ones noise was not estimated, and why."""
    rows = [row for row in judged_rows(report) if not row.budget]
    moved = (Kind.IMPROVED, Kind.WORSENED)
    bare = [row for row in rows if row.interval is None and row.kind in moved]
    notices = [*describe_moves(report.metrics), *describe_seeds(report)]
    if bare:
        every = len(bare) == len([row for row in rows if row.kind in moved or row.interval])
        names = "" if every else f" for {_list_names(bare)}"
        notices.append(f"Noise was not estimated{names}: the numbers are compared as they are.")
    remarks = dict.fromkeys(row.remark for row in rows if row.remark)
    for remark in remarks:
        names = _list_names([row for row in rows if row.remark == remark])
        notices.append(f"{names}: {remark.rstrip('.?')}.")
    return notices


def _list_names(rows: list[Row]) -> str:
    return ", ".join(f"`{row.name}`" for row in rows[:_MOST_NAMES])


def passing_text(report: Report) -> str:
    """Say what passed and how."""
    rows = judged_rows(report)
    metrics = [row.kind for row in rows if not row.budget]
    words = [f"{metrics.count(kind)} {_name_passing(kind)}" for kind in Kind if kind in metrics]
    budgets = len(rows) - len(metrics)
    kept = [f"{budgets} within budget"] if budgets else []
    sliced = passing_slices(report)
    if not rows:
        return sliced
    total = "The judged metric passes" if len(rows) == 1 else f"All {len(rows)} judged metrics pass"
    settle = next((row for row in rows if row.more_rows), None)
    more = (
        f" About {_round_up(settle.more_rows or 0):,} more test rows would settle `{settle.name}`."
        if settle
        else ""
    )
    since = reference_rows(report)
    kept += [f"{len(since)} since `{report.reference.label}`"] if since and report.reference else []
    promoted = [row for row in promotion_rows(report) if row.verdict is not Verdict.SKIP]
    kept += [f"{len(promoted)} against what is served"] if promoted else []
    unproven = _list_unproven([*rows, *since, *promoted])
    text = f"{total}: {', '.join([*words, *kept])}.{unproven}{more}"
    return f"{text} {sliced}" if sliced else text


def _list_unproven(rows: list[Row]) -> str:
    """Name the metrics of which a loss above the margin is not ruled out, and why."""
    unproven = [row for row in rows if row.is_doubtful]
    if not unproven:
        return ""
    phrases = [f"`{row.name}` {row.unproven}" for row in unproven[:_MOST_NAMES]]
    more = len(unproven) - len(phrases)
    phrases += [f"and {more} more"] if more else []
    return f" Not proven safe: {'; '.join(phrases)}."


def _name_passing(kind: Kind) -> str:
    """Name the kind of a metric that passes: a loss that the policy allows is called that."""
    return "worsened (allowed)" if kind is Kind.WORSENED else kind.value


def _round_up(count: int) -> int:
    """Round to two digits, upwards: the number is an estimate.

    >>> _round_up(4_213)
    4300
    """
    unit = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // unit) * unit


def render_version(version: DataVersion | None) -> str:
    """Render what a data pointer points at."""
    if version is None:
        return DASH
    digest = version.hash.rpartition(":")[2].removesuffix(".dir")[:_SHORT]
    extra = [render_size(version.size)] if version.size is not None else []
    if version.files is not None:
        extra.append(f"{version.files} files")
    return f"{digest} ({', '.join(extra)})" if extra else digest


def limit_texts(rule: Rule) -> tuple[str, ...]:
    """Say what the policy allows, one short phrase per limit."""
    texts = []
    if rule.max_worsening is not None:
        texts.append(f"may lose at most {render_plain(rule.max_worsening)}")
    if rule.max_relative_worsening is not None:
        texts.append(f"may lose at most {render_plain(rule.max_relative_worsening * 100)}%")
    if rule.min_value is not None:
        texts.append(f"at least {render_plain(rule.min_value)}")
    if rule.max_value is not None:
        texts.append(f"at most {render_plain(rule.max_value)}")
    return tuple(texts)


def _judged_row(verdict: MetricVerdict, change: MetricChange | None) -> Row:
    """Make the row of one judged metric; it may be in no file."""
    rule = verdict.rule
    base = change.base if change else None
    head = change.head if change else None
    interval = change.evidence.interval if change and change.evidence else None
    decimals = choose_decimals(
        base,
        head,
        half_width=(interval.high - interval.low) / 2 if interval else None,
        apart_from=_thresholds(rule, base),
    )
    return Row(
        name=verdict.name,
        path=verdict.path,
        base=render_number(base, decimals),
        head=render_number(head, decimals),
        delta=render_delta(change.delta if change else None, decimals),
        interval=_render_interval(interval, decimals) if interval else None,
        confidence=_render_confidence(interval) if interval else None,
        limits=limit_texts(rule),
        kind=verdict.kind,
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        budget=verdict.budget,
        stale=change is not None and change.stale is not None,
        unproven=verdict.unproven,
        is_claimed=verdict.claimed is not None,
        broken=find_broken(verdict),
        more_rows=_find_more_rows(verdict, change),
        remark=change.evidence.reason if change and change.evidence else None,
    )


def _find_more_rows(verdict: MetricVerdict, change: MetricChange | None) -> int | None:
    evidence = change.evidence if change else None
    is_open = verdict.kind is Kind.INCONCLUSIVE or verdict.unproven is not None
    if not is_open or evidence is None or evidence.interval is None:
        return None
    from mlgitops.judgement.kinds import required_rows

    margin = find_margin(verdict.rule, change.base or 0.0) if change else None
    return required_rows(evidence.interval, evidence.rows, margin)


def _plain_row(change: MetricChange, *, is_claimed: bool) -> Row:
    interval = change.evidence.interval if change.evidence else None
    decimals = choose_decimals(
        change.base,
        change.head,
        half_width=(interval.high - interval.low) / 2 if interval else None,
    )
    reasons = (change.reason,) if change.reason else ()
    return Row(
        name=change.name,
        path=change.path,
        base=render_number(change.base, decimals),
        head=render_number(change.head, decimals),
        delta=render_delta(change.delta, decimals),
        interval=_render_interval(interval, decimals) if interval else None,
        confidence=_render_confidence(interval) if interval else None,
        limits=(),
        kind=find_kind(change),
        verdict=Verdict.SKIP,
        stale=change.stale is not None,
        is_claimed=is_claimed,
        reasons=reasons,
        chance=_describe_chance(interval) if interval else None,
    )


def _describe_chance(interval: Interval) -> str:
    """Say whether noise may explain a change, by an interval that no correction widened."""
    from mlgitops.statistics.intervals import is_rough

    text = "may be noise" if interval.low <= 0 <= interval.high else "beyond noise, taken alone"
    return f"{text} (rough)" if is_rough(interval) else text


def _thresholds(rule: Rule, base: float | None) -> tuple[float, ...]:
    """List the head values at which the rule turns: none may look like head."""
    limits = [value for value in (rule.min_value, rule.max_value) if value is not None]
    if base is not None and rule.max_worsening is not None:
        sign = -1 if rule.greater_is_better else 1
        limits.append(base + sign * rule.max_worsening)
    return tuple(limits)


def _render_confidence(interval: Interval) -> str:
    return f"{interval.confidence * 100:.4g}%"


def _render_interval(interval: Interval, decimals: int) -> str:
    return render_ends(interval.low, interval.high, decimals)
