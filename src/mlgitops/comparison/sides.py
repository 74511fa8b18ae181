"""One side of the comparison, read whole: pipeline, metrics, parameters, test data.

Reads git, disk and DVC's cache; runs dvc only for cached metrics that are nowhere here.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from hashlib import md5
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct, field

from mlgitops.dvc.metrics import MetricSet, parse_metrics
from mlgitops.dvc.objects import (
    fetch_manifests,
    fetch_objects,
    find_object,
    is_folder,
    read_manifest,
    read_object,
)
from mlgitops.dvc.params import parse_params
from mlgitops.dvc.pipeline import Pipeline
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError, show_bytes
from mlgitops.model import DataVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlgitops.console import Console
    from mlgitops.git.repository import Folder

_MAX_TEXT = 500
_MAX_NAME = 150
_FEW = 3  # names in a sentence
#: What a side is called that is held beside head in base's place.
REFERENCE = "the reference"
#: The same of a promotion: the model that an environment wants now, and the one that it shall.
SERVED, PROMOTED = "what is wanted there now", "what is promoted"
_REVIEWED = ("base", REFERENCE, SERVED, PROMOTED)
#: What a metrics file is called in a folder of metrics; other files there are plots and pictures.
_METRICS_SUFFIXES = (".json", ".yaml", ".yml", ".toml")


class SideFiles(Struct, kw_only=True):
    """What one side holds; ``sha`` None is the work tree."""

    name: str  # base or head
    sha: str | None
    folder: Folder
    pipeline: Pipeline = field(default_factory=Pipeline)
    metrics: dict[str, MetricSet] = {}
    params: dict[str, dict[str, str]] = {}
    notices: list[str] = []
    members: dict[str, dict[str, str]] = {}  # of folders that DVC keeps: hash → path → md5

    def read(self, path: str) -> bytes | None:
        """Read a file that git tracks or the work tree holds, links followed.

        Raises :class:`MlgitopsError` for a link that leads out of the repository.
        """
        target = self.folder.follow(self.sha, path)
        kept = self.pipeline.find_version(target) or self.pipeline.find_folder(target)
        return self.folder.read(self.sha, target if kept else path)  # no link: None, DVC keeps it

    def read_anywhere(self, path: str) -> bytes | None:
        """Read a file from git, the work tree, or DVC's cache."""
        data = self.read(path)
        if data is not None:
            return data
        version = self.find_version(path)
        if version is None:
            return None
        return read_object(self.folder.place, version)

    def read_kept(self, path: str) -> bytes | None:
        """Read a file as DVC keeps it, or from git where DVC keeps none there.

        What is deployed is what dvc.lock names. Raises :class:`MlgitopsError` where a link, or
        another file in git, stands in its place.
        """
        version = self.pipeline.find_version(path)
        if version is not None or self.pipeline.find_folder(path) is not None:
            in_git = self.read(path)
            is_other = in_git is not None and not _is_of(version, in_git)
            if is_other or self.folder.follow(self.sha, path) != path:
                raise MlgitopsError(f"git has something else than DVC at `{path}` of {self.name}")
        return self.read_anywhere(path)

    def find_version(self, path: str) -> DataVersion | None:
        """Find what DVC says of ``path``, or of the file that it leads to.

        A file in a folder that DVC keeps has the hash that the folder's manifest says, or that
        of the folder where the manifest is not here: what it holds is not known, nor absent.
        Raises :class:`MlgitopsError` when the manifest is malformed.
        """
        target = self.folder.follow(self.sha, path)
        return self.pipeline.find_version(target) or self._find_member(target)

    def find_manifest(self, path: str) -> tuple[DataVersion, str] | None:
        """Find the folder whose manifest must be fetched to know ``path``, and the path in it."""
        target = self.folder.follow(self.sha, path)
        kept = self.pipeline.find_folder(target)
        if kept is None or self.pipeline.find_version(target) or self.read(path) is not None:
            return None
        folder, version = kept
        unread = is_folder(version) and self.list_members(version) is None
        return (version, target[len(folder) + 1 :]) if unread else None

    def _find_member(self, path: str) -> DataVersion | None:
        """Find a file of a folder that DVC keeps as a whole; those that git keeps are git's."""
        kept = self.pipeline.find_folder(path)
        if kept is None or self.folder.find_blob(self.sha, path) is not None:
            return None
        folder, version = kept
        if not is_folder(version):
            return DataVersion(hash="unknown")
        members = self.list_members(version)
        if members is None:
            return version
        digest = members.get(path[len(folder) + 1 :])
        return DataVersion(hash=f"md5:{digest}") if digest else None

    def list_members(self, version: DataVersion) -> dict[str, str] | None:
        """Read what a folder that DVC keeps holds, path → md5; None when that is not here."""
        if version.hash not in self.members:
            members = read_manifest(self.folder.place, version)
            if members is None:
                return None
            self.members[version.hash] = members
        return self.members[version.hash]

    def find_broken(self, path: str) -> str | None:
        """Name the file of DVC that may keep ``path`` and cannot be read.

        None where the side has ``path``, and where all that DVC keeps there is known.
        """
        broken = next(iter(self.pipeline.broken), None)
        if broken is None or self.find_hash(path) is not None or self.read(path) is not None:
            return None
        return f"`{broken[:_MAX_NAME]}`"

    def find_hash(self, path: str) -> str | None:
        """Find the identity of a file's content: DVC's hash, or git's blob id."""
        version = self.find_version(path)
        if version is not None:
            return version.hash
        blob = self.folder.find_blob(self.sha, path)
        return f"git:{blob}" if blob else None


