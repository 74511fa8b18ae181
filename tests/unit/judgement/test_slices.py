"""Tests of judging slices: bounds, losses, small groups, and that no rule is skipped."""

from __future__ import annotations

import msgspec
import pytest
from builders import make_change, make_report

from mlgitops.errors import MlgitopsError
from mlgitops.judgement.judge import judge_report
from mlgitops.model import (
    Interval,
    OnInconclusive,
    Policy,
    Report,
    Rule,
    SliceFacts,
    SliceResult,
    SliceRule,
    Statistic,
    Verdict,
)
from mlgitops.model.slice_metrics import find_statistic
from mlgitops.model.wire import encode_report, fit_report, parse_report
from mlgitops.render.slices import describe_deciding_slice, gap_rows

GAP = SliceRule(
    by=("carrier",), metric="accuracy", statistic=Statistic.DIFFERENCE, max_value=0.2, min_rows=100
)
LOSS = SliceRule(by=("carrier",), metric="accuracy", max_worsening=0.02, min_rows=100)
ERROR = SliceRule(by=("carrier",), metric="mae", max_worsening=0.02, min_rows=100)


def make_slice(
    name: str, base: float, head: float, *, rows: int = 500, half: float | None = 0.01
) -> SliceResult:
    """Make one group, with an interval of this half width around its delta."""
    delta = head - base
    interval = (
        Interval(low=delta - half, high=delta + half, confidence=0.975, method="linearised")
        if half is not None
        else None
    )
    return SliceResult(
        group=(name,), rows=rows, base=base, head=head, delta=delta, interval=interval
    )


def make_facts(rule: SliceRule, *slices: SliceResult, **facts: object) -> SliceFacts:
    """Make the facts of a rule as `compare` would."""
    judged = [one for one in slices if one.rows >= rule.min_rows]
    known = {
        side: find_statistic(rule.statistic, [getattr(one, side) for one in judged])
        for side in ("base", "head")
        if rule.statistic and judged and all(getattr(one, side) is not None for one in judged)
    }
    return SliceFacts(
        by=rule.by,
        metric=rule.metric,
        statistic=rule.statistic,
        min_rows=rule.min_rows,
        slices=slices,
        **{**known, **facts},  # type: ignore[arg-type]
    )


def judge(
    rule: SliceRule, *facts: SliceFacts, inconclusive: OnInconclusive = OnInconclusive.PASS
) -> Report:
    """Judge one rule."""
    policy = Policy(metrics={"test.roc_auc": Rule()}, slices=(rule,), inconclusive=inconclusive)
    return make_report(make_change("test.roc_auc", 0.7, 0.71), policy=policy, slices=facts)


def reasons(report: Report) -> list[str]:
    """Return why a report fails."""
    assert report.judgement is not None
    assert (report.judgement.verdict is Verdict.FAIL) == bool(report.judgement.failures)
    return list(report.judgement.failures)


@pytest.mark.parametrize(
    ("rule", "slices", "expected"),
    [
        (GAP, [make_slice("AA", 0.8, 0.8), make_slice("F9", 0.75, 0.7)], []),
        (
            GAP,
            [make_slice("F9", 0.75, 0.5), make_slice("AA", 0.8, 0.8)],
            [
                (
                    "`accuracy` by `carrier`: the difference is above its maximum of 0.2; "
                    "lowest for `F9`, highest for `AA`"
                )
            ],
        ),
        (GAP, [make_slice("AA", 0.8, 0.8), make_slice("OO", 0.75, 0.1, rows=99)], ["*"]),
        (LOSS, [make_slice("AA", 0.8, 0.8), make_slice("OO", 0.75, 0.1, rows=99)], []),
        (LOSS, [make_slice("AA", 0.8, 0.785)], []),  # a loss, within the margin
        (LOSS, [make_slice("AA", 0.8, 0.77, half=0.05)], []),  # noise may explain it
        (
            LOSS,
            [make_slice("AA", 0.8, 0.7), make_slice("F9", 0.8, 0.6)],
            [
                "`accuracy` by `carrier`: `F9` lost more than the 0.02 that a group may lose",
                "`accuracy` by `carrier`: `AA` lost more than the 0.02 that a group may lose",
            ],
        ),
        (LOSS, [make_slice("AA", 0.8, 0.7, half=None)], ["*"]),  # no interval: as it is
        (LOSS, [make_slice("AA", 0.8, 0.9)], []),
        (ERROR, [make_slice("AA", 0.8, 0.9)], ["*"]),  # an error that grows is a loss
        (ERROR, [make_slice("AA", 0.8, 0.7)], []),
    ],
)
def test_bounds_and_losses_decide(
    rule: SliceRule, slices: list[SliceResult], expected: list[str]
) -> None:
    """A gap beyond its bound fails, and a group that lost more than it may, beyond noise."""
    found = reasons(judge(rule, make_facts(rule, *slices)))
    assert len(found) == len(expected)
    assert expected in (found, ["*"])


def test_what_noise_may_hide_fails_where_the_policy_says_so() -> None:
    """With `inconclusive: fail`, a group whose loss cannot be excluded fails."""
    facts = make_facts(LOSS, make_slice("AA", 0.8, 0.79, half=0.05))
    assert reasons(judge(LOSS, facts)) == []
    (reason,) = reasons(judge(LOSS, facts, inconclusive=OnInconclusive.FAIL))
    assert "noise hides it" in reason


