"""The sentences of a report, as plain text: comment, terminal and page say the same. Pure.

In: a report, or its rows (:mod:`~mlgitops.render.rows`). Out: sentences with rounded numbers, names
still unescaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.judgement.judge import find_kind, is_untouched
from mlgitops.judgement.moved import describe_moves
from mlgitops.model import Kind, TestData, Verdict
from mlgitops.render.measurement import OWN_NUMBER
from mlgitops.render.numbers import DASH, render_size
from mlgitops.render.rows import (
    NOT_PROVEN,
    OLDER_RUN,
    Row,
    judged_rows,
    moved_rows,
    promotion_rows,
    reference_rows,
    shared_confidence,
    unproven_rows,
)
from mlgitops.render.seeds import describe_seeds, name_seeds
from mlgitops.render.slices import count_unproven, has_claimed_slices, passing_slices

if TYPE_CHECKING:
    from mlgitops.model import DataVersion, Report, Side

#: What a change is called that passes though base's code did not measure all that is judged.
SELF_REPORTED = "on self-reported numbers"
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
    doubts = [SELF_REPORTED] if has_self_reported(report) else []
    slices = count_unproven(report)
    if unproven_rows(report):
        doubts.append(NOT_PROVEN)
    elif slices:
        doubts.append(f"{NOT_PROVEN} in {slices:,} {'slice' if slices == 1 else 'slices'}")
    return f"⚠️ May merge, {', '.join(doubts)}" if doubts else "✅ May merge"


def has_self_reported(report: Report) -> bool:
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
    return passes and is_shown and not has_self_reported(report)


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