def _is_of(version: DataVersion | None, data: bytes) -> bool:
    """Tell whether ``data`` has the hash of ``version``; true where that has no hash of a file."""
    kind, _, digest = (version.hash if version is not None else "").partition(":")
    return kind != "md5" or md5(data, usedforsecurity=False).hexdigest() == digest


def read_sides(base: SideFiles, head: SideFiles, console: Console) -> None:
    """Read both sides. Head's pipeline must be sound; what is wrong at base is told, not raised.

    A metrics file that cannot be read, on either side, is a problem of its own metrics.
    """
    for side in (base, head):
        _read_pipeline(side)
        side.notices += side.pipeline.notices
    declared = {*_find_declared(base), *_find_declared(head)}
    fetch_missing(base, head, lambda _: declared, console)
    for side in (base, head):
        side.params = _read_params(side)
        side.metrics = {path: _read_metrics(side, path) for path in sorted(list_metrics(side))}
    _add_undeclared(base, head)
    head.notices += _name_missing(base, head)


def _name_missing(base: SideFiles, head: SideFiles) -> Iterator[str]:
    """Say which metrics files are declared and on neither side, so that none of them is lost."""
    missing = [
        path
        for path, metrics in head.metrics.items()
        if metrics == base.metrics.get(path, metrics) == MetricSet()
        and all(side.find_hash(path) is None for side in (base, head))
    ]
    modules = {path: head.folder.find_module(head.sha, path) for path in missing}
    for path, module in modules.items():
        if module is not None:
            yield (
                f"`{path[:_MAX_NAME]}` is in the submodule `{module[:_MAX_NAME]}`: what a submodule"
                " holds is not read."
            )
    others = [path for path in missing if modules[path] is None]
    if others:
        named = ", ".join(f"`{path[:_MAX_NAME]}`" for path in others[:_FEW])
        more = f" and {len(others) - _FEW} more" if len(others) > _FEW else ""
        yield f"Neither side has the metrics that dvc.yaml declares in {named}{more}."[:_MAX_TEXT]


def read_recorded(side: SideFiles, paths: Iterable[str] = ()) -> None:
    """Read a side at a revision from what is here: nothing is fetched, and dvc does not run.

    ``paths`` are further metrics files to look for, as a report names them. Raises
    :class:`MlgitopsError` when its pipeline is malformed, and it is not base.
    """
    _read_pipeline(side)
    side.params = _read_params(side)
    named = {show_bytes(path): path for path in side.folder.list_files(side.sha)}
    wanted = sorted({*list_metrics(side), *(named.get(path, path) for path in paths)})
    side.metrics = {path: _read_metrics(side, path) for path in wanted}


def read_beside(side: SideFiles, base: SideFiles, console: Console) -> None:
    """Read a further commit beside a comparison; what is not here, from the storage of base.

    Lenient as with base: what is malformed there is told, not raised.
    """
    _read_pipeline(side)
    declared = _find_declared(side)
    fetch_missing(base, side, lambda asked: declared if asked is side else set(), console)
    side.params = _read_params(side)
    side.metrics = {path: _read_metrics(side, path) for path in sorted(list_metrics(side))}


def _read_pipeline(side: SideFiles) -> None:
    """Read a side's pipeline; of base's and older ones, files that cannot be read are told."""
    files = side.folder.list_files(side.sha)
    side.pipeline = read_pipeline(files, side.read, lenient=side.name in _REVIEWED)
    side.notices += [
        f"`{path[:_MAX_NAME]}` at {side.name} cannot be read, so what it says is not known:"
        f" {problem}."[:_MAX_TEXT]
        for path, problem in side.pipeline.broken.items()
    ]


def list_metrics(side: SideFiles) -> set[str]:
    """List the metrics files that dvc.yaml declares; of a folder, as DVC does, those in it."""
    listed: set[str] = set()
    for path in side.pipeline.metrics:
        members = [name for name in _list_members(side, path) if name.endswith(_METRICS_SUFFIXES)]
        listed.update(members or [path])
    return listed


