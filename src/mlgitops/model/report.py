"""All of it, in one record: `report.json`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from mlgitops.model.chart import Chart
from mlgitops.model.facts import (
    DataChange,
    Measurement,
    MetricChange,
    ParamChange,
    Reference,
    Rescoring,
    Side,
    StageChange,
    TestData,
    Trend,
)
from mlgitops.model.fields import Count, Name, Path_, Struct, Text
from mlgitops.model.judgement import Judgement
from mlgitops.model.promotion import Promotions
from mlgitops.model.slices import MAX_SLICE_RULES, SliceFacts
from mlgitops.model.tables import TableChange

#: Version of `report.json`; raised when a reader of the old form would be misled.
REPORT_SCHEMA = 1
#: Names the project where a repository holds only one.
DEFAULT_KEY = "model"


class Omitted(Struct, frozen=True, kw_only=True):
    """How many rows were left out to keep the report within its size; gated ones never are."""

    metrics: Count = 0
    params: Count = 0
    data: Count = 0
    stages: Count = 0
    protected: Count = 0


class Sampling(Struct, frozen=True, kw_only=True):
    """How head's test rows were chosen, as its `split` says, and what is one unit of noise."""

    method: Literal["time", "hash", "group"] | None = None  # None: params.yaml does not say
    column: Name | None = None  # what time or group reads
    cluster: Name | None = None  # the policy's: rows of equal value count once


class Looks(Struct, frozen=True, kw_only=True):
    """How often head's test rows were measured on before, by the history of base."""

    results: Count  # versions of dvc.lock that hold the test data's hash
    partial: bool = False  # older history was not looked at, or is not here


class Links(Struct, frozen=True, kw_only=True):
    """Where a reader finds more; http(s) addresses."""

    run_url: str | None = None  # the workflow run
    repository_url: str | None = None  # without a trailing slash
    guide_url: str | None = None  # how to read a verdict, in the toolkit's own repository


class Report(Struct, frozen=True, kw_only=True):
    """Everything the comparison found, and the verdict: `report.json`."""

    schema: Annotated[int, Meta(ge=REPORT_SCHEMA, le=REPORT_SCHEMA)]
    key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$(?!\n)")]  # which project
    base: Side
    head: Side
    test_data: TestData
    sampling: Sampling = Sampling()  # of head's test rows
    looks: Looks | None = None  # None: no dvc.lock says
    rescoring: Rescoring | None = None  # where the test data changed, or base has other values
    measurement: Measurement | None = None  # None: head's numbers are those of its own run
    reference: Reference | None = None  # None: the policy names none
    promotions: Promotions = ()  # environments for which head wants another model
    trend: Trend | None = None  # None: git does not hold it
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
