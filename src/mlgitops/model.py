"""The frozen types that travel down the line: read, parse, diff, judge, render, post.

A :class:`Report` is what `report.json` holds. It has two halves: the *facts* that the
compute job measured, and the *judgement*, which the report job makes again from the
facts and the base's policy. Rendering is a pure function of it. No module here does I/O.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: Version of `report.json`; raised when a reader of the old form would be misled.
REPORT_SCHEMA = 1
#: Names the project where a repository holds only one.
DEFAULT_KEY = "model"

# `$` alone would let a final newline through.
Sha = Annotated[str, Meta(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$(?!\n)")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Path_ = Annotated[str, Meta(min_length=1, max_length=500)]
Text = Annotated[str, Meta(max_length=500)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen record, comparable, and strict when it is decoded; each is keyword-only."""


class Kind(StrEnum):
    """How a metric moved from base to head."""

    IMPROVED = "improved"
    WORSENED = "worsened"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    UNCHANGED = "unchanged"
    CHANGED = "changed"  # it moved, and no direction is known: not gated
    ADDED = "added"
    REMOVED = "removed"
    INCOMPARABLE = "incomparable"


class Verdict(StrEnum):
    """The judgement on one metric, or on the whole report."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    SKIP = "skip"  # nothing to judge: not gated, or no policy


class TestData(StrEnum):
    """Whether base and head were measured on the same test rows."""

    __test__ = False  # not a test class

    SAME = "same"
    CHANGED = "changed"
    UNKNOWN = "unknown"


class Interval(Struct, frozen=True, kw_only=True):
    """A confidence interval of a delta (head minus base), in the metric's own unit."""

    low: float
    high: float
    confidence: Annotated[float, Meta(gt=0, lt=1)]  # a fraction, such as 0.95
    method: Name  # such as "paired DeLong"


class Evidence(Struct, frozen=True, kw_only=True):
    """What paired predictions say of one metric: the seam between statistics and judge."""

    rows: Count  # test rows matched by id
    interval: Interval | None = None
    reason: Text | None = None  # why there is no interval, or on how little ground it stands


class MetricChange(Struct, frozen=True, kw_only=True):
    """One metric at base and head: facts only, full precision, no judgement."""

    name: Name  # dotted, such as "test.roc_auc"
    path: Path_  # the metrics file it was read from
    base: float | None = None
    head: float | None = None
    base_stored: float | None = None  # base's value on its own test data, where `base` is not
    delta: float | None = None  # head - base
    relative_delta: float | None = None  # delta / abs(base), a fraction; None when base is 0
    reason: Text | None = None  # why it is incomparable
    evidence: Evidence | None = None


class ParamChange(Struct, frozen=True, kw_only=True):
    """One parameter that differs; values are JSON text, None where it is absent."""

    path: Path_
    name: Name
    base: Text | None = None
    head: Text | None = None


class DataVersion(Struct, frozen=True, kw_only=True):
    """What dvc.lock or a .dvc file says of one tracked file or directory."""

    hash: Annotated[str, Meta(max_length=100)]  # "md5:…"; a directory's ends in ".dir"
    size: Count | None = None  # bytes
    files: Count | None = None


class DataChange(Struct, frozen=True, kw_only=True):
    """One DVC-tracked path whose pointer differs."""

    path: Path_
    base: DataVersion | None = None
    head: DataVersion | None = None


class StageState(StrEnum):
    """What happened to a pipeline stage between base and head, and in this run."""

    RAN = "ran"
    RESTORED = "restored"
    SKIPPED = "skipped"
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"  # its lock entry differs; no run was observed
    UNCHANGED = "unchanged"


class StageChange(Struct, frozen=True, kw_only=True):
    """One stage of the pipeline, with the changed inputs that explain it."""

    name: Name
    state: StageState
    seconds: Seconds | None = None  # wall time in this run
    causes: tuple[Text, ...] = ()  # changed dependencies, parameters or command


