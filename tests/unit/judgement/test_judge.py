"""Tests of the judgement: kinds, verdicts, and that nothing is skipped."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from builders import POLICY, make_change, make_report, steady_changes
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.judgement.judge import (
    NO_METHOD,
    NO_PREDICTIONS,
    find_kind,
    find_margin,
    judge_report,
)
from mlgitops.model import (
    DataChange,
    Evidence,
    Judgement,
    Kind,
    MetricChange,
    Omitted,
    OnInconclusive,
    ParamChange,
    Policy,
    Report,
    Rule,
    Side,
    StageChange,
    StageState,
    TestData,
    Verdict,
)

UP = Rule(greater_is_better=True, max_worsening=0.01)
DOWN = Rule(greater_is_better=False, max_worsening=0.01)
NUMBERS = st.floats(min_value=-1e6, max_value=1e6)


@pytest.mark.parametrize(
    ("rule", "interval", "kind"),
    [
        (UP, (0.001, 0.02), Kind.IMPROVED),
        (UP, (-0.02, -0.001), Kind.WORSENED),
        (UP, (-0.009, 0.009), Kind.EQUIVALENT),
        (UP, (-0.011, 0.009), Kind.INCONCLUSIVE),
        (UP, (-0.009, 0.011), Kind.INCONCLUSIVE),
        (DOWN, (0.001, 0.02), Kind.WORSENED),
        (DOWN, (-0.02, -0.001), Kind.IMPROVED),
        (Rule(), (-0.001, 0.001), Kind.INCONCLUSIVE),
        (Rule(), (0.0, 0.0), Kind.UNCHANGED),
    ],
)
def test_interval_and_margin_decide_the_kind(
    rule: Rule, interval: tuple[float, float], kind: Kind
) -> None:
    """With an interval, its place against zero and the margin decides the kind."""
    middle = sum(interval) / 2
    assert find_kind(make_change("m", 0.5, 0.5 + middle, interval=interval), rule) is kind


@pytest.mark.parametrize(
    ("base", "head", "rule", "kind"),
    [
        (0.5, 0.6, UP, Kind.IMPROVED),
        (0.5, 0.6, DOWN, Kind.WORSENED),
        (0.5, 0.5, UP, Kind.UNCHANGED),
        (0.5, 0.6, None, Kind.CHANGED),
        (0.5, 0.5, None, Kind.UNCHANGED),
        (None, 0.5, UP, Kind.ADDED),
        (0.5, None, UP, Kind.REMOVED),
        (None, None, UP, Kind.INCOMPARABLE),
    ],
)
def test_without_an_interval_the_sign_decides(
    base: float | None, head: float | None, rule: Rule | None, kind: Kind
) -> None:
    """Without an interval the plain difference decides, and absence has its own kinds."""
    assert find_kind(make_change("m", base, head), rule) is kind


@pytest.mark.parametrize(
    ("rule", "base", "head", "interval", "reasons"),
    [
        (UP, 0.5, 0.489, None, ["lost more than the 0.01 that it may lose"]),
        (UP, 0.5, 0.4901, None, []),
        (UP, 0.5, 0.489, (-0.03, 0.008), []),  # noise may explain it
        (UP, 0.5, 0.48, (-0.03, -0.01), ["lost more than the 0.01 that it may lose"]),
        (UP, 0.5, 0.495, (-0.009, -0.001), []),  # surely worse, by less than the margin
        (DOWN, 0.5, 0.52, None, ["lost more than the 0.01 that it may lose"]),
        (DOWN, 0.5, 0.4, None, []),
        (Rule(min_value=0.5), 0.6, 0.5, None, []),  # bounds are inclusive
        (Rule(min_value=0.5), 0.6, 0.4999, None, ["is below its minimum of 0.5"]),
        (Rule(max_value=0.5), 0.4, 0.6, None, ["is above its maximum of 0.5"]),
        (Rule(max_relative_worsening=0.1), 10.0, 8.9, None, ["lost more than the 10% that"]),
        (Rule(max_relative_worsening=0.1), 10.0, 9.1, None, []),
        (Rule(max_relative_worsening=0.1), 0.0, -0.1, None, ["lost more than the 10% that"]),
        (Rule(max_relative_worsening=0.1), -10.0, -10.9, None, []),
        (Rule(max_worsening=0.005), 0.805, 0.8, None, []),  # at its limit: 0.805 - 0.8 > 0.005
        (Rule(max_worsening=0.0), 0.3, 0.1 + 0.2, None, []),
        (Rule(max_worsening=0.0), 0.8, 0.799999999, None, ["lost more than the 0 that"]),
        (Rule(min_value=0.5), None, 0.4, None, ["is below its minimum of 0.5"]),
        (Rule(min_value=0.5), None, 0.6, None, []),
        (Rule(), 0.5, None, None, ["was removed: head has no value for it"]),
        (Rule(), 0.5, 0.1, None, []),  # no limit was set
    ],
)
def test_a_rule_is_kept_or_broken_for_a_stated_reason(
    rule: Rule,
    base: float | None,
    head: float | None,
    interval: tuple[float, float] | None,
    reasons: list[str],
) -> None:
    """Bounds hold for head, the margin for the loss, and every break is named."""
    policy = Policy(metrics={"m": rule})
    judgement = make_report(
        make_change("m", base, head, interval=interval), policy=policy
    ).judgement
    assert judgement is not None
    found = judgement.metrics[0]
    assert len(found.reasons) == len(reasons)
    assert all(a.startswith(b) for a, b in zip(found.reasons, reasons, strict=True))
    assert judgement.verdict is (Verdict.FAIL if reasons else Verdict.PASS)


def test_the_stricter_of_two_margins_holds() -> None:
    """An absolute and a relative margin together allow the smaller loss."""
    rule = Rule(max_worsening=0.05, max_relative_worsening=0.01)
    assert find_margin(rule, -2.0) == pytest.approx(0.02)
    assert find_margin(Rule(), 2.0) is None


@pytest.mark.parametrize(("choice", "verdict"), [("pass", Verdict.PASS), ("fail", Verdict.FAIL)])
def test_the_policy_says_what_an_unproven_loss_does(choice: str, verdict: Verdict) -> None:
    """A loss beyond the margin that noise may explain passes or fails as the policy says."""
    policy = Policy(metrics={"m": UP}, inconclusive=OnInconclusive(choice))
    report = make_report(make_change("m", 0.5, 0.49, interval=(-0.03, 0.01)), policy=policy)
    assert report.judgement is not None
    assert report.judgement.verdict is verdict


@pytest.mark.parametrize(
    ("rule", "head", "interval", "unproven"),
    [
        # Worsened for certain, by less than the margin on these rows, and perhaps by more.
        (UP, 0.493, (-0.012, -0.002), "may have lost more than 0.01: noise hides it"),
        (DOWN, 0.507, (0.002, 0.012), "may have lost more than 0.01: noise hides it"),
        (UP, 0.493, (-0.01, -0.002), None),  # at the margin is within it
        (UP, 0.495, (-0.009, -0.001), None),
        (UP, 0.5, (-0.009, 0.009), None),  # equivalent
        (UP, 0.505, (-0.011, 0.021), "may have lost more than 0.01: noise hides it"),
        (UP, 0.505, (-0.009, 0.021), None),  # inconclusive, and no loss above the margin
        (UP, 0.52, (0.001, 0.039), None),  # improved
        (UP, 0.5, (0.0, 0.0), None),  # alike on every row, by a method that says so
        (Rule(max_relative_worsening=0.02), 0.493, (-0.012, -0.002), "may have lost more than 2%"),
        (Rule(max_relative_worsening=0.03), 0.493, (-0.012, -0.002), None),
        (Rule(min_value=0.4), 0.493, (-0.012, -0.002), None),  # no margin: nothing to prove
    ],
)
def test_a_strict_policy_asks_for_proof(
    rule: Rule, head: float, interval: tuple[float, float], unproven: str | None
) -> None:
    """The interval's worse end decides with `inconclusive: fail`, and is said without it."""
    change = make_change("m", 0.5, head, interval=interval)
    for choice in OnInconclusive:
        judgement = make_report(
            change, policy=Policy(metrics={"m": rule}, inconclusive=choice)
        ).judgement
        assert judgement is not None
        (found,) = judgement.metrics
        assert (found.unproven or "").startswith(unproven or "")
        assert (found.unproven is None) == (unproven is None)
        fails = unproven is not None and choice is OnInconclusive.FAIL
        assert judgement.verdict is (Verdict.FAIL if fails else Verdict.PASS)
        assert found.reasons == ((found.unproven,) if fails else ())


