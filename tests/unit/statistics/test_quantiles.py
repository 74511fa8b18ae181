from __future__ import annotations

import pytest
from scipy import stats

from mlgitops.statistics.quantiles import student_quantile


@pytest.mark.parametrize("freedom", [0.5, 1, 1.7, 2, 5, 19.3, 199, 1e3, 9999, 10001, 1e5, 1e7, 1e9])
@pytest.mark.parametrize("probability", [0.001, 0.2, 0.5, 0.6, 0.975, 0.9975, 0.99999])
def test_quantiles_agree_with_scipy(freedom: float, probability: float) -> None:
    """Student's quantiles agree with scipy to ten digits."""
    expected = stats.t.ppf(probability, freedom)
    assert student_quantile(probability, freedom) == pytest.approx(expected, rel=1e-10, abs=1e-12)
