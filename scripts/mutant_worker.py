"""Run tests of one copy of the repository, each time in a process that has only heavy libraries.

Started by `mutants.py` with the copy's folder. Reads one JSON request a line (tests, seconds),
answers one JSON line. Each run is a fork of this process, which never imports mlgitops: so
the code of the copy is imported anew, as it stands at that moment, in milliseconds.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import Phase, settings

#: What most tests import: loaded once, before any fork.
HEAVY = (
    *("numpy", "yaml", "msgspec.json", "requests", "rich.console", "jinja2"),
    *("openapi_core", "pandas", "scipy.stats", "sklearn.metrics"),
    *("_pytest.doctest", "_pytest.junitxml", "unittest.mock", "http.server", "sqlite3", "zipfile"),
)
PYTEST = (
    *("-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"),
    # Of the plugins that libraries bring along we use one: hydra's costs more than most tests.
    *("--disable-plugin-autoload", "-p", "_hypothesis_pytestplugin"),
    "--hypothesis-profile=unshrunk",
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
)
#: What a property tries is what it tries in CI; a failure is one, whichever its smallest case.
PHASES = (Phase.explicit, Phase.generate)
#: The code of a run that was ended for its time.
TIMEOUT = -1
TAIL = 4_000  # characters of what a run printed


class FirstFailure:
    """Remember which test failed first."""

    def __init__(self) -> None:
        self.test = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failed test."""
        if report.failed and not self.test:
            self.test = report.nodeid


def main(folder: Path) -> None:
    """Answer requests until there are no more."""
    os.chdir(folder)
    sys.path[0] = str(folder / "src")  # instead of this script's own folder
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    settings.register_profile("unshrunk", deadline=None, derandomize=True, phases=PHASES)
    gc.freeze()  # no collection of a fork looks through the libraries again
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = run_forked(folder, request["tests"], request["seconds"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def run_forked(folder: Path, tests: list[str], seconds: float) -> dict[str, Any]:
    """Run ``tests`` in a fork; end it, and whatever it started, after ``seconds``."""
    printed = folder.parent / f"{folder.name}.printed"
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            run_tests(folder, tests, sender, printed)
        except BaseException:  # noqa: BLE001 - whatever it is, it is this run's ending
            traceback.print_exc()
        finally:  # nothing of the fork may go on as the worker
            sys.stderr.flush()
            os._exit(1)
    os.close(sender)
    with os.fdopen(receiver, "rb") as stream:
        answer = read_answer(stream, seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {**answer, "printed": printed.read_text("utf-8", "replace")[-TAIL:]}


def read_answer(stream: IO[bytes], seconds: float) -> dict[str, Any]:
    """Wait for the fork's answer."""
    ready, _, _ = select.select([stream], [], [], seconds)
    if not ready:
        return {"code": TIMEOUT, "failed": ""}
    data = stream.readline()
    return dict(json.loads(data)) if data else {"code": int(pytest.ExitCode.INTERNAL_ERROR)}


def run_tests(folder: Path, tests: list[str], sender: int, printed: Path) -> None:
    """Be the fork: run pytest, answer, end."""
    os.setsid()
    target = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    require_copy(folder)
    sys.dont_write_bytecode = False  # tests are compiled once; no two mutants have one time
    first = FirstFailure()
    words = [*PYTEST, f"--basetemp={folder.parent / (folder.name + '.tmp')}", *tests]
    code = int(pytest.main(words, plugins=[first]))
    require_copy(folder)
    sys.stdout.flush()
    os.write(sender, json.dumps({"code": code, "failed": first.test}).encode() + b"\n")


def require_copy(folder: Path) -> None:
    """End this process unless mlgitops is, or would be, imported from ``folder``."""
    module = sys.modules.get("mlgitops")
    spec = module.__spec__ if module else importlib.util.find_spec("mlgitops")
    origin = spec.origin if spec else None
    if origin is None or not Path(origin).is_relative_to(folder / "src"):
        sys.stderr.write(f"mlgitops comes from {origin}, not from {folder / 'src'}\n")
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
