"""The short form of the erosion study: a few histories, enough to notice that a slide goes on."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.erosion_study import MOST, OUTPUT, Setting, erode
from mlgitops.model import OnInconclusive

HISTORIES = 3


def lose(
    rows: int, *, has_reference: bool, since: OnInconclusive = OnInconclusive.FAIL
) -> list[float]:
    """Return what each of some histories with fixed seeds loses, in margins."""
    setting = Setting(
        rows=rows,
        churn=0.01,
        choice=OnInconclusive.PASS,
        has_reference=has_reference,
        since=since,
    )
    outcomes = [erode(setting, np.random.default_rng([rows, run])) for run in range(HISTORIES)]
    assert all(outcome.is_told is not has_reference for outcome in outcomes)
    return [outcome.lost for outcome in outcomes]


@pytest.mark.parametrize("rows", [500, 2_000])
def test_with_a_reference_fifty_small_losses_stay_below_two_margins(rows: int) -> None:
    """Without one nearly all of them are merged, and the comment tells it."""
    assert np.mean(lose(rows, has_reference=False)) > 20
    assert np.mean(lose(rows, has_reference=True)) < MOST


def test_with_many_rows_no_proof_has_to_be_asked_for() -> None:
    """Noise hides little there."""
    assert max(lose(30_000, has_reference=True, since=OnInconclusive.PASS)) < MOST


def test_the_page_is_of_this_study() -> None:
    """The committed page has a table for every policy, and names what does not hold."""
    page = OUTPUT.read_text(encoding="utf-8")
    assert page.count("\n## ") == 5
    assert "lose 2 margins or more on average" in page
