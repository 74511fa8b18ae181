"""What changed inside the tables, and what the model costs: sentences and cells. Pure.

Comment, terminal and page show these texts: names stand in backticks and are not escaped yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.model import SHIFTED, SHIFTED_FAR, Verdict
from mlgitops.render.numbers import DASH, render_number, render_seconds, render_size
from mlgitops.render.rows import limit_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model import ColumnChange, MetricChange, MetricVerdict, Report, TableChange

#: The head of the table that :func:`column_cells` fills.
COLUMN_HEAD = ("Column", "Holds", "Missing", "Rows changed", "PSI", "Mean", "")
COST_HEAD = ("Cost", "Base", "Head", "Change", "Budget")

#: Where the project's tasks run, by params.yaml; no stage watches it, since it changes no result.
_ADDRESS = "compute.address"
_MOST_CHARACTERS = 200

_MINUS = "\u2212"
_MOST_NAMES = 3
_MOST_PHRASES = 5
_SHARE_WORTH_TELLING = 0.01
_PERCENT = 0.01
#: What a cost of one run differs by from run to run of one commit, as a share: times on a machine
#: that others use, too, and peaks as they are sampled. Less than that is no change.
_NOISE = {
    "cost.training_seconds": 0.3,
    "cost.latency_ms": 0.3,
    "cost.batch_latency_ms": 0.3,
    "cost.peak_memory_mb": 0.1,
}
WITHIN_NOISE = "within the noise of one run"
_LABELS = {
    "cost.training_seconds": "training",
    "cost.peak_memory_mb": "peak memory",
    "cost.model_size_mb": "model",
    "cost.latency_ms": "1 row",
    "cost.batch_latency_ms": "1,000 rows",
}
_LONG_LABELS = {
    "cost.training_seconds": "training time",
    "cost.model_size_mb": "model size",
    "cost.latency_ms": "predicting 1 row",
    "cost.batch_latency_ms": "predicting 1,000 rows",
}


def describe_table(change: TableChange) -> str:
    """Say in one sentence what changed in a table, most telling first.

    >>> from mlgitops.model import TableChange
    >>> describe_table(TableChange(path="a.csv", base_rows=2, head_rows=3, added=1, removed=0))
    '`a.csv`: 2 → 3 rows (+1)'
    """
    name = f"`{change.path}`"
    if change.reason is not None:
        return f"{name} was not compared: {change.reason}"
    if change.base_rows is None or change.head_rows is None:
        rows = change.head_rows if change.base_rows is None else change.base_rows
        word = "new" if change.base_rows is None else "gone"
        return f"{name} is {word}, {_count(rows or 0, 'row')}"
    phrases = [phrase for column in change.columns for phrase in _describe_column(column)]
    more = len(phrases) - _MOST_PHRASES
    tail = [f"and {more} more" if more > 1 else phrases[-1]] if more > 0 else []
    return f"{name}: {'; '.join([_describe_rows(change), *phrases[:_MOST_PHRASES], *tail])}"


def summarise_tables(report: Report) -> str:
    """Say in numbers how many rows were added, removed and changed in the first table compared.

    Plain text, for a title; "" when no table was compared.
    """
    compared = [change for change in report.tables if change.added is not None]
    if not compared:
        return ""
    added, removed, changed = compared[0].added, compared[0].removed, compared[0].changed
    parts = [f"+{added:,}"] if added else []
    parts += [f"{_MINUS}{removed:,}"] if removed else []
    parts += [f"{changed:,} changed"] if changed else []
    return f"rows {', '.join(parts)}" if parts else "the same rows"


def column_cells(column: ColumnChange) -> list[str]:
    """Return the cells of one column's row under :data:`COLUMN_HEAD`."""
    return [
        f"`{column.name}`",
        _arrow(column.base_kind or DASH, column.head_kind or DASH),
        _missing(column),
        f"{column.changed_rows:,}" if column.changed_rows is not None else DASH,
        f"{column.psi:.2f}" if column.psi is not None else DASH,
        _mean_shift(column) or DASH,
        "; ".join([*_levels(column), *_reason(column)]),
    ]


