"""Tests of who measured what is judged, and of claims that a measurement does not bear out."""

from __future__ import annotations

import msgspec
import pytest
from builders import make_change, make_report
from hypothesis import given
from hypothesis import strategies as st
from measured_situations import (
    AUC,
    CLAIMED,
    INDEPENDENT,
    LOSS,
    MEASURED,
    PATH,
    SLICE,
    SLICES,
    UNMEASURED,
    claim,
    make_measured,
)

from mlgitops.judgement.claims import agrees, find_claim
from mlgitops.judgement.judge import judge_report
from mlgitops.model import (
    DemandedEvidence,
    Judgement,
    Measurement,
    MetricVerdict,
    Policy,
    Report,
    Rule,
    Verdict,
)
from mlgitops.model.statement import find_evidence
from mlgitops.render.facts import headline, is_plain_pass
from mlgitops.render.measurement import advise_measuring, describe_measurement, measurement_notices

EDITED = msgspec.structs.replace(MEASURED, edited=("src/evaluate.py",))


def make_sliced(policy: Policy, measurement: Measurement = MEASURED) -> Report:
    """Make a report with one slice rule beside the metrics of ``policy``."""
    rules = msgspec.structs.replace(policy, slices=(SLICE,))
    return make_measured(measurement=measurement, policy=rules, slices=(SLICES,))


def read_judgement(report: Report) -> Judgement:
    """Return the judgement of a report that has one."""
    assert report.judgement is not None
    return report.judgement


def read_verdict(report: Report, name: str) -> MetricVerdict:
    """Return the verdict on one metric."""
    return next(row for row in read_judgement(report).metrics if row.name == name)


@pytest.mark.parametrize(
    ("claimed", "measured", "expected"),
    [
        (0.7123456789012345, 0.7123456789012346, True),
        (0.71234567, 0.7123460, True),  # 1e-6 of it
        (0.712345, 0.712348, False),
        (0.7123, 0.7124, True),  # one of the last stored digit
        (0.7123, 0.7125, False),
        (0.7123, 0.71234999, False),  # the measurement stored more digits
        (0.99, 0.98, False),  # a digit that is worth a hundredth of it
        (1.0, 0.96, False),
        (0.712, 0.713, False),
        (7_500.0, 7_501.0, False),  # a count has no digit to round
        (1e-10, -5e-10, True),
        (0.0, 1e-8, False),
        (1e30, 1.1e30, False),
    ],
)
def test_only_rounding_is_no_difference(claimed: float, measured: float, *, expected: bool) -> None:
    """A claim agrees within rounding of the arithmetic or of what was stored, and no further."""
    assert agrees(claimed, measured) is expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_agrees_with_itself(value: float) -> None:
    """No number is held against itself, of whatever size."""
    assert agrees(value, value)


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_no_claim_is_off_by_more_than_a_thousandth(claimed: float, measured: float) -> None:
    """What agrees lies within 0.2 % of the measured number, whatever digits were stored."""
    if agrees(claimed, measured):
        assert claimed == pytest.approx(measured, rel=0.002)


def test_a_measured_value_is_no_claim() -> None:
    """Numbers that base's code wrote pass in plain green, in both kinds of policy."""
    for policy in (CLAIMED, INDEPENDENT):
        report = make_measured(policy=policy)
        assert [row.claimed for row in read_judgement(report).metrics] == [None] * 3
        assert headline(report) == "✅ May merge"
        assert is_plain_pass(report)
    expected = "Measured by base's code, not by this pull request: 7,500 test rows, 4.0 s."
    assert describe_measurement(report) == expected


def test_nothing_is_demanded_where_nothing_was_tried() -> None:
    """A laptop's comparison has no measurement, and no policy asks it for one."""
    report = make_report(
        make_change(AUC, 0.73, 0.75),
        policy=Policy(metrics={AUC: Rule()}, evidence=DemandedEvidence.INDEPENDENT),
    )
    assert headline(report) == "✅ May merge"
    assert describe_measurement(report) == ""


def test_claimed_numbers_are_no_plain_pass() -> None:
    """With `claimed`, what base's code did not measure merges as self-reported, with the reason."""
    report = make_measured(measurement=UNMEASURED)
    assert read_judgement(report).verdict is Verdict.PASS
    assert headline(report) == "⚠️ May merge, on self-reported numbers"
    assert not is_plain_pass(report)
    claimed = read_verdict(report, AUC).claimed
    assert claimed == f"is self-reported by the pull request: {UNMEASURED.reason}"
    assert describe_measurement(report).startswith("Measured by the pull request itself")


