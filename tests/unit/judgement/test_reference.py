"""Tests of the reference: what policies may name, and how head is judged against it."""

from __future__ import annotations

import msgspec
import pytest
from builders import BASE, make_change, make_report
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.errors import MistakesError
from mlgitops.judgement.judge import judge_report
from mlgitops.judgement.policy import parse_policy
from mlgitops.judgement.reference import Form, find_form, name_since, select_rules
from mlgitops.model import (
    Kind,
    MetricChange,
    OnInconclusive,
    Policy,
    Reference,
    Report,
    Rule,
    TestData,
    Verdict,
)
from mlgitops.model.wire import encode_report, parse_report

AUC = "test.roc_auc"
RULE = Rule(max_worsening=0.01, max_worsening_since_reference=0.01)
POLICY = Policy(
    reference="release",
    metrics={AUC: RULE},
    inconclusive_since_reference=OnInconclusive.PASS,
)
STRICT = Policy(reference="release", metrics={AUC: RULE}, inconclusive=OnInconclusive.FAIL)
DEFAULT = Policy(reference="release", metrics={AUC: RULE})
STEP = make_change(AUC, 0.745, 0.74, interval=(-0.006, -0.004))


def make_reference(*metrics: MetricChange, rows: TestData = TestData.SAME) -> Reference:
    """Make the facts of a release that was read."""
    return Reference(name="release", label="v1.2.0", sha="c" * 40, rows=rows, metrics=metrics)


def judge(
    *metrics: MetricChange, policy: Policy = POLICY, reference: Reference | None = None
) -> Report:
    """Judge a step that keeps its own margin, beside ``metrics`` against the reference."""
    named = reference or make_reference(*metrics)
    return make_report(STEP, policy=policy, reference=named)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("release", Form.RELEASE),
        ("deploy/production", Form.ENVIRONMENT),
        ("a" * 40, Form.COMMIT),
        ("b" * 64, Form.COMMIT),
        ("v1.2.0", Form.TAG),
        ("flights@v1.2.0", Form.TAG),
        ("2026/spring+1", Form.TAG),
        ("abcdef1", Form.TAG),  # a short sha is none: whether there is such a tag, git says
        ("deploy/Production", None),
        ("deploy/a/b", None),
        ("HEAD~3", None),
        ("-delete", None),
        ("v1..2", None),
        ("v1@{1}", None),
        ("v1.lock", None),
        ("v1/", None),
        ("v1 ", None),
        ("v1\n", None),
        ("", None),
    ],
)
def test_a_reference_is_a_release_an_environment_a_commit_or_a_tag(
    name: str, form: Form | None
) -> None:
    """A branch's expression, and what git would take for an option, is none of them."""
    assert find_form(name) is form


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        (
            "reference: HEAD~1\nmetrics:\n  a: {max_worsening_since_reference: 1}",
            ["2: reference cannot be `HEAD~1`"],
        ),
        (
            "metrics:\n  a: {max_worsening_since_reference: 0.1}",
            ["3: max_worsening_since_reference needs `reference`"],
        ),
        (
            "reference: release\nmetrics:\n  a: {max_worsening: 0.1}",
            ["2: no metric has a limit against the reference"],
        ),
        (
            (
                "reference: release\nmetrics:\n  a: {max_worsening_since_reference: 0.1}\n"
                "budgets:\n  b: {max_worsening_since_reference: 1}"
            ),
            ["6: a budget is not held to a reference"],
        ),
        (
            "reference: release\nmetrics:\n  a: {max_worsening_since_reference: -0.1}",
            ["4: max_worsening_since_reference must not be negative"],
        ),
        (
            "inconclusive_since_reference: fail\nmetrics: {}",
            ["2: inconclusive_since_reference needs `reference`"],
        ),
        (
            "reference: 3\nmetrics:\n  a: {max_worsening_since_reference: 0.1}",
            ["2: reference must be text, not the number 3"],
        ),
    ],
)
def test_a_limit_that_could_not_hold_is_a_mistake(text: str, mistakes: list[str]) -> None:
    """A reference without a limit, a limit without a reference, a budget's, and odd names."""
    with pytest.raises(MistakesError, match=r"in policy\.yaml") as caught:
        parse_policy(f"version: 1\n{text}\n".encode(), where="policy.yaml")
    lines = [f"{str(e.where).removeprefix('policy.yaml:')}: {e.what}" for e in caught.value.errors]
    assert lines == mistakes