def _list_members(side: SideFiles, path: str) -> Iterator[str]:
    """Yield the files below ``path``, if it is a folder that git or DVC keeps."""
    if side.folder.has_folder(side.sha, path):
        for name in side.folder.list_files(side.sha):
            if name.startswith(f"{path}/"):
                yield name
    version = side.pipeline.find_version(path)
    if version is not None and is_folder(version):
        with suppress(MlgitopsError):  # whoever reads the folder is told
            for name in side.list_members(version) or ():
                yield f"{path}/{name}"


def fetch_missing(
    base: SideFiles, head: SideFiles, find: Callable[[SideFiles], set[str]], console: Console
) -> None:
    """Fetch the files that ``find`` names of a side and that are nowhere here.

    In one go, or in two where one is in a folder that DVC keeps: first what the folder holds.
    """
    fetch_manifests_of(base, head, find, console)
    versions = [_find_missing(side, path) for side in (base, head) for path in find(side)]
    missing = {version.hash: version for version in versions if version is not None}
    fetch = partial(fetch_objects, versions=missing.values())
    _try_fetch(base, head, console, len(missing), fetch)


def fetch_manifests_of(
    base: SideFiles, head: SideFiles, find: Callable[[SideFiles], set[str]], console: Console
) -> None:
    """Fetch what the folders hold that DVC keeps, and in which the named files are."""
    unread = [_find_unread(side, path) for side in (base, head) for path in sorted(find(side))]
    members = {kept[0].hash: kept for kept in unread if kept is not None}
    _try_fetch(base, head, console, len(members), partial(fetch_manifests, members=members))


def _try_fetch(
    base: SideFiles, head: SideFiles, console: Console, count: int, fetch: Callable[..., None]
) -> None:
    """Fetch ``count`` objects; what is wrong with the storage is told, not raised."""
    if count == 0:
        return
    from mlgitops.dvc.configuration import CONFIG

    # What head says of the storage is code of the pull request; base's is reviewed.
    config = base.folder.read(base.sha, CONFIG) or b"" if base.sha is not None else None
    try:
        with console.step(f"fetching {count} file(s) from the storage"):
            fetch(head.folder.place, config=config)
    except MlgitopsError as error:
        head.notices.append(
            f"The storage could not be read: {error.what.splitlines()[0]}"[:_MAX_TEXT]
        )


def _find_unread(side: SideFiles, path: str) -> tuple[DataVersion, str] | None:
    try:
        return side.find_manifest(path)
    except MlgitopsError:
        return None  # whoever reads the file is told


def _find_missing(side: SideFiles, path: str) -> DataVersion | None:
    """Find the version of a file that DVC alone keeps, and that is not here."""
    try:
        version = side.find_version(path)
        if version is None or is_folder(version) or side.read(path) is not None:
            return None
    except MlgitopsError:
        return None  # whoever reads the file is told
    return None if find_object(side.folder.place, version) is not None else version


def _find_declared(side: SideFiles) -> set[str]:
    return {*list_metrics(side), *side.pipeline.params}


def _add_undeclared(base: SideFiles, head: SideFiles) -> None:
    """Read a metrics file on the side whose dvc.yaml does not name it, if it is there.

    What git ignores in a work tree is left over from another run.
    """
    for side, other in ((base, head), (head, base)):
        for path in sorted(set(other.metrics) - set(side.metrics)):
            is_seen = side.sha is not None or path in side.folder.list_files(None)
            if is_seen and (read := _read_metrics(side, path)) != MetricSet():
                side.metrics[path] = read


def _read_metrics(side: SideFiles, path: str) -> MetricSet:
    """Read one metrics file; absent is empty, unreadable is a problem with a reason."""
    if PurePosixPath(path).suffix.lower() == ".dvc":
        return MetricSet()
    try:
        data = side.read_anywhere(path)
        if data is not None:
            return parse_metrics(data, path)
    except MlgitopsError as error:
        side.notices.append(f"`{path}` at {side.name} cannot be read: {error.what}."[:_MAX_TEXT])
        return MetricSet(problem=f"cannot be read: {error.what}"[:_MAX_TEXT])
    if side.find_version(path) is None:
        return MetricSet()
    side.notices.append(
        f"`{path}` at {side.name} is kept by DVC and is not available here: run `dvc pull`."
    )
    return MetricSet(problem="is not available: DVC keeps it, and neither cache nor storage has it")


def _read_params(side: SideFiles) -> dict[str, dict[str, str]]:
    params = {}
    for path in sorted({*side.pipeline.params, "params.yaml"}):
        try:
            data = side.read_anywhere(path)
            if data is not None:
                params[path] = parse_params(data, path)
            elif side.find_version(path) is not None:
                side.notices.append(f"`{path}` at {side.name} is kept by DVC and not here.")
        except MlgitopsError as error:
            side.notices.append(f"`{path}` at {side.name} was not read: {error.what}."[:_MAX_TEXT])
    return params
