"""Clusters of unequal size: CR2 and its degrees of freedom as full matrices give them; coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.coverage.clusters import SIZES, draw_clustered
from mlgitops.statistics.clusters import Clusters, size_clusters
from mlgitops.statistics.estimate import FEWEST_CLUSTERS, Undefined, estimate, estimate_by_cluster
from mlgitops.statistics.evidence import Comparison


def work_by_matrices(
    residuals: np.ndarray, clusters: np.ndarray, spread: float
) -> tuple[float, float]:
    """Return CR2's variance of a mean and Bell-McCaffrey's freedom, by the definitions.

    Each cluster's residuals are multiplied by (I - H)^(-1/2); the freedom is
    (sum of eigenvalues)^2 / (sum of their squares) of the matrix that the variance is made of.
    """
    rows = len(residuals)
    hat = np.full((rows, rows), 1 / rows)
    omega = (1 - spread) * np.eye(rows) + spread * (clusters[:, None] == clusters)
    variance, columns = 0.0, []
    for code in range(int(clusters.max()) + 1):
        own = np.flatnonzero(clusters == code)
        values, vectors = np.linalg.eigh(np.eye(len(own)) - hat[np.ix_(own, own)])
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        variance += float(np.sum(root @ residuals[own]) / rows) ** 2
        columns.append((np.eye(rows) - hat)[:, own] @ root @ np.ones(len(own)))
    side = np.stack(columns, axis=1)
    inner = side.T @ omega @ side
    return variance, float(np.trace(inner) ** 2 / np.trace(inner @ inner))


@pytest.mark.parametrize("spread", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("sizes", [(5, 5, 5, 5), (1, 2, 3, 30), (1, 1, 40), (7, 12)])
def test_variance_and_freedom_are_those_of_the_full_matrices(
    sizes: tuple[int, ...], spread: float
) -> None:
    """The closed forms are what the matrices of CR2 and Bell-McCaffrey give."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(1)
    residuals = rng.standard_normal(len(clusters))
    residuals -= residuals.mean()
    variance, freedom = work_by_matrices(residuals, clusters, spread)
    found = size_clusters(clusters)
    sums = np.bincount(clusters, weights=residuals) / len(clusters)
    assert found.sum_squares(sums)[0] == pytest.approx(variance, rel=1e-9)
    assert found.find_freedom(np.array([spread]))[0] == pytest.approx(freedom, rel=1e-9)


def test_clusters_of_one_size_amount_to_as_many() -> None:
    """With equal sizes: G clusters, G - 1 degrees of freedom, whatever their correlation."""
    found = size_clusters(np.repeat(np.arange(12), 5))
    for spread in (0.0, 0.3, 1.0):
        assert found.find_freedom(np.array([spread]))[0] == pytest.approx(11)
        assert found.count_effective(np.array([spread]))[0] == pytest.approx(12)


def test_one_large_cluster_amounts_to_about_one() -> None:
    """One cluster of 1,000 rows and 99 of one row amount to one where its rows agree."""
    found = size_clusters(np.repeat(np.arange(100), [1_000, *[1] * 99]))
    alike, apart = (float(found.count_effective(np.array([spread]))[0]) for spread in (1.0, 0.0))
    assert alike == pytest.approx(1.0, abs=0.001)
    assert apart == pytest.approx(1_099**2 / (1_000**2 + 99), rel=1e-9)
    assert float(found.find_freedom(np.array([1.0]))[0]) < 2


def test_the_correlation_within_clusters_is_seen() -> None:
    """Rows that say the same within a cluster have correlation 1, independent ones about 0."""
    clusters = np.repeat(np.arange(200), 10)
    rng = np.random.default_rng(2)
    found = size_clusters(clusters)
    for values, low, high in (
        (rng.standard_normal(200)[clusters], 0.9, 1.0),
        (rng.standard_normal(2_000), 0.0, 0.05),
    ):
        sums = np.bincount(clusters, weights=values).astype(np.float64)
        spread = found.find_spread(sums, np.array([values @ values]))
        assert low <= spread[0] <= high