@pytest.mark.parametrize(
    ("interval", "proven"),
    [((-0.009, 0.009), False), ((-0.009, -0.001), False), ((-0.009, 0.02), False),
     ((0.001, 0.02), True), ((-0.02, 0.02), False)],
)  # fmt: skip
def test_a_rough_interval_proves_nothing_but_a_gain(
    interval: tuple[float, float], proven: bool
) -> None:
    """Below the limits of its method an interval is never *equivalent*, nor within a margin."""
    change = make_change(
        "m", 0.5, 0.5 + sum(interval) / 2, interval=interval, remark="only 90 rows"
    )
    assert change.evidence is not None
    assert change.evidence.interval is not None
    rough = msgspec.structs.replace(change.evidence.interval, method="paired t, rough")
    evidence = msgspec.structs.replace(change.evidence, interval=rough)
    change = msgspec.structs.replace(change, evidence=evidence)
    assert find_kind(change, UP) is not Kind.EQUIVALENT
    policy = Policy(metrics={"m": UP}, inconclusive=OnInconclusive.FAIL)
    judgement = make_report(change, policy=policy).judgement
    assert judgement is not None
    assert judgement.verdict is (Verdict.PASS if proven else Verdict.FAIL)
    if interval == (-0.009, 0.009):
        assert judgement.metrics[0].unproven == (
            "may have lost more than 0.01: the interval is rough (only 90 rows)"
        )


