"""DVC as a program: where it is found, and with which variables it runs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.environments import FOLDERS, clean_environment
from mlgitops.errors import MlgitopsError
from mlgitops.process import run_program

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Run by the Python that has DVC: this process never imports it.
_PROGRAM = Path(__file__).with_name("program.py")
_TIMEOUT = 3600.0  # seconds; a push of large files is slow


def find_dvc(project: Path) -> Path:
    """Return the project's own dvc, else the one beside this Python, else the one on PATH."""
    own = project / FOLDERS["ci"] / "bin" / "dvc"
    for path in (own, Path(sys.executable).parent / "dvc"):
        if path.exists():
            return path.absolute()
    program = shutil.which("dvc")
    if program:
        return Path(program)
    raise MlgitopsError(
        "dvc was not found",
        where=str(own),
        hint="run `mlgitops setup --only ci` to make the project's environments",
    )


def dvc_command(project: Path, config_folder: Path | None = None) -> list[str | Path]:
    """Return the words that start DVC for the storage that the project names.

    ``config_folder``: a folder whose `.dvc/config` names it instead.

    Over SSH they start `program.py`, which checks the server's key.
    """
    from mlgitops.dvc.remote import read_remote

    dvc, remote = find_dvc(project), read_remote(config_folder or project)
    if remote is None or remote.kind != "ssh":
        return [dvc]
    return [find_dvc_python(project), "-I", _PROGRAM]


def find_dvc_python(project: Path) -> Path:
    """Return the interpreter that has the project's DVC: beside it, not beside a link to it."""
    return find_dvc(project).resolve().with_name("python")


def project_environment(project: Path) -> dict[str, str]:
    """Return variables under which `python -m <package>.<stage>` is the project's own.

    The pipeline environment comes first on PATH, `src/` first on Python's path.
    """
    environment = clean_environment()
    folders = [project / FOLDERS["pipeline"] / "bin", find_dvc(project).parent]
    path = [str(folder.absolute()) for folder in folders if folder.is_dir()]
    environment["PATH"] = os.pathsep.join([*path, environment.get("PATH", os.defpath)])
    environment["PYTHONPATH"] = str((project / "src").absolute())
    return environment


def run_dvc(project: Path, arguments: Sequence[str | Path]) -> str:
    """Run one dvc command in ``project`` and return what it printed."""
    try:
        return run_program(
            [*dvc_command(project), *arguments],
            cwd=project,
            env=project_environment(project),
            timeout=_TIMEOUT,
        )
    except MlgitopsError as error:
        raise MlgitopsError(
            error.what, where=str(project), hint=explain_failure(error.what)
        ) from error


def explain_failure(printed: str) -> str | None:
    """Return the next step for the usual ways in which dvc fails, from what it printed.

    >>> explain_failure("s3 is supported, but requires 'dvc-s3' to be installed")
    'install the plugin: `mlgitops setup --only ci`, with it named in requirements/ci.txt'
    """
    for sign, hint in _HINTS:
        if sign in printed.lower():
            return hint
    return None


_HINTS = (
    (
        "to be installed",
        "install the plugin: `mlgitops setup --only ci`, with it named in requirements/ci.txt",
    ),
    ("credentials", "sign in to the storage; see the project's README, section Storage"),
    (
        "host key is not trusted",
        "check the server's key, then: `ssh-keyscan HOST >> ~/.ssh/known_hosts`",
    ),
    ("access denied", "ask for read access to the storage; see the project's README"),
    (
        "missing data 'source'",
        "it is imported: its repository cannot be read, or has other bytes at the pinned commit",
    ),
    (
        "missing cache files",
        "the storage lacks this data: whoever made it must run `mlgitops publish`",
    ),
    (
        "unable to acquire lock",
        "another dvc is at work in this project: wait for it, or remove .dvc/tmp/lock",
    ),
    ("cloud versioned", "publishing needs a remote without `version_aware`"),
    ("no remote", "name the default remote in .dvc/config"),
)
