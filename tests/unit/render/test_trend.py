"""Tests of the trend as it is shown: the sentence where small losses add up, and the chart."""

from __future__ import annotations

import pytest
from builders import make_change, make_report

from mlgitops.model import Policy, Reference, Rule, TestData, Trend, TrendPoint
from mlgitops.render.trend import describe_slide, draw_trend, render_trend

AUC = "test.roc_auc"
RULE = Rule(max_worsening=0.005)
POLICY = Policy(metrics={AUC: RULE})


def make_trend(*values: float) -> Trend:
    """Make the trend of a metric over some merges."""
    points = tuple(TrendPoint(sha=f"{at:040x}", value=value) for at, value in enumerate(values))
    return Trend(name=AUC, path="reports/metrics.json", points=points)


@pytest.mark.parametrize(
    ("rule", "values", "head", "is_told"),
    [
        (RULE, (0.75, 0.748, 0.746), 0.744, True),
        (RULE, (0.75, 0.748, 0.746), 0.746, False),  # less than one margin in all
        (RULE, (0.75, 0.748, 0.745), 0.745, False),  # exactly the margin
        (RULE, (0.73, 0.74, 0.75), 0.76, False),  # it grows
        (Rule(greater_is_better=False, max_worsening=0.005), (0.3, 0.303), 0.307, True),
        (Rule(greater_is_better=False, max_worsening=0.005), (0.307, 0.303), 0.3, False),
        (Rule(max_relative_worsening=0.01), (0.75, 0.746), 0.742, True),
        (Rule(max_worsening=0.0), (0.75, 0.75), 0.745, True),
        (Rule(min_value=0.5), (0.9, 0.8), 0.6, False),  # no margin: nothing was to be kept
    ],
)
def test_small_losses_are_told_when_they_exceed_what_one_change_may_lose(
    rule: Rule, values: tuple[float, ...], head: float, *, is_told: bool
) -> None:
    """Each step keeps its margin; the sum of them, with this change's, does not."""
    report = make_report(
        make_change(AUC, values[-1], head),
        policy=Policy(metrics={AUC: rule}),
        trend=make_trend(*values),
    )
    assert bool(describe_slide(report)) is is_told


def test_the_sentence_says_how_much_and_what_would_bound_it() -> None:
    """Where it came from and went to, over how many merges, and in margins."""
    change = make_change(AUC, 0.735, 0.73)
    report = make_report(change, policy=POLICY, trend=make_trend(0.75, 0.745, 0.74, 0.735))
    (text,) = describe_slide(report)
    assert text.startswith("`test.roc_auc` went from 0.7500 to 0.7300 over the last 3 merges")
    assert "4 times what one change may lose" in text
    assert "A `reference` in policy.yaml bounds them." in text


def test_where_a_reference_bounds_it_the_sentence_is_not_needed() -> None:
    """Its own row says it."""
    since = Rule(max_worsening=0.005, max_worsening_since_reference=0.1)
    change = make_change(AUC, 0.735, 0.73)
    old = make_change(AUC, 0.75, 0.73, interval=(-0.03, -0.01))
    reference = Reference(name="v1", label="v1", sha="c" * 40, rows=TestData.SAME, metrics=(old,))
    report = make_report(
        change,
        policy=Policy(reference="v1", metrics={AUC: since}),
        trend=make_trend(0.75, 0.735),
        reference=reference,
    )
    assert describe_slide(report) == []
    text = render_trend(report)
    assert 'line "low" [0.72, 0.72, 0.72]' in text
    assert 'line "high" [0.74, 0.74, 0.74]' in text
    assert 'line "limit" [0.65, 0.65, 0.65]' in text
    assert 'line "metric" [0.75, 0.735, 0.73]' in text
    assert '["1", "base", "head"]' in text
    assert "since `v1`" in text


def test_the_chart_of_the_page_joins_head_to_the_merges() -> None:
    """The merges end at base, and a line leads from there to head."""
    report = make_report(
        make_change(AUC, 0.735, 0.73), policy=POLICY, trend=make_trend(0.75, 0.745, 0.735)
    )
    (chart,) = draw_trend(report)
    base, head = chart.series
    assert (base.x, base.y) == ((-2.0, -1.0, 0.0), (0.75, 0.745, 0.735))
    assert (head.x, head.y) == ((0.0, 1.0), (0.735, 0.73))


def test_on_other_test_data_no_slide_is_told() -> None:
    """Head's value is of other rows than those of the merges, and no loss since them."""
    report = make_report(
        make_change(AUC, 0.735, 0.6),
        policy=POLICY,
        trend=make_trend(0.75, 0.735),
        test_data=TestData.CHANGED,
    )
    assert (render_trend(report), draw_trend(report), describe_slide(report)) == ("", [], [])


@pytest.mark.parametrize("trend", [None, make_trend(), make_trend(0.7)])
def test_without_two_points_nothing_is_drawn(trend: Trend | None) -> None:
    """A report may come without it, or with one that is no line."""
    report = make_report(make_change(AUC, 0.7, 0.7), policy=POLICY, trend=trend)
    assert (render_trend(report), draw_trend(report), describe_slide(report)) == ("", [], [])
