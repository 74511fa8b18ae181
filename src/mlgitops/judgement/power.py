"""What the judge would stop on these test rows, and how often: the power of a margin. Pure.

It follows the judge, so the two modes of a policy differ. With `inconclusive: pass` a change fails
that has worsened beyond noise *and* lost more than the margin on these rows: its estimated loss
lies above the larger of the margin and the interval's half-width. With `inconclusive: fail` a
change fails unless its interval's worse end lies within the margin: its estimated loss lies above
the margin less that half-width. A rough interval then proves nothing but a gain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlgitops.model import OnInconclusive, Power
from mlgitops.statistics.intervals import is_rough

if TYPE_CHECKING:
    from mlgitops.model import Interval, MetricChange
    from mlgitops.statistics.power import Noise


def find_power(
    change: MetricChange, interval: Interval | None, margin: float | None, mode: OnInconclusive
) -> Power | None:
    """Say what a ``margin`` in the metric's unit stops; None without one, and without noise.

    ``interval`` is that of the ``change``, as the judge reads it.
    """
    evidence = change.evidence
    if evidence is None or interval is None or margin is None or change.base is None:
        return None
    if not math.isfinite(margin):
        return None
    from mlgitops.statistics.power import read_noise

    noise = read_noise(change.name, change.base, interval, evidence.rows, evidence.seeds)
    power = weigh_margin(noise, margin, mode, rough=is_rough(interval)) if noise else None
    return power if power is not None and math.isfinite(power.stopped) else None


def weigh_margin(
    noise: Noise, margin: float, mode: OnInconclusive, *, rough: bool = False
) -> Power:
    """Say what a margin in the metric's unit stops where estimated losses have this noise."""

    def find_threshold(loss: float) -> float:
        """Return the largest estimated loss that the judge lets pass where ``loss`` is true."""
        if mode is not OnInconclusive.FAIL:
            return max(margin, noise.find_beyond_zero(loss))
        return -noise.find_beyond_zero(loss) if rough else noise.find_within(margin, loss)

    return Power(
        stopped=noise.stopped_loss(find_threshold), neutral=noise.pass_chance(find_threshold)
    )