class Side(Struct, frozen=True, kw_only=True):
    """One side of the comparison."""

    sha: Sha | None  # None: nothing is committed yet
    dirty: bool = False  # the work tree, whose files differ from `sha`
    ref: Text | None = None  # what the person named, such as "main"
    test_data: Text | None = None  # hash of the test data, "md5:…"


class Rule(Struct, frozen=True, kw_only=True):
    """What the policy asks of one metric; bounds are inclusive."""

    greater_is_better: bool = True
    min_value: float | None = None
    max_value: float | None = None
    max_worsening: Annotated[float, Meta(ge=0)] | None = None  # in the metric's unit
    max_relative_worsening: Annotated[float, Meta(ge=0)] | None = None  # a fraction of abs(base)


class Statistic(StrEnum):
    """How the values of a slice's groups become one number."""

    DIFFERENCE = "difference"  # largest minus smallest
    RATIO = "ratio"  # smallest over largest
    MINIMUM = "minimum"  # of the lowest group
    MAXIMUM = "maximum"  # of the highest group


class SliceRule(Struct, frozen=True, kw_only=True):
    """What the policy asks of a metric across the groups of some columns."""

    by: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=10)]
    metric: Name
    statistic: Statistic | None = None  # what the bounds are of; None: there are none
    min_value: float | None = None
    max_value: float | None = None
    max_worsening: Annotated[float, Meta(ge=0)] | None = None  # of each group, against base
    min_rows: Annotated[int, Meta(ge=1)] = 1  # smaller groups are shown, not judged


class OnInconclusive(StrEnum):
    """What happens when noise hides whether more than the margin was lost."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"


class Files(Struct, frozen=True, kw_only=True):
    """Where the helper finds what it compares, beside what dvc.yaml declares."""

    test_data: Path_ | None = None
    predictions: Path_ | None = None
    model: Path_ | None = None


class Policy(Struct, frozen=True, kw_only=True):
    """What a model must satisfy to merge: `policy.yaml`, checked."""

    version: int = 1
    confidence: Annotated[float, Meta(gt=0.5, lt=1)] = 0.95
    files: Files = Files()
    metrics: dict[Name, Rule] = {}
    budgets: dict[Name, Rule] = {}
    slices: tuple[SliceRule, ...] = ()
    cluster: Name | None = None  # column whose rows belong together: customer, patient
    inconclusive: OnInconclusive = OnInconclusive.PASS


class MetricVerdict(Struct, frozen=True, kw_only=True):
    """The judgement on one metric."""

    name: Name  # as the policy writes it
    path: Path_ | None = None  # the metrics file; None when it is in none
    kind: Kind
    verdict: Verdict
    rule: Rule = Rule()
    budget: bool = False
    reasons: tuple[Text, ...] = ()  # why it fails, each the end of "the metric …"


#: Slices that are listed for one rule, and rules that a policy may hold.
MAX_SLICES, MAX_SLICE_RULES = 40, 20

#: One group: its value in each column that the rule slices by.
Group = Annotated[tuple[Text, ...], Meta(min_length=1, max_length=10)]


class SliceResult(Struct, frozen=True, kw_only=True):
    """One group of test rows: a metric at base and head."""

    group: Group
    rows: Count
    base: float | None = None
    head: float | None = None
    delta: float | None = None  # head - base
    interval: Interval | None = None  # of the delta, paired on the group's rows
    reason: Text | None = None  # why there is no value


class SliceFacts(Struct, frozen=True, kw_only=True):
    """What predictions say of one slice rule: the statistic over groups, and the groups."""

    by: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=10)]
    metric: Name
    statistic: Statistic | None = None
    min_rows: Annotated[int, Meta(ge=1)] = 1
    base: float | None = None  # the statistic over groups of at least `min_rows` rows
    head: float | None = None
    interval: Interval | None = None  # of head's statistic, with at least this confidence
    # The lowest and highest group come first, then those that lost most, then the largest.
    slices: Annotated[tuple[SliceResult, ...], Meta(max_length=MAX_SLICES)] = ()
    omitted: Count = 0  # groups that are not listed
    small: Count = 0  # groups with fewer than `min_rows` rows
    reason: Text | None = None  # why the rule could not be evaluated
    base_reason: Text | None = None  # why there is nothing to compare with at base
    remark: Text | None = None  # what the numbers rest on


class SliceVerdict(Struct, frozen=True, kw_only=True):
    """The judgement on one slice rule."""

    rule: SliceRule
    verdict: Verdict
    group: Group | None = None  # the group that decides
    reasons: tuple[Text, ...] = ()  # why it fails, one sentence each


class Judgement(Struct, frozen=True, kw_only=True):
    """The verdict, the metric that decides it, and why."""

    verdict: Verdict
    deciding: Name | None = None  # the metric shown on the first line
    metrics: tuple[MetricVerdict, ...] = ()
    slices: Annotated[tuple[SliceVerdict, ...], Meta(max_length=MAX_SLICE_RULES)] = ()
    failures: tuple[Text, ...] = ()  # every reason for a fail, in order of importance


class Omitted(Struct, frozen=True, kw_only=True):
    """How many rows were left out to keep the report within its size; gated ones never are."""

    metrics: Count = 0
    params: Count = 0
    data: Count = 0
    stages: Count = 0


class Links(Struct, frozen=True, kw_only=True):
    """Where a reader finds more; http(s) addresses."""

    run_url: str | None = None  # the workflow run
    repository_url: str | None = None  # without a trailing slash


#: Larger numbers overflow when axes are computed.
MAX_DRAWN = 1e100


class ChartKind(StrEnum):
    """How the numbers of a chart are drawn."""

    LINE = "line"  # y against x, straight between points
    STEPS = "steps"  # a histogram: x are the middles of equally wide bins
    BARS = "bars"  # one bar for each label
    MATRIX = "matrix"  # labels down and across; y row by row


class Series(Struct, frozen=True, kw_only=True):
    """One side's points; ``x`` is empty where the chart has labels instead."""

    side: Literal["base", "head"]
    x: Annotated[tuple[float, ...], Meta(max_length=30)] = ()
    y: Annotated[tuple[float, ...], Meta(min_length=1, max_length=100)]


