"""Whether dvc.lock still belongs to the code and parameters beside it.

In: one side, read. Out: a sentence per stage that was run with other inputs. Reads git or
disk, only files that git can see: data is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgitops.pipeline import LockEntry
    from mlgitops.sides import SideFiles

_MOST = 3


def find_stale(side: SideFiles) -> list[str]:
    """Say which stages of ``side`` were last run with other code or parameters."""
    notices = []
    for name, lock in side.pipeline.locks.items():
        other = [*_other_params(side, lock), *(_other_files(side, lock) if lock.exact else [])]
        if other:
            inputs = ", ".join(other[:_MOST])
            more = f" and {len(other) - _MOST} more" if len(other) > _MOST else ""
            notices.append(
                f"Stage `{name}` was last run with another {inputs}{more}: its numbers are old. "
                "Run `mlgitops train`."
            )
    return [notice[:500] for notice in notices]


def _other_params(side: SideFiles, lock: LockEntry) -> list[str]:
    """List parameters whose value is not the one of the run."""
    found = []
    for key, text in lock.params.items():
        path, _, name = key.partition(":")
        if path in side.params and side.params[path].get(name) != text:
            found.append(f"parameter `{name}`")
    return found


def _other_files(side: SideFiles, lock: LockEntry) -> list[str]:
    """List files that are not what they were in the run."""
    import hashlib

    files = side.folder.list_files(side.sha)
    found = []
    for path, expected in lock.deps.items():
        data = side.read(path) if path in files else None
        if data is not None and expected.startswith("md5:"):
            digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            if expected != f"md5:{digest}":
                found.append(f"`{path}`")
    return found
