"""What dvc.lock and .dvc files record, into a pipeline: hashes, commands, parameters. Pure."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from mlgitops.dvc.definition import add_file, add_metric, as_list, join_command
from mlgitops.dvc.params import flatten_params
from mlgitops.dvc.paths import join_path, name_input, stage_name
from mlgitops.dvc.pipeline import LockEntry, Pipeline, StoredOutput
from mlgitops.dvc.pointers import parse_import, parse_pointer, read_version
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.dvc.scope import Read
    from mlgitops.model import DataVersion
    from mlgitops.parsing import Value

_LONGEST_STORED = 4096  # characters: PATH_MAX of Linux, so no file has a longer one


def add_lock(document: dict[str, Value], path: str, pipeline: Pipeline, read: Read) -> None:
    """Take what a dvc.lock records."""
    del read
    stages = document.get("stages", document if "schema" not in document else {})
    if not isinstance(stages, dict):
        raise MlgitopsError("`stages` must be a mapping", where=path)
    for name, body in stages.items():
        if not isinstance(body, dict):
            raise MlgitopsError(f"stage {name[:80]!r} must be a mapping", where=path)
        full = stage_name(name, path)
        stage = pipeline.stages.get(full)
        folder = stage.folder if stage else posixpath.dirname(path)
        deps = _locked(body.get("deps"), folder, name_input)
        _record_outputs(body.get("outs"), folder, path, pipeline)
        pipeline.locks[full] = LockEntry(
            command=join_command(body.get("cmd")),
            deps={dep: version.hash for dep, version in deps.items()},
            params=_lock_params(body.get("params"), folder),
            outs=_locked(body.get("outs"), folder, join_path),
            values=_lock_values(body.get("params"), folder),
            exact=_is_exact(body.get("deps")) and _is_exact(body.get("outs")),
        )


def _record_outputs(
    entries: Value, folder: str, file: str, pipeline: Pipeline, *, imported: bool = False
) -> None:
    """Take the outputs that a dvc.lock or .dvc file lists.

    ``imported``: DVC fetches them from the repository that they come from, and sends them nowhere;
    what a stage reads of them is sent by us, so that what a model was made from is all there.
    """
    for item in as_list(entries):
        fields = item if isinstance(item, dict) else {}
        entry = str(fields.get("path") or "")  # "": whoever sends it is told
        # However long: what is left out here is not looked for in the storage.
        path = join_path(folder, entry, longest=_LONGEST_STORED) if entry else ""
        if path is None:
            pipeline.outside.append((file, entry))
            continue
        exact = fields.get("hash") == "md5"
        pipeline.outputs.append(
            StoredOutput(
                path=path,
                file=file,
                version=read_version(fields),
                exact=exact,
                sent=(not imported or (exact and pipeline.is_read(path)))
                and False not in (fields.get("cache"), fields.get("push"))
                and fields.get("remote") is None,
            )
        )


def _is_exact(entries: Value) -> bool:
    items = as_list(entries)
    return all(isinstance(item, dict) and item.get("hash") == "md5" for item in items)


def _locked(
    entries: Value, folder: str, name: Callable[[str, str], str | None]
) -> dict[str, DataVersion]:
    versions = {}
    for item in as_list(entries):
        if isinstance(item, dict) and isinstance(item.get("path"), str):
            path = name(folder, str(item["path"]))
            if path is not None:
                versions[path] = read_version(item)
    return versions


def _lock_params(entries: Value, folder: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    if isinstance(entries, dict):
        for path, values in entries.items():
            inside = join_path(folder, path) or path
            if isinstance(values, dict):
                flat = flatten_params(values, path)
                texts.update({f"{inside}:{name}": text for name, text in flat.items()})
    return texts


def _lock_values(entries: Value, folder: str) -> dict[str, dict[str, Value]]:
    items = entries.items() if isinstance(entries, dict) else ()
    return {
        join_path(folder, path) or path: values
        for path, values in items
        if isinstance(values, dict)
    }


def add_pointer(document: dict[str, Value], path: str, pipeline: Pipeline, read: Read) -> None:
    """Take what a .dvc file points at; of a stage of DVC 0 also its metrics and parameters."""
    del read
    folder = posixpath.join(posixpath.dirname(path), str(document.get("wdir") or "."))
    deps = as_list(document.get("deps"))
    imported = any(isinstance(item, dict) and "repo" in item for item in deps)
    _record_outputs(document.get("outs"), folder, path, pipeline, imported=imported)
    for entry, version in parse_pointer(document):
        tracked = join_path(folder, entry)
        if tracked is not None:
            pipeline.pointers[tracked] = version
            if imported:
                pipeline.imports[tracked] = parse_import(document)
    for item in as_list(document.get("outs")):
        if isinstance(item, dict) and item.get("metric"):
            add_metric(pipeline, path, folder, str(item.get("path")))
    for item in deps:
        if isinstance(item, dict) and "params" in item:
            add_file(pipeline.params, folder, str(item.get("path")))
