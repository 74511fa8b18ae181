"""A report to bytes and back: strict when read, the same bytes for the same report.

`report.json` crosses from the job that runs the pull request's code to the job that may
write to it, so reading trusts nothing. No I/O.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from mlgitops.errors import MlgitopsError, show_bytes
from mlgitops.model import Report
from mlgitops.model.documents import encode_document, parse_document
from mlgitops.model.slice_metrics import find_statistic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mlgitops.model import MetricChange, SliceFacts, TableChange

#: A report holds at most this many bytes; :func:`fit_report` leaves rows out to stay within.
MAX_REPORT_BYTES = 2**20
_WHERE = "report.json"
#: Groups of a rule that are always listed, where there are as many.
FEWEST_SLICES = 5  # the lowest, the highest, and as many as a failure names
_Shown = TypeVar("_Shown")


def encode_report(report: Report) -> bytes:
    """Encode ``report`` as indented JSON with sorted keys and a final newline."""
    return encode_document(report)


def parse_report(data: bytes) -> Report:
    """Read a report; raises :class:`MlgitopsError` on anything that `compare` would not write."""
    report = parse_document(
        *(data, Report, _WHERE),
        limit=MAX_REPORT_BYTES,
        problem="not a report",
        hint="make it with `mlgitops compare` of the same version",
    )
    check_report(report)
    return report


def check_report(report: Report) -> None:
    """Raise :class:`MlgitopsError` for a report of the right form that does not add up."""
    _check_changes((*report.metrics, *report.cost))
    _check_changes(report.reference.metrics if report.reference else ())
    for promotion in report.promotions:
        _check_changes(promotion.metrics)
    for facts in report.slices:
        _check_slices(facts)


def fit_report(report: Report) -> Report:
    """Leave rows out, least telling first, until the report is within its size.

    Metrics that the policy judges are never left out; the others go by how little they
    moved. The numbers of rows left out stand in ``report.omitted``.
    """
    for keep in (5_000, 2_000, 1_000, 500, 200, 50):
        smaller = _make_encodable(_keep_rows(report, keep))
        if len(encode_report(smaller)) <= MAX_REPORT_BYTES:
            return smaller
    raise MlgitopsError(
        "the judged metrics alone do not fit into a report of 1 MiB",
        hint="judge fewer metrics in policy.yaml",
    )


def show_names(value: _Shown) -> _Shown:
    r"""Return ``value`` with the bytes of names that are not UTF-8 written out, as in `\xe7`.

    Any structure of the kinds that a report and the facts of git are made of.
    """
    if isinstance(value, str):
        return cast("_Shown", _show_text(value))
    if isinstance(value, dict):
        shown = {show_names(key): show_names(item) for key, item in value.items()}
        return cast("_Shown", shown)
    if isinstance(value, (list, tuple, set, frozenset)):
        return cast("_Shown", type(value)(map(show_names, value)))
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {name: shown for name, old in fields.items() if (shown := show_names(old)) != old}
        return cast("_Shown", msgspec.structs.replace(value, **changed)) if changed else value
    return value


def _make_encodable(report: Report) -> Report:
    """Write names out where one cannot be encoded: this takes five times as long as encoding."""
    try:
        msgspec.json.encode(report)
    except UnicodeEncodeError:
        return show_names(report)
    return report


def _show_text(text: str) -> str:
    """Write bytes out, in no more characters than the field may have: a name has 200."""
    shown = show_bytes(text)
    return text if shown == text else shown[: max(len(text), 200)]


def report_schema() -> dict[str, Any]:
    """Describe `report.json` as JSON Schema (draft 2020-12)."""
    schema = msgspec.json.schema(Report)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def encode_schema() -> bytes:
    """Encode the published form of :func:`report_schema`."""
    return encode_document(report_schema(), indent=2)


def _keep_rows(report: Report, keep: int) -> Report:
    """Return the report with at most ``keep`` rows of each sort, judged metrics aside."""
    judged = report.judgement.metrics if report.judgement else ()
    names = {verdict.name for verdict in judged}
    gated = [change for change in report.metrics if _is_named(change, names)]
    others = [change for change in report.metrics if not _is_named(change, names)]
    others = sorted(others, key=_telling)[:keep]
    metrics = tuple(sorted([*gated, *others], key=lambda change: (change.path, change.name)))
    tables = tuple(_keep_columns(table, keep // 20) for table in report.tables)
    rows = {name: getattr(report, name) for name in ("params", "data", "stages")}
    kept: dict[str, Any] = {name: value[:keep] for name, value in rows.items()}
    slices = tuple(_keep_slices(facts, keep // 50) for facts in report.slices)
    lost = {name: len(rows[name]) - len(kept[name]) for name in rows}
    lost["metrics"] = len(report.metrics) - len(metrics)
    if not any(lost.values()) and (tables, slices) == (report.tables, report.slices):
        return report
    old = report.omitted
    total = {name: getattr(old, name) + count for name, count in lost.items()}
    omitted = msgspec.structs.replace(old, **total)
    return msgspec.structs.replace(
        report, metrics=metrics, omitted=omitted, tables=tables, slices=slices, **kept
    )


def _is_named(change: MetricChange, names: Collection[str]) -> bool:
    """Tell whether the policy means ``change``, be it one of several that it could mean."""
    return change.name in names or f"{change.path}:{change.name}" in names


def _keep_columns(table: TableChange, keep: int) -> TableChange:
    """Return the table's change with at most ``keep`` columns, the most telling ones."""
    lost = len(table.columns) - keep
    if lost <= 0:
        return table
    omitted = table.omitted_columns + lost
    return msgspec.structs.replace(table, columns=table.columns[:keep], omitted_columns=omitted)


