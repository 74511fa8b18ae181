"""Paired inference: tell whether the difference between two models is real.

In: the predictions of base and head on the same test rows. Out: for each metric an interval
of the difference (head minus base), as :class:`mlgitops.model.Evidence`. Nothing here does
I/O. numpy is imported only when predictions are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgitops.statistics.compare import compare_predictions
    from mlgitops.statistics.matching import match_predictions

__all__ = ["compare_predictions", "match_predictions"]


def __getattr__(name: str) -> object:
    """Import the parts that need numpy when they are first asked for."""
    if name == "compare_predictions":
        from mlgitops.statistics.compare import compare_predictions

        return compare_predictions
    if name == "match_predictions":
        from mlgitops.statistics.matching import match_predictions

        return match_predictions
    raise AttributeError(name)
