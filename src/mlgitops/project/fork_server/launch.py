"""Start the fork server of a run, and the folder whose `python` hands stages to it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlgitops.environments import FOLDERS
from mlgitops.project.cost.memory import find_descendants

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLIENT = Path(__file__).with_name("client.py")
_SERVER = Path(__file__).with_name("server.py")
_END = 5.0  # seconds


class ForkServer(NamedTuple):
    """How the stages of a run are started."""

    environment: dict[str, str]  # their variables; with a server, its `python` is first on PATH
    process: int | None = None  # id of the server; None: stages start by themselves


@contextmanager
def start_fork_server(project: Path, environment: Mapping[str, str]) -> Iterator[ForkServer]:
    """Run a fork server while the block runs, where the platform and the project allow one.

    ``environment``: the variables with which the stages will run.
    """
    python = (project / FOLDERS["pipeline"] / "bin" / "python").absolute()
    if sys.platform != "linux" or not os.access(python, os.X_OK):
        yield ForkServer(dict(environment))
        return
    with tempfile.TemporaryDirectory(prefix="mlgitops-") as name:
        folder = Path(name)
        address = folder / "socket"
        _write_python(folder / "bin", python, address)
        path = os.pathsep.join([str(folder / "bin"), environment.get("PATH", os.defpath)])
        variables = {**environment, "PATH": path}
        process = subprocess.Popen(
            [python, _SERVER, address], cwd=project, env=variables, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield ForkServer(variables, process.pid)
        finally:
            _end(process)


def _write_python(folder: Path, python: Path, address: Path) -> None:
    folder.mkdir()
    words = [str(python), "-I", "-S", str(CLIENT), str(address)]
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    script.chmod(0o700)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close its input, at which it ends once its stages have; what does not end is ended."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_END)
    except subprocess.TimeoutExpired:
        stages = find_descendants(process.pid)
        process.kill()
        for stage in stages:  # whose clients are gone, and which take no notice of that
            with suppress(ProcessLookupError):
                os.kill(stage, signal.SIGKILL)
        process.wait()
