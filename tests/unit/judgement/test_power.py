"""Tests that the stated power follows the judge, in both modes."""

from __future__ import annotations

import pytest
from builders import make_change, make_report
from hypothesis import assume, given
from hypothesis import strategies as st

from mlgitops.judgement.slices import judge_slices
from mlgitops.model import (
    Interval,
    Kind,
    MetricVerdict,
    OnInconclusive,
    Policy,
    Report,
    Rule,
    SliceFacts,
    SliceResult,
    SliceRule,
    Verdict,
)
from mlgitops.render.power import describe_power
from mlgitops.statistics.power import POWER, read_noise

DOWN = Rule(greater_is_better=False, max_worsening=0.01)


def _judge(report: Report) -> MetricVerdict:
    assert report.judgement is not None
    return report.judgement.metrics[0]


@given(
    loss=st.floats(-0.05, 0.05),
    half=st.floats(0.0005, 0.05),
    rows=st.sampled_from([50, 5_000]),
    mode=st.sampled_from(OnInconclusive),
)
def test_the_judge_stops_what_lies_above_the_threshold(
    loss: float, half: float, rows: int, mode: OnInconclusive
) -> None:
    """The threshold from which the power is computed is the judge's own."""
    change = make_change(
        "test.log_loss", 0.4, 0.4 + loss, interval=(loss - half, loss + half), rows=rows
    )
    verdict = _judge(make_report(change, policy=Policy(metrics={"test.log_loss": DOWN},
                                                       inconclusive=mode)))  # fmt: skip
    assert change.evidence is not None
    assert change.evidence.interval is not None
    noise = read_noise(change.name, 0.4, change.evidence.interval, rows)
    assert noise is not None
    assert verdict.power is not None
    if mode is OnInconclusive.PASS:
        threshold = max(0.01, half)
    else:
        threshold = -half if rows < 200 else 0.01 - half
    assume(abs(loss - threshold) > 1e-9)
    assert (verdict.verdict is Verdict.FAIL) == (loss > threshold)
    chance = noise.pass_chance(lambda _: threshold, verdict.power.stopped)
    assert chance == pytest.approx(1 - POWER) or (verdict.power.stopped == 0 and chance < 1 - POWER)


def test_no_power_is_stated_where_nothing_was_compared() -> None:
    """No margin, no interval, a budget, a metric that is new or cannot be compared."""
    interval = (-0.02, 0.02)
    bare = Policy(metrics={"m": Rule(min_value=0.1)})
    rule = Policy(metrics={"m": Rule(max_worsening=0.01)})
    budget = Policy(budgets={"m": DOWN})
    for policy, change in (
        (bare, make_change("m", 0.8, 0.8, interval=interval)),
        (rule, make_change("m", 0.8, 0.8)),
        (budget, make_change("m", 0.8, 0.8, interval=interval)),
        (rule, make_change("m", None, 0.8, interval=interval)),
        (rule, make_change("m", 0.8, 0.8, interval=interval, reason="the file is not JSON")),
    ):
        assert _judge(make_report(change, policy=policy)).power is None


def test_a_group_of_few_rows_is_named() -> None:
    """Where a loss of twice the margin is hidden; not where proof is asked for anyway."""
    rule = SliceRule(by=("sex",), metric="accuracy", max_worsening=0.02, min_rows=50)
    groups = [
        SliceResult(
            group=(name,), rows=rows, base=0.8, head=0.8, delta=0.0,
            interval=Interval(low=-half, high=half, confidence=0.95, method="linearised"),
        )
        for name, rows, half in (("few", 60, 0.09), ("some", 1_000, 0.039), ("few enough", 9, 0.3))
    ]  # fmt: skip
    facts = SliceFacts(by=("sex",), metric="accuracy", min_rows=50, slices=tuple(groups))
    (default,) = judge_slices([rule], [facts], OnInconclusive.PASS)
    (strict,) = judge_slices([rule], [facts], OnInconclusive.FAIL)
    assert default.hopeless == (("few",),)
    assert strict.hopeless == ()
    report = make_report(make_change("m", 0.8, 0.8), slices=(facts,), policy=Policy(slices=(rule,)))
    assert describe_power(report) == (
        "Too few rows for their margin, a loss of twice that rather passes: `few`."
    )


def test_the_sentence_names_what_a_strict_policy_stops_too() -> None:
    """A change that loses nothing, and passes less often than it should."""
    change = make_change("m", 0.8, 0.8, interval=(-0.02, 0.02))
    policy = Policy(metrics={"m": Rule(max_worsening=0.01)}, inconclusive=OnInconclusive.FAIL)
    assert describe_power(make_report(change, policy=policy)) == (
        "A change that loses nothing passes with a probability of 16 % in `m`: few rows to prove"
        " the margin."
    )


def test_a_relative_margin_is_of_bases_value() -> None:
    """Five percent of 0.8 are 0.04, and the noise is small beside it."""
    change = make_change("m", 0.8, 0.8, interval=(-0.001, 0.001))
    verdict = _judge(
        make_report(change, policy=Policy(metrics={"m": Rule(max_relative_worsening=0.05)}))
    )
    assert verdict.kind is Kind.EQUIVALENT
    assert verdict.power is not None
    assert verdict.power.stopped == pytest.approx(0.04 + 0.8416 * 0.001 / 1.96, abs=1e-5)
