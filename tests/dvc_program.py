"""The real dvc, started once and asked many times: its import costs more than its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Answer(NamedTuple):
    """What one command ended with, and what it printed."""

    code: int
    out: str


class DvcProgram:
    """A process of dvc that takes the words of one command after another."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def ask(self, folder: Path, *words: str) -> Answer:
        """Run `dvc` with ``words`` in ``folder``."""
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None
        assert sink is not None
        print(json.dumps([str(folder), *words]), file=sink, flush=True)
        return Answer(*json.loads(source.readline()))

    def run(self, folder: Path, *words: str) -> str:
        """Run a command that must end with 0, and return what it printed."""
        code, out = self.ask(folder, *words)
        assert code == 0, (words, code, self._log.read_text()[-2_000:])
        return out


@contextmanager
def start_dvc() -> Iterator[DvcProgram]:
    """Start the process; it ends with the block."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        environ = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": folder}
        pipe = subprocess.PIPE
        words = [sys.executable, __file__]
        with subprocess.Popen(  # its stderr is read when a command fails
            words, env=environ, stdin=pipe, stdout=pipe, stderr=log, text=True
        ) as process:
            yield DvcProgram(process, Path(log.name))


def serve() -> None:
    """Answer one line with one line: exit code, and what dvc and its children printed."""
    from dvc.cli import main

    with os.fdopen(os.dup(1), "w") as answers, tempfile.TemporaryFile("w+") as printed:
        os.dup2(printed.fileno(), 1)  # whatever stands for sys.stdout meanwhile
        for line in sys.stdin:
            folder, *words = json.loads(line)
            os.chdir(folder)
            os.ftruncate(1, 0)
            os.lseek(1, 0, os.SEEK_SET)
            code = main(words)
            sys.stdout.flush()
            printed.seek(0)
            print(json.dumps([code, printed.read()]), file=answers, flush=True)


if __name__ == "__main__":
    serve()
