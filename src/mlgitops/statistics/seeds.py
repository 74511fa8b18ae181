"""What the seed of the training adds to the noise of the test rows. Pure.

Each side is trained several times, with nothing but the seed changed, and every model answers the
same rows. Two questions then have an interval each: by how much do the two *served* models
differ (only the rows are drawn at random), and by how much do the two *ways of training* differ
(rows and seeds are drawn). A change is one beyond both when the interval that covers both leaves
out zero. "Nested": seeds within a side, rows crossed with all of them (Bouthillier et al. 2021,
Accounting for variance in machine learning benchmarks, MLSys 3:747).

The second question is a paired t over seeds: the difference of each pair of models is one
observation, so that whatever two models of one seed have in common (the same bootstrap samples)
cancels, and k pairs have k - 1 degrees of freedom. The rows' part is at most the mean of what it
is of each pair (the error of a mean is no larger than the mean of the errors). The two parts are
joined as by MOVER (Zou & Donner 2008, Stat. Med. 27:1693): their reaches add in quadrature.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from mlgitops.model import SeedNoise
from mlgitops.statistics.estimate import Estimate, Undefined
from mlgitops.statistics.intervals import UNCOUNTED
from mlgitops.statistics.quantiles import student_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Head's seeds count as spread by at most so many times as much as base's, where that would make
#: a loss less sure: with five seeds a side, chance alone gives more in 1 % of cases (F = 16 of 4
#: and 4 degrees of freedom), and head's author chooses head's seeds.
MOST_SPREAD = 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class SeededEstimate(Estimate):
    """The difference of the served models, with the other pairs of models that seeds gave."""

    others: tuple[Estimate, ...]
    #: Which end of the interval is the better one; None: neither is, and no spread is capped.
    greater_is_better: bool | None = None

    @property
    def pairs(self) -> tuple[Estimate, ...]:
        """Return the estimates of all pairs of models, the served ones' first."""
        return (self, *self.others)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return (low, high) that covers the served models' difference and that of trainings."""
        served = super().interval(confidence)
        mean = self._mean
        down, up = self._reach_by_rows(confidence)
        by_seeds = self._reach_by_seeds(confidence)
        capped = min(by_seeds, self._cap(confidence))
        below = capped if self.greater_is_better is False else by_seeds
        above = capped if self.greater_is_better else by_seeds
        low, high = self._limit_luck(
            (mean - math.hypot(down, below), mean + math.hypot(up, above)), served, confidence
        )
        return min(served[0], low), max(served[1], high)

    def describe(self, confidence: float) -> SeedNoise:
        """Return how far rows and seeds reach, each alone, at a confidence such as 0.95."""
        down, up = self._reach_by_rows(confidence)
        return SeedNoise(
            seeds=len(self.pairs),
            delta=self._mean,
            by_rows=(down + up) / 2,
            by_seeds=self._reach_by_seeds(confidence),
        )

    def _limit_luck(
        self, trained: tuple[float, float], served: tuple[float, float], confidence: float
    ) -> tuple[float, float]:
        """Return the interval of the trainings, its better end no farther than luck may bring it.

        The served model may be worse than head's others by the spread of a single model, capped as
        for their mean: others that are better by more do not hide what the served one lost.
        """
        low, high = trained
        luck = self._cap(confidence) * math.sqrt(len(self.pairs))
        if self.greater_is_better is False:
            low = max(low, self.delta - math.hypot(self.delta - served[0], luck))
        elif self.greater_is_better:
            high = min(high, self.delta + math.hypot(served[1] - self.delta, luck))
        return low, high

    @property
    def _mean(self) -> float:
        return statistics.fmean(pair.delta for pair in self.pairs)

    def _reach_by_rows(self, confidence: float) -> tuple[float, float]:
        """Return how far the choice of rows reaches down and up from the mean difference."""
        ends = [(self.delta, super().interval(confidence))]
        ends += [(pair.delta, pair.interval(confidence)) for pair in self.others]
        down = statistics.fmean(delta - low for delta, (low, _) in ends)
        up = statistics.fmean(high - delta for delta, (_, high) in ends)
        return max(down, 0.0), max(up, 0.0)

    def _reach_by_seeds(self, confidence: float) -> float:
        """Return how far the choice of seeds reaches from the mean difference."""
        spread = statistics.stdev(pair.delta for pair in self.pairs)
        return self._quantile(confidence) * spread / math.sqrt(len(self.pairs))

    def _cap(self, confidence: float) -> float:
        """Return how far seeds could reach, were head's values spread as far as they may be."""
        of_base = statistics.stdev(pair.values[0] for pair in self.pairs)
        spread = of_base * math.hypot(1, MOST_SPREAD)
        return self._quantile(confidence) * spread / math.sqrt(len(self.pairs))

    def _quantile(self, confidence: float) -> float:
        return student_quantile((1 + confidence) / 2, len(self.pairs) - 1)


def cover_seeds(
    served: Estimate,
    others: Sequence[Estimate | Undefined],
    *,
    greater_is_better: bool | None = None,
) -> Estimate:
    """Return the served models' estimate with an interval that covers the seeds, too.

    ``others``: of each further pair of models, in any order. Where one of them has no estimate,
    the seeds are not counted, and a warning says so: the interval is then rough.
    ``greater_is_better``: of the metric, where a policy judges it.
    """
    refused = next((other for other in others if isinstance(other, Undefined)), None)
    estimates = tuple(other for other in others if isinstance(other, Estimate))
    own = {field.name: getattr(served, field.name) for field in fields(Estimate)}
    if refused is not None:
        own["warnings"] = (*served.warnings, f"{UNCOUNTED}: {refused}")
        return Estimate(**own)
    if not estimates:
        return served
    own["method"] = f"{served.method}, {len(estimates) + 1} seeds a side"
    return SeededEstimate(**own, others=estimates, greater_is_better=greater_is_better)