def test_groups_are_kept_apart() -> None:
    """Two groups' clusters give what each gives alone."""
    owner, rows = np.array([0, 0, 0, 1, 1]), np.array([3.0, 1.0, 9.0, 4.0, 6.0])
    both = Clusters(owner=owner, rows=rows, groups=2)
    spread = np.array([0.3, 0.6])
    for group in (0, 1):
        own = owner == group
        count = int(own.sum())
        alone = Clusters(owner=np.zeros(count, dtype=np.intp), rows=rows[own], groups=1)
        freedom = alone.find_freedom(spread[group : group + 1])[0]
        assert both.find_freedom(spread)[group] == pytest.approx(freedom)


@pytest.mark.parametrize(
    ("sizes", "warning"),
    [
        ([10] * FEWEST_CLUSTERS, None),
        ([10] * (FEWEST_CLUSTERS - 1), f"only {FEWEST_CLUSTERS - 1} clusters"),
        (
            [12, *[10] * (FEWEST_CLUSTERS - 1)],  # as many as are needed, and not as much
            f"the {FEWEST_CLUSTERS} clusters are so unequal that they amount to 19;",
        ),
        ([2_000, *[10] * 59], "the 60 clusters are so unequal that they amount to 1;"),
    ],
)
def test_few_clusters_and_a_few_large_ones_are_told(sizes: list[int], warning: str | None) -> None:
    """What the clusters amount to decides whether the interval is rough, not their number."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(3)
    values = rng.standard_normal(len(clusters)) + rng.standard_normal(len(sizes))[clusters]
    values -= values.mean()
    plain = estimate((0.0, 0.1), values / len(values), method="paired t")
    found = estimate_by_cluster(plain, values / len(values), clusters)
    assert [text[: len(warning or "")] for text in found.warnings] == ([warning] if warning else [])
    assert found.freedom <= len(sizes) - 1 + 1e-9


@pytest.mark.parametrize(("bad", "is_told"), [(2, True), (6, False)])
def test_a_few_clusters_that_make_up_the_spread_are_told(*, bad: int, is_told: bool) -> None:
    """Forty equal clusters are no ground where nearly all that differs is in a few of them."""
    clusters = np.repeat(np.arange(40), 10)
    values = np.where(clusters < bad, 1.0, 0.0)
    values += 0.01 * np.random.default_rng(3).standard_normal(400)
    values -= values.mean()
    plain = estimate((0.0, 0.1), values / len(values), method="paired t")
    assert plain.warnings == ()
    found = estimate_by_cluster(plain, values / len(values), clusters)
    wanted = (f"about {bad} cluster(s) make up most of the spread",) if is_told else ()
    assert found.warnings == wanted


def test_one_cluster_says_nothing() -> None:
    """All rows in one cluster: no interval, and the reason."""
    values = np.linspace(-1, 1, 9)
    plain = estimate((0.0, 0.1), values, method="paired t")
    with pytest.raises(Undefined, match="all test rows belong to one cluster"):
        estimate_by_cluster(plain, values, np.zeros(9, dtype=np.intp))


@pytest.mark.parametrize("kind", SIZES)
def test_unequal_clusters_are_covered(kind: str) -> None:
    """At 60 clusters of unequal size, accuracy's and the Brier score's intervals hold the truth."""
    runs, held = 150, {"accuracy": 0, "brier": 0}
    for run in range(runs):
        pair, clusters, truth = draw_clustered(kind, 60, np.random.default_rng([60, run]))
        comparison = Comparison(pair, clusters)
        for name in held:
            low, high = comparison.estimate(name).interval(0.95)
            held[name] += low <= truth[name] <= high
    for name, count in held.items():
        assert count / runs > 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs), name


def test_one_large_cluster_has_few_degrees_of_freedom() -> None:
    """Of 60 clusters that amount to one, Student's t has fewer than 3 degrees of freedom."""
    sizes = [2_000, *[10] * 59]
    clusters = np.repeat(np.arange(60), sizes)
    rng = np.random.default_rng(3)
    values = rng.standard_normal(len(clusters)) + rng.standard_normal(60)[clusters]
    values -= values.mean()
    plain = estimate((0.0, 0.1), values / len(values), method="paired t")
    assert estimate_by_cluster(plain, values / len(values), clusters).freedom < 3
