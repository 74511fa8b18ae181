"""Objects of a storage on another machine: what it holds, fetched from it or sent to it.

By DVC, in the project's own environment and an empty repository (`scratch`): no dvc.yaml is
read, the run cache is not used, and only the objects that are named travel.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from mlgitops.dvc.command import dvc_command, explain_failure, find_dvc_python
from mlgitops.dvc.scratch import open_scratch, write_pointers
from mlgitops.environments import clean_environment
from mlgitops.errors import MlgitopsError
from mlgitops.process import run_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlgitops.model import DataVersion

#: Run by the Python that has DVC: this process never imports it.
_PROGRAM = Path(__file__).with_name("remote_program.py")
_TIMEOUT = 3600.0  # seconds


class _Answer(Struct, frozen=True, kw_only=True):
    """What `remote_program` prints."""

    sizes: dict[str, int]
    hashes: dict[str, str]
    texts: dict[str, str]


def list_stored(project: Path, names: Iterable[str]) -> dict[str, int]:
    """Return name → bytes of those objects that the default remote holds."""
    return _ask(project, sizes=names).sizes


def hash_stored(project: Path, names: Iterable[str]) -> dict[str, str]:
    """Read objects of the default remote to their ends; return name → md5 of the content."""
    return _ask(project, hashes=names).hashes


def read_manifests(project: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return name → bytes of those directory manifests that the default remote holds."""
    return {name: text.encode() for name, text in _ask(project, texts=names).texts.items()}


def send_objects(project: Path, cache: Path, versions: Iterable[DataVersion]) -> None:
    """Send objects of the folder ``cache`` to the default remote; what is there stays as it is.

    Of a directory its members go first. Raises :class:`MlgitopsError` when DVC says that it
    failed; that it says nothing is no proof.
    """
    with open_scratch(project, cache=cache) as scratch:
        names = write_pointers(scratch, versions)
        _run(scratch, [*dvc_command(project, scratch), "push", "--quiet", *names])


def fetch_stored(project: Path, folder: Path, versions: Iterable[DataVersion]) -> None:
    """Fetch objects of the default remote below ``folder``, whatever the project's cache holds."""
    with open_scratch(project, cache=folder) as scratch:
        names = write_pointers(scratch, versions)
        _run(scratch, [*dvc_command(project, scratch), "fetch", "--quiet", *names])


def _ask(project: Path, **wanted: Iterable[str]) -> _Answer:
    request = {kind: sorted(set(wanted.get(kind, ()))) for kind in _Answer.__struct_fields__}
    if not any(request.values()):
        return _Answer(sizes={}, hashes={}, texts={})
    with open_scratch(project) as scratch:
        (scratch / "request.json").write_bytes(msgspec.json.encode(request))
        words: list[str | Path] = [find_dvc_python(project), "-I", _PROGRAM]
        return msgspec.json.decode(_run(scratch, [*words, scratch / "request.json"]), type=_Answer)


def _run(scratch: Path, words: Sequence[str | Path]) -> str:
    environment = clean_environment() | {"DVC_NO_ANALYTICS": "1"}
    try:
        return run_program(words, cwd=scratch, env=environment, timeout=_TIMEOUT)
    except MlgitopsError as error:
        said = error.what.splitlines()[-1].strip()
        raise MlgitopsError(
            f"the storage could not be reached: {said}",
            where=".dvc/config",
            hint=explain_failure(error.what) or "may this identity list, read and add objects?",
        ) from error