def describe_cluster(report: Report) -> list[str]:
    """Say that a change has tasks run at another address: no number shows it, and it is trusted."""
    return [
        f"Tasks go to another address: `{_ADDRESS}` is `{_quote(change.head)}`, and was"
        f" `{_quote(change.base)}`. Who trains after the merge sends it data and code, and loads"
        " what it answers."
        for change in report.params
        if change.name == _ADDRESS and change.head not in (None, "null")
    ]


def _quote(value: str | None) -> str:
    """Return a value as it may stand between backticks, of which it has none then."""
    return (value or DASH).replace("`", "'")[:_MOST_CHARACTERS]


def describe_cost(report: Report) -> str:
    """Say in one line what the model costs; "" when nothing is known."""
    texts = [
        f"{_LABELS[change.name]} {_amount(change.name, change.head)}"
        + (f" ({_relative(change)})" if _is_change(change) else "")
        for change in _in_order(report)
        if change.head is not None and change.name in _LABELS
    ]
    return ", ".join(texts)


def cost_cells(report: Report) -> list[list[str]]:
    """Return one row for each cost under :data:`COST_HEAD`."""
    judged = {verdict.name: verdict for verdict in _verdicts(report)}
    return [
        [
            _LONG_LABELS.get(change.name) or _LABELS.get(change.name) or f"`{change.name}`",
            _amount(change.name, change.base),
            _amount(change.name, change.head),
            change.reason or _describe_change(change, is_judged=change.name in judged),
            _budget(judged.get(change.name)),
        ]
        for change in _in_order(report)
    ]


def _describe_change(change: MetricChange, *, is_judged: bool) -> str:
    """Say by how much a cost changed; what a budget judges is judged by its number, so it shows."""
    is_noise = change.delta and change.name in _NOISE and not _is_change(change)
    return WITHIN_NOISE if is_noise and not is_judged else _relative(change)


def _is_change(change: MetricChange) -> bool:
    """Tell whether a cost differs by more than another run of the same commit would."""
    return abs(change.relative_delta or 0.0) >= _NOISE.get(change.name, _PERCENT)


def _in_order(report: Report) -> list[MetricChange]:
    """Return the costs as a reader asks for them: time, memory, size, latency."""
    order = list(_LABELS)
    return sorted(
        report.cost,
        key=lambda change: (
            order.index(change.name) if change.name in _LABELS else len(order),
            change.name,
        ),
    )


def _describe_rows(change: TableChange) -> str:
    base, head = change.base_rows or 0, change.head_rows or 0
    rows = _count(head, "row") if base == head else f"{base:,} → {_count(head, 'row')}"
    counts = _row_counts(change)
    return f"{rows} ({', '.join(counts)})" if counts else f"the same {rows}"


def _row_counts(change: TableChange) -> list[str]:
    """Return phrases such as +1,040 and 212 changed in `distance`."""
    counts = [f"+{change.added:,}"] if change.added else []
    counts += [f"{_MINUS}{change.removed:,}"] if change.removed else []
    if change.changed:
        counts.append(f"{change.changed:,} changed{_in_columns(change)}")
    return counts


def _in_columns(change: TableChange) -> str:
    """Name the columns in which rows changed, those with the most first."""
    changed = sorted(
        (column for column in change.columns if column.changed_rows),
        key=lambda column: (-(column.changed_rows or 0), column.name),
    )
    names = [f"`{column.name}`" for column in changed[:_MOST_NAMES]]
    more = len(changed) - len(names)
    names += [f"{more} more"] if more else []
    return f" in {_list(names)}" if names else ""