@pytest.mark.parametrize(
    ("rule", "head", "half", "fails"),
    [
        (LOSS, 0.785, 0.012, True),  # worsened for certain, by 0.003 to 0.027
        (LOSS, 0.785, 0.004, False),  # worsened, by at most 0.019
        (LOSS, 0.80, 0.03, True),  # no difference on these rows, and a loss of 0.03 fits
        (LOSS, 0.85, 0.03, False),  # improved
        (LOSS, 0.81, 0.02, False),  # may be worse, by 0.01 at most
        (ERROR, 0.815, 0.012, True),
        (ERROR, 0.785, 0.012, False),
    ],
)
def test_a_strict_policy_asks_each_group_for_proof(
    rule: SliceRule, head: float, half: float, fails: bool
) -> None:
    """With `inconclusive: fail` the interval's worse end decides, whatever the change is called."""
    facts = make_facts(rule, make_slice("AA", 0.8, head, half=half))
    assert reasons(judge(rule, facts)) == []
    strict = reasons(judge(rule, facts, inconclusive=OnInconclusive.FAIL))
    assert bool(strict) is fails
    assert all("may have lost more than 0.02: noise hides it" in reason for reason in strict)


@pytest.mark.parametrize(
    "facts",
    [
        [],
        [make_facts(GAP, reason="the predictions have no column `carrier`")],
        [make_facts(GAP)],
        [make_facts(LOSS, make_slice("AA", 0.8, 0.8))],
    ],
    ids=["no facts", "a reason", "no groups", "facts of another rule"],
)
def test_a_rule_that_cannot_be_evaluated_fails(facts: list[SliceFacts]) -> None:
    """Without numbers for it, a slice rule fails with its reason; it is never skipped."""
    report = judge(GAP, *facts)
    (reason,) = reasons(report)
    assert "cannot be judged" in reason
    assert describe_deciding_slice(report) is not None


def test_other_test_rows_fail_a_loss_and_not_a_bound() -> None:
    """Where base cannot be set beside head, bounds still hold and losses cannot be judged."""
    alone = SliceResult(group=("AA",), rows=500, head=0.8)
    other = SliceResult(group=("F9",), rows=500, head=0.7)
    why = "the test data is not the same as at base"
    gap = make_facts(GAP, alone, other, base_reason=why)
    assert reasons(judge(GAP, gap)) == []
    (reason,) = reasons(judge(LOSS, make_facts(LOSS, alone, other, base_reason=why)))
    assert reason.endswith(f"cannot be compared with base: {why}")


def test_the_first_predictions_have_nothing_to_lose() -> None:
    """Where base has no predictions at all, a rule on losses is kept."""
    alone = SliceResult(group=("AA",), rows=500, head=0.8)
    assert reasons(judge(LOSS, make_facts(LOSS, alone))) == []


def test_a_metric_that_fails_decides_before_a_slice() -> None:
    """The first line is a failing metric's where there is one, and a failing slice's else."""
    facts = make_facts(GAP, make_slice("F9", 0.75, 0.5), make_slice("AA", 0.8, 0.8))
    report = judge(GAP, facts)
    assert report.judgement is not None
    assert report.judgement.deciding is None
    assert (describe_deciding_slice(report) or ("", ""))[0] == "`accuracy` by `carrier`,"
    policy = Policy(metrics={"test.roc_auc": Rule(min_value=0.9)}, slices=(GAP,))
    both = judge_report(report, policy)
    assert both.judgement is not None
    assert both.judgement.deciding == "test.roc_auc"
    assert len(both.judgement.failures) == 2
    assert gap_rows(both)[0].result == "beyond limits"


def test_a_report_whose_gap_is_not_its_groups_is_refused() -> None:
    """The trusted half does not believe a statistic that the listed groups do not give."""
    facts = make_facts(GAP, make_slice("F9", 0.75, 0.5), make_slice("AA", 0.8, 0.8))
    report = judge(GAP, facts)
    assert parse_report(encode_report(report)) == report
    first, *others = facts.slices
    moved, crowded = (
        msgspec.structs.replace(first, delta=0.0),
        msgspec.structs.replace(first, group=("a", "b")),
    )
    for reason, forged in (
        ("is not what they give", msgspec.structs.replace(facts, head=0.1)),
        ("is not what they give", msgspec.structs.replace(facts, slices=(first,))),
        ("is not head minus base", msgspec.structs.replace(facts, slices=(moved, *others))),
        ("have a value for each column", msgspec.structs.replace(facts, slices=(crowded,))),
    ):
        data = encode_report(msgspec.structs.replace(report, slices=(forged,)))
        with pytest.raises(MlgitopsError, match=reason):
            parse_report(data)


def test_slices_are_left_out_of_a_report_that_is_too_long() -> None:
    """A report that is too long keeps the extreme groups of each rule, and says what it lost."""
    slices = [make_slice(f"{'x' * 490}{at}", 0.5, 0.5 + at / 100) for at in range(40)]
    slices = [slices[0], slices[-1], *slices[1:-1]]
    facts = [msgspec.structs.replace(make_facts(GAP, *slices), min_rows=at + 1) for at in range(20)]
    fat = [make_change(f"m{at}", 0.5, 0.6) for at in range(4_000)]
    report = make_report(*fat, policy=Policy(), slices=tuple(facts))
    small = fit_report(report)
    assert parse_report(encode_report(small)) == small
    assert all(len(one.slices) + one.omitted == 40 for one in small.slices)
    assert small.slices[0].omitted > 0
