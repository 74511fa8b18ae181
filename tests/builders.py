"""Short ways to make what the tests of the core need: changes and reports."""

from __future__ import annotations

from mlgitops.judgement.judge import judge_report
from mlgitops.judgement.policy import parse_policy
from mlgitops.model import (
    Evidence,
    Interval,
    MetricChange,
    Policy,
    Report,
    Side,
    TestData,
)

BASE = "ba5e" * 10
HEAD = "4ead" * 10
POLICY = parse_policy(
    b"""\
version: 1
metrics:
  test.roc_auc: {greater_is_better: true, min_value: 0.65, max_worsening: 0.005}
  test.log_loss: {greater_is_better: false, max_worsening: 0.01}
budgets:
  model.size_mb: {max_value: 50}
""",
    where="policy.yaml",
)
STEADY = (("test.log_loss", 0.4512, 0.4401), ("model.size_mb", 12.5, 12.75))


def make_change(
    name: str,
    base: float | None,
    head: float | None,
    *,
    interval: tuple[float, float] | None = None,
    rows: int = 7_500,
    confidence: float = 0.95,
    reason: str | None = None,
    remark: str | None = None,
    path: str = "reports/metrics.json",
) -> MetricChange:
    """Make a change as `diff_metrics` would, with evidence when an interval is given."""
    evidence = None
    if interval is not None:
        low, high = interval
        found = Interval(low=low, high=high, confidence=confidence, method="paired DeLong")
        evidence = Evidence(rows=rows, interval=found, reason=remark)
    whole = base is not None and head is not None and reason is None
    delta = head - base if whole and head is not None and base is not None else None
    return MetricChange(
        name=name,
        path=path,
        base=base,
        head=head,
        delta=delta,
        relative_delta=delta / abs(base) if delta is not None and base else None,
        reason=reason,
        evidence=evidence,
    )


def make_report(
    *metrics: MetricChange,
    policy: Policy | None = POLICY,
    test_data: TestData = TestData.SAME,
    **facts: object,
) -> Report:
    """Make a report of ``metrics``, sorted, judged by ``policy``."""
    report = Report(
        schema=1,
        key="model",
        base=Side(sha=BASE, ref="main"),
        head=Side(sha=HEAD),
        test_data=test_data,
        metrics=tuple(sorted(metrics, key=lambda change: (change.path, change.name))),
        **facts,  # type: ignore[arg-type]
    )
    return judge_report(report, policy) if policy is not None else report


def steady_changes() -> list[MetricChange]:
    """Make the changes of the metrics that a situation is not about."""
    return [make_change(name, base, head) for name, base, head in STEADY]
