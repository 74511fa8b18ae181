"""What is said of the reference that head is held against, beside its row in the table. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.model import Kind
from mlgitops.render.rows import reference_rows

if TYPE_CHECKING:
    from mlgitops.model import Report

_SHORT = 7


def describe_reference(report: Report) -> list[str]:
    """Say which commit the reference is, and what its values rest on; nothing without one."""
    reference = report.reference
    if reference is None or reference.reason is not None:
        return []  # the verdict says why head could not be held against it
    commit = f", {reference.sha[:_SHORT]}" if reference.sha else ""
    called = f" (`{reference.name}`)" if reference.name != reference.label else ""
    sentences = [f"Reference: `{reference.label}`{called}{commit}."]
    rescoring = reference.rescoring
    if rescoring is not None:
        rows = f"{rescoring.rows:,} test rows" if rescoring.rows is not None else "test data"
        sentences.append(f"Its model was measured anew by base's code, on head's {rows}.")
    rows_without = [
        row
        for row in reference_rows(report)
        if row.interval is None and row.kind in (Kind.IMPROVED, Kind.WORSENED)
    ]
    if rows_without:
        sentences.append("Noise was not estimated against it: plain numbers are compared.")
    return [" ".join(sentences)]
