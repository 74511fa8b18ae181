"""Where things stand in a handover, and the most that may stand there."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = "dvc.lock"
#: Folder of dvc.lock and of the outputs that git keeps, each at its path in the project.
#: Objects stand beside it, at DVC's own places: `files/md5/<2>/<30>`.
RESULTS = "results"

#: Most files that git keeps, and bytes of one: metrics, plots and a card are far below.
MAX_RESULTS = 1_000
MAX_RESULT_BYTES = 5 * 1000 * 1000
#: Most new objects of one run, and bytes of all of them.
MAX_OBJECTS = 20_000
MAX_TOTAL_BYTES = 2 * 1000**3


def list_kept_files(path: Path) -> Iterator[Path]:
    """Yield the files of an output, sorted; nothing when it is absent.

    Raises :class:`MlgitopsError` on anything that is neither a plain file nor a folder.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if stat.S_ISREG(mode):
        yield path
    elif stat.S_ISDIR(mode):
        for name in sorted(child.name for child in path.iterdir()):
            yield from list_kept_files(path / name)
    else:
        raise MlgitopsError("neither a file nor a folder", where=str(path))


def find_file(folder: Path, path: str) -> Path | None:
    """Return the plain file at ``path`` below ``folder``; None when there is none.

    No link on the way is followed, so nothing outside of ``folder`` is ever read.
    """
    file = folder
    for segment in path.split("/"):
        file = file / segment
        if file.is_symlink():
            raise MlgitopsError("a link where a file was expected", where=path)
    return file if file.is_file() else None


def read_capped(file: Path, limit: int, where: str) -> bytes:
    """Read a file of at most ``limit`` bytes."""
    with file.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise MlgitopsError(f"over {limit:,} bytes", where=where)
    return data
