"""Files below a folder whose content may be a branch's: none is written through a link.

Git keeps symbolic links, so a name that we write may lead out of the work tree of a branch that
somebody else filled. Writes disk.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from mlgitops.errors import MlgitopsError

_MODE = 0o644


def refuse_links(root: Path, path: Path) -> None:
    """Raise :class:`MlgitopsError` unless all folders from ``root`` down to ``path`` are folders.

    ``path`` itself and whatever stands between may be absent; ``root`` is taken as it is, and
    ``path`` may be a file, but neither a link nor anything odd, such as a socket.
    """
    parts = path.relative_to(root).parts
    for count in range(1, len(parts) + 1):
        step = root.joinpath(*parts[:count])
        try:
            mode = step.lstat().st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and count == len(parts)):
            continue
        kind = "a link" if stat.S_ISLNK(mode) else "no folder and no file"
        raise MlgitopsError(
            f"this is {kind}, and nothing is written through it",
            where=str(step),
            hint="remove it: `git rm` where git tracks it",
        )


def replace_file(
    path: Path, data: bytes, *, root: Path | None = None, durable: bool = False
) -> None:
    """Write ``data`` beside ``path`` under a new name, then put it there in one step.

    A reader sees the old file or the new one. Folders are made; below ``root`` none may be a
    link, as in :func:`refuse_links`. A link at ``path`` itself is replaced, not followed; a device
    or a pipe that a person names, such as `/dev/null`, is written to and stays. What is
    ``durable`` is on the disk before it is put there: a machine that fails has the old or the new.
    """
    if root is None and _is_stream(path):
        path.write_bytes(data)
        return
    if root is not None:
        refuse_links(root, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
            os.fchmod(file.fileno(), _MODE & ~_read_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _is_stream(path: Path) -> bool:
    """Tell whether a device or a pipe stands at ``path`` itself; a link to one is a link."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISFIFO(mode)


def _read_umask() -> int:
    """Return what this process takes away from the rights of a new file."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
