"""Charts from predictions: honest points, few of them, whatever the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from chart_situations import chart_situations, make_binary, make_multiclass, make_regression
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, f1_score, recall_score, roc_auc_score, roc_curve

from mlgitops.comparison.charts.curves import MOST_POINTS, simplify
from mlgitops.comparison.charts.draw import MOST_BARS, draw_charts
from mlgitops.comparison.charts.series import BINS, GROUPS
from mlgitops.model import Chart, ChartKind
from mlgitops.statistics.matching import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVERY = [
    pytest.param(chart, id=f"{name}-{chart.name}")
    for name, charts in chart_situations().items()
    for chart in charts
]


def pair_scores(target: NDArray[np.integer], score: NDArray[np.float64]) -> Pair:
    """Pair a model with itself."""
    answer = (score > np.median(score)).astype(np.int8)
    scores = {"": score}
    return Pair(
        target=target,
        base=answer,
        head=answer,
        base_scores=scores,
        head_scores=scores,
        columns={},
    )


def find_chart(charts: tuple[Chart, ...], name: str) -> Chart:
    """Return the chart of a name."""
    return next(chart for chart in charts if chart.name == name)


@pytest.mark.parametrize(
    ("pair", "names"),
    [
        (make_binary(), "roc precision_recall calibration scores confusion"),
        (make_multiclass(("a", "b", "c")), "confusion f1_by_class recall_by_class"),
        (make_regression(), "residuals calibration error_by_prediction"),
    ],
    ids=["binary", "multiclass", "regression"],
)
def test_each_task_has_its_charts(pair: Pair, names: str) -> None:
    """The predictions alone tell the task, and the task its charts."""
    assert [chart.name for chart in draw_charts(pair)] == names.split()


@pytest.mark.parametrize("chart", EVERY)
def test_a_chart_overlays_base_and_head(chart: Chart) -> None:
    """Both sides are there, with at most 30 points a line, all finite, from left to right."""
    assert [series.side for series in chart.series] == ["base", "head"]
    for series in chart.series:
        assert np.isfinite([*series.x, *series.y]).all()
        if chart.kind in (ChartKind.LINE, ChartKind.STEPS):
            assert 2 <= len(series.x) == len(series.y) <= MOST_POINTS
            assert list(series.x) == sorted(series.x)


@given(
    rows=st.integers(4, 1_500),
    share=st.floats(0.05, 0.95),
    strength=st.floats(0, 4),
    decimals=st.sampled_from([1, 2, 6]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_the_drawn_roc_has_the_area_of_the_exact_one(
    rows: int, share: float, strength: float, decimals: int, seed: int
) -> None:
    """Every drawn point is a point of the exact curve, the ends are kept, and so is the area."""
    rng = np.random.default_rng(seed)
    target = (rng.random(rows) < share).astype(np.int8)
    target[:2] = 0, 1
    score = (1 / (1 + np.exp(-rng.normal(size=rows) - strength * target))).round(decimals)
    series = find_chart(draw_charts(pair_scores(target, score)), "roc").series[0]
    assert (series.x[0], series.y[0]) == (0, 0)
    assert (series.x[-1], series.y[-1]) == (1, 1)
    area = float(np.trapezoid(series.y, series.x))
    assert abs(area - roc_auc_score(target, score)) < (0.002 if rows >= 100 else 0.01)
    exact = np.column_stack(roc_curve(target, score, drop_intermediate=False)[:2])
    for point in zip(series.x, series.y, strict=True):
        assert np.abs(exact - point).max(axis=1).min() < 1e-5


def test_calibration_agrees_with_scikit_learn() -> None:
    """The groups are those of scikit-learn's quantile strategy, where no scores tie."""
    pair = make_binary(4_000)
    series = find_chart(draw_charts(pair), "calibration").series[1]
    share, mean = calibration_curve(
        pair.target, pair.head_scores[""], n_bins=GROUPS, strategy="quantile"
    )
    assert series.x == pytest.approx(mean, abs=1e-3)
    assert series.y == pytest.approx(share, abs=5e-3)


