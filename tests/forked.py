"""A command in a process of its own, forked from a server that has loaded the helper once.

What `python -m mlgitops` needs to start is spent once for all: a command costs a quarter of that.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTEXT = multiprocessing.get_context("forkserver")
#: Commands import most of what they need when they run: it is loaded here, once for all.
CONTEXT.set_forkserver_preload(
    [
        "mlgitops.cli",
        "mlgitops.commands.compare",
        "mlgitops.commands.report",
        "mlgitops.comparison.revisions",
        "mlgitops.github.decision",
        "mlgitops.github.fork",
        "mlgitops.github.newer_policy",
        "mlgitops.github.posting",
        "mlgitops.render.markdown",
        "mlgitops.storage.handover",
        "mlgitops.tuning.search",
        "optuna",
        "requests",
        "trust.ways",
    ]
)


def run_forked(
    words: Sequence[str | Path], *, folder: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run ``mlgitops WORDS`` in ``folder`` with this environment alone, to its end."""
    arguments = [str(word) for word in words]
    with tempfile.TemporaryDirectory(prefix="forked-") as scratch:
        files = [Path(scratch, name) for name in ("stdout", "stderr")]
        process = CONTEXT.Process(target=_work, args=(arguments, folder, dict(environ), files))
        process.start()
        process.join()
        assert process.exitcode is not None
        printed = [file.read_text(encoding="utf-8") for file in files]
    return subprocess.CompletedProcess(arguments, process.exitcode, *printed)


def _work(
    arguments: list[str], folder: Path, environ: dict[str, str], files: Sequence[Path]
) -> None:
    for number, file in enumerate(files, start=1):  # programs that it starts print there too
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    from mlgitops.cli import run

    sys.exit(run(arguments))
