"""Pairs of predictions, made for a situation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest

from mlgitops.tables.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    Sides = tuple[Predictions, Predictions]


class MakeSides(Protocol):
    """Make both sides from columns; the ids are 0, 1, 2, … unless given."""

    def __call__(
        self,
        target: ArrayLike,
        base: ArrayLike,
        head: ArrayLike,
        *,
        scores: tuple[ArrayLike, ArrayLike] | None = None,
        columns: dict[str, ArrayLike] | None = None,
    ) -> Sides:
        """Return (base, head)."""


@pytest.fixture(scope="session")
def make_sides() -> MakeSides:
    """Return a factory of both sides' predictions."""

    def make(
        target: ArrayLike,
        base: ArrayLike,
        head: ArrayLike,
        *,
        scores: tuple[ArrayLike, ArrayLike] | None = None,
        columns: dict[str, ArrayLike] | None = None,
    ) -> Sides:
        rows = len(np.asarray(target))
        more = {name: np.asarray(column) for name, column in (columns or {}).items()}
        one, other = (
            Predictions(
                id=np.arange(rows),
                target=np.asarray(target),
                prediction=np.asarray(prediction),
                scores={} if scores is None else {"": np.asarray(scores[side], dtype=float)},
                columns=more,
            )
            for side, prediction in enumerate((base, head))
        )
        return one, other

    return make


@pytest.fixture(scope="session")
def make_binary(make_sides: MakeSides) -> MakeBinary:
    """Return a factory of two correlated classifiers."""

    def make(rows: int, seed: int = 0, *, steps: int = 0) -> Sides:
        rng = np.random.default_rng(seed)
        target = (rng.random(rows) < 0.3).astype(np.int8)
        common = rng.standard_normal(rows)
        scores = []
        for distance in (1.5, 1.8):
            x = distance * target + 0.8 * common + 0.6 * rng.standard_normal(rows)
            score = 1 / (1 + np.exp(-(2 * x - 2.4)))
            scores.append(np.round(score * steps) / steps if steps else score)
        base, head = scores
        return make_sides(
            target,
            (base > 0.5).astype(np.int8),
            (head > 0.5).astype(np.int8),
            scores=(base, head),
            columns={"day": rng.integers(0, 60, rows)},
        )

    return make


class MakeBinary(Protocol):
    """Make two correlated classifiers on the same rows; ``steps``: rounded scores that tie."""

    def __call__(self, rows: int, seed: int = 0, *, steps: int = 0) -> Sides:
        """Return (base, head)."""