def test_the_limit_is_a_margin_against_the_reference() -> None:
    """The rules against it keep direction, confidence and cluster, and nothing else."""
    policy = parse_policy(
        b"version: 1\nconfidence: 0.9\ncluster: day\nreference: v1\ninconclusive: fail\nmetrics:\n"
        b"  a.mae: {greater_is_better: false, max_value: 3, max_worsening: 1,\n"
        b"          max_worsening_since_reference: 2}\n  b: {max_worsening: 1}\n",
        where="policy.yaml",
    )
    rules = select_rules(policy)
    assert rules.metrics == {"a.mae": Rule(greater_is_better=False, max_worsening=2.0)}
    assert (rules.confidence, rules.cluster, rules.inconclusive) == (0.9, "day", "fail")
    assert rules.reference is None


@pytest.mark.parametrize(
    ("interval", "policy", "verdict", "kind"),
    [
        ((-0.03, -0.018), POLICY, Verdict.FAIL, Kind.WORSENED),
        ((-0.05, 0.002), POLICY, Verdict.PASS, Kind.INCONCLUSIVE),
        ((-0.05, 0.002), STRICT, Verdict.FAIL, Kind.INCONCLUSIVE),
        ((-0.05, 0.002), DEFAULT, Verdict.FAIL, Kind.INCONCLUSIVE),
        (None, POLICY, Verdict.FAIL, Kind.WORSENED),
    ],
)
def test_small_losses_that_add_up_fail(
    interval: tuple[float, float] | None, policy: Policy, verdict: Verdict, kind: Kind
) -> None:
    """0.745 to 0.74 is within the margin; since the release it is 0.764, and that is too much."""
    report = judge(make_change(AUC, 0.764, 0.74, interval=interval), policy=policy)
    judgement = report.judgement
    assert judgement is not None
    assert [row.verdict for row in judgement.metrics] == [Verdict.PASS]
    assert [(row.verdict, row.kind) for row in judgement.reference] == [(verdict, kind)]
    assert judgement.verdict is verdict
    assert judgement.reference[0].rule.max_worsening == 0.01
    if verdict is Verdict.FAIL:
        assert judgement.deciding == name_since(AUC, "v1.2.0")
        assert judgement.failures[0].startswith("since `v1.2.0`: `test.roc_auc` ")


def test_a_loss_within_the_limit_passes() -> None:
    """Two steps of half a margin: nothing is held against the second."""
    report = judge(make_change(AUC, 0.748, 0.74, interval=(-0.009, -0.007)))
    judgement = report.judgement
    assert judgement is not None
    assert judgement.verdict is Verdict.PASS
    assert judgement.deciding == AUC


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (None, "the report holds nothing of the reference that the policy names"),
        (
            Reference(name="release", label="release", reason="no tag vX.Y.Z is in the history"),
            "no tag vX.Y.Z is in the history",
        ),
        (
            make_reference(make_change(AUC, None, 0.74)),
            "`test.roc_auc` has no value at the reference",
        ),
        (
            make_reference(make_change(AUC, None, 0.74, reason="base is not available")),
            "has no value at the reference: base is not available",
        ),
    ],
)
def test_a_reference_that_cannot_be_read_is_undecided(
    reference: Reference | None, reason: str
) -> None:
    """Never green: the numbers against base pass, and the whole is undecided with the reason."""
    report = make_report(STEP, policy=POLICY, reference=reference)
    judgement = report.judgement
    assert judgement is not None
    assert [row.verdict for row in judgement.metrics] == [Verdict.PASS]
    assert [row.verdict for row in judgement.reference] == [Verdict.UNDECIDED]
    assert judgement.verdict is Verdict.UNDECIDED
    assert reason in judgement.failures[0]


