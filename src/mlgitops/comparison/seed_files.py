"""Predictions of the models that other seeds made: one file for each, in a folder of the policy's.

Reads git, disk and DVC's cache, and runs dvc for what is missing. Both sides' models are set side
by side in pairs, as `docs/explanation/statistics.md` says: those of one seed with each other, the
rest in the order of their names, and no more than base has.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlgitops.comparison.prediction_files import read_stored
from mlgitops.comparison.sides import fetch_missing
from mlgitops.errors import MlgitopsError
from mlgitops.git.paths import is_below

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.comparison.prediction_files import PredictionFiles
    from mlgitops.comparison.sides import SideFiles
    from mlgitops.comparison.stale import Staleness
    from mlgitops.statistics.matching import Pair
    from mlgitops.tables.predictions import Predictions

#: The most pairs that are read: with so many, t is the normal's to a hundredth.
MAX_PAIRS = 100
_SUFFIXES = (".csv", ".parquet")


class SeedFiles:
    """Both sides' predictions of other seeds, fetched and read when they are first asked for.

    ``measured`` holds what was measured anew of a side (its name → path → predictions), or why that
    was not possible; it stands in place of all that the side stores.
    """

    def __init__(
        self,
        folder: str | None,
        served: PredictionFiles,
        *,
        stale: Staleness,
        measured: Mapping[str, Mapping[str, Predictions] | MlgitopsError],
    ) -> None:
        self._folder, self._served = folder, served.path
        self._base, self._head = served.base, served.head
        self._console = served.console
        self._stale = stale
        self._failed = [item for item in measured.values() if isinstance(item, MlgitopsError)]
        self._measured = {
            name: item for name, item in measured.items() if not isinstance(item, MlgitopsError)
        }

    def pair(self) -> list[Pair | MlgitopsError]:
        """Return the matched rows of each pair of models, or why a pair cannot be read.

        Where base has more of them than head, that is a reason, too: leaving some out must make
        an interval neither narrower, nor as wide as that of two seeds.
        """
        if self._failed:
            return [*self._failed]
        listed = self._list(self._base), self._list(self._head)
        paths = pair_paths(*listed)[:MAX_PAIRS]
        if len(paths) < min(len(listed[0]), MAX_PAIRS):
            of_base, of_head = len(listed[0]) + 1, len(listed[1]) + 1
            lost = f"base was trained with {of_base} seeds, and head with"
            return [MlgitopsError(f"{lost} {'one' if of_head == 1 else of_head}")]
        if not paths:
            return []
        bases, heads = (set(side) for side in zip(*paths, strict=True))
        fetch_missing(
            self._base,
            self._head,
            lambda side: bases if side is self._base else heads,
            self._console,
        )
        return [self._match(base, head) for base, head in paths]

    def _list(self, side: SideFiles) -> list[str]:
        """List the files of one side, but for that of the served model, which is no other seed."""
        if self._folder is None:
            return []
        measured = self._measured.get(side.name)
        paths = list_seed_files(side, self._folder) if measured is None else sorted(measured)
        return [path for path in paths if path != self._served]

    def _match(self, base: str, head: str) -> Pair | MlgitopsError:
        from mlgitops.statistics.matching import match_predictions

        try:
            return match_predictions(self._read(self._base, base), self._read(self._head, head))
        except MlgitopsError as error:
            return error

    def _read(self, side: SideFiles, path: str) -> Predictions:
        if side.name in self._measured:
            return self._measured[side.name][path]
        reason = self._stale.explain(path) if side is self._head else None
        if reason:
            raise MlgitopsError(f"`{path}` is stale: {reason}")
        predictions = read_stored(side, path)
        if predictions is None:
            raise MlgitopsError(f"`{path}` is not available at {side.name}")
        return predictions


def list_seed_files(side: SideFiles, folder: str) -> list[str]:
    """List the files of predictions that a side's stages write below ``folder``, or git has."""
    outs = {out for stage in side.pipeline.stages.values() for out in stage.outs}
    paths = {*outs, *side.folder.list_files(side.sha)}
    return sorted(
        path
        for path in paths
        if is_below(path, {folder}) and PurePosixPath(path).suffix in _SUFFIXES
    )


def pair_paths(base: list[str], head: list[str]) -> list[tuple[str, str]]:
    """Pair the files of one name, and the rest in order; what has no partner is left out.

    >>> pair_paths(["s/1.csv", "s/2.csv", "s/3.csv"], ["s/2.csv", "s/9.csv"])
    [('s/2.csv', 's/2.csv'), ('s/1.csv', 's/9.csv')]
    """
    both = sorted(set(base) & set(head))
    rest = ([path for path in side if path not in both] for side in (base, head))
    return [*((path, path) for path in both), *zip(*rest, strict=False)]
