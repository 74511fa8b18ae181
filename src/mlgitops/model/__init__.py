"""The frozen types that travel down the line: read, parse, diff, judge, render, post.

A :class:`Report` is what `report.json` holds. It has two halves: the *facts* that the
compute job measured, and the *judgement*, which the report job makes again from the
facts and the base's policy. Rendering is a pure function of it. No module here does I/O.
"""

from __future__ import annotations

from mlgitops.model.chart import MAX_DRAWN, Chart, ChartKind, Series
from mlgitops.model.facts import (
    MOST_MERGES,
    DataChange,
    DataVersion,
    Evidence,
    ImportSource,
    Interval,
    Measurement,
    MetricChange,
    ParamChange,
    Reference,
    Rescoring,
    SeedNoise,
    Side,
    StageChange,
    StageState,
    TestData,
    Trend,
    TrendPoint,
)
from mlgitops.model.fields import Count, Name, Path_, Seconds, Sha, Share, Struct, Text
from mlgitops.model.judgement import (
    Judgement,
    Kind,
    MetricVerdict,
    Power,
    PromotionVerdict,
    SliceVerdict,
    Verdict,
)
from mlgitops.model.policy import (
    DemandedEvidence,
    Files,
    OnInconclusive,
    Policy,
    Rule,
    SliceRule,
    Statistic,
    Waivers,
)
from mlgitops.model.promotion import MAX_PROMOTIONS, Promotion, WantedModel
from mlgitops.model.report import (
    DEFAULT_KEY,
    REPORT_SCHEMA,
    Links,
    Looks,
    Omitted,
    Report,
    Sampling,
)
from mlgitops.model.slices import MAX_SLICE_RULES, MAX_SLICES, Group, SliceFacts, SliceResult
from mlgitops.model.tables import SHIFTED, SHIFTED_FAR, ColumnChange, TableChange
from mlgitops.model.waiver import WAIVER_LABEL, Waiver, Waiving

__all__ = [
    "DEFAULT_KEY",
    "MAX_DRAWN",
    "MAX_PROMOTIONS",
    "MAX_SLICES",
    "MAX_SLICE_RULES",
    "MOST_MERGES",
    "REPORT_SCHEMA",
    "SHIFTED",
    "SHIFTED_FAR",
    "WAIVER_LABEL",
    "Chart",
    "ChartKind",
    "ColumnChange",
    "Count",
    "DataChange",
    "DataVersion",
    "DemandedEvidence",
    "Evidence",
    "Files",
    "Group",
    "ImportSource",
    "Interval",
    "Judgement",
    "Kind",
    "Links",
    "Looks",
    "Measurement",
    "MetricChange",
    "MetricVerdict",
    "Name",
    "Omitted",
    "OnInconclusive",
    "ParamChange",
    "Path_",
    "Policy",
    "Power",
    "Promotion",
    "PromotionVerdict",
    "Reference",
    "Report",
    "Rescoring",
    "Rule",
    "Sampling",
    "Seconds",
    "SeedNoise",
    "Series",
    "Sha",
    "Share",
    "Side",
    "SliceFacts",
    "SliceResult",
    "SliceRule",
    "SliceVerdict",
    "StageChange",
    "StageState",
    "Statistic",
    "Struct",
    "TableChange",
    "TestData",
    "Text",
    "Trend",
    "TrendPoint",
    "Verdict",
    "Waiver",
    "Waivers",
    "Waiving",
    "WantedModel",
]
