"""What a trained model reaches on its test rows: what `train` ends with."""

from __future__ import annotations

from mlgitops.model.fields import Count, Name, Struct


class Standing(Struct, frozen=True, kw_only=True):
    """One judged metric of a model, with the interval of its true value, in the metric's unit."""

    metric: Name
    rows: Count
    value: float
    low: float
    high: float
    confidence: float  # of this interval; the metrics of a policy share one error rate
    constant: float | None  # of the best answer that is the same for all rows; None: it has none
