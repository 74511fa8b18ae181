"""A dvc.lock from a pull request's own run, held against the commit it claims to be of.

In: bytes of the lock, and a reader of the head's files. Out: what may be stored and what
may be committed, or a refusal. Nothing of the head runs, DVC included.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from mlgitops.dvc.hashes import hash_bytes, hash_directory
from mlgitops.dvc.ignore import IgnoreRules
from mlgitops.dvc.manifests import check_path
from mlgitops.dvc.params import diff_run, parse_values
from mlgitops.dvc.reader import read_pipeline
from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_yaml
from mlgitops.storage.handover.layout import LOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlgitops.dvc.pipeline import LockEntry, Pipeline, Stage
    from mlgitops.model import DataVersion
    from mlgitops.parsing import Value

MAX_LOCK_BYTES = 4 * 1024 * 1024

_OID = re.compile(r"md5:[0-9a-f]{32}(\.dir)?")
_STAGE_KEYS = {"cmd", "deps", "params", "outs"}
_ENTRY_KEYS = {"path", "hash", "md5", "size", "nfiles", "isexec"}
#: What a run may never write into the commit, whatever dvc.yaml declares.
_PROTECTED_FOLDERS = {"src", "tests", "deploy", "requirements", "hooks"}
_PROTECTED_NAMES = {"dvc.yaml", LOCK, "policy.yaml", "params.yaml", "contract.yaml"} | {
    "codeowners",
    "dockerfile",
    "makefile",
    "trusted_types.txt",
}
_PROTECTED_KINDS = {".py", ".sh", ".toml", ".cfg", ".ini", ".yaml", ".yml", ".dvc", ".lock"}


class Claims(Struct, frozen=True, kw_only=True):
    """What an accepted lock names: path → version, of each kind of output."""

    objects: dict[str, DataVersion]  # kept by the storage, .dvc files' included
    results: dict[str, DataVersion]  # kept by git


def check_lock(
    data: bytes, files: Mapping[str, str], read: Callable[[str], bytes | None]
) -> Claims:
    """Hold the lock in ``data`` against the head's ``files`` (path → blob id) and their bytes.

    Raises :class:`MlgitopsError` unless it is the record of exactly the stages that the
    head's dvc.yaml declares, run with exactly the head's code, parameters and data.
    """
    _check_form(data)
    others = [path for path in files if path.endswith("/" + LOCK)]
    if others:
        raise MlgitopsError("a project with several dvc.lock is not published", where=others[0])
    listed = {**files, LOCK: ""}
    pipeline = read_pipeline(listed, lambda path: data if path == LOCK else read(path))
    if set(pipeline.locks) != set(pipeline.stages):
        odd = sorted(set(pipeline.locks) ^ set(pipeline.stages))
        raise MlgitopsError(
            f"its stages are not those of dvc.yaml: {', '.join(odd)[:200]}", where=LOCK
        )
    outs = {path: out for lock in pipeline.locks.values() for path, out in lock.outs.items()}
    for name, stage in pipeline.stages.items():
        versions = {**pipeline.pointers, **outs}
        _check_stage(stage, pipeline.locks[name], versions, files, read)
    return _sort(pipeline, outs)


def check_result_path(path: str) -> None:
    """Raise :class:`MlgitopsError` for a path that no run may write into a commit."""
    check_path(path, LOCK)
    parts = path.casefold().split("/")
    kind = posixpath.splitext(parts[-1])[1]
    if (
        any(part.startswith(".") for part in parts)
        or parts[0] in _PROTECTED_FOLDERS
        or parts[-1] in _PROTECTED_NAMES
        or kind in _PROTECTED_KINDS
    ):
        raise MlgitopsError(
            "code, configuration and rules are never committed for a run",
            where=path,
            hint="declare only results with `cache: false`: metrics, plots, cards",
        )


def _check_form(data: bytes) -> None:
    """Refuse every key and value that DVC 3 does not write."""
    document = parse_yaml(data, LOCK, limit=MAX_LOCK_BYTES)
    if not isinstance(document, dict) or set(document) != {"schema", "stages"}:
        raise MlgitopsError("not a lock of DVC 3", where=LOCK)
    stages = document["stages"]
    if str(document["schema"]) != "2.0" or not isinstance(stages, dict) or not stages:
        raise MlgitopsError("not a lock of DVC 3", where=LOCK)
    for name, body in stages.items():
        if not isinstance(body, dict) or not set(body) <= _STAGE_KEYS or "cmd" not in body:
            raise MlgitopsError(f"odd stage {name[:80]!a}", where=LOCK)
        for kind in ("deps", "outs"):
            entries = body.get(kind) or []
            if not isinstance(entries, list):
                raise MlgitopsError(f"`{kind}` of {name[:80]!a} is not a list", where=LOCK)
            paths = [_check_entry(entry) for entry in entries]
            if len(set(paths)) != len(paths):
                raise MlgitopsError(f"a path stands twice in {name[:80]!a}", where=LOCK)


def _check_entry(entry: Value) -> str:
    if not isinstance(entry, dict) or not set(entry) <= _ENTRY_KEYS:
        raise MlgitopsError("an entry with odd keys", where=LOCK)
    path, oid, size = entry.get("path"), entry.get("md5"), entry.get("size", 0)
    if not isinstance(path, str) or entry.get("hash") != "md5" or not isinstance(oid, str):
        raise MlgitopsError("an entry without path, hash or md5", where=LOCK)
    check_path(path, LOCK)
    if not _OID.fullmatch(f"md5:{oid}"):
        raise MlgitopsError(f"not an md5: {oid[:50]!a}", where=LOCK)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise MlgitopsError(f"the size of {path} is not a number of bytes", where=LOCK)
    return path


def _check_stage(
    stage: Stage,
    lock: LockEntry,
    versions: Mapping[str, DataVersion],
    files: Mapping[str, str],
    read: Callable[[str], bytes | None],
) -> None:
    where = f"{LOCK}, stage {stage.name}"
    if lock.command != stage.command:
        raise MlgitopsError("its command is not that of dvc.yaml", where=where)
    if set(lock.outs) != set(stage.outs) or set(lock.deps) != set(stage.deps):
        raise MlgitopsError("its inputs and outputs are not those of dvc.yaml", where=where)
    for path, recorded in lock.deps.items():
        actual = versions[path].hash if path in versions else _hash_in_git(path, files, read)
        if recorded != actual:
            raise MlgitopsError(f"it was run with another {path} than the head's", where=where)
    for path, names in stage.params.items():
        data = read(path)
        values = parse_values(data, path) if data is not None else {}
        other, new = diff_run(names, values, lock.values.get(path, {}))
        if other or new:
            raise MlgitopsError(
                f"it was run with another value of {(other + new)[0][:80]}", where=where
            )
    if not set(lock.values) <= set(stage.params):
        raise MlgitopsError("its parameter files are not those of dvc.yaml", where=where)


def _hash_in_git(
    path: str, files: Mapping[str, str], read: Callable[[str], bytes | None]
) -> str | None:
    """Return the hash that DVC gives a file or folder of the commit."""
    if path in files:
        return f"md5:{hash_bytes(read(path) or b'')}"
    ignored = IgnoreRules(files, read)
    inside = [name for name in files if name.startswith(f"{path}/")]
    entries = [
        (name[len(path) + 1 :], hash_bytes(read(name) or b""))
        for name in inside
        if not ignored.leaves_out(name)
    ]
    return f"md5:{hash_directory(entries)}" if entries else None


def _sort(pipeline: Pipeline, outs: Mapping[str, DataVersion]) -> Claims:
    kept = {path for stage in pipeline.stages.values() for path in stage.kept}
    for path in kept:
        check_result_path(path)
    unsent = {output.path for output in pipeline.outputs if not output.sent}
    unsent.update(*(stage.unsent for stage in pipeline.stages.values()))
    versions = {**pipeline.pointers, **outs}
    objects = {path: out for path, out in versions.items() if path not in kept | unsent}
    for path, version in objects.items():
        if not _OID.fullmatch(version.hash):
            raise MlgitopsError("its hash is not an md5 of DVC 3", where=path)
    return Claims(objects=objects, results={path: outs[path] for path in sorted(kept)})