def test_claimed_numbers_fail_where_evidence_must_be_independent() -> None:
    """With `independent` a claim fails, once for all numbers that it concerns."""
    report = make_measured(measurement=UNMEASURED, policy=INDEPENDENT)
    assert read_judgement(report).failures == (
        (
            "the policy asks for `evidence: independent`, and there is none for `test.roc_auc`,"
            f" `test.log_loss`: {UNMEASURED.reason}"
        ),
    )
    assert read_verdict(report, "model.size_mb").verdict is Verdict.PASS
    expected = "Measured by the pull request itself, not by base's code."
    assert describe_measurement(report) == expected
    assert advise_measuring(report).startswith("What helps: merge what base's code needs")
    assert not advise_measuring(make_measured(measurement=UNMEASURED))


@pytest.mark.parametrize(
    ("measurement", "why"),
    [
        (Measurement(reason="no job of the workflow does it."), "no job of the workflow does it"),
        (
            Measurement(paths=("reports/other.json",), rows=7_500),
            "base's code does not write `reports/metrics.json`",
        ),
        (
            Measurement(paths=(PATH,)),
            "its noise is of predictions that base's code did not write",
        ),
    ],
)
def test_a_claim_has_its_reason(measurement: Measurement, why: str) -> None:
    """A number is a claim where nothing was measured, not this file, or not its predictions."""
    change = make_change(AUC, 0.73, 0.75, interval=(0.011, 0.029))
    assert find_claim(change, measurement) == why
    report = make_report(change, measurement=measurement, policy=Policy(metrics={AUC: Rule()}))
    assert headline(report) == "⚠️ May merge, on self-reported numbers"


def test_a_metric_that_moved_is_measured_where_head_has_it() -> None:
    """Of a metric whose file moved, head's file is the one that base's code must have written."""
    changes = [
        make_change(AUC, 0.73, None, path="old.json"),
        make_change(AUC, None, 0.74, path="new.json"),
    ]
    for paths, expected in (
        ("old.json", "base's code does not write `new.json`"),
        ("new.json", ""),
    ):
        measured = Measurement(paths=(paths,), rows=7_500)
        policy = Policy(metrics={AUC: Rule(max_worsening=0.01)})
        report = make_report(*changes, measurement=measured, policy=policy)
        assert (read_verdict(report, AUC).claimed or "").endswith(expected)
        assert bool(read_verdict(report, AUC).claimed) is bool(expected)


def test_a_false_claim_is_the_first_failure() -> None:
    """A run that tells another number than base's code fails, though the measured one passes."""
    for policy in (CLAIMED, INDEPENDENT):
        report = make_measured(auc=(0.9917, 0.7512), policy=policy)
        judgement = read_judgement(report)
        assert judgement.verdict is Verdict.FAIL
        assert judgement.deciding == AUC
        assert judgement.failures == (
            (
                "the pull request's numbers do not hold: `test.roc_auc` is 0.99 by its own run and"
                " 0.75 by base's code"
            ),
        )
        assert headline(report) == "❌ Must not merge, its numbers do not hold"


def test_a_false_claim_stands_before_what_else_fails() -> None:
    """It decides and is told first, whatever the order in the policy."""
    rules = {LOSS: Rule(greater_is_better=False, max_value=0.3), AUC: Rule(min_value=0.9)}
    report = make_measured(auc=(0.9917, 0.7512), policy=Policy(metrics=rules))
    judgement = read_judgement(report)
    assert judgement.deciding == AUC
    assert judgement.failures == (
        (
            "the pull request's numbers do not hold: `test.roc_auc` is 0.99 by its own run and 0.75"
            " by base's code"
        ),
        "`test.log_loss` is above its maximum of 0.3",
        "`test.roc_auc` is below its minimum of 0.9",
    )


def test_a_claim_that_base_has_no_value_of_does_not_hold() -> None:
    """Where base's code finds no value, the run's own is a claim that fails, too."""
    change = claim(make_change(AUC, 0.73, None), 0.99)
    report = make_report(change, measurement=MEASURED, policy=Policy(metrics={AUC: Rule()}))
    assert read_judgement(report).failures[0] == (
        "the pull request's numbers do not hold: `test.roc_auc` is 0.99 by its own run, and base's"
        " code has no value of it"
    )


def test_rounding_is_no_false_claim() -> None:
    """The same number, computed on another machine, is held against nobody."""
    report = make_measured(auc=(0.7512, 0.7512000004), policy=INDEPENDENT)
    assert headline(report) == "✅ May merge"


