"""What the others can fetch: an object read from the default remote itself, never from the cache.

That an object is in the cache of the machine which trained it is no proof that it was published.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.dvc.stored import hash_file, locate
from mlgitops.dvc.transport import fetch_stored, list_stored
from mlgitops.errors import MlgitopsError
from mlgitops.git.program import ask_git, find_revision
from mlgitops.model import DataVersion
from mlgitops.storage.branch import BRANCH, LOCAL, UPSTREAM
from mlgitops.storage.exchange import has_origin
from mlgitops.storage.prepare import prepare_storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlgitops.console import Console
    from mlgitops.dvc.remote import Remote

_HINT = "whoever trained it must run `mlgitops publish`"


def is_published(project: Path, oid: str, console: Console) -> bool:
    """Tell whether the default remote holds the object ``oid`` (an md5); its bytes are not read.

    Storage in the repository: origin's branch holds it, where there is an origin. Raises
    :class:`MlgitopsError` when there is no default remote, or it cannot be asked.
    """
    remote = _prepare(project, console)
    if remote.kind == "repo":
        return _find_blob(project, oid) is not None
    if remote.path is not None:
        return (remote.path / locate(oid)).is_file()
    return oid in list_stored(project, [oid])


@contextmanager
def restore_published(project: Path, oid: str, console: Console) -> Iterator[Path]:
    """Yield a file with the content of the object ``oid``, read from the default remote.

    It is removed at the end. Raises :class:`MlgitopsError` when the remote lacks it, or holds
    other bytes than its name says.
    """
    remote = _prepare(project, console)
    with tempfile.TemporaryDirectory(prefix="mlgitops-") as name:
        file = _read(project, remote, oid, Path(name))
        if file is None or not file.is_file():
            raise MlgitopsError(f"{oid} was not published", where=_say(remote), hint=_HINT)
        digest = hash_file(file)
        if digest != oid:
            raise MlgitopsError(
                f"the stored object {oid} has the content {digest}",
                where=_say(remote),
                hint="the storage is damaged, or somebody changed it: restore that object from "
                "a machine that has it",
            )
        yield file


def _prepare(project: Path, console: Console) -> Remote:
    remote = prepare_storage(project, console)
    if remote is None:
        raise MlgitopsError(
            "this project has no default remote, so that nothing is published",
            where=str(project / ".dvc" / "config"),
            hint="add one with `dvc remote add --default NAME URL`",
        )
    return remote


def _read(project: Path, remote: Remote, oid: str, folder: Path) -> Path | None:
    """Read the object into ``folder``, or find it on this disk; None when it is not there."""
    if remote.kind == "repo":
        blob = _find_blob(project, oid)
        return _write_blob(project, blob, folder / "object") if blob else None
    if remote.path is not None:
        return remote.path / locate(oid)
    if oid not in list_stored(project, [oid]):
        return None
    fetch_stored(project, folder, [DataVersion(hash=f"md5:{oid}")])
    return folder / locate(oid)


def _find_blob(project: Path, oid: str) -> str | None:
    """Find the git blob of the object on the storage branch: origin's, where there is one."""
    ref = UPSTREAM if has_origin(project) else LOCAL
    if find_revision(project, ref) is None:
        return None
    asked = ask_git(project, "rev-parse", "--verify", "--quiet", f"{ref}:{locate(oid)}")
    return os.fsdecode(asked.stdout).strip() if asked.returncode == 0 else None


def _write_blob(project: Path, blob: str, file: Path) -> Path:
    file.write_bytes(ask_git(project, "cat-file", "blob", blob).stdout)
    return file


def _say(remote: Remote) -> str:
    return f"branch {BRANCH}" if remote.kind == "repo" else remote.url