class Chart(Struct, frozen=True, kw_only=True):
    """One chart that overlays base and head."""

    name: Name  # such as "roc", or the path of a plot that dvc.yaml declares
    kind: ChartKind
    title: Annotated[str, Meta(min_length=1, max_length=100)]
    x_label: Annotated[str, Meta(max_length=60)]
    y_label: Annotated[str, Meta(max_length=60)]
    labels: Annotated[tuple[Annotated[str, Meta(max_length=60)], ...], Meta(max_length=30)] = ()
    diagonal: bool = False  # y = x is worth a line: chance, or perfect calibration
    series: Annotated[tuple[Series, ...], Meta(min_length=1, max_length=2)]  # base first

    def __post_init__(self) -> None:
        """Refuse points that do not belong together; decoding runs this too."""
        sides = [series.side for series in self.series]
        if sides != sorted(set(sides)):
            raise ValueError("the series of a chart are base, head, or both in this order")
        by_label = self.kind in (ChartKind.BARS, ChartKind.MATRIX)
        wanted = len(self.labels) ** (2 if self.kind is ChartKind.MATRIX else 1)
        for series in self.series:
            if len(series.y) != (wanted if by_label else len(series.x)):
                raise ValueError("a chart has as many y as it has x, labels or cells")
            if not all(abs(value) < MAX_DRAWN for value in (*series.x, *series.y)):
                raise ValueError("a chart holds a number that cannot be drawn")
            if not by_label:
                _check_order(series.x)
            if self.kind is ChartKind.STEPS and not _are_even(series.x, self.series[0].x):
                raise ValueError("the bins of a histogram are not equally wide")


def _check_order(x: tuple[float, ...]) -> None:
    if len(x) < 2:  # noqa: PLR2004 - it would be a dot
        raise ValueError("a line needs two points")
    if any(after < before for before, after in pairwise(x)):
        raise ValueError("the points of a chart go from left to right")


