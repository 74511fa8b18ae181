"""The DVC pipeline at one side: stages, lock entries, and which files are metrics or params. Pure.

:mod:`~mlgitops.dvc.reader` reads it.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from mlgitops.dvc.templating import Budget

if TYPE_CHECKING:
    from mlgitops.model import DataVersion, ImportSource
    from mlgitops.parsing import Value


class Stage(Struct, frozen=True, kw_only=True):
    """One stage as dvc.yaml declares it; paths are from the project's root.

    Dependencies may lie outside of it, see :func:`name_input`; outputs are those within.
    """

    name: str
    file: str  # its dvc.yaml
    folder: str  # where it runs
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    metrics: tuple[str, ...]
    params: dict[str, tuple[str, ...]] = {}  # file → dotted names; none: all of the file
    kept: tuple[str, ...] = ()  # outputs that git keeps: `cache: false`
    unsent: tuple[str, ...] = ()  # outputs that the project's storage does not get
    templated: bool = False  # its command holds `${...}`, which DVC may write in other words
    frozen: bool = False  # its inputs may change without a new run
    always: bool = False  # DVC runs it each time, whatever its inputs: `always_changed`


class LockEntry(Struct, frozen=True, kw_only=True):
    """What dvc.lock says a stage was run with, and made."""

    command: str
    deps: dict[str, str]  # path → hash
    params: dict[str, str]  # "file:name" → JSON text
    outs: dict[str, DataVersion]
    values: dict[str, dict[str, Value]] = {}  # file → name as in dvc.yaml → value
    exact: bool = False  # hashes are of the bytes: written by DVC 3 or newer


class StoredOutput(Struct, frozen=True, kw_only=True):
    """One output as a dvc.lock or .dvc file records it."""

    path: str  # from the project's root; "" where the record has none
    file: str  # what records it
    version: DataVersion
    exact: bool  # its hash is of the bytes: written by DVC 3 or newer
    sent: bool = True  # False: the project's storage does not get it, as its .dvc file says


class Pipeline(Struct, kw_only=True):
    """Everything DVC knows at one side."""

    stages: dict[str, Stage] = {}
    locks: dict[str, LockEntry] = {}
    metrics: set[str] = set()
    params: set[str] = set()
    plots: set[str] = set()
    #: `plots` as every dvc.yaml declares them, at its top and in its stages, each with its folder.
    drawn: list[tuple[str, Value]] = []
    pointers: dict[str, DataVersion] = {}  # from .dvc files
    #: Outputs of `dvc import` → where each is from; None: its .dvc file names no commit.
    imports: dict[str, ImportSource | None] = {}
    outputs: list[StoredOutput] = []  # all that locks and .dvc files record
    outside: list[tuple[str, str]] = []  # (file, path) of outputs outside of the repository
    unresolved: dict[str, str] = {}  # stage, or group of them → the `${...}` that is not known
    notices: list[str] = []
    #: What could not be read, so that its metrics are not known: "stage `x` of `dvc.yaml`".
    unread: list[str] = []
    #: Files of DVC that could not be read at all, with the reason; filled when that is allowed.
    broken: dict[str, str] = {}
    budget: Budget = field(default_factory=Budget)  # what its stages may still come to
    recorded: dict[str, DataVersion] | None = None  # of all locks and pointers, once asked for

    def find_version(self, path: str) -> DataVersion | None:
        """Find what dvc.lock or a .dvc file says of ``path``."""
        return self._record().get(path)

    def find_source(self, path: str, digest: str) -> ImportSource | None:
        """Find which repository the data ``path`` of this hash were imported from.

        None where they were not, or where the .dvc file is of other data by now. Of a file in a
        folder that was imported the .dvc file names no hash.
        """
        version = self.pointers.get(path)
        if version is not None and version.hash != digest:
            return None
        return self.locate_import(path)

    def locate_import(self, path: str) -> ImportSource | None:
        """Return where the .dvc file of ``path``, or of the folder that it is in, is from."""
        within = self.find_import(path)
        source = self.imports[within] if within is not None else None
        if source is None or within is None:
            return None
        return replace(source, path=f"{source.path}{path.removeprefix(within)}")

    def find_import(self, path: str) -> str | None:
        """Return ``path``, or the folder around it, if `dvc import` brought that."""
        folder = path
        while folder and folder not in self.imports:
            folder = posixpath.dirname(folder)
        return folder or None

    def is_read(self, path: str) -> bool:
        """Tell whether a stage reads ``path``, a folder around it, or something in it."""
        read = {dep for stage in self.stages.values() for dep in stage.deps}
        return path in read or any(
            path.startswith(f"{dep}/") or dep.startswith(f"{path}/") for dep in read
        )

    def find_folder(self, path: str) -> tuple[str, DataVersion] | None:
        """Find the folder around ``path`` that DVC keeps as a whole, and its version."""
        folder = posixpath.dirname(path)
        while folder:
            version = self.find_version(folder)
            if version is not None:
                return folder, version
            folder = posixpath.dirname(folder)
        return None

    def _record(self) -> dict[str, DataVersion]:
        if self.recorded is None:
            self.recorded = dict(self.pointers)
            for lock in reversed(self.locks.values()):
                self.recorded.update(lock.outs)
        return self.recorded
