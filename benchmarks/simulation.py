"""Simulated pairs of models whose true difference is known, for the coverage study.

Binary: latent scores are normal, x = m * y + noise, with noise that base and head partly
share. All true values follow from the masses of the scores given each class: by normal
distribution functions on a fine grid (the AUC of binormal scores is Phi(m / sqrt 2)).
Multiclass: the class with the largest utility is predicted; only the own class's utility is
raised, by m, so P(right) = integral of phi(u - m) Phi(u)^(K-1) and the errors fall evenly on the
other classes. Regression: errors are normal with a random scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mlgitops.statistics.matching import Pair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ERF = np.vectorize(math.erf)
_BATCHES = 10  # of rows, for a truth that is drawn


def normal_cdf(x: Floats) -> Floats:
    """Return the standard normal distribution function."""
    return np.asarray(0.5 * (1 + _ERF(x / math.sqrt(2))), dtype=float)


class Scenario(Protocol):
    """A source of pairs, and the true difference (head minus base) of each metric."""

    @property
    def name(self) -> str: ...  # noqa: D102
    def draw(self, rows: int, rng: np.random.Generator) -> tuple[Pair, NDArray[np.intp] | None]: ...  # noqa: D102
    def truth(self) -> Mapping[str, float]: ...  # noqa: D102


def make_pair(
    target: NDArray[np.generic],
    base: NDArray[np.generic],
    head: NDArray[np.generic],
    scores: tuple[dict[str, Floats], dict[str, Floats]] | None = None,
) -> Pair:
    """Return a pair of matched rows."""
    base_scores, head_scores = scores or ({}, {})
    return Pair(
        target=target, base=base, head=head, columns={},
        base_scores=base_scores, head_scores=head_scores,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Binary:
    """Two classifiers with normal latent scores."""

    name: str
    prevalence: float
    base: float  # distance between the classes, in standard deviations
    head: float
    shared: float  # share of the noise's variance that both models have in common
    threshold: float = 0.5
    step: float = 0.0  # scores are rounded to multiples of this; 0: not at all
    overconfidence: float = 1.0  # of head: factor on its logit
    cluster_rows: int = 0  # rows in a cluster; 0: none
    cluster_share: float = 0.0  # share of each model's own noise that a cluster has in common

    def _score(self, x: Floats, distance: float, confidence: float) -> Floats:
        logit = distance * x - distance**2 / 2
        logit += math.log(self.prevalence / (1 - self.prevalence))
        score = 1 / (1 + np.exp(-confidence * logit))
        return np.round(score / self.step) * self.step if self.step else score

    def draw(
        self,
        rows: int,
        rng: np.random.Generator,
        clusters: NDArray[np.intp] | None = None,
    ) -> tuple[Pair, NDArray[np.intp] | None]:
        """Draw the predictions of both models on the same rows; ``clusters``: of each row."""
        y = rng.random(rows) < self.prevalence
        common = math.sqrt(self.shared) * rng.standard_normal(rows)
        if self.cluster_rows:
            clusters = np.arange(rows) // self.cluster_rows
        scores = []
        for distance, confidence in ((self.base, 1.0), (self.head, self.overconfidence)):
            own = rng.standard_normal(rows)
            if clusters is not None:
                effect = rng.standard_normal(int(clusters[-1]) + 1)[clusters]
                own *= math.sqrt(1 - self.cluster_share)
                own += math.sqrt(self.cluster_share) * effect
            x = distance * y + common + math.sqrt(1 - self.shared) * own
            scores.append(self._score(x, distance, confidence))
        base, head = scores
        pair = make_pair(
            y.astype(np.int8), (base > self.threshold).astype(np.int8),
            (head > self.threshold).astype(np.int8), ({"": base}, {"": head}),
        )  # fmt: skip
        return pair, clusters

    def truth(self) -> Mapping[str, float]:
        """Return the true differences."""
        base = self._values(self.base, 1.0)
        head = self._values(self.head, self.overconfidence)
        return {name: head[name] - base[name] for name in base}

    def _values(self, distance: float, confidence: float) -> dict[str, float]:
        edges = np.linspace(-9, 9 + distance, 100_001)
        score = self._score((edges[1:] + edges[:-1]) / 2, distance, confidence)
        positive = np.diff(normal_cdf(edges - distance)) * self.prevalence
        negative = np.diff(normal_cdf(edges)) * (1 - self.prevalence)
        clipped = np.clip(score, np.finfo(float).eps, 1 - np.finfo(float).eps)
        above = score > self.threshold
        matrix = np.array([
            [negative[~above].sum(), negative[above].sum()],
            [positive[~above].sum(), positive[above].sum()],
        ])  # fmt: skip
        values = ranking_values(score, positive, negative)
        values["log_loss"] = float(-(positive @ np.log(clipped) + negative @ np.log(1 - clipped)))
        values["brier"] = float(positive @ (1 - score) ** 2 + negative @ score**2)
        return values | confusion_values(matrix)


def ranking_values(score: Floats, positive: Floats, negative: Floats) -> dict[str, float]:
    """Return ROC AUC and average precision of ascending scores with these masses."""
    _, group = np.unique(score, return_inverse=True)
    pos, neg = np.bincount(group, weights=positive), np.bincount(group, weights=negative)
    auc = pos @ (np.cumsum(neg) - neg / 2) / pos.sum() / neg.sum()
    pos, neg = pos[::-1], neg[::-1]
    precision = np.cumsum(pos) / np.maximum(np.cumsum(pos + neg), 1e-300)
    return {"roc_auc": float(auc), "average_precision": float(pos @ precision / pos.sum())}


def confusion_values(matrix: Floats) -> dict[str, float]:
    """Return the count metrics of a confusion matrix of probabilities (target, predicted)."""
    hits, target, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    recall, f1 = hits / target, 2 * hits / (target + predicted)
    chance = float(target @ predicted)
    squares = (1 - float(target @ target)) * (1 - float(predicted @ predicted))
    accuracy = float(hits.sum())
    values = {
        "accuracy": accuracy,
        "balanced_accuracy": float(recall.mean()),
        "f1_macro": float(f1.mean()),
        "f1_micro": accuracy,
        "f1_weighted": float(target @ f1),
        "mcc": (accuracy - chance) / math.sqrt(squares),
        "cohen_kappa": (accuracy - chance) / (1 - chance),
    }
    if len(hits) == 2:  # noqa: PLR2004 - positive and negative
        values |= {
            "precision": float(hits[1] / predicted[1]),
            "recall": float(recall[1]),
            "f1": float(f1[1]),
        }
    return values


@dataclass(frozen=True, kw_only=True)
class Multiclass:
    """Two classifiers that predict the class of the largest utility."""

    name: str
    prevalence: tuple[float, ...]
    base: tuple[float, ...]  # what the own class's utility is raised by, for each class
    head: tuple[float, ...]
    shared: float

    def draw(self, rows: int, rng: np.random.Generator) -> tuple[Pair, NDArray[np.intp] | None]:
        """Draw the predictions of both models on the same rows."""
        classes = len(self.prevalence)
        y = rng.choice(classes, size=rows, p=self.prevalence)
        common = math.sqrt(self.shared) * rng.standard_normal((rows, classes))
        utilities = []
        for raised in (self.base, self.head):
            own = math.sqrt(1 - self.shared) * rng.standard_normal((rows, classes))
            utility = common + own
            utility[np.arange(rows), y] += np.asarray(raised)[y]
            utilities.append(utility)
        base, head = (np.exp(2 * utility) for utility in utilities)
        base /= base.sum(1, keepdims=True)
        head /= head.sum(1, keepdims=True)
        pair = make_pair(y, base.argmax(1), head.argmax(1), (_by_class(base), _by_class(head)))
        return pair, None

    def truth(self) -> Mapping[str, float]:
        """Return the true differences; of log loss and Brier score, from a million rows."""
        base, head = (confusion_values(self._matrix(raised)) for raised in (self.base, self.head))
        values = {name: head[name] - base[name] for name in base}
        if self.base == self.head:
            return dict.fromkeys((*values, "log_loss", "brier"), 0.0)
        return values | self._sample_losses()

    def _matrix(self, raised: tuple[float, ...]) -> Floats:
        classes = len(self.prevalence)
        u = np.linspace(-9, 14, 40_001)
        others = normal_cdf(u) ** (classes - 1)
        matrix = np.zeros((classes, classes))
        for k, (share, distance) in enumerate(zip(self.prevalence, raised, strict=True)):
            density = np.exp(-((u - distance) ** 2) / 2) / math.sqrt(2 * math.pi)
            right = float(np.trapezoid(density * others, u))
            matrix[k] = share * (1 - right) / (classes - 1)
            matrix[k, k] = share * right
        return matrix

    def _sample_losses(self) -> dict[str, float]:
        """Draw one noise for both models: each one's expectation does not depend on the other.

        The difference then varies so little that its error is a fiftieth of that of 100,000 rows.
        """
        rng, together = np.random.default_rng(20), replace(self, shared=1.0)
        sums = np.zeros(2)
        for _ in range(_BATCHES):
            pair, _ = together.draw(100_000, rng)
            for sign, scores in ((-1, pair.base_scores), (1, pair.head_scores)):
                table = np.stack([scores[str(k)] for k in range(len(self.prevalence))], axis=1)
                own = table[np.arange(pair.rows), pair.target]
                sums[0] -= sign * np.log(own).mean() / _BATCHES
                sums[1] += sign * ((table**2).sum(1) - 2 * own + 1).mean() / _BATCHES
        return {"log_loss": float(sums[0]), "brier": float(sums[1])}


def _by_class(table: Floats) -> dict[str, Floats]:
    return {str(k): np.ascontiguousarray(table[:, k]) for k in range(table.shape[1])}


@dataclass(frozen=True, kw_only=True)
class Regression:
    """Two regressions whose errors are normal with a scale exp(tail * z) that both share."""

    name: str
    base: float  # size of the errors
    head: float
    shared: float
    tail: float  # 0: normal errors; 0.5: kurtosis 8
    cluster_rows: int = 0
    cluster_share: float = 0.0

    def draw(self, rows: int, rng: np.random.Generator) -> tuple[Pair, NDArray[np.intp] | None]:
        """Draw the predictions of both models on the same rows."""
        log_scale = rng.standard_normal(rows)
        scale = np.exp(self.tail * log_scale)
        target = 4 * log_scale + 2 * rng.standard_normal(rows)
        common = math.sqrt(self.shared) * rng.standard_normal(rows)
        clusters = np.arange(rows) // self.cluster_rows if self.cluster_rows else None
        predictions = []
        for size in (self.base, self.head):
            own = rng.standard_normal(rows)
            if clusters is not None:
                effect = rng.standard_normal(int(clusters[-1]) + 1)[clusters]
                own *= math.sqrt(1 - self.cluster_share)
                own += math.sqrt(self.cluster_share) * effect
            error = size * scale * (common + math.sqrt(1 - self.shared) * own)
            predictions.append(target + error)
        return make_pair(target, predictions[0], predictions[1]), clusters

    def truth(self) -> Mapping[str, float]:
        """Return the true differences."""
        mean = math.exp(self.tail**2 / 2) * math.sqrt(2 / math.pi)
        square = math.exp(2 * self.tail**2)
        gap = self.head - self.base
        gap_of_squares = self.head**2 - self.base**2
        return {
            "mae": gap * mean,
            "mse": gap_of_squares * square,
            "rmse": gap * math.sqrt(square),
            "r2": -gap_of_squares * square / 20,  # the target's variance is 16 + 4
            "median_absolute_error": gap * self._median(),
            "pinball_90": gap * mean / 2,  # for symmetric errors, whatever the quantile
        }

    def _median(self) -> float:
        """Return the median of |scale * normal| by bisection."""
        z = np.linspace(-8, 8, 4001)
        density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        low, high = 0.0, 10.0
        for _ in range(40):
            middle = (low + high) / 2
            inside = 2 * normal_cdf(middle / np.exp(self.tail * z)) - 1
            if np.trapezoid(density * inside, z) < 1 / 2:
                low = middle
            else:
                high = middle
        return low