def _keep_slices(facts: SliceFacts, keep: int) -> SliceFacts:
    """Return the facts with at most ``keep`` groups; those that decide stand first."""
    keep = max(keep, FEWEST_SLICES)
    lost = len(facts.slices) - keep
    if lost <= 0:
        return facts
    kept = facts.slices[:keep]
    return msgspec.structs.replace(facts, slices=kept, omitted=facts.omitted + lost)


def _telling(change: MetricChange) -> tuple[float, str, str]:
    """Sort key: what cannot be compared first, then by relative movement, largest first."""
    if change.delta is None:
        return (-math.inf, change.path, change.name)
    if change.delta == 0:
        return (0.0, change.path, change.name)
    moved = change.relative_delta if change.relative_delta is not None else math.inf
    return (-abs(moved), change.path, change.name)


def _check_changes(changes: Iterable[MetricChange]) -> None:
    """Refuse metrics named twice, and deltas that are not head minus base."""
    seen = set()
    for change in changes:
        label = f"metric {change.name[:80]!r}"
        if (change.path, change.name) in seen:
            raise MlgitopsError(f"{label} stands there twice", where=_WHERE)
        seen.add((change.path, change.name))
        if change.delta is not None and not _adds_up(change):
            raise MlgitopsError(f"the delta of {label} is not head minus base", where=_WHERE)
        interval = change.evidence.interval if change.evidence else None
        if interval and interval.low > interval.high:
            raise MlgitopsError(f"the interval of {label} ends before it begins", where=_WHERE)


def _check_slices(facts: SliceFacts) -> None:
    """Refuse a statistic that the listed groups do not give: the extreme ones always are."""
    label = f"the slices of {facts.metric[:80]!r}"
    for result in facts.slices:
        if len(result.group) != len(facts.by):
            raise MlgitopsError(f"{label} do not have a value for each column", where=_WHERE)
        both = result.base is not None and result.head is not None
        if result.delta is not None and not (both and result.delta == result.head - result.base):  # type: ignore[operator]
            raise MlgitopsError(f"a delta in {label} is not head minus base", where=_WHERE)
        if result.interval and result.interval.low > result.interval.high:
            raise MlgitopsError(f"an interval in {label} ends before it begins", where=_WHERE)
    groups = [result for result in facts.slices if result.rows >= facts.min_rows]
    values = [result.head for result in groups if result.head is not None]
    if facts.head is None or facts.statistic is None:
        return
    if find_statistic(facts.statistic, values) != facts.head:
        raise MlgitopsError(f"the {facts.statistic} of {label} is not what they give", where=_WHERE)


def _adds_up(change: MetricChange) -> bool:
    return (
        change.base is not None
        and change.head is not None
        and change.delta == change.head - change.base
    )
