"""Both sides' predictions, matched by id: once, for metrics, charts and slices alike."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mlgitops.comparison.sampling import find_sampling
from mlgitops.model import Policy

if TYPE_CHECKING:
    from mlgitops.comparison.prediction_files import PredictionFiles
    from mlgitops.comparison.seed_files import SeedFiles
    from mlgitops.errors import MlgitopsError
    from mlgitops.statistics.matching import Pair


class Pairing:
    """The matched rows of both sides' prediction files, and of those of other seeds."""

    def __init__(self, files: PredictionFiles, seeds: SeedFiles | None = None) -> None:
        self.files = files
        self._seeds = seeds

    @cached_property
    def pair(self) -> Pair:
        """Return the matched rows. Raises MlgitopsError when a side is not available."""
        base, head = self.files.read_both()  # before numpy is loaded, of no use without them
        from mlgitops.statistics.matching import match_predictions

        return match_predictions(base, head)

    @property
    def moment(self) -> str | None:
        """Return the column that a split by time puts rows in order by: base's, if it has one."""
        for side in (self.files.base, self.files.head):
            sampling = find_sampling(side.params, Policy())
            if sampling.method is not None:
                return sampling.column if sampling.method == "time" else None
        return None

    @cached_property
    def seeds(self) -> list[Pair | MlgitopsError]:
        """Return the matched rows of each further pair of models, or why it cannot be read."""
        return self._seeds.pair() if self._seeds is not None else []
