"""The model's file: skops, the same bytes for the same model, and only types we trust.

skops stores structure as JSON and numbers as arrays; loading runs no code of the file. A type
outside skops' own list and `trusted_types.txt` is refused before anything is built.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from .errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

    from sklearn.pipeline import Pipeline

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip archive can hold
_MAX_BYTES = 2**30  # unpacked; a larger model is a mistake or an attack
_SCHEMA = "schema.json"


def dump_model(model: Pipeline) -> bytes:
    """Return the file of a model."""
    import skops.io

    return make_stable(skops.io.dumps(model))


def make_stable(data: bytes) -> bytes:
    """Return the archive without what differs from run to run: dates and memory addresses.

    skops numbers objects, and names their files, by their address in memory. Here they are
    numbered in the order in which the schema mentions them.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        files: dict[str, str] = {}
        renumbered = _renumber(schema, {}, files)
        parts = {new: archive.read(old) for old, new in files.items()}
    parts[_SCHEMA] = json.dumps(renumbered, indent=1).encode()
    stable = io.BytesIO()
    with zipfile.ZipFile(stable, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(parts):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, parts[name])
    return stable.getvalue()


def _renumber(node: Any, ids: dict[tuple[int, int], int], files: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(node, list):
        return [_renumber(item, ids, files) for item in node]
    if not isinstance(node, dict):
        return node
    fresh: dict[str, Any] = {}
    for key, value in node.items():
        if key == "__id__" and isinstance(value, int):
            # Texts have no identity: which of them are one object is up to Python and pandas.
            is_text = node.get("__loader__") == "JsonNode"
            fresh[key] = ids.setdefault((value, len(ids) if is_text else 0), len(ids) + 1)
        elif key == "file" and isinstance(value, str) and "__loader__" in node:
            suffix = value.rpartition(".")[2]
            fresh[key] = files.setdefault(value, f"{len(files) + 1}.{suffix}")
        else:
            fresh[key] = _renumber(value, ids, files)
    return fresh


def read_trusted_types(path: Path) -> list[str]:
    """Return the type names listed in a file, one a line; `#` starts a comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    names = (line.partition("#")[0].strip() for line in lines)
    return [name for name in names if name]


def read_model(path: Path, trusted: list[str]) -> Pipeline:
    """Return the model in a file.

    Raises :class:`StageError` when it is no skops file, is too large, or holds a type that is
    not trusted.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StageError(f"{path} does not exist: run `make train` to make it") from None
    return load_model(data, trusted, name=str(path))


def load_model(data: bytes, trusted: list[str], *, name: str) -> Pipeline:
    """Return the model in the bytes of a file; see :func:`read_model`."""
    import skops.io

    unknown = find_unknown_types(data, trusted, name=name)
    if unknown:
        raise StageError(propose_types(unknown, name=name))
    return skops.io.loads(data, trusted=trusted)


def find_unknown_types(data: bytes, trusted: list[str], *, name: str) -> list[str]:
    """Find the types in the bytes of a model file that neither skops nor we trust."""
    import skops.io

    _check_size(data, name)
    try:
        return sorted(set(skops.io.get_untrusted_types(data=data)) - set(trusted))
    except Exception as error:  # skops raises many kinds for one cause: the file
        raise StageError(f"{name} is not a model stored with skops: {error}") from error


def propose_types(unknown: list[str], *, name: str) -> str:
    """Return what to do about types that are not trusted, with the lines to write."""
    lines = "".join(f"\n  {line}" for line in unknown)
    return (
        f"{name} holds types that are not trusted: {', '.join(unknown)}.\n"
        "Review them; if your own estimator needs them, add these lines to trusted_types.txt in a "
        f"pull request of its own:{lines}"
    )


def _check_size(data: bytes, name: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        raise StageError(f"{name} is not a model stored with skops") from None
    if total > _MAX_BYTES:
        raise StageError(f"{name} unpacks to {total} bytes; {_MAX_BYTES} are the limit")
