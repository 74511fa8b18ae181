"""The project's own code, asked to measure parameters on folds: one process for many trials.

It runs `python -m <package>.folds` in the project's pipeline environment. A process that ends is
started again for the next trial; one that takes longer than the budget has left is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Annotated, Self, TypeVar

import msgspec

from mlgitops.dvc.command import project_environment
from mlgitops.environments import FOLDERS, drop_credentials
from mlgitops.errors import MlgitopsError
from mlgitops.model.tuning import Fold  # noqa: TC001 - msgspec reads it while running
from mlgitops.project.training import quote_line
from mlgitops.writing import refuse_links

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlgitops.model.tuning import Choice

#: What a process of the project printed beside its answers, in the project.
LOG_FILE = ".mlgitops/tune.log"
_MODULE = "folds"  # of the project's package
_LONGEST_ANSWER = 2**22  # bytes
_RESUME = "mend that and run it again: what was measured is kept, and this trial comes next"
_TAIL_LINES, _TAIL_BYTES = 20, 2**16

_Line = TypeVar("_Line")
_Metrics = dict[str, float | None]


class TimeIsUpError(Exception):
    """The budget ended while a trial was measured."""


class TrialError(Exception):
    """The project could not measure these values; the message says why."""


class _Begin(msgspec.Struct, frozen=True):
    """The first line of the process."""

    folds: Annotated[list[Fold], msgspec.Meta(min_length=2, max_length=50)]


class _Answer(msgspec.Struct, frozen=True):
    """The line that answers one trial."""

    metrics: list[_Metrics] | None = None
    error: str | None = None
    stopped: str | None = None  # why nothing can be measured now, whatever the values


class Scorer:
    """Measures parameters; a context manager that ends what it started."""

    def __init__(self, project: Path, package: str, folds: int) -> None:
        self.project = project
        self._module = f"{package}.{_MODULE}"
        self._count = folds
        self._process: subprocess.Popen[bytes] | None = None
        self.folds: tuple[Fold, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def measure(self, values: Mapping[str, Choice], metric: str, seconds: float) -> list[float]:
        """Return the metric on each fold with ``values`` (path in params.yaml → value).

        Raises :class:`TrialError` when the project has no such numbers, :class:`TimeIsUpError`
        after ``seconds``, and :class:`MlgitopsError` when the project cannot cut folds at all, or
        its cluster does not answer.
        """
        late = threading.Event()
        guard = threading.Timer(seconds, self._end, (late,))
        guard.daemon = True
        guard.start()
        try:
            return self._measure(values, metric)
        except (_EndedError, MlgitopsError) as error:
            if late.is_set():
                raise TimeIsUpError(f"it took over {seconds:g} s") from None
            if isinstance(error, MlgitopsError):
                raise
            raise TrialError(str(error)) from None
        finally:
            guard.cancel()
            guard.join()

    def close(self) -> None:
        """End the process, if it runs."""
        self._end(threading.Event())
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout) if process else ():
            if pipe is not None:
                with suppress(BrokenPipeError):  # what nobody reads any more
                    pipe.close()

    def _measure(self, values: Mapping[str, Choice], metric: str) -> list[float]:
        process = self._process or self._start()
        answer = _ask(process, msgspec.json.encode(values), _Answer)
        if answer is None:
            raise self._explain(process)
        if answer.stopped is not None:
            problem = f"nothing can be measured now:{_quote_last(answer.stopped)}"
            raise MlgitopsError(problem, hint=_RESUME)
        if answer.metrics is None:
            raise TrialError(answer.error or "the project gave no reason")
        scores = [fold.get(metric) for fold in answer.metrics]
        numbers = [score for score in scores if score is not None]
        if len(numbers) != len(self.folds):
            measured = ", ".join(sorted(answer.metrics[0])) if answer.metrics else "nothing"
            raise TrialError(f"{metric} is not measured on every fold; measured are: {measured}")
        return numbers

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process and read its folds."""
        log = self.project / LOG_FILE
        refuse_links(self.project, log)
        log.parent.mkdir(exist_ok=True)
        python = self.project / FOLDERS["pipeline"] / "bin" / "python"
        if not python.exists():
            hint = "run `mlgitops setup --only pipeline`"
            raise MlgitopsError(
                "the pipeline's environment is missing", where=str(python), hint=hint
            )
        with log.open("wb") as file:
            process = subprocess.Popen(
                [python.absolute(), "-m", self._module, "--count", str(self._count)],
                cwd=self.project,
                env=drop_credentials(project_environment(self.project)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )
        self._process = process
        begin, why = None, ""
        try:
            begin = _ask(process, None, _Begin)
        except TrialError as error:
            why = f": {error}"
        if begin is None:
            self.close()
            raise MlgitopsError(
                f"`python -m {self._module}` cuts no folds{why}{self._read_tail()}",
                where=str(log),
                hint="its first line says the folds: let no module print when it is imported",
            )
        self.folds = tuple(begin.folds)
        return process

    def _explain(self, process: subprocess.Popen[bytes]) -> _EndedError:
        """Say how the process ended; the next trial gets another one."""
        self.close()
        return _EndedError(f"its process ended with {process.returncode}{self._read_tail()}")

    def _read_tail(self) -> str:
        data = (self.project / LOG_FILE).read_bytes()[-_TAIL_BYTES:]
        return _quote_last(data.decode(errors="replace"))

    def _end(self, late: threading.Event) -> None:
        """End the process and all that it started."""
        late.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):  # of a zombie on macOS
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _EndedError(Exception):
    """The process ended in the middle of a trial."""


def _quote_last(text: str) -> str:
    """Return the last lines of what another program said, safe to show in a CI log."""
    lines = text.splitlines()[-_TAIL_LINES:]
    return "".join(f"\n{quote_line(line)}" for line in lines)


def _ask(process: subprocess.Popen[bytes], line: bytes | None, kind: type[_Line]) -> _Line | None:
    """Send a line, if there is one, and return the answer; None where the process ended."""
    if process.stdin is None or process.stdout is None:
        raise TypeError("a process without pipes")
    try:
        if line is not None:
            process.stdin.write(line + b"\n")
            process.stdin.flush()
        printed = _read_line(process.stdout)
    except BrokenPipeError:
        return None
    if not printed.endswith(b"\n"):
        return None
    try:
        return msgspec.json.decode(printed, type=kind)
    except msgspec.MsgspecError as error:
        raise TrialError(f"its answer cannot be read: {error}") from None


def _read_line(stream: IO[bytes]) -> bytes:
    return stream.readline(_LONGEST_ANSWER)