def _are_even(x: tuple[float, ...], first: tuple[float, ...]) -> bool:
    width = (x[-1] - x[0]) / (len(x) - 1)
    steps = (after - before for before, after in pairwise(x))
    return width > 0 and x == first and all(abs(step - width) <= width / 100 for step in steps)


Share = Annotated[float, Meta(ge=0, le=1)]
#: From this PSI on a column is said to have shifted, and from that one to have shifted far:
#: the rule of thumb of Siddiqi 2006, Credit Risk Scorecards, ch. 10.
SHIFTED, SHIFTED_FAR = 0.1, 0.25


class ColumnChange(Struct, frozen=True, kw_only=True):
    """One column of a table at base and head: what differs, and how far it shifted."""

    name: Name
    base_kind: Name | None = None  # number, boolean, date, text, empty; None: not there
    head_kind: Name | None = None
    changed_rows: Count | None = None  # rows of one key whose cell differs; None: no key
    base_missing: Share | None = None  # fraction of rows without a value
    head_missing: Share | None = None
    psi: Annotated[float, Meta(ge=0)] | None = None  # population stability index
    psi_expected: Annotated[float, Meta(ge=0)] | None = None  # its mean without any drift
    mean_shift: float | None = None  # head's mean minus base's, in base's standard deviations
    reason: Text | None = None  # why there is no PSI
    new_levels: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()  # most frequent first
    gone_levels: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()
    more_levels: Count = 0  # new or gone ones that are not listed


class TableChange(Struct, frozen=True, kw_only=True):
    """One table whose content differs: rows and columns."""

    path: Path_
    base_rows: Count | None = None  # None: not there, or not readable
    head_rows: Count | None = None
    key: Name | None = None  # the column that tells rows apart; None: whole rows are compared
    added: Count | None = None  # rows only at head
    removed: Count | None = None
    changed: Count | None = None  # rows of one key that differ; None: without a key
    columns: Annotated[tuple[ColumnChange, ...], Meta(max_length=100)] = ()  # that differ
    omitted_columns: Count = 0
    reason: Text | None = None  # why it could not be compared
    remark: Text | None = None  # what the comparison rests on


class Rescoring(Struct, frozen=True, kw_only=True):
    """Base's stored model, measured by base's own code on head's test data."""

    reason: Text | None = None  # why that was not possible; all else is empty then
    paths: Annotated[tuple[Path_, ...], Meta(max_length=100)] = ()  # metrics measured anew
    rows: Count | None = None  # of head's test data; None: no predictions
    seen: Count | None = None  # of them, rows that base's model was trained on; None: not known
    seconds: Seconds | None = None


class Report(Struct, frozen=True, kw_only=True):
    """Everything the comparison found, and the verdict: `report.json`."""

    schema: Annotated[int, Meta(ge=REPORT_SCHEMA, le=REPORT_SCHEMA)]
    key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$(?!\n)")]  # which project
    base: Side
    head: Side
    test_data: TestData
    rescoring: Rescoring | None = None  # tried when the test data changed
    metrics: tuple[MetricChange, ...] = ()
    params: tuple[ParamChange, ...] = ()
    data: tuple[DataChange, ...] = ()
    stages: tuple[StageChange, ...] = ()
    charts: Annotated[tuple[Chart, ...], Meta(max_length=8)] = ()
    tables: Annotated[tuple[TableChange, ...], Meta(max_length=20)] = ()  # inside of `data`
    cost: Annotated[tuple[MetricChange, ...], Meta(max_length=20)] = ()  # judged as metrics are
    slices: Annotated[tuple[SliceFacts, ...], Meta(max_length=MAX_SLICE_RULES)] = ()
    policy_changed: bool = False  # this change edits policy.yaml; it is judged by the base's
    protected: tuple[Path_, ...] = ()  # edited files that decide the judgement: announced first
    omitted: Omitted = Omitted()
    notices: tuple[Text, ...] = ()  # what the reader must know, one sentence each
    judgement: Judgement | None = None
