"""The sentence that carries a report: which metric decides, and how it went. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.model import Kind, Verdict
from mlgitops.render.numbers import DASH
from mlgitops.render.rows import OLDER_RUN, find_row, unproven_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model import Report
    from mlgitops.render.rows import Row


def find_deciding(report: Report) -> Row | None:
    """Find the row that the first line is about: what decides, or what is not proven."""
    judgement = report.judgement
    if judgement is None or judgement.deciding is None:
        return None
    unproven = unproven_rows(report)
    if judgement.verdict is Verdict.PASS and unproven:
        return unproven[0]
    return find_row(report, judgement.deciding)


def describe_row(row: Row) -> str:
    """Say how a metric moved, how sure that is, and what is allowed: what follows its name."""
    if row.kind is Kind.REMOVED:
        return f"was {row.base} and is gone"
    if row.kind is Kind.ADDED:
        bounds = [limit for limit in row.limits if not limit.startswith("may lose")]
        return f"is new, {row.head}{_in_brackets(bounds)}"
    if row.base == row.head == DASH:
        return row.reasons[0] if row.reasons else ""
    refused = _describe_refused(row)
    if refused:
        return refused
    moved = f"{row.base} → {row.head}"
    interval = [f"{row.confidence} interval {row.interval}"] if row.interval else []
    change = row.delta if row.kind is not Kind.UNCHANGED else "unchanged"
    parts = ", ".join([change, *interval])
    return f"{moved} ({'; '.join([parts, *row.limits[:2]])})"


def _describe_refused(row: Row) -> str:
    """Say how a metric moved whose change counts for nothing, and why; "" where it counts."""
    moved = f"{row.base} → {row.head}"
    if row.broken:
        return f"{row.broken} ({moved})"
    if row.stale:
        return f"{moved} ({row.delta}, {OLDER_RUN}), which is stale"
    return f"{moved}, which cannot be compared" if row.kind is Kind.INCOMPARABLE else ""


def _in_brackets(texts: Sequence[str]) -> str:
    return f" ({'; '.join(texts)})" if texts else ""