def test_class_charts_agree_with_scikit_learn() -> None:
    """Confusion, F1 and recall are scikit-learn's."""
    labels = ("a", "b", "c")
    pair = make_multiclass(labels)
    charts = draw_charts(pair)
    target = pair.target.astype(str)
    confusion = find_chart(charts, "confusion")
    assert confusion.labels == labels
    expected = confusion_matrix(target, pair.head.astype(str), labels=labels).ravel()
    assert confusion.series[1].y == tuple(expected)
    for name, score in (("f1_by_class", f1_score), ("recall_by_class", recall_score)):
        values = score(target, pair.base.astype(str), labels=labels, average=None)
        assert find_chart(charts, name).series[0].y == pytest.approx(values, abs=1e-6)


def test_histograms_count_every_row() -> None:
    """The shares of a histogram add up to one, in bins of one width on both sides."""
    for pair, name in ((make_binary(), "scores"), (make_regression(), "residuals")):
        base, head = find_chart(draw_charts(pair), name).series
        assert base.x == head.x
        assert len(base.x) == BINS
        assert sum(base.y) == pytest.approx(1, abs=1e-5)
        assert np.diff(base.x) == pytest.approx(np.full(BINS - 1, base.x[1] - base.x[0]), rel=1e-3)


def test_regression_calibration_is_the_mean_of_each_group() -> None:
    """The ten points are mean prediction and mean target of a tenth of the rows each."""
    pair = make_regression(1_000)
    series = find_chart(draw_charts(pair), "calibration").series[0]
    groups = np.array_split(np.argsort(pair.base), GROUPS)
    assert series.x == pytest.approx([pair.base[rows].mean() for rows in groups], rel=1e-5)
    assert series.y == pytest.approx([pair.target[rows].mean() for rows in groups], rel=1e-5)


def test_many_classes_are_drawn_by_size() -> None:
    """Of 40 classes no matrix is drawn, and bars for the 30 largest."""
    charts = chart_situations()["many_classes"]
    assert [chart.name for chart in charts] == ["f1_by_class", "recall_by_class"]
    assert len(charts[0].labels) == MOST_BARS


ONES = np.ones(50, dtype=np.int8)
HALF = (np.arange(50) % 2).astype(np.int8)


@pytest.mark.parametrize(
    ("target", "score"),
    [
        (ONES, np.linspace(0, 1, 50)),
        (HALF, np.full(50, np.nan)),
        (HALF, np.where(np.arange(50) == 7, np.inf, 0.5)),
        (HALF[:1], np.array([0.5])),
    ],
    ids=["one class", "no scores", "one infinite", "one row"],
)
def test_what_cannot_be_ranked_is_not_drawn(
    target: NDArray[np.int8], score: NDArray[np.float64]
) -> None:
    """No curve is made of one class, of one row, or of scores that are not finite."""
    names = {chart.name for chart in draw_charts(pair_scores(target, score))}
    assert not names & {"roc", "precision_recall", "calibration", "scores"}


def test_a_constant_model_has_a_diagonal_for_a_roc() -> None:
    """Equal scores are one threshold: from (0, 0) to (1, 1), and no calibration to draw."""
    charts = draw_charts(pair_scores(HALF, np.full(50, 0.5)))
    assert find_chart(charts, "roc").series[0].x == (0, 1)
    assert "calibration" not in {chart.name for chart in charts}


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
def test_a_regression_that_is_not_finite_is_not_drawn(value: float) -> None:
    """One prediction that is no number, or overflows, takes the charts with it, not the run."""
    pair = make_regression(100)
    pair.head[3] = value
    for chart in draw_charts(pair):
        assert all(np.isfinite([*series.x, *series.y]).all() for series in chart.series)


points = st.lists(
    st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=200
).map(sorted)


@given(points, st.integers(2, 30))
def test_simplify_keeps_points_in_order(line: list[tuple[float, float]], most: int) -> None:
    """As many points as asked for, or all; in order, with both ends."""
    x, y = zip(*line, strict=True)
    kept = simplify(x, y, most)
    assert len(kept) == min(most, len(line))
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, len(line) - 1)


def test_simplify_keeps_a_spike() -> None:
    """A single outlier of a long flat line stays: a fixed step would lose it."""
    y = [0.0] * 500
    y[123] = 1.0
    assert 123 in simplify(list(map(float, range(500))), y, 10)
