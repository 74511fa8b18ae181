"""What is said of base's model on head's test data, after the test data changed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.model import TestData
from mlgitops.render.numbers import choose_decimals, render_number
from mlgitops.render.rows import judged_rows

if TYPE_CHECKING:
    from mlgitops.model import MetricChange, Report, Rescoring

_MOST_NAMES = 5


def describe_rescoring(report: Report) -> list[str]:
    """Say how base's model came to its values, or why it has none on head's test data."""
    rescoring = report.rescoring
    if rescoring is None:
        return []
    if rescoring.reason is not None:
        return [f"Base's model could not be measured on head's test data: {rescoring.reason}."]
    rows = f"{rescoring.rows:,} test rows" if rescoring.rows is not None else "test data"
    if report.test_data is not TestData.CHANGED:
        stored = _list_stored(report)
        text = f"What base has stored is not what its own code measures of its model on its {rows}:"
        return [f"{text} what was measured is base's{f', not {stored}' if stored else ''}."]
    sentences = [
        f"The test data changed, so base's model was measured anew, on head's {rows}.",
        _describe_seen(rescoring),
    ]
    stored = _list_stored(report)
    if stored:
        sentences.append(f"On its own test data it had {stored}.")
    return [" ".join(sentences)]


def _list_stored(report: Report) -> str:
    """List what base's judged metrics were on its own test data."""
    judged = {(row.path, row.name.removeprefix(f"{row.path}:")) for row in judged_rows(report)}
    texts = [
        f"`{change.name}` {render_number(change.base_stored, _decimals(change))}"
        for change in report.metrics
        if (change.path, change.name) in judged
        and change.base_stored is not None
        and change.base_stored != change.base
    ]
    more = f" and {len(texts) - _MOST_NAMES} more" if len(texts) > _MOST_NAMES else ""
    return ", ".join(texts[:_MOST_NAMES]) + more


def _decimals(change: MetricChange) -> int:
    return choose_decimals(change.base, change.base_stored)


def _describe_seen(rescoring: Rescoring) -> str:
    if rescoring.seen is None:
        return "Whether it was trained on some of these rows is not known."
    if not rescoring.seen:
        return "It was trained on none of these rows."
    share = f" ({rescoring.seen / rescoring.rows:.0%})" if rescoring.rows else ""
    return (
        f"It was trained on {rescoring.seen:,} of these rows{share}, so base looks better here "
        "than it is."
    )