def test_a_loss_above_the_margin_is_said_once() -> None:
    """What lost more than the margin for certain needs no second sentence."""
    policy = Policy(metrics={"m": UP}, inconclusive=OnInconclusive.FAIL)
    report = make_report(make_change("m", 0.5, 0.48, interval=(-0.03, -0.01)), policy=policy)
    assert report.judgement is not None
    assert report.judgement.failures == ("`m` lost more than the 0.01 that it may lose",)


RAN = (StageChange(name="train", state=StageState.RAN),)
LACK = "is not shown to have lost at most 0.01: noise was not estimated ("


@pytest.mark.parametrize(
    ("name", "head", "facts", "reason", "unproven"),
    [
        ("test.accuracy", 0.6, {}, LACK + NO_PREDICTIONS + ")", "same"),
        ("test.accuracy", 0.499, {}, LACK + NO_PREDICTIONS + ")", "same"),
        ("test.accuracy", 0.5, {}, None, None),  # nothing moved, and nothing that makes it
        ("test.accuracy", 0.5, {"stages": RAN}, LACK + NO_PREDICTIONS + ")", "same"),
        ("test.accuracy", 0.5, {"params": (ParamChange(path="p", name="n"),)}, LACK, "same"),
        ("test.accuracy", 0.5, {"data": (DataChange(path="d"),)}, LACK, "same"),
        ("test.accuracy", 0.5, {"omitted": Omitted(stages=1)}, LACK, "same"),
        ("test.profit", 0.499, {}, None, NO_METHOD),  # no predictions give its noise
        ("test.profit", 0.48, {}, "lost more than the 0.01", None),
        ("test.accuracy", None, {}, "was removed", None),
    ],
)
def test_a_strict_policy_takes_no_plain_number_for_proof(
    name: str,
    head: float | None,
    facts: dict[str, Any],
    reason: str | None,
    unproven: str | None,
) -> None:
    """Without an interval, strict fails where predictions could give it, and says where not."""
    policy = Policy(metrics={name: UP}, inconclusive=OnInconclusive.FAIL)
    judgement = make_report(make_change(name, 0.5, head), policy=policy, **facts).judgement
    assert judgement is not None
    (found,) = judgement.metrics
    assert len(found.reasons) == (reason is not None)
    assert all(text.startswith(reason or "") for text in found.reasons)
    assert found.unproven == (found.reasons[0] if unproven == "same" else unproven)


