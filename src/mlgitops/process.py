"""Run another program, and turn its failure into an error a person can act on."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_TAIL_LINES = 20
_LONGEST_LINE = 2**26  # characters
_GRACE = 5.0  # seconds between asking a program to end and making it end


def run_program(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    hint: str | None = None,
    errors: str = "replace",
) -> str:
    """Run ``command`` and return its standard output; nothing is read from the terminal.

    ``timeout`` is in seconds; ``errors`` says what becomes of bytes that are not UTF-8. Raises
    :class:`MlgitopsError` with the last lines the program printed when it cannot be started,
    runs out of time, or exits non-zero.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=env,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors=errors,
        )
    except FileNotFoundError as error:
        raise MlgitopsError(f"`{words[0]}` is not installed or not on PATH", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise MlgitopsError(f"`{' '.join(words)}` took over {timeout} s", hint=hint) from error
    if done.returncode != 0:
        printed = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_TAIL_LINES:]
        detail = "".join(f"\n    {line}" for line in printed)
        raise MlgitopsError(f"`{' '.join(words)}` ended with {done.returncode}{detail}", hint=hint)
    return done.stdout


class StreamedProgram:
    """A program that runs, as :func:`stream_program` hands it out."""

    def __init__(
        self, process: subprocess.Popen[str], *, timeout: float | None, own_session: bool
    ) -> None:
        self.pid = process.pid
        self._process = process
        self._timeout = timeout
        self._own_session = own_session
        self._is_late = False
        self._guard = threading.Thread(target=self._await_end, daemon=True)
        self._guard.start()

    def read_lines(self) -> Iterator[str]:
        """Read what the program prints, output and errors as one, line by line, to its end.

        A line of over 2**26 characters comes in pieces.
        """
        stream = self._process.stdout
        while stream is not None and (line := stream.readline(_LONGEST_LINE)):
            yield line

    def wait(self) -> int:
        """Wait for its end and return its exit code; raises TimeoutError when it took too long."""
        self._guard.join()
        if self._is_late:
            raise TimeoutError(f"it took over {self._timeout:g} s")
        return self._process.returncode

    def close(self) -> None:
        """End it, and with a session of its own all that it started, when it still runs."""
        if self._process.poll() is None:
            self._send(signal.SIGTERM)
            self._guard.join(_GRACE)
            self._send(signal.SIGKILL)
        self._guard.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _await_end(self) -> None:
        """End what it started as soon as it ends, or when its time is up: no pipe stays open."""
        try:
            self._process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            self._is_late = True
            self._send(signal.SIGKILL)
            self._process.wait()
        if self._own_session:
            self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # of a zombie on macOS
            if self._own_session:
                os.killpg(self.pid, number)
            else:
                self._process.send_signal(number)


@contextmanager
def stream_program(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float | None = None,
    own_session: bool = True,
) -> Iterator[StreamedProgram]:
    """Run ``command`` while the block reads what it prints; nothing is read from the terminal.

    It gets a session of its own, which ends with it and with the block, so nothing that it
    started is left running. Without one it stays in ours, and an interrupt of the terminal or
    a time limit around us reaches both. ``timeout`` is in seconds. Raises
    :class:`MlgitopsError` when the program cannot be started.
    """
    words = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=own_session,
        )
    except FileNotFoundError as error:
        raise MlgitopsError(f"`{words[0]}` is not installed or not on PATH") from error
    program = StreamedProgram(process, timeout=timeout, own_session=own_session)
    try:
        yield program
    finally:
        program.close()
