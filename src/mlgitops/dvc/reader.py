"""Read the files of DVC at one side into a :class:`~mlgitops.dvc.pipeline.Pipeline`.

In: a reader of files at a revision. DVC itself is not used, so nothing of a pull request runs.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, TypeAlias

from mlgitops.dvc.definition import add_definition
from mlgitops.dvc.ignore import IgnoreRules
from mlgitops.dvc.pipeline import Pipeline
from mlgitops.dvc.records import add_lock, add_pointer
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import Value, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mlgitops.dvc.scope import Read

#: Takes one parsed file of DVC, with its path, into a pipeline.
Add: TypeAlias = "Callable[[dict[str, Value], str, Pipeline, Read], None]"


def read_pipeline(files: dict[str, str], read: Read, *, lenient: bool = False) -> Pipeline:
    """Read every dvc.yaml, dvc.lock and .dvc file among ``files`` (path → blob id).

    Raises :class:`MlgitopsError` when one of them is malformed. When ``lenient``, those are named
    in :attr:`Pipeline.broken` instead, and the others are read.
    """
    pipeline = Pipeline()
    for path in list_dvc_files(files, read):
        try:
            _read_file(path, read, pipeline, _find_adder(posixpath.basename(path)))
        except MlgitopsError as error:
            if not lenient:
                raise
            pipeline.broken[path] = error.what
            pipeline.unread.append(f"`{path[:80]}`")
    return pipeline


def list_dvc_files(files: Collection[str], read: Read) -> list[str]:
    """List the dvc.yaml, dvc.lock and .dvc files among ``files``, definitions first.

    What .dvcignore leaves out is not read, as DVC does not read it either.
    """
    ignored = IgnoreRules(files, read)
    named = [path for path in files if _is_dvc_file(posixpath.basename(path))]
    seen = [path for path in named if not ignored.leaves_out(path)]
    return sorted(seen, key=lambda path: (not path.endswith("dvc.yaml"), path))


def _is_dvc_file(name: str) -> bool:
    return name in ("dvc.yaml", "dvc.lock") or (name.endswith(".dvc") and name != ".dvc")


def _find_adder(name: str) -> Add:
    """Find what takes a file of DVC with this name."""
    if name == "dvc.yaml":
        return add_definition
    return add_lock if name == "dvc.lock" else add_pointer


def _read_file(path: str, read: Read, pipeline: Pipeline, add: Add) -> None:
    data = read(path)
    if data is None:
        return
    document = parse_yaml(data, path)
    if document is None:
        return
    if not isinstance(document, dict):
        raise MlgitopsError("the top level must be a mapping", where=path)
    add(document, path, pipeline, read)