def test_a_strict_policy_says_why_there_is_no_interval() -> None:
    """The reason of the evidence stands in the refusal."""
    change = msgspec.structs.replace(
        make_change("test.recall", 0.5, 0.5), evidence=Evidence(rows=9, reason="base has no column")
    )
    policy = Policy(metrics={"test.recall": UP}, inconclusive=OnInconclusive.FAIL)
    judgement = make_report(change, policy=policy, stages=RAN).judgement
    assert judgement is not None
    assert judgement.metrics[0].reasons == (f"{LACK}base has no column)",)


@pytest.mark.parametrize("choice", list(OnInconclusive))
def test_a_budget_is_judged_by_its_plain_numbers(choice: OnInconclusive) -> None:
    """An interval beside a budget neither excuses a loss nor asks for proof."""
    rule = Rule(greater_is_better=False, max_relative_worsening=0.1)
    policy = Policy(budgets={"cost.latency_ms": rule}, inconclusive=choice)
    for head, verdict in ((1.09, Verdict.PASS), (1.2, Verdict.FAIL)):
        change = make_change("cost.latency_ms", 1.0, head, interval=(-1, 1), path="cost.json")
        judgement = make_report(cost=(change,), policy=policy).judgement
        assert judgement is not None
        assert judgement.verdict is verdict
        assert judgement.metrics[0].unproven is None


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [make_change("other", 0.5, 0.5)],
        [make_change("m", 0.5, None)],
        [make_change("m", 0.5, None, reason="head is NaN")],
        [make_change("m", None, 0.5, reason="base is not available")],
        [make_change("m", 0.5, 0.6, path="a.json"), make_change("m", 0.5, 0.6, path="b.json")],
    ],
)
@pytest.mark.parametrize("section", ["metrics", "budgets"])
def test_a_judged_metric_that_cannot_be_judged_fails(
    changes: list[MetricChange], section: str
) -> None:
    """Removed, missing, incomparable or ambiguous: a judged metric fails, it never skips."""
    policy = msgspec.convert({section: {"m": {}}}, Policy)
    judgement = make_report(*changes, policy=policy).judgement
    assert judgement is not None
    assert judgement.verdict is Verdict.FAIL
    assert judgement.failures


def test_a_name_in_two_files_is_judged_by_its_path() -> None:
    """`path:name` in the policy picks one of two metrics of one name."""
    changes = [make_change("m", 0.5, 0.6, path="a.json"), make_change("m", 0.5, 0.1, path="b.json")]
    report = make_report(*changes, policy=Policy(metrics={"a.json:m": UP}))
    assert report.judgement is not None
    assert report.judgement.verdict is Verdict.PASS


def test_other_test_data_makes_test_metrics_incomparable() -> None:
    """When the test data changed, judged metrics fail as incomparable; budgets are judged."""
    report = make_report(
        make_change("test.roc_auc", 0.7, 0.8), *steady_changes(), test_data=TestData.CHANGED
    )
    assert report.judgement is not None
    kinds = {verdict.name: verdict.kind for verdict in report.judgement.metrics}
    assert kinds["test.roc_auc"] is Kind.INCOMPARABLE
    assert kinds["model.size_mb"] is Kind.WORSENED
    assert report.judgement.verdict is Verdict.FAIL


def test_a_failing_metric_decides_else_the_first() -> None:
    """The first line is about what fails, or about the policy's first metric."""
    good = make_report(make_change("test.roc_auc", 0.7, 0.8), *steady_changes())
    bad = make_report(
        make_change("test.roc_auc", 0.7, 0.8),
        make_change("test.log_loss", 0.4, 0.5),
        make_change("model.size_mb", 1, 2),
    )
    assert good.judgement is not None
    assert bad.judgement is not None
    assert (good.judgement.deciding, bad.judgement.deciding) == ("test.roc_auc", "test.log_loss")


