"""What is said of who measured head's numbers: base's code, or the pull request itself. Pure.

Names stand in backticks and are not escaped yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.judgement.claims import describe_broken, find_claim
from mlgitops.judgement.moved import Joined
from mlgitops.model import TestData
from mlgitops.render.numbers import render_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlgitops.model import Measurement, MetricChange, Report

#: How a number is marked that base's code did not measure.
OWN_NUMBER = "measured by the pull request"
#: How a number is marked of which the run says another one.
NOT_HELD = "claim does not hold"
#: Title and text of the line below a comparison that no job measured again.
UNMEASURED = (
    "Head's numbers are those of its own run",
    (
        "In a pull request, base's code measures head's stored model again, in a job that runs none"
        " of the pull request's code. With `evidence: independent` in policy.yaml those numbers"
        " decide."
    ),
)
_NEXT = (
    "What helps: merge what base's code needs for it by itself first, such as a change to the code"
    " that measures; or somebody who may write waives this."
)
_MOST_NAMES = 5


def describe_measurement(report: Report) -> str:
    """Say who measured head's numbers, in one line; "" where nobody was to."""
    measurement = report.measurement
    if measurement is None:
        return ""
    claims = _list_claims(report)
    if measurement.reason is not None:
        # Where that is why it fails, the reason stands with the failure.
        reason = "" if _is_demanded(report) else f": {measurement.reason.rstrip('.')}"
        return f"Measured by the pull request itself, not by base's code{reason}."
    brings_rows = report.test_data is TestData.CHANGED and not measurement.rebuilt
    work = _describe_work(measurement, brings_rows=brings_rows)
    text = f"Measured by base's code, not by this pull request: {work}."
    return " ".join([text, *claims])


def advise_measuring(report: Report) -> str:
    """Say what to do about numbers that fail because they are only claimed; "" without any."""
    return _NEXT if _is_demanded(report) else ""


def measurement_notices(report: Report) -> list[str]:
    """Say that the measuring code is edited, and which numbers differ that fail nothing."""
    measurement = report.measurement
    if measurement is None or measurement.reason is not None:
        return []
    joined = Joined(report.metrics)
    judged, others = _split_broken(report, joined.changes)
    if measurement.edited:
        paths = _list([f"`{path}`" for path in measurement.edited])
        text = f"This change edits the code that measures ({paths}): base's was used."
        return [f"{text}{_tell_broken([*judged, *others])}"]
    if not others:
        return []
    return [f"The run's own numbers differ here, which fails nothing:{_tell_broken(others)}"]


def _split_broken(report: Report, changes: Sequence[MetricChange]) -> tuple[list[str], list[str]]:
    """List the claims that differ from the measurement: of judged metrics, and of all others.

    A budget is the run's word, and among the others.
    """
    rows = report.judgement.metrics if report.judgement else ()
    metrics = [row for row in rows if not row.budget]
    judged = {(row.path, row.name.removeprefix(f"{row.path}:")) for row in metrics}
    texts: tuple[list[str], list[str]] = ([], [])
    for change in changes:
        broken = describe_broken(change, report.measurement)
        if broken is not None:
            texts[(change.path, change.name) not in judged].append(f"`{change.name}` {broken}")
    return texts


def _tell_broken(texts: Sequence[str]) -> str:
    return f" {_list(texts, '; ')}." if texts else ""


def _list_claims(report: Report) -> list[str]:
    """Say of which judged metrics the numbers are the pull request's all the same, and why."""
    names: dict[str, list[str]] = {}
    metrics = report.judgement.metrics if report.judgement else ()
    claimed = {row.name for row in metrics if row.claimed is not None}
    joined = Joined(report.metrics)
    for name in claimed:
        for change in joined.match(name):
            why = find_claim(change, report.measurement)
            names.setdefault(why or "", []).append(f"`{name}`")
    return [f"Except {_list(sorted(group))}: {why}." for why, group in sorted(names.items())]


def _is_demanded(report: Report) -> bool:
    """Tell whether a number fails because it is only claimed."""
    if report.judgement is None:
        return False
    metrics = ((row.claimed, row.reasons) for row in report.judgement.metrics)
    slices = ((row.claimed, row.reasons) for row in report.judgement.slices)
    return any(claimed in reasons for claimed, reasons in (*metrics, *slices))


def _describe_work(measurement: Measurement, *, brings_rows: bool) -> str:
    """Say how many rows were predicted, who chose them if not base, and how long it took."""
    origin = " that the pull request brings" if brings_rows else ""
    origin = " that base's stages made from head's data" if measurement.rebuilt else origin
    parts = [f"{measurement.rows:,} test rows{origin}"] if measurement.rows is not None else []
    parts += [render_seconds(measurement.seconds)] if measurement.seconds is not None else []
    return ", ".join(parts) or "base's stored values"


def _list(texts: Sequence[str], separator: str = ", ") -> str:
    more = [f"and {len(texts) - _MOST_NAMES} more"] if len(texts) > _MOST_NAMES else []
    return separator.join([*texts[:_MOST_NAMES], *more])
