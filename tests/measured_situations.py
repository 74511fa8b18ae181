"""The situations of golden comments in which it matters who measured head's numbers."""

from __future__ import annotations

import msgspec
from builders import make_change, make_report
from slice_situations import make_slices

from mlgitops.model import (
    DemandedEvidence,
    Measurement,
    MetricChange,
    Policy,
    Report,
    Rescoring,
    Rule,
    SliceRule,
    TestData,
)

AUC, LOSS, OTHER = "test.roc_auc", "test.log_loss", "test.f1"
PATH = "reports/metrics.json"
MODEL = "md5:0123456789abcdef0123456789abcdef"
MEASURED = Measurement(paths=(PATH,), model=MODEL, rows=7_500, seconds=4.02)
UNMEASURED = Measurement(
    reason="base's code cannot load `model/model.skops`: the type `flights.model.Blend` is not one"
    " that base trusts"
)
_RULES = {
    AUC: Rule(min_value=0.65, max_worsening=0.005),
    LOSS: Rule(greater_is_better=False, max_worsening=0.01),
}
_BUDGETS = {"model.size_mb": Rule(greater_is_better=False, max_value=50.0)}
_OF_TWO = 0.975  # each leaves out zero at Holm's first step
SLICE = SliceRule(by=("carrier",), metric="accuracy", max_worsening=0.05, min_rows=100)
SLICES = make_slices(SLICE, (("WN",), 3_500, 0.75, 0.76), (("AA",), 4_000, 0.78, 0.79))
CLAIMED = Policy(metrics=_RULES, budgets=_BUDGETS)
INDEPENDENT = Policy(metrics=_RULES, budgets=_BUDGETS, evidence=DemandedEvidence.INDEPENDENT)


def claim(change: MetricChange, value: float | None) -> MetricChange:
    """Return a measured change of which head's own run says ``value``."""
    return msgspec.structs.replace(change, head_claimed=value)


def make_measured(
    *,
    auc: tuple[float, float] = (0.7512, 0.7512),
    measurement: Measurement = MEASURED,
    **facts: object,
) -> Report:
    """Make a report whose judged metrics have a value by its own run and one that counts.

    ``auc`` is head's ROC AUC: what its own run says, and what is judged.
    """
    claimed, measured = auc
    is_measured = measurement.reason is None
    values = [
        (
            make_change(
                AUC, 0.7312, measured, interval=_around(measured - 0.7312), confidence=_OF_TWO
            ),
            claimed,
        ),
        (
            make_change(LOSS, 0.4512, 0.4401, interval=(-0.0151, -0.0071), confidence=_OF_TWO),
            0.4401,
        ),
        (make_change(OTHER, 0.55, 0.5612, interval=(-0.0021, 0.0245)), 0.5612),
    ]
    changes = [claim(change, own) if is_measured else change for change, own in values]
    size = make_change("model.size_mb", 12.5, 12.75, path="reports/size.json")
    facts.setdefault("policy", CLAIMED)
    return make_report(*changes, size, measurement=measurement, **facts)  # type: ignore[arg-type]


def _around(delta: float) -> tuple[float, float]:
    return (delta - 0.009, delta + 0.009)


def measured_situations() -> dict[str, Report]:
    """Make every situation's report; a new one is a line here and a file in golden/."""
    edited = msgspec.structs.replace(MEASURED, edited=("src/flights/evaluate.py",))
    sliced = msgspec.structs.replace(CLAIMED, slices=(SLICE,))
    part = make_change("train.f1", 0.71, 0.72, path="reports/train.json")
    with_part = Policy(metrics={AUC: _RULES[AUC], "train.f1": Rule()})
    return {
        "measured": make_measured(policy=INDEPENDENT),
        "measured_by_the_pull_request": make_measured(
            measurement=UNMEASURED, policy=sliced, slices=(SLICES,)
        ),
        "measured_in_part": make_report(
            claim(make_change(AUC, 0.7312, 0.7512, interval=(0.011, 0.029)), 0.7512),
            part,
            make_change("train.recall", 0.61, 0.63, path="reports/train.json"),
            measurement=MEASURED,
            policy=with_part,
        ),
        "measured_by_nobody_else_fails": make_measured(measurement=UNMEASURED, policy=INDEPENDENT),
        "claims_do_not_hold": make_measured(auc=(0.9917, 0.7512), policy=INDEPENDENT),
        "measuring_code_edited": make_measured(
            auc=(0.9917, 0.7512), measurement=edited, policy=INDEPENDENT
        ),
        "measured_on_rows_of_the_pull_request": make_measured(
            measurement=msgspec.structs.replace(MEASURED, rows=7_731),
            policy=INDEPENDENT,
            test_data=TestData.CHANGED,
            rescoring=Rescoring(paths=(PATH,), rows=7_731, seen=0, seconds=2.1),
        ),
        "measured_on_rebuilt_rows": make_measured(
            measurement=msgspec.structs.replace(MEASURED, rebuilt=True, rows=7_731, seconds=9.4),
            policy=INDEPENDENT,
            test_data=TestData.CHANGED,
            rescoring=Rescoring(paths=(PATH,), rows=7_731, seen=0, seconds=2.1),
        ),
    }
