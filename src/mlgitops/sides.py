"""One side of the comparison, read whole: pipeline, metrics, parameters, test data.

Reads git, disk and DVC's cache; runs dvc only for cached metrics that are nowhere here.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct, field

from mlgitops.errors import MlgitopsError
from mlgitops.links import LinkError
from mlgitops.metrics import MetricSet, parse_metrics
from mlgitops.params import parse_params
from mlgitops.pipeline import Pipeline, read_pipeline
from mlgitops.staleness import Staleness

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.console import Console
    from mlgitops.git import Folder
    from mlgitops.model import DataVersion
    from mlgitops.predictions import Predictions

_MAX_TEXT = 500


class SideFiles(Struct, kw_only=True):
    """What one side holds; ``sha`` None is the work tree."""

    name: str  # base or head
    sha: str | None
    folder: Folder
    pipeline: Pipeline = field(default_factory=Pipeline)
    metrics: dict[str, MetricSet] = {}
    params: dict[str, dict[str, str]] = {}
    stale: Staleness = Staleness()  # what its pipeline did not make from what stands there
    notices: list[str] = []
    #: Plot files that are not those of its run: what base's model gives on head's test data,
    #: or None where that is not known.
    renewed: dict[str, bytes | None] = {}
    rescored: Predictions | None = None  # of base's model on head's test data, once made

    def read(self, path: str) -> bytes | None:
        """Read a file that git tracks or the work tree holds, links followed.

        Raises :class:`MlgitopsError` for a link that leads out of the repository.
        """
        place = self.folder.follow(self.sha, path)
        if place != path and self.pipeline.find_version(place) is not None:
            return self.folder.read(self.sha, place)  # None where DVC alone keeps it
        return self.folder.read(self.sha, path)

    def read_anywhere(self, path: str) -> bytes | None:
        """Read a file from git, the work tree, or DVC's cache."""
        data = self.read(path)
        if data is not None:
            return data
        version = self.find_version(path)
        if version is None:
            return None
        from mlgitops.objects import read_object

        return read_object(self.folder.place, version)

    def find_version(self, path: str) -> DataVersion | None:
        """Find what DVC says of ``path``, or of the file that it leads to."""
        return self.pipeline.find_version(self.folder.follow(self.sha, path))

    def find_hash(self, path: str) -> str | None:
        """Find the identity of a file's content: DVC's hash, or git's blob id."""
        version = self.find_version(path)
        if version is not None:
            return version.hash
        blob = self.folder.find_blob(self.sha, path)
        return f"git:{blob}" if blob else None


def read_sides(base: SideFiles, head: SideFiles, console: Console) -> None:
    """Read both sides. Head's files must be sound; what is wrong at base is told, not raised."""
    for side in (base, head):
        files = side.folder.list_files(side.sha)
        side.pipeline = read_pipeline(files, side.read)
        side.notices += side.pipeline.notices
        side.params = _read_params(side)
    fetch_missing(base, head, _find_metrics, console)
    for side in (base, head):
        side.metrics = {path: _read_metrics(side, path) for path in sorted(_find_metrics(side))}
    _add_undeclared(base, head)


def fetch_missing(
    base: SideFiles, head: SideFiles, find: Callable[[SideFiles], set[str]], console: Console
) -> None:
    """Fetch, in one go, the files that ``find`` names of a side and that are nowhere here."""
    missing: dict[str, DataVersion] = {}
    for side in (base, head):
        for path in find(side):
            version = _find_missing(side, path)
            if version is not None:
                missing[version.hash] = version
    if not missing:
        return
    from mlgitops.objects import fetch_objects
    from mlgitops.storage.configuration import CONFIG

    # What head says of the storage is code of the pull request; base's is reviewed.
    config = base.folder.read(base.sha, CONFIG) or b"" if base.sha is not None else None
    try:
        with console.step(f"fetching {len(missing)} file(s) from the storage"):
            fetch_objects(head.folder.place, missing.values(), config=config)
    except MlgitopsError as error:
        head.notices.append(
            f"The storage could not be read: {error.what.splitlines()[0]}"[:_MAX_TEXT]
        )


def _find_missing(side: SideFiles, path: str) -> DataVersion | None:
    """Find the version of a file that DVC alone keeps, and that is not here."""
    from mlgitops.objects import find_object

    try:
        version = side.find_version(path)
        if version is None or side.read(path) is not None:
            return None
    except LinkError:
        return None  # whoever reads the file is told
    return None if find_object(side.folder.place, version) is not None else version


def _find_metrics(side: SideFiles) -> set[str]:
    return side.pipeline.metrics


def _add_undeclared(base: SideFiles, head: SideFiles) -> None:
    """Read a metrics file on the side whose dvc.yaml does not name it, if git has it there."""
    for side, other in ((base, head), (head, base)):
        for path in sorted(set(other.metrics) - set(side.metrics)):
            if side.read(path) is not None and side.sha is not None:
                side.metrics[path] = _read_metrics(side, path)


def _read_metrics(side: SideFiles, path: str) -> MetricSet:
    """Read one metrics file; absent is empty, unreadable at base is a problem with a reason."""
    if PurePosixPath(path).suffix.lower() == ".dvc":
        return MetricSet()
    try:
        data = side.read_anywhere(path)
        if data is not None:
            return parse_metrics(data, path)
    except MlgitopsError as error:
        if side.name == "head":
            raise
        side.notices.append(f"`{path}` at base cannot be read: {error.what}."[:_MAX_TEXT])
        return MetricSet(problem=f"cannot be read: {error.what}"[:_MAX_TEXT])
    if side.find_version(path) is None:
        return MetricSet()
    side.notices.append(
        f"`{path}` at {side.name} is kept by DVC and is not available here: run `dvc pull`."
    )
    return MetricSet(problem="is not available: DVC keeps it, and neither cache nor storage has it")


def _read_params(side: SideFiles) -> dict[str, dict[str, str]]:
    found = {}
    for path in sorted({*side.pipeline.params, "params.yaml"}):
        data = side.read(path)
        if data is None:
            continue
        try:
            found[path] = parse_params(data, path)
        except MlgitopsError as error:
            side.notices.append(f"`{path}` at {side.name} was not read: {error.what}."[:_MAX_TEXT])
    return found