def test_an_empty_policy_judges_nothing() -> None:
    """A policy without metrics gives neither pass nor fail."""
    report = make_report(make_change("m", 1, 2), policy=Policy())
    assert report.judgement is not None
    assert report.judgement.verdict is Verdict.SKIP


def test_judging_replaces_what_the_report_claims() -> None:
    """A judgement that came with the report has no influence."""
    report = make_report(make_change("test.roc_auc", 0.8, 0.5), *steady_changes())
    assert report.judgement is not None
    claimed = msgspec.structs.replace(report.judgement, verdict=Verdict.PASS, failures=())
    assert judge_report(msgspec.structs.replace(report, judgement=claimed), POLICY) == report


@given(base=NUMBERS, head=NUMBERS, up=st.booleans())
def test_swapping_the_sides_swaps_the_kinds(base: float, head: float, up: bool) -> None:
    """Improved and worsened swap with base and head, and nothing else changes."""
    rule = Rule(greater_is_better=up)
    there = find_kind(make_change("m", base, head), rule)
    back = find_kind(make_change("m", head, base), rule)
    swap = {Kind.IMPROVED: Kind.WORSENED, Kind.WORSENED: Kind.IMPROVED}
    assert back is swap.get(there, there)


@given(
    base=st.none() | NUMBERS,
    head=st.none() | NUMBERS,
    loss=st.none() | st.floats(min_value=0, max_value=10),
    low=st.none() | NUMBERS,
)
def test_a_pass_always_has_a_head_within_its_bounds(
    base: float | None, head: float | None, loss: float | None, low: float | None
) -> None:
    """Whatever the numbers, a passing metric exists at head and is not below its minimum.

    Nor did it lose more than the margin, but for the rounding of a difference of two floats.
    """
    rule = Rule(min_value=low, max_worsening=loss)
    judgement = make_report(
        make_change("m", base, head), policy=Policy(metrics={"m": rule})
    ).judgement
    assert judgement is not None
    if judgement.verdict is Verdict.PASS:
        assert head is not None
        assert low is None or head >= low
        if loss is not None and base is not None:
            assert base - head <= loss + 4 * math.ulp(max(abs(base), abs(head)))


def test_the_kind_of_a_report_with_no_side_is_sound() -> None:
    """A report without commits can be judged too."""
    report = Report(
        schema=1, key="m", base=Side(sha=None), head=Side(sha=None), test_data=TestData.UNKNOWN
    )
    assert judge_report(report, Policy()).judgement is not None


@pytest.mark.parametrize("name", ["test.roc_auc", "test.log_loss", "model.size_mb"])
@pytest.mark.parametrize("head", [0.0, 0.7, 1.0])
def test_a_stale_metric_fails_whatever_its_value(name: str, head: float) -> None:
    """A number of an older run is neither good nor bad: it fails, and says what to do."""
    stale = "stage `train` has to run again (`mlgitops train`)"
    changes = [
        msgspec.structs.replace(make_change(name, 0.7, head, interval=(-1, 1)), stale=stale),
        *(change for change in steady_changes() if change.name != name),
    ]
    judged = {found.name: found for found in _judge(*changes).metrics}
    assert judged[name].verdict is Verdict.FAIL
    assert judged[name].reasons[0] == f"is stale: {stale}"


def test_a_stale_metric_is_told_with_every_limit_that_it_breaks() -> None:
    """Its numbers are of an older run: whoever trains again knows what to look at."""
    stale = "stage `train` has to run again (`mlgitops train`)"
    change = msgspec.structs.replace(make_change("test.roc_auc", 0.7, 0.5), stale=stale)
    others = (other for other in steady_changes() if other.name != change.name)
    judged = {verdict.name: verdict for verdict in _judge(change, *others).metrics}
    assert judged["test.roc_auc"].reasons == (
        f"is stale: {stale}",
        "lost more than the 0.005 that it may lose",
        "is below its minimum of 0.65",
    )


def _judge(*changes: MetricChange) -> Judgement:
    judgement = make_report(*changes).judgement
    assert judgement is not None
    return judgement
