"""Paired shares of rows that are right: score intervals that hold from few disagreements on. Pure.

A difference of shares rests on the rows that exactly one of the two models gets right. Where
these are few, the difference plus and minus z errors is too narrow, and of no width where there
are none; a score interval asks of each possible difference whether the counts fit it. `math` only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = 60  # halvings: the bound is exact to the last digits of a float


@dataclass(frozen=True)
class PairedShare:
    """On how many of some rows only one of the two models is right."""

    rows: float
    gained: float  # only head is right
    lost: float  # only base is right
    weight: float = 1.0  # of this share in the metric, such as 1 / classes

    @property
    def delta(self) -> float:
        """Return head's share of right rows less base's."""
        return (self.gained - self.lost) / self.rows


def bound_shares(shares: Sequence[PairedShare], confidence: float) -> tuple[float, float]:
    """Return the interval (low, high) of a weighted sum of differences of paired shares.

    Each share has Tango's score interval; their distances from the estimates are added in
    quadrature, as the shares are of different rows (the method of variance estimates recovery:
    Zou & Donner 2008, Stat. Med. 27:1693).
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    delta = sum(share.weight * share.delta for share in shares)
    below = above = 0.0
    for share in shares:
        low, high = bound_share(share, z)
        below += (share.weight * (share.delta - low)) ** 2
        above += (share.weight * (high - share.delta)) ** 2
    return delta - math.sqrt(below), delta + math.sqrt(above)


def bound_share(share: PairedShare, z: float) -> tuple[float, float]:
    """Return the score interval of a difference of paired shares (Tango 1998, Stat. Med. 17:891).

    ``z``: the normal quantile of the confidence, such as 1.96.

    The example is that of Fagerland, Lydersen & Laake (2014, Stat. Med. 33:2850).

    >>> low, high = bound_share(PairedShare(rows=21, gained=1, lost=7), 1.959964)
    >>> round(low, 3), round(high, 3)
    (-0.517, -0.026)
    """
    mirrored = PairedShare(rows=share.rows, gained=share.lost, lost=share.gained)
    return -_find_upper(mirrored, z), _find_upper(share, z)


def rule_of_three(rows: float, confidence: float) -> float:
    """Return the largest share of rows that may differ though none of ``rows`` does.

    Each end of a two-sided interval: about 3.7 / rows at 95 %, as 3 / rows is at one-sided 95 %
    (Hanley & Lippman-Hand 1983, JAMA 249:1743).

    >>> round(rule_of_three(150, 0.95), 4)
    0.0243
    """
    return -math.expm1(math.log((1 - confidence) / 2) / rows)


def _find_upper(share: PairedShare, z: float) -> float:
    """Return the largest difference that the counts fit, by halving: the score falls with it."""
    low, high = share.delta, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _score(share, middle) < -z:
            high = middle
        else:
            low = middle
    return high


def _score(share: PairedShare, delta: float) -> float:
    """Return Tango's statistic of the hypothesis that the true difference is ``delta``."""
    rows, gained, lost = share.rows, share.gained, share.lost
    linear = -gained - lost + (2 * rows - gained + lost) * delta
    constant = -lost * delta * (1 - delta)
    root = math.sqrt(max(linear * linear - 8 * rows * constant, 0.0))
    only_base = (root - linear) / (4 * rows)  # its most likely share under the hypothesis
    variance = rows * (2 * only_base + delta * (1 - delta))
    distance = gained - lost - rows * delta
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)
