"""Ask a storage what it holds: a program for the Python that has the project's DVC.

`python -I remote_program.py REQUEST`, in the DVC repository whose default remote it is. The
file REQUEST holds lists of object names; what is printed holds what became of them, as JSON:

    {"sizes": [...], "hashes": [...], "texts": [...]}
    {"sizes": {name: bytes}, "hashes": {name: md5 of the content}, "texts": {name: content}}

A name that the storage lacks is left out. DVC's own library reaches every kind of storage. The
helper is not installed there, so nothing but the standard library and dvc may be imported.
"""

from __future__ import annotations

import hashlib
import json
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MAX_TEXT = 16 * 1024 * 1024  # bytes of one manifest
_CHUNK = 1024 * 1024
_READERS = 4


def main(request: Path) -> int:
    """Answer one request on standard output; return the exit code."""
    wanted = json.loads(request.read_text(encoding="utf-8"))
    try:
        with open_repository() as repo:
            store = repo.cloud.get_remote_odb(None, "status", hash_name="md5")
            sizes = list_sizes(store, sorted({name for names in wanted.values() for name in names}))
            answer = {
                "sizes": {name: sizes[name] for name in wanted["sizes"] if name in sizes},
                "hashes": hash_all(store, [name for name in wanted["hashes"] if name in sizes]),
                "texts": {
                    name: read_text(store, name)
                    for name in wanted["texts"]
                    if sizes.get(name, MAX_TEXT + 1) <= MAX_TEXT
                },
            }
    except Exception as error:  # noqa: BLE001 - every library of a storage has its own
        message = " ".join(str(error).split()) or "no reason given"
        sys.stderr.write(f"{type(error).__name__}: {message}\n")
        return 1
    sys.stdout.write(json.dumps(answer))
    return 0


def open_repository() -> Any:  # noqa: ANN401 - DVC has no types
    """Return the DVC repository of this folder; servers have to show a known key."""
    from dvc.repo import Repo

    # It stands one folder up, where nothing else may be imported from.
    runpy.run_path(str(Path(__file__).with_name("program.py")))["check_host_keys"]()
    return Repo(".")


def list_sizes(store: Any, names: list[str]) -> dict[str, int]:  # noqa: ANN401 - DVC has no types
    """Return the bytes of each plain object that is there; another failure than absence raises."""
    paths = [store.oid_to_path(name) for name in names]
    sizes = {}
    for name, entry in zip(names, store.fs.info(paths, return_exceptions=True), strict=True):
        if isinstance(entry, FileNotFoundError):
            continue
        if isinstance(entry, BaseException):
            raise entry
        if entry.get("type") == "file":
            sizes[name] = int(entry["size"])
    return sizes


def hash_all(store: Any, names: list[str]) -> dict[str, str]:  # noqa: ANN401 - as above
    """Read each object to its end; return the md5 of its content."""
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(names, pool.map(lambda name: hash_one(store, name), names), strict=True))


def hash_one(store: Any, name: str) -> str:  # noqa: ANN401 - as above
    """Return the md5 of one object's content, DVC's name for it (not a protection)."""
    digest = hashlib.md5(usedforsecurity=False)
    with store.fs.open(store.oid_to_path(name), "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_text(store: Any, name: str) -> str:  # noqa: ANN401 - as above
    """Return the content of a manifest; bytes that are no text are replaced, so no longer hash."""
    with store.fs.open(store.oid_to_path(name), "rb") as stream:
        data: bytes = stream.read(MAX_TEXT + 1)
    return data.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