def test_the_claims_of_an_edited_ruler_are_told_and_do_not_fail() -> None:
    """Where the change edits what measures, base's numbers are judged, and the edit is told."""
    report = make_measured(auc=(0.9917, 0.7512), measurement=EDITED, policy=INDEPENDENT)
    assert headline(report) == "✅ May merge"
    assert measurement_notices(report) == [
        (
            "This change edits the code that measures (`src/evaluate.py`): base's was used."
            " `test.roc_auc` is 0.99 by its own run and 0.75 by base's code."
        )
    ]


def test_numbers_that_are_not_judged_are_told_and_do_not_fail() -> None:
    """A timing in the metrics file differs in every run: a notice, and no fail."""
    seconds = claim(make_change("test.seconds", 3.0, 4.5), 3.25)
    report = make_report(
        claim(make_change(AUC, 0.73, 0.75), 0.75),
        seconds,
        measurement=MEASURED,
        policy=Policy(metrics={AUC: Rule()}, evidence=DemandedEvidence.INDEPENDENT),
    )
    assert headline(report) == "✅ May merge"
    assert measurement_notices(report) == [
        (
            "The run's own numbers differ here, which fails nothing: `test.seconds` is 3.2 by its"
            " own run and 4.5 by base's code."
        )
    ]


def test_a_budget_needs_no_measurement() -> None:
    """Size, time and memory pass on the run's word; where base's code differs, that is told."""
    size = claim(make_change("model.size_mb", 12.5, 12.75), 99.0)
    latency = make_change("cost.latency_ms", 1.7, 1.8, path="reports/cost.json")
    policy = Policy(
        metrics={"cost.latency_ms": Rule(greater_is_better=False, max_value=5)},
        budgets={"model.size_mb": Rule(greater_is_better=False, max_value=50)},
        evidence=DemandedEvidence.INDEPENDENT,
    )
    for measurement in (MEASURED, UNMEASURED):
        report = make_report(size, cost=(latency,), measurement=measurement, policy=policy)
        assert read_judgement(report).verdict is Verdict.PASS
        assert [row.claimed for row in read_judgement(report).metrics] == [None, None]
    (notice,) = measurement_notices(
        make_report(size, cost=(latency,), measurement=MEASURED, policy=policy)
    )
    assert notice.endswith("`model.size_mb` is 99 by its own run and 13 by base's code.")


@pytest.mark.parametrize(
    ("measurement", "why"),
    [
        (UNMEASURED, UNMEASURED.reason),
        (msgspec.structs.replace(MEASURED, rows=None), "base's code writes no predictions"),
    ],
)
def test_slices_are_claimed_with_their_predictions(measurement: Measurement, why: str) -> None:
    """Groups come from predictions: claimed with them, and a fail where that is not enough."""
    lenient = make_sliced(CLAIMED, measurement)
    (row,) = read_judgement(lenient).slices
    assert row.verdict is Verdict.PASS
    assert row.claimed == f"is self-reported by the pull request: {why}"
    assert headline(lenient) == "⚠️ May merge, on self-reported numbers"
    strict = make_sliced(INDEPENDENT, measurement)
    assert read_judgement(strict).verdict is Verdict.FAIL
    (row,) = read_judgement(strict).slices
    assert row.verdict is Verdict.FAIL
    assert "`accuracy` by `carrier`" in "".join(read_judgement(strict).failures)


def test_slices_alone_make_a_statement_a_claim() -> None:
    """Base's code measured the metric, and wrote no predictions of which the groups could be."""
    policy = Policy(metrics={AUC: Rule(min_value=0.65)}, slices=(SLICE,))
    report = make_report(
        claim(make_change(AUC, 0.7312, 0.7512), 0.7512),
        measurement=msgspec.structs.replace(MEASURED, rows=None),
        policy=policy,
        slices=(SLICES,),
    )
    assert [row.claimed for row in read_judgement(report).metrics] == [None]
    assert find_evidence(report) is DemandedEvidence.CLAIMED


def test_slices_of_measured_predictions_are_no_claim() -> None:
    """Where base's code predicted, a slice rule is kept in plain green."""
    report = make_sliced(INDEPENDENT)
    assert headline(report) == "✅ May merge"
    assert find_evidence(report) is DemandedEvidence.INDEPENDENT


def test_a_claim_in_the_report_itself_counts_for_nothing() -> None:
    """Who measured is worked out again from the facts, not read from a verdict."""
    honest = make_measured(measurement=UNMEASURED)
    rows = tuple(
        msgspec.structs.replace(row, claimed=None) for row in read_judgement(honest).metrics
    )
    forged = msgspec.structs.replace(
        honest, judgement=msgspec.structs.replace(read_judgement(honest), metrics=rows)
    )
    assert judge_report(forged, CLAIMED) == honest