def test_a_fail_against_base_is_no_less_one_beside_an_unread_reference() -> None:
    """Undecided is weaker than a fail, and is named after it."""
    lost = make_change(AUC, 0.8, 0.74, interval=(-0.07, -0.05))
    report = make_report(lost, policy=POLICY)
    assert report.judgement is not None
    assert report.judgement.verdict is Verdict.FAIL
    assert "lost more than the 0.01" in report.judgement.failures[0]
    assert "nothing of the reference" in report.judgement.failures[1]


@pytest.mark.parametrize("untouched", [True, False])
def test_an_equal_value_is_proof_where_nothing_changed_since(*, untouched: bool) -> None:
    """Without predictions, a strict policy believes 0.74 and 0.74 of the very same model alone."""
    facts = make_reference(make_change(AUC, 0.74, 0.74))
    reference = msgspec.structs.replace(facts, untouched=untouched)
    report = judge(policy=STRICT, reference=reference)
    assert report.judgement is not None
    verdict = report.judgement.reference[0].verdict
    assert verdict is (Verdict.PASS if untouched else Verdict.FAIL)


def test_other_rows_against_the_reference_fail() -> None:
    """A stored value of other test rows is not compared with head's, whoever wrote the report."""
    change = make_change(AUC, 0.74, 0.74)
    report = judge(reference=make_reference(change, rows=TestData.CHANGED))
    assert report.judgement is not None
    assert report.judgement.verdict is Verdict.FAIL
    assert "since `v1.2.0`, which stands in base's place" in report.judgement.failures[0]


def test_a_metric_that_head_lost_fails_against_both() -> None:
    """It is gone since base and since the reference; neither is skipped."""
    report = make_report(
        make_change(AUC, 0.74, None),
        policy=POLICY,
        reference=make_reference(make_change(AUC, 0.75, None)),
    )
    assert report.judgement is not None
    verdicts = [*report.judgement.metrics, *report.judgement.reference]
    assert [(row.kind, row.verdict) for row in verdicts] == [(Kind.REMOVED, Verdict.FAIL)] * 2


@given(
    lost=st.floats(0, 0.1),
    half=st.floats(1e-6, 0.1),
    margin=st.floats(0, 0.05),
    strict=st.booleans(),
)
def test_it_is_judged_as_a_margin_against_base_is(
    lost: float, half: float, margin: float, *, strict: bool
) -> None:
    """The same change and margin give the same verdict, be it against base or the reference."""
    outcome = OnInconclusive.FAIL if strict else OnInconclusive.PASS
    change = make_change(AUC, 0.8, 0.8 - lost, interval=(-lost - half, -lost + half))
    since = Rule(max_worsening_since_reference=margin)
    policy = Policy(reference="v1.2.0", metrics={AUC: since}, inconclusive_since_reference=outcome)
    beside = make_report(change, policy=policy, reference=make_reference(change))
    plain = Policy(metrics={AUC: Rule(max_worsening=margin)}, inconclusive=outcome)
    alone = make_report(change, policy=plain)
    assert beside.judgement is not None
    assert alone.judgement is not None
    assert beside.judgement.verdict is alone.judgement.verdict
    mine, theirs = beside.judgement.reference[0], alone.judgement.metrics[0]
    assert (mine.kind, mine.verdict, mine.reasons, mine.unproven) == (
        theirs.kind,
        theirs.verdict,
        theirs.reasons,
        theirs.unproven,
    )


def test_the_facts_survive_the_way_between_two_jobs() -> None:
    """What is read is what was written, and the judgement is made from it again."""
    report = judge(make_change(AUC, 0.764, 0.74, interval=(-0.03, -0.018)))
    again = parse_report(encode_report(report))
    assert again == report
    assert judge_report(again, POLICY) == report
    assert again.base.sha == BASE
