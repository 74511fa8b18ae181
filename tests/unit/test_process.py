"""Programs whose output is followed: every line, the exit code, and nothing left running."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from mlgitops import process
from mlgitops.errors import MlgitopsError
from mlgitops.process import stream_program

if TYPE_CHECKING:
    from pathlib import Path

FOREVER = "sleep 100000"


def follow(folder: Path, script: str, *, timeout: float | None = None) -> tuple[list[str], int]:
    """Run a shell script to its end; return the lines it printed, and its exit code."""
    command = ["/bin/sh", "-c", script]
    with stream_program(command, cwd=folder, env=dict(os.environ), timeout=timeout) as program:
        lines = list(program.read_lines())
        return lines, program.wait()


def test_output_and_errors_come_in_order_with_the_exit_code(tmp_path: Path) -> None:
    """What is not UTF-8 is shown as well as it can be, and nothing is read from the terminal."""
    script = r"echo one; printf 'caf\351\n' >&2; cat; pwd; printf end; exit 3"
    lines, code = follow(tmp_path, script)
    assert (lines, code) == (["one\n", "caf\N{REPLACEMENT CHARACTER}\n", f"{tmp_path}\n", "end"], 3)


def test_what_a_program_left_running_ends_with_it(tmp_path: Path) -> None:
    """It holds the pipe open; reading comes to an end all the same."""
    assert follow(tmp_path, f"{FOREVER} & echo started; exit 4") == (["started\n"], 4)


def test_a_program_that_takes_too_long_ends_with_all_it_started(tmp_path: Path) -> None:
    """What it printed until then was read; that it was late is an error of its own."""
    with pytest.raises(TimeoutError, match=r"it took over 0\.2 s"):
        follow(tmp_path, f"echo started; {FOREVER} & {FOREVER}", timeout=0.2)


def test_a_long_line_comes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line fills the memory."""
    monkeypatch.setattr(process, "_LONGEST_LINE", 4)
    assert follow(tmp_path, "echo 0123456789")[0] == ["0123", "4567", "89\n"]


def interrupt(folder: Path, script: str) -> int:
    """Run a shell script until it printed a line, then fail; return its exit code."""
    command = ["/bin/sh", "-c", script]
    with (
        suppress(KeyboardInterrupt),
        stream_program(command, cwd=folder, env=dict(os.environ)) as program,
    ):
        assert next(program.read_lines()) == "ready\n"
        raise KeyboardInterrupt
    return program.wait()


@pytest.mark.parametrize(
    ("trap", "number"), [("", signal.SIGTERM), ("trap '' TERM; ", signal.SIGKILL)]
)
def test_an_interrupt_ends_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str, number: signal.Signals
) -> None:
    """It is asked to end, and then made to."""
    monkeypatch.setattr(process, "_GRACE", 0.2)
    assert interrupt(tmp_path, f"{trap}echo ready; {FOREVER}") == -number


@pytest.mark.parametrize("own_session", [True, False])
def test_an_interrupt_of_the_terminal_reaches_what_shares_our_session(
    tmp_path: Path, *, own_session: bool
) -> None:
    """With a session of its own it is ended by us alone."""
    command = [sys.executable, "-c", "import os; print(os.getsid(0))"]
    with stream_program(
        command, cwd=tmp_path, env=dict(os.environ), own_session=own_session
    ) as program:
        session = int(next(program.read_lines()))
        assert program.wait() == 0
    assert (session != os.getsid(0)) is own_session
    assert (session == program.pid) is own_session


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """An error to act on, not a traceback."""
    with (
        pytest.raises(MlgitopsError, match="`no-such-program` is not installed or not on PATH"),
        stream_program(["no-such-program"], cwd=tmp_path, env={"PATH": str(tmp_path)}),
    ):
        pass
