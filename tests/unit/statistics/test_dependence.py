"""Test rows that depend on their neighbours are seen; independent ones are let be."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mlgitops.statistics.dependence import (
    Dependence,
    Neighbours,
    correlate_neighbours,
    find_dependence,
)
from mlgitops.statistics.estimate import Estimate
from mlgitops.statistics.evidence import Comparison
from mlgitops.statistics.matching import match_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from unit.statistics.conftest import MakeBinary, MakeSides, Sides

FLIGHTS = next(Path(__file__).parents[3].glob("*cookiecutter*/data/bundled/flights/data.csv"))
FEATURES = ("recent_delay", "dep_hour", "distance", "temp", "humid", "visib", "wind_speed")


def find_in(
    sides: Sides, *names: str, moment: str | None = None, cluster: str | None = None
) -> Dependence | None:
    """Find dependence in the named metrics of both sides."""
    pair = match_predictions(*sides)
    comparison = Comparison(pair, cluster)
    results = {name: comparison.attempt(name) for name in names}
    estimates = {name: result for name, result in results.items() if isinstance(result, Estimate)}
    assert estimates.keys() == set(names)
    return find_dependence(pair, estimates, moment)


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """Return the flights of the second half of the year, with two models' scores."""
    table = pd.read_csv(FLIGHTS)
    values = table[[*FEATURES]].fillna(table[[*FEATURES]].mean())
    is_test = table["date"] >= "2013-07-01"
    scaled = StandardScaler().fit(values[~is_test]).transform(values)
    for name, columns in (("base", slice(1, None)), ("head", slice(None))):
        model = LogisticRegression().fit(scaled[~is_test, columns], table["late"][~is_test])
        table[name] = model.predict_proba(scaled[:, columns])[:, 1]
    return table[is_test]


def as_sides(make_sides: MakeSides, table: pd.DataFrame) -> Sides:
    """Return both models' predictions of a table of flights."""
    base, head = (table[name].to_numpy() for name in ("base", "head"))
    columns = {name: table[name].to_numpy().astype("S") for name in ("date", "origin")}
    return make_sides(
        table["late"].to_numpy(),
        (base > 0.3).astype(int),
        (head > 0.3).astype(int),
        scores=(base, head),
        columns=columns,
    )


METRICS = ("test.roc_auc", "test.log_loss", "test.accuracy")


@pytest.mark.parametrize("moment", ["date", None])
def test_flights_of_one_day_share_its_weather(
    make_sides: MakeSides, flights: pd.DataFrame, moment: str | None
) -> None:
    """Every metric shows it, and the day is the column to cluster by: so much wider it gets."""
    dependence = find_in(as_sides(make_sides, flights), *METRICS, moment=moment)
    assert dependence is not None
    assert set(dependence.metrics) == set(METRICS)
    assert (dependence.order, dependence.column) == (moment, "date")
    assert dependence.correlation > 0.05 > dependence.noise
    reach = NormalDist().inv_cdf(1 - 0.00135 / len(METRICS))  # one order, and three metrics
    assert dependence.noise == pytest.approx(reach / len(flights) ** 0.5)
    assert 1.4 < dependence.wider < 2.5
    assert "With `cluster: date` in policy.yaml it would be" in str(dependence)


def test_the_interval_is_as_much_wider_as_is_said(
    make_sides: MakeSides, flights: pd.DataFrame
) -> None:
    """The factor is that of the two intervals that the policy may choose between."""
    sides = as_sides(make_sides, flights)
    dependence = find_in(sides, "test.log_loss", moment="date")  # symmetric intervals
    widths = []
    for cluster in (None, "date"):
        result = Comparison(match_predictions(*sides), cluster).estimate("test.log_loss")
        low, high = result.interval(0.95)
        widths.append(high - low)
    assert dependence is not None
    assert dependence.wider == pytest.approx(widths[1] / widths[0], rel=0.02)


def test_flights_in_random_order_have_no_neighbours(
    make_sides: MakeSides, flights: pd.DataFrame
) -> None:
    """A shuffled file shows nothing, unless the order of time is known."""
    shuffled = flights.sample(frac=1, random_state=5)
    assert find_in(as_sides(make_sides, shuffled), *METRICS) is None


