from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgitops.judgement.kinds import decide_kind, required_rows
from mlgitops.model import Interval, Kind
from mlgitops.statistics import counts, names
from mlgitops.statistics.intervals import holm_confidence

IMPROVED, WORSENED = Kind.IMPROVED, Kind.WORSENED
EQUIVALENT, INCONCLUSIVE = Kind.EQUIVALENT, Kind.INCONCLUSIVE


def interval(low: float, high: float, confidence: float = 0.95) -> Interval:
    """Return an interval of some method."""
    return Interval(low=low, high=high, confidence=confidence, method="a method")


@pytest.mark.parametrize(
    ("low", "high", "greater", "margin", "kind"),
    [
        (0.01, 0.02, True, None, IMPROVED),
        (0.01, 0.02, False, None, WORSENED),
        (-0.02, -0.01, True, None, WORSENED),
        (-0.02, -0.01, False, None, IMPROVED),
        (0.001, 0.002, True, 0.005, IMPROVED),  # real, however small
        (-0.002, 0.003, True, 0.005, EQUIVALENT),
        (-0.005, 0.005, True, 0.005, EQUIVALENT),  # the margin is inclusive
        (-0.006, 0.003, True, 0.005, INCONCLUSIVE),
        (-0.002, 0.006, True, 0.005, INCONCLUSIVE),
        (-0.002, 0.003, True, None, INCONCLUSIVE),
        (0.0, 0.01, True, None, INCONCLUSIVE),  # zero is still possible
        (-0.01, 0.0, True, 0.0, INCONCLUSIVE),
        (0.0, 0.0, True, None, Kind.UNCHANGED),
        (0.0, 0.0, True, 0.005, EQUIVALENT),
    ],
)
def test_each_interval_has_one_kind(
    low: float, high: float, greater: bool, margin: float | None, kind: Kind
) -> None:
    """An interval, the direction and the margin decide the kind."""
    assert decide_kind(interval(low, high), greater_is_better=greater, margin=margin) is kind


SWAPPED = {IMPROVED: WORSENED, WORSENED: IMPROVED}
finite = st.floats(-1, 1)


@given(finite, finite, st.booleans(), st.none() | st.floats(0, 1))
def test_swapping_the_sides_swaps_improved_and_worsened(
    one: float, other: float, greater: bool, margin: float | None
) -> None:
    """Swapping base and head negates the interval and mirrors the kind."""
    low, high = min(one, other), max(one, other)
    kind = decide_kind(interval(low, high), greater_is_better=greater, margin=margin)
    mirrored = decide_kind(interval(-high, -low), greater_is_better=greater, margin=margin)
    assert mirrored is SWAPPED.get(kind, kind)


def test_required_rows_follow_the_sample_size_formula() -> None:
    """The rows equal (z_a + z_b)^2 s^2 / d^2, worked by hand for s = 0.2, d = 0.01, n = 500."""
    z = NormalDist().inv_cdf
    half = z(0.975) * 0.2 / 500**0.5
    needed = (z(0.975) + z(0.8)) ** 2 * 0.2**2 / 0.01**2
    more = required_rows(interval(0.01 - half, 0.01 + half), 500, None)
    assert more is not None
    assert more + 500 == pytest.approx(needed, abs=1)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_the_rows_that_are_named_settle_it_in_four_of_five_cases(
    share: float, confidence: float
) -> None:
    """At the number of rows that is named, an interval is settled about as often as it says.

    The true difference is a share of the margin. A false *improved* or *worsened* settles it too,
    and is not counted on: a little more often, then, and not less.
    """
    margin, spread, rows, runs = 0.02, 0.5, 1_000, 20_000
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    half = z * spread / math.sqrt(rows)
    more = required_rows(
        interval(share * margin - half, share * margin + half, confidence), rows, margin
    )
    assert more is not None
    error = spread / math.sqrt(rows + more)
    means = np.random.default_rng(7).normal(share * margin, error, runs)
    inside = np.abs(means) + z * error <= margin
    settled = (inside | (np.abs(means) > z * error)).mean()
    reach = 4 * math.sqrt(0.8 * 0.2 / runs)
    assert 0.8 - reach < settled < 0.8 + (1 - confidence) + reach


def test_the_rows_of_an_equivalence_follow_the_formula_of_two_tests() -> None:
    """Without a difference, either test may fail: z at (1 + power) / 2 counts."""
    z = NormalDist().inv_cdf
    half, margin, rows = 0.03, 0.02, 1_000
    more = required_rows(interval(-half, half), rows, margin)
    assert more is not None
    factor = (half * (1 + z(0.9) / z(0.975)) / margin) ** 2
    assert more + rows == pytest.approx(rows * factor, abs=1)


def test_the_rows_of_models_that_answer_alike_follow_the_rule_of_three() -> None:
    """Three times the room takes three times the rows: nothing else is left to chance."""
    alike = Interval(low=-0.03, high=0.03, confidence=0.95, method="identical, rule of three")
    assert required_rows(alike, 100, 0.01) == 200
    assert required_rows(alike, 100, None) is None
    assert required_rows(alike, 100, 0.03) is None  # equivalent already