def _describe_column(column: ColumnChange) -> list[str]:
    """Return the phrases that a column deserves; none when only some cells differ."""
    name = f"`{column.name}`"
    if column.base_kind is None:
        return [f"{name} is a new column"]
    if column.head_kind is None:
        return [f"{name} is gone"]
    phrases = []
    if column.base_kind != column.head_kind:
        phrases.append(f"{name} holds {column.head_kind}, was {column.base_kind}")
    if column.new_levels or column.gone_levels:
        phrases.append(f"{name} {', '.join(_levels(column))}")
    if column.psi is not None and column.psi >= SHIFTED:
        far = " far" if column.psi >= SHIFTED_FAR else ""
        mean = f", mean {_mean_shift(column)}" if _mean_shift(column) else ""
        phrases.append(f"{name} shifted{far} (PSI {column.psi:.2f}{mean})")
    if abs((column.head_missing or 0) - (column.base_missing or 0)) >= _SHARE_WORTH_TELLING:
        phrases.append(f"{name} is missing in {_missing(column)} of rows")
    return phrases


def _levels(column: ColumnChange) -> list[str]:
    """Return phrases such as gained `WN`."""
    new = [f"`{level}`" for level in column.new_levels]
    gone = [f"`{level}`" for level in column.gone_levels]
    more = f" ({column.more_levels:,} more)" if column.more_levels else ""
    texts = [f"gained {_list(new)}"] if new else []
    texts += [f"lost {_list(gone)}"] if gone else []
    return [*texts[:-1], texts[-1] + more] if texts else []


def _reason(column: ColumnChange) -> list[str]:
    """Say why there is no PSI, unless the kinds say it already."""
    return [column.reason] if column.reason and column.base_kind == column.head_kind else []


def _missing(column: ColumnChange) -> str:
    shares = [
        DASH if share is None else _percent(share)
        for share in (column.base_missing, column.head_missing)
    ]
    return _arrow(*shares)


def _percent(share: float) -> str:
    """Render a fraction; what is neither none nor all never looks as if it were."""
    if 0 < share < 0.001:  # noqa: PLR2004 - the last digit shown
        return "<0.1%"
    if 0.999 < share < 1:  # noqa: PLR2004
        return ">99.9%"
    return f"{share * 100:.1f}".removesuffix(".0") + "%"


def _mean_shift(column: ColumnChange) -> str:
    if column.mean_shift is None or abs(column.mean_shift) < 0.005:  # noqa: PLR2004 - two digits
        return ""
    return f"{column.mean_shift:+.2f} sd".replace("-", _MINUS)


def _amount(name: str, value: float | None) -> str:
    """Render a cost in its unit."""
    if value is None:
        return DASH
    if name.endswith("_seconds"):
        return render_seconds(value)
    if name.endswith("_mb"):
        return render_size(round(value * 1e6))
    decimals = 2 if value < 10 else 1 if value < 100 else 0  # noqa: PLR2004 - three digits
    return f"{render_number(value, decimals)}{' ms' if name.endswith('_ms') else ''}"


def _relative(change: MetricChange) -> str:
    if change.delta is None:
        return DASH
    if change.delta == 0:
        return "unchanged"
    if change.relative_delta is None:
        return DASH
    if abs(change.relative_delta) < _PERCENT:
        return "under 1%"
    return f"{change.relative_delta * 100:+.0f}%".replace("-", _MINUS)


def _budget(verdict: MetricVerdict | None) -> str:
    """Say what the policy allows, and whether it is kept."""
    if verdict is None:
        return DASH
    mark = "✅" if verdict.verdict is Verdict.PASS else "❌"
    return " ".join([mark, "; ".join(limit_texts(verdict.rule))])


def _verdicts(report: Report) -> Sequence[MetricVerdict]:
    return report.judgement.metrics if report.judgement else ()


def _arrow(base: str, head: str) -> str:
    return base if base == head else f"{base} → {head}"


def _list(names: Sequence[str]) -> str:
    """Join names as a person would."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