def test_the_order_of_time_is_looked_at_in_a_shuffled_file(make_sides: MakeSides) -> None:
    """Each row has a moment of its own, which the split reads: neighbours in time are alike."""
    rng = np.random.default_rng(3)
    rows = 1_000
    weather = np.repeat(rng.standard_normal(rows // 10), 10)
    target = rng.standard_normal(rows)
    base = target + rng.standard_normal(rows)
    order = rng.permutation(rows)
    moments = np.array([f"2024-01-01T{at // 60:02}:{at % 60:02}" for at in range(rows)], dtype="S")
    sides = make_sides(
        target[order], base[order], (base + weather)[order], columns={"at": moments[order]}
    )
    dependence = find_in(sides, "test.mae", moment="at")
    assert find_in(sides, "test.mae") is None
    assert dependence is not None
    assert (dependence.order, dependence.column) == ("at", None)
    assert "Write the column that says which rows belong together" in str(dependence)


@pytest.mark.parametrize("moment", ["day", None])
def test_independent_rows_warn_rarely(make_binary: MakeBinary, moment: str | None) -> None:
    """The level of 0.00135 is shared by all metrics and orders: two warnings of 250 are luck."""
    warned = sum(
        find_in(make_binary(400, seed), *METRICS, moment=moment) is not None for seed in range(250)
    )
    assert warned <= 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.standard_normal(500),
        lambda rng: rng.standard_t(1.5, 500),
        lambda rng: np.where(rng.random(500) < 0.02, 1.0, 0.0),
        lambda rng: np.where(rng.random(500) < 0.05, rng.choice([-1.0, 1.0], 500), 0.0),
    ],
    ids=["normal", "heavy tails", "rare", "rare of both signs"],
)
def test_few_large_rows_are_no_neighbours(
    draw: object,
) -> None:
    """Three standard errors are passed in about one of a thousand, whatever the contributions."""
    assert callable(draw)
    rng = np.random.default_rng(11)
    passed = sum(correlate_neighbours(draw(rng)).errors > 3 for _ in range(2_000))
    assert passed <= 8


def test_a_file_sorted_by_class_is_no_dependence(
    make_binary: MakeBinary, make_sides: MakeSides
) -> None:
    """The change may be of one class alone: its rows stand together, and are independent."""
    side, _ = make_binary(2_000)
    half = np.arange(2_000) // 1_000  # two files, one below the other
    order = np.lexsort((side.target, half))
    target, score = side.target[order], side.scores[""][order]
    classes = [(scores > 0.5).astype(int) for scores in (score, score**0.5)]
    sides = make_sides(target, *classes, scores=(score, score**0.5))
    assert find_in(sides, "test.log_loss", "test.accuracy") is None


def test_a_file_sorted_by_its_target_is_not_looked_at(make_sides: MakeSides) -> None:
    """Errors may grow with the target; the rows are independent all the same."""
    rng = np.random.default_rng(4)
    target = np.sort(rng.exponential(size=800))
    base = target * (1 + 0.3 * rng.standard_normal(800))
    head = target * (1 + 0.1 * rng.standard_normal(800))
    assert find_in(make_sides(target, base, head), "test.mae") is None


def test_clusters_are_not_asked(make_sides: MakeSides, flights: pd.DataFrame) -> None:
    """Where the policy names the column, intervals count it already."""
    sides = as_sides(make_sides, flights)
    assert find_in(sides, *METRICS, moment="date", cluster="date") is None


def test_what_has_no_spread_has_no_neighbours() -> None:
    """Equal contributions, or ones too large to square, are not correlated."""
    for values in (np.ones(5), np.full(5, 1e200) * np.arange(5.0)):
        assert correlate_neighbours(values) == Neighbours(0.0, 0.0)


def test_the_correlation_is_the_textbook_one(rng_values: NDArray[np.float64]) -> None:
    """The sum of neighbouring products over the sum of squares, both about the mean."""
    centred = rng_values - rng_values.mean()
    expected = (centred[1:] * centred[:-1]).sum() / (centred**2).sum()
    assert correlate_neighbours(rng_values).correlation == pytest.approx(expected)


@pytest.fixture
def rng_values() -> NDArray[np.float64]:
    """Return a walk, whose steps are correlated."""
    return np.cumsum(np.random.default_rng(1).standard_normal(300))
