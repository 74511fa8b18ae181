"""What was measured: metrics, params, data and stages at base and head, without judgement."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from mlgitops.model.fields import Count, Name, OneLine, Path_, Seconds, Sha, Struct, Text

#: Merges that a trend goes back.
MOST_MERGES = 20


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


class SeedNoise(Struct, frozen=True, kw_only=True):
    """Several trainings of each side that differ by the seed: what rows and what seeds could do.

    All in the metric's own unit, at the confidence of the interval that this stands beside.
    """

    seeds: Annotated[int, Meta(ge=2, le=1000)]  # trainings of each side, the served one included
    delta: float  # head minus base, the mean over all trainings
    by_rows: Annotated[float, Meta(ge=0)]  # how far other test rows could move that mean
    by_seeds: Annotated[float, Meta(ge=0)]  # how far other seeds could


class Evidence(Struct, frozen=True, kw_only=True):
    """What paired predictions say of one metric: the seam between statistics and judge."""

    rows: Count  # test rows matched by id
    interval: Interval | None = None  # covers the seeds, too, where there are several
    seeds: SeedNoise | None = None  # None: each side was trained once, as far as is known
    reason: Text | None = None  # why there is no interval, or on how little ground it stands


class MetricChange(Struct, frozen=True, kw_only=True):
    """One metric at base and head: facts only, full precision, no judgement."""

    name: Name  # dotted, such as "test.roc_auc"
    path: Path_  # the metrics file it was read from
    base: float | None = None
    head: float | None = None
    base_stored: float | None = None  # base's value on its own test data, where `base` is not
    head_claimed: float | None = None  # what head's own run says, where `head` was measured anew
    delta: float | None = None  # head - base
    relative_delta: float | None = None  # delta / abs(base), a fraction; None when base is 0
    base_missing: Text | None = None  # why base's value is missing, of a metric not known as new
    reason: Text | None = None  # why it is incomparable
    stale: Text | None = None  # why head's value is of an older run
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


class ImportSource(Struct, frozen=True, kw_only=True):
    """Where `dvc import` took data from: a file or folder of another repository, at a commit."""

    repository: OneLine  # its address, as the .dvc file says
    commit: Sha
    path: OneLine  # from that repository's root


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


class Measurement(Struct, frozen=True, kw_only=True):
    """Head's stored model, measured by base's own code in a job that runs no code of head."""

    reason: Text | None = None  # why that was not possible; then only the model may be named
    paths: Annotated[tuple[Path_, ...], Meta(max_length=100)] = ()  # metrics files of that code
    model: Annotated[str, Meta(max_length=100)] | None = None  # hash of the model's file, "md5:…"
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")] | None = None  # of that file
    rows: Count | None = None  # test rows that it predicted; None: no predictions
    rebuilt: bool = False  # base's stages made the test rows from head's raw data
    edited: Annotated[tuple[Path_, ...], Meta(max_length=100)] = ()  # of that code, what head edits
    seconds: Seconds | None = None


class Rescoring(Struct, frozen=True, kw_only=True):
    """Base's stored model, measured by base's own code on head's test data."""

    reason: Text | None = None  # why that was not possible; all else is empty then
    paths: Annotated[tuple[Path_, ...], Meta(max_length=100)] = ()  # metrics measured anew
    rows: Count | None = None  # of head's test data; None: no predictions
    seen: Count | None = None  # of them, rows that base's model was trained on; None: not known
    seconds: Seconds | None = None


class Reference(Struct, frozen=True, kw_only=True):
    """Head beside a commit that many changes share, so that small losses add up."""

    name: Name  # as policy.yaml has it, such as `release`
    label: Name  # what that names now: a tag, an environment, or a short sha
    sha: Sha | None = None
    reason: Text | None = None  # why head cannot be held against it; all below is empty then
    test_data: Text | None = None  # hash of the test data there, "md5:…"
    rows: TestData = TestData.UNKNOWN  # whether head was measured on the same
    untouched: bool = False  # nothing that a model is made of differs between it and head
    rescoring: Rescoring | None = None  # of its model on head's test data, where that is another
    metrics: tuple[MetricChange, ...] = ()  # those with a limit; `base` is the reference's value


class TrendPoint(Struct, frozen=True, kw_only=True):
    """The value of a metric after one merge."""

    sha: Sha
    value: float


class Trend(Struct, frozen=True, kw_only=True):
    """The policy's first metric over the last merges into base that changed it, by git alone.

    On the test data that base has, the oldest first; the last is base's own.
    """

    name: Name
    path: Path_
    points: Annotated[tuple[TrendPoint, ...], Meta(max_length=MOST_MERGES)] = ()
