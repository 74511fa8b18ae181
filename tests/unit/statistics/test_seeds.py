"""What several trainings of each side make of an interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.seed_study import Models, count_calls, render_page, train_models
from mlgitops.statistics.compare import as_evidence
from mlgitops.statistics.estimate import Estimate, Undefined
from mlgitops.statistics.intervals import is_rough
from mlgitops.statistics.matching import Pair
from mlgitops.statistics.seeds import MOST_SPREAD, SeededEstimate, cover_seeds

RUNS = 50
FREEDOM = 1e9  # of the rows: normal


def estimate(delta: float, *, base: float = 0.8, error: float = 0.01) -> Estimate:
    """Return the difference of one pair of models."""
    return Estimate(
        values=(base, base + delta), delta=delta, error=error, freedom=FREEDOM, method="paired t"
    )


def pair_of(rows: int) -> Pair:
    """Return rows that evidence counts."""
    column = np.zeros(rows)
    return Pair(target=column, base=column, head=column, base_scores={}, head_scores={}, columns={})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["forest", "network"])
def test_sides_that_differ_by_the_seed_are_seldom_called_a_change(kind: str) -> None:
    """One seed a side is called a change too often, five are in at most 5 % of runs."""
    tallies = count_calls(train_models(kind, 24, 12_000), 8_000, RUNS, seed=1)
    for metric, tally in tallies.items():
        assert tally.seeded / RUNS <= 0.05, metric
    singles = [tally.single / RUNS for tally in tallies.values()]
    assert max(singles) > 0.1


def test_the_study_counts_every_metric_at_every_size() -> None:
    """The page has a row for each, and names the rates that lie above what is promised."""
    rng = np.random.default_rng(0)
    models = Models(
        target=(np.arange(200) % 2).astype(np.int8), scores=rng.uniform(0, 1, (10, 200))
    )
    results = [{rows: count_calls(models, 100, 10, seed=0) for rows in (500, 30_000)}] * 2
    results[0][500]["accuracy"].seeded = 10
    page = render_page(results, 0.01)
    assert page.count("| forest | ") == page.count("| network | ") == 6
    assert "**accuracy, forest, 500 rows (100.0 %)" in page


def test_rows_and_seeds_reach_as_far_as_their_squares_add_up_to() -> None:
    """The interval is that of a paired t over seeds, with the rows' error beside it."""
    deltas = [0.02, 0.05, 0.03]
    served, *others = (estimate(delta) for delta in deltas)
    covered = cover_seeds(served, others)
    rows = stats.norm.ppf(0.975) * 0.01
    seeds = stats.t.ppf(0.975, 2) * np.std(deltas, ddof=1) / math.sqrt(3)
    mean = np.mean(deltas)
    low, high = covered.interval(0.95)
    assert low == pytest.approx(mean - math.hypot(rows, seeds))
    assert high == pytest.approx(mean + math.hypot(rows, seeds))
    noise = as_evidence(covered, pair_of(1000), 0.95).seeds
    assert noise is not None
    assert noise.seeds == 3
    assert (noise.delta, noise.by_rows, noise.by_seeds) == pytest.approx((mean, rows, seeds))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=8),
    st.floats(0.5, 0.999),
    st.sampled_from([None, True, False]),
)
def test_the_interval_of_the_served_models_is_part_of_it(
    deltas: list[float], confidence: float, greater: bool | None
) -> None:
    """However lucky the other seeds are, no end comes nearer than the served models' own."""
    served, *others = (estimate(delta) for delta in deltas)
    low, high = cover_seeds(served, others, greater_is_better=greater).interval(confidence)
    own = served.interval(confidence)
    assert low <= own[0]
    assert own[1] <= high


def test_what_models_of_one_seed_have_in_common_cancels() -> None:
    """A change that moves every model by the same leaves nothing for the seeds to do."""
    bases = [0.7, 0.8, 0.9]
    served, *others = (estimate(0.03, base=base) for base in bases)
    assert cover_seeds(served, others).interval(0.95) == pytest.approx(served.interval(0.95))


@pytest.mark.parametrize("greater", [True, False])
def test_heads_spread_does_not_make_a_loss_unsure_without_end(greater: bool) -> None:
    """Seeds of head that scatter far more than base's count in full against a gain alone."""
    bases, heads = [0.800, 0.801, 0.799, 0.802, 0.800], [0.70, 0.50, 0.90, 0.55, 0.85]
    sign = 1 if greater else -1
    served, *others = (
        Estimate(values=(base, head), delta=sign * (head - base), error=0.001, freedom=FREEDOM,
                 method="paired t")
        for base, head in zip(bases, heads, strict=True)
    )  # fmt: skip
    low, high = cover_seeds(served, others, greater_is_better=greater).interval(0.95)
    free_low, free_high = cover_seeds(served, others).interval(0.95)
    better, worse = (high, low) if greater else (-low, -high)
    free_better, free_worse = (free_high, free_low) if greater else (-free_low, -free_high)
    assert worse == free_worse
    assert better < 0 < free_better  # the loss is told all the same
    most = np.std(bases, ddof=1) * math.hypot(1, MOST_SPREAD)
    reach = stats.t.ppf(0.975, 4) * most / math.sqrt(5)
    mean = np.mean(heads) - np.mean(bases)
    rows = stats.norm.ppf(0.975) * 0.001
    assert better == pytest.approx(mean + math.hypot(reach, rows))


@pytest.mark.parametrize("greater", [True, False])
def test_better_models_beside_the_served_one_hide_no_loss(greater: bool) -> None:
    """The better end lies no farther from the served models' than luck brings a single model."""
    bases, heads = [0.800, 0.805, 0.795, 0.803, 0.798], [0.6, 1.0, 1.0, 1.0, 1.0]
    sign = 1 if greater else -1
    served, *others = (
        estimate(sign * (head - base), base=base) for base, head in zip(bases, heads, strict=True)
    )
    low, high = cover_seeds(served, others, greater_is_better=greater).interval(0.95)
    better = high if greater else -low
    luck = stats.t.ppf(0.975, 4) * np.std(bases, ddof=1) * math.hypot(1, MOST_SPREAD)
    assert better < 0
    assert better == pytest.approx(-0.2 + math.hypot(stats.norm.ppf(0.975) * 0.01, luck))


def test_a_seed_that_cannot_be_compared_makes_the_interval_rough() -> None:
    """Nothing is proven by it, and the reason says what is missing."""
    refused = Undefined("the files are of other rows")
    covered = cover_seeds(estimate(0.02), [estimate(0.03), refused])
    assert not isinstance(covered, SeededEstimate)
    evidence = as_evidence(covered, pair_of(1000), 0.95)
    assert evidence.interval is not None
    assert is_rough(evidence.interval)
    assert evidence.reason == "other seeds were not counted: the files are of other rows"
    assert evidence.seeds is None


def test_without_another_seed_nothing_changes() -> None:
    """One training a side has the interval of the rows, and says nothing of seeds."""
    served = estimate(0.02)
    assert cover_seeds(served, []) is served
    assert as_evidence(served, pair_of(1000), 0.95).seeds is None
