"""What a report says beside its values, put right by what git says of the same. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlgitops.model import Sampling
from mlgitops.verification.record import CLUSTER

if TYPE_CHECKING:
    from mlgitops.model import Report
    from mlgitops.verification.record import Record

_MAX_TEXT = 500


def correct_protected(report: Report, record: Record) -> Report:
    """Return ``report`` with the files that git says decide its judgement, not those it names."""
    if record.protected is not None:
        omitted = msgspec.structs.replace(report.omitted, protected=record.omitted_protected)
        return msgspec.structs.replace(
            report,
            protected=record.protected,
            policy_changed=record.policy_changed,
            omitted=omitted,
        )
    reason = next(iter(record.problems.values()), "git did not say")
    text = (
        "Whether this change edits what judges it is not known here, and what the report names is"
        f" self-reported: {reason}."
    )
    return add_notice(report, text)


def correct_cluster(report: Report, record: Record) -> Report:
    """Return ``report`` with what git says of where tasks run after a merge, if it says it."""
    if record.cluster is None:
        return report
    others = [change for change in report.params if not change.name.startswith(CLUSTER)]
    params = sorted([*others, *record.cluster], key=lambda change: (change.path, change.name))
    return msgspec.structs.replace(report, params=tuple(params))


def correct_sampling(report: Report, record: Record) -> Report:
    """Return ``report`` with what git says of how head's test rows were chosen, if it says it."""
    sampling = record.head.sampling if record.head is not None else Sampling()
    return msgspec.structs.replace(report, sampling=sampling)


def correct_looks(report: Report, record: Record) -> Report:
    """Return ``report`` with what git says of how often the test rows were measured on before.

    Where the run made other test rows than a commit has, git says nothing of them.
    """
    side = record.results or record.head
    is_same = side is not None and side.test_data == report.head.test_data
    return msgspec.structs.replace(report, looks=record.looks if is_same else None)


def correct_trend(report: Report, record: Record) -> Report:
    """Return ``report`` with what git says of the judged metric over the last merges."""
    return msgspec.structs.replace(report, trend=record.trend)


def add_notice(report: Report, text: str) -> Report:
    """Put a sentence before the report's own notices."""
    return msgspec.structs.replace(report, notices=(text[:_MAX_TEXT], *report.notices))
