"""Paired inference: tell whether the difference between two models is real.

In: the predictions of base and head on the same test rows. Out: for each metric an interval
of the difference (head minus base), as :class:`mlgitops.model.Evidence`. Nothing here does
I/O. numpy is imported only when predictions are compared; the decision rules need none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.inference.decision import decide_kind, required_rows

if TYPE_CHECKING:
    from mlgitops.inference.compare import compare_predictions
    from mlgitops.inference.matching import match_predictions

__all__ = ["compare_predictions", "decide_kind", "match_predictions", "required_rows"]


def __getattr__(name: str) -> object:
    """Import the parts that need numpy when they are first asked for."""
    if name == "compare_predictions":
        from mlgitops.inference.compare import compare_predictions

        return compare_predictions
    if name == "match_predictions":
        from mlgitops.inference.matching import match_predictions

        return match_predictions
    raise AttributeError(name)
