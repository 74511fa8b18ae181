"""Both sides' predictions: fetched and read when they are first asked for."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mlgitops.comparison.sides import fetch_missing
from mlgitops.errors import MlgitopsError
from mlgitops.model import TestData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.comparison.sides import SideFiles
    from mlgitops.comparison.stale import Staleness
    from mlgitops.console import Console
    from mlgitops.model import Report
    from mlgitops.tables.predictions import Predictions


class PredictionFiles:
    """Both sides' predictions, fetched and read when they are first asked for.

    ``stale`` is what of head is of an older run; ``rescored`` is what base's model predicts on
    head's test data, None where it was not measured there; ``measured`` what head's predicts by
    base's code, None where that was not tried.
    """

    def __init__(
        self,
        path: str | None,
        base: SideFiles,
        head: SideFiles,
        console: Console,
        *,
        stale: Staleness,
        rescored: Predictions | None,
        measured: Predictions | None = None,
        read: Mapping[str, Predictions | None] = MappingProxyType({}),
    ) -> None:
        self.path = path
        self.base, self.head = base, head
        self._stale, self._rescored, self._measured = stale, rescored, measured
        self.console = console
        self._fetched = False
        self._read = dict(read)

    @property
    def same(self) -> bool:
        """Tell whether both sides have the very same file, or head's were read from base's."""
        path = self.path or ""
        if self._measured is not None and self._read.get(self.base.name) is self._measured:
            return self._rescored is None
        if self._rescored is not None or self._measured is not None:
            return False
        return self.base.find_hash(path) == self.head.find_hash(path)

    def read(self, side: SideFiles) -> Predictions | None:
        """Read one side's; None when it has none. Raises MlgitopsError when it is damaged."""
        path = self.path or ""
        if side is self.base and self._rescored is not None:
            return self._rescored
        if side is self.head and self._measured is not None:
            return self._measured
        stale = self._stale.explain(path) if side is self.head else None
        if stale:
            raise MlgitopsError(f"`{path}` is stale: {stale}")
        if not self._fetched:
            fetch_missing(self.base, self.head, lambda _: {path}, self.console)
            self._fetched = True
        key = self.base.name if self.same and self.base.find_hash(path) else side.name
        if key not in self._read:
            self._read[key] = read_stored(side, path)
        return self._read[key]

    def find(self, side: SideFiles) -> Predictions | None:
        """Read one side's; None when it has none, or none that can be read."""
        try:
            return self.read(side)
        except MlgitopsError:
            return None

    def on_same_rows(self, report: Report) -> bool:
        """Tell whether both sides' predictions are of the same test data, as far as is known."""
        return report.test_data is not TestData.CHANGED or self._rescored is not None

    def against(self, other: SideFiles, rescored: Predictions | None) -> PredictionFiles:
        """Return head's predictions beside those of ``other``, which stands in base's place.

        What was read of head is not read again. ``rescored``: what the model of ``other`` predicts
        on head's test data.
        """
        return PredictionFiles(
            self.path,
            other,
            self.head,
            self.console,
            stale=self._stale,
            rescored=rescored,
            measured=self._measured,
            read={key: read for key, read in self._read.items() if key == self.head.name},
        )

    def exists(self, side: SideFiles) -> bool:
        """Tell whether a side has predictions at all, whether or not they are here."""
        path = self.path or ""
        return side.find_version(path) is not None or side.read(path) is not None

    def read_both(self) -> tuple[Predictions, Predictions]:
        """Read base's and head's. Raises MlgitopsError when a side is not available."""
        base, head = self.read(self.base), self.read(self.head)
        if base is None or head is None:
            side = "base" if base is None else "head"
            raise MlgitopsError(f"`{self.path}` is not available at {side}.")
        return base, head


def read_stored(side: SideFiles, path: str) -> Predictions | None:
    """Read one side's predictions from git, the work tree or DVC's cache; None if not here."""
    data, version = side.read(path), side.find_version(path)
    if data is None and version is None:
        return None
    from mlgitops.dvc.objects import find_object
    from mlgitops.tables.predictions import read_predictions

    where = f"{path} at {side.name}"
    if data is not None or version is None:
        return read_predictions(data or b"", where=where)

    stored = find_object(side.folder.place, version)
    return read_predictions(stored, where=where) if stored else None
