"""Pairs in which head answers as base does, but for a few rows that it gets wrong.

The rows that differ are a random part of those that base gets right: `few` of them are expected,
whatever the number of rows. The true difference follows from the distributions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.simulation import (
    confusion_values,
    make_pair,
    normal_cdf,
    ranking_values,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mlgitops.statistics.matching import Pair

    Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SpoiledBinary:
    """A classifier with normal latent scores, and one that mirrors the score of a few rows."""

    name: str
    prevalence: float
    distance: float  # between the classes, in standard deviations
    few: float  # rows that are expected to differ
    of_class: int | None = None  # only rows of this class; None: of any

    def draw(self, rows: int, rng: np.random.Generator) -> Pair:
        """Draw the predictions of both models on the same rows."""
        y = rng.random(rows) < self.prevalence
        score = self._score(self.distance * y + rng.standard_normal(rows))
        chosen = rng.random(rows) < self._part(rows)
        chosen &= (score > 0.5) == y  # noqa: PLR2004 - the threshold
        if self.of_class is not None:
            chosen &= y == self.of_class
        spoiled = np.where(chosen, 1 - score, score)
        base, head = ((side > 0.5).astype(np.int8) for side in (score, spoiled))  # noqa: PLR2004
        return make_pair(y.astype(np.int8), base, head, ({"": score}, {"": spoiled}))

    def truth(self, rows: int) -> Mapping[str, float]:
        """Return the true differences at this number of rows."""
        scores, positive, negative = self._masses()
        sides = []
        for part in (0.0, self._part(rows)):
            moved = [
                part * mass * right * (self.of_class in (None, label))
                for label, mass, right in (
                    (1, positive, scores > 0.5),  # noqa: PLR2004
                    (0, negative, scores <= 0.5),  # noqa: PLR2004
                )
            ]
            # A mirrored score lies as far from its own end.
            sides.append(_find_values(
                np.concatenate([scores, 1 - scores]),
                np.concatenate([positive - moved[0], moved[0]]),
                np.concatenate([negative - moved[1], moved[1]]),
            ))  # fmt: skip
        return {name: sides[1][name] - sides[0][name] for name in sides[0]}

    def _score(self, x: Floats) -> Floats:
        logit = self.distance * x - self.distance**2 / 2
        logit += math.log(self.prevalence / (1 - self.prevalence))
        return np.asarray(1 / (1 + np.exp(-logit)))

    def _masses(self) -> tuple[Floats, Floats, Floats]:
        edges = np.linspace(-9, 9 + self.distance, 20_001)
        score = self._score((edges[1:] + edges[:-1]) / 2)
        positive = np.diff(normal_cdf(edges - self.distance)) * self.prevalence
        negative = np.diff(normal_cdf(edges)) * (1 - self.prevalence)
        return score, positive, negative

    def _part(self, rows: int) -> float:
        """Return the part of the rows that base gets right that head gets wrong."""
        scores, positive, negative = self._masses()
        right = [negative[scores <= 0.5].sum(), positive[scores > 0.5].sum()]  # noqa: PLR2004
        share = sum(right) if self.of_class is None else right[self.of_class]
        return float(min(1.0, self.few / (rows * share)))


def _find_values(scores: Floats, positive: Floats, negative: Floats) -> dict[str, float]:
    """Return all metrics of scores with these masses."""
    order = np.argsort(scores, kind="stable")
    values = ranking_values(scores[order], positive[order], negative[order])
    clipped = np.clip(scores, np.finfo(float).eps, 1 - np.finfo(float).eps)
    values["log_loss"] = float(-(positive @ np.log(clipped) + negative @ np.log(1 - clipped)))
    values["brier"] = float(positive @ (1 - scores) ** 2 + negative @ scores**2)
    above = scores > 0.5  # noqa: PLR2004
    return values | confusion_values(np.array([
        [negative[~above].sum(), negative[above].sum()],
        [positive[~above].sum(), positive[above].sum()],
    ]))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SpoiledRegression:
    """A regression with normal errors, and one that is off by ``shift`` more on a few rows."""

    name: str
    few: float
    shift: float = 3.0  # standard deviations of the errors

    def draw(self, rows: int, rng: np.random.Generator) -> Pair:
        """Draw the predictions of both models on the same rows."""
        target = 3 * rng.standard_normal(rows)
        base = target + rng.standard_normal(rows)
        chosen = rng.random(rows) < self.few / rows
        return make_pair(target, base, base + self.shift * chosen)

    def truth(self, rows: int) -> Mapping[str, float]:
        """Return the true differences at this number of rows."""
        part = min(1.0, self.few / rows)
        normal = math.sqrt(2 / math.pi)
        folded = normal * math.exp(-(self.shift**2) / 2)
        folded += self.shift * math.erf(self.shift / math.sqrt(2))
        squares = part * self.shift**2
        return {
            "mae": part * (folded - normal),
            "mse": squares,
            "rmse": math.sqrt(1 + squares) - 1,
            "r2": -squares / 9,
        }
