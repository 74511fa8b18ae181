"""Quantiles of Student's t, for any positive degrees of freedom. Pure, `math` only."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

#: Above this the normal quantile agrees to eight digits.
_NORMAL_FROM = 1e8
_TINY = 1e-300


@lru_cache(maxsize=1024)
def student_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t with ``freedom`` degrees of freedom.

    >>> round(student_quantile(0.975, 10), 6)
    2.228139
    """
    if probability < 0.5:  # noqa: PLR2004 - the median: t is symmetric
        return -student_quantile(1 - probability, freedom)
    normal = NormalDist().inv_cdf(probability)
    if freedom >= _NORMAL_FROM:
        return normal
    low, high = 0.0, max(2 * normal, 1.0)
    while _upper_tail(high, freedom) > 1 - probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if _upper_tail(middle, freedom) > 1 - probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def student_tail(t: float, freedom: float) -> float:
    """Return the chance that Student's t is above ``t``, which is not negative.

    >>> round(student_tail(2.228139, 10), 6)
    0.025
    """
    return _upper_tail(t, freedom)


def _upper_tail(t: float, freedom: float) -> float:
    """Return P(T > t) for t >= 0: half the regularised incomplete beta (DLMF 8.17)."""
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction DLMF 8.17.22 by Lentz's method."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or _TINY)
    fraction = d
    for m in range(1, 10_000):
        step = 1.0
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + term * d or _TINY)
            c = 1 + term / c or _TINY
            step *= c * d
            fraction *= c * d
        if abs(step - 1) < 1e-15:  # noqa: PLR2004 - the precision of a float
            break
    return fraction