def test_a_rough_interval_within_the_margin_names_no_rows() -> None:
    """How many rows lift a limit of the method, the interval does not tell."""
    rough = Interval(low=-0.002, high=0.003, confidence=0.95, method="jackknife, rough")
    assert required_rows(rough, 100, 0.005) is None
    assert required_rows(rough, 100, 0.002) is not None


def test_no_fewer_rows_are_named_than_the_method_needs() -> None:
    """From 200 rows on an interval is not rough, and before none is equivalent."""
    assert required_rows(interval(-0.052, 0.013), 103, 0.05) == 200 - 103
    assert required_rows(interval(-0.052, 0.013), 103, None) > 200  # type: ignore[operator]


def test_required_rows_take_the_cheaper_way_out() -> None:
    """Far from zero difference is settled by zero, near it by the margin."""
    near = required_rows(interval(-0.011, 0.009), 1000, 0.008)
    without = required_rows(interval(-0.011, 0.009), 1000, None)
    assert near is not None
    assert without is not None
    assert near < without


@pytest.mark.parametrize(
    ("low", "high", "rows", "margin"),
    [
        (0.01, 0.02, 1000, None),  # improved already
        (-0.001, 0.001, 1000, 0.01),  # equivalent already
        (-0.01, 0.01, 1000, None),  # a difference of zero, and no margin
        (-0.01, 0.01, 1000, 0.0),
        (-0.0100000001, 0.01, 1000, None),  # no test set is that large
        (0.0, 0.0, 1000, None),
        (-0.01, 0.02, 0, None),
    ],
)
def test_no_number_of_rows_is_named_where_none_helps(
    low: float, high: float, rows: int, margin: float | None
) -> None:
    """Nothing is promised where nothing is open, or where no test set would settle it."""
    assert required_rows(interval(low, high), rows, margin) is None


@given(finite, st.floats(1e-4, 1), st.integers(2, 10**6), st.none() | st.floats(1e-4, 1))
def test_required_rows_are_positive(
    middle: float, half: float, rows: int, margin: float | None
) -> None:
    """When a number is named, it is at least one row."""
    more = required_rows(interval(middle - half, middle + half), rows, margin)
    assert more is None or more >= 1


def reject_by_holm(p_values: dict[str, float], alpha: float) -> set[str]:
    """Holm 1979, as the textbook writes it: from the smallest p on, against alpha / (m - i)."""
    rejected = set()
    for position, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        if p_values[name] > alpha / (len(p_values) - position):
            break
        rejected.add(name)
    return rejected


@given(
    st.dictionaries(
        st.text(max_size=3), st.floats(-6, 6).filter(lambda z: abs(z) > 1e-6), max_size=8
    ),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_intervals_at_holms_levels_leave_out_zero_exactly_where_holm_rejects(
    z_values: dict[str, float], confidence: float
) -> None:
    """Reading each interval at its level is Holm's procedure on the p-values."""

    def at(z: float, level: float) -> tuple[float, float]:
        reach = NormalDist().inv_cdf((1 + level) / 2)
        return z - reach, z + reach

    levels = holm_confidence(
        {name: lambda level, z=z: at(z, level) for name, z in z_values.items()},  # type: ignore[misc]
        confidence,
    )
    called = {
        name
        for name, level in levels.items()
        if at(z_values[name], level)[0] > 0 or at(z_values[name], level)[1] < 0
    }
    p_values = {name: 2 * NormalDist().cdf(-abs(z)) for name, z in z_values.items()}
    assert called == reject_by_holm(p_values, 1 - confidence)
    assert levels.keys() == z_values.keys()


def test_a_single_metric_keeps_the_policys_confidence() -> None:
    """With one metric there is nothing to correct."""
    assert holm_confidence({"a": lambda _: (-1, 1)}, 0.95) == {"a": pytest.approx(0.95)}


def test_a_rough_interval_is_never_equivalent() -> None:
    """What is not shown to hold proves no equivalence; the other words stay."""
    rough = Interval(low=-0.002, high=0.003, confidence=0.95, method="jackknife, rough")
    assert decide_kind(rough, greater_is_better=True, margin=0.005) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("margin", "kind"), [(None, "unchanged"), (0.01, "unchanged"), (0.02, "equivalent")]
)
def test_models_that_answer_alike_are_unchanged_until_the_rows_show_more(
    margin: float | None, kind: str
) -> None:
    """With too few rows to rule out a loss above the margin, equal answers prove nothing."""
    alike = Interval(low=-0.015, high=0.015, confidence=0.95, method="identical, score")
    assert decide_kind(alike, greater_is_better=True, margin=margin).value == kind


def test_names_and_methods_of_counts_are_the_same() -> None:
    """The names that judge knows without numpy are those that have a method."""
    assert set(counts.METRICS) == names.COUNTS
