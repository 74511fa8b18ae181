"""Quantiles of Student's t, for any positive degrees of freedom. Pure, `math` only."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

#: From here the expansion around the normal quantile agrees to twelve digits.
_EXPANDED_FROM = 1e4
_TINY = 1e-300
_CLOSE = 1e-12
_MEDIAN = 0.5
#: Of 1 / freedom^3, ^2, ^1: the factors of powers of z squared, and what they are divided by.
_TERMS = (((3, 19, 17, -15), 384), ((5, 16, 3), 96), ((1, 1), 4))


@lru_cache(maxsize=1024)
def student_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t with ``freedom`` degrees of freedom.

    >>> round(student_quantile(0.975, 10), 6)
    2.228139
    """
    if probability <= _MEDIAN:  # t is symmetric
        return -student_quantile(1 - probability, freedom) if probability < _MEDIAN else 0.0
    normal = NormalDist().inv_cdf(probability)
    if freedom >= _EXPANDED_FROM:
        return _expand(normal, freedom)
    low, high = 0.0, math.inf  # Newton's steps, held in a bracket
    quantile = max(normal, 1.0)
    for _ in range(200):
        excess = _upper_tail(quantile, freedom) - (1 - probability)
        low, high = (quantile, high) if excess > 0 else (low, quantile)
        after = quantile + excess / _density(quantile, freedom)
        if not low <= after <= high:
            after = (low + high) / 2 if high < math.inf else 2 * quantile
        if abs(after - quantile) <= _CLOSE * quantile:
            return after
        quantile = after
    return quantile


def _expand(z: float, freedom: float) -> float:
    """Expand the quantile in powers of 1 / freedom (Abramowitz & Stegun 1964, 26.7.5)."""
    square, terms = z * z, 0.0
    for polynomial, divisor in _TERMS:
        value = 0.0
        for factor in polynomial:
            value = value * square + factor
        terms = (terms + value / divisor) / freedom
    return z * (1 + terms)


def _density(t: float, freedom: float) -> float:
    half = (freedom + 1) / 2
    log = math.lgamma(half) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    return max(math.exp(log - half * math.log1p(t * t / freedom)), _TINY)


def student_tail(t: float, freedom: float) -> float:
    """Return the chance that Student's t is above ``t``, which is not negative.

    >>> round(student_tail(2.228139, 10), 6)
    0.025
    """
    return _upper_tail(t, freedom)


def _upper_tail(t: float, freedom: float) -> float:
    """Return P(T > t) for t >= 0: half the regularised incomplete beta (DLMF 8.17)."""
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) (DLMF 8.17), 0 to 1.

    The chance of at least k successes in n trials of probability x is I_x(k, n - k + 1).

    >>> round(incomplete_beta(2, 3, 0.5), 6)
    0.6875
    """
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
