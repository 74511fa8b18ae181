"""Test rows on which base and head differ: for who asks for them, and no part of a report."""

from __future__ import annotations

from mlgitops.model.fields import Count, Struct


class Flip(Struct, frozen=True, kw_only=True):
    """One test row; values are text as the predictions file has them."""

    id: str
    target: str
    base: str  # prediction
    head: str
    base_loss: float  # log loss of the row's class; absolute error of a number; 0 or 1 else
    head_loss: float
    columns: dict[str, str] = {}  # noqa: RUF012 - name → value; each row gets its own


class Flips(Struct, frozen=True, kw_only=True):
    """The rows that went wrong and those that came right, the largest moves of the loss first.

    Of classes: right on one side alone. Of numbers: the error grew, or shrank.
    """

    of_classes: bool
    rows: Count  # test rows that both sides have
    worse: tuple[Flip, ...] = ()
    better: tuple[Flip, ...] = ()
    worse_rows: Count = 0  # all of them, also those that are not listed
    better_rows: Count = 0
