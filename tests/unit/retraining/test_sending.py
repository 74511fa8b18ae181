"""A retraining ends when its time is over, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mlgitops.errors import MlgitopsError
from mlgitops.process import stream_program
from mlgitops.retraining.sending import _limit_time


def ring_after(path: Path) -> None:
    """Let the time be over as soon as there is a file."""
    while not path.is_file():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGALRM)


def runs(process: int) -> bool:
    """Tell whether a process still does something; one that nobody waits for does not."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_what_a_stage_started_ends_with_the_time(tmp_path: Path) -> None:
    """DVC is ended by a signal, and its stage would train on."""
    started = tmp_path / "started"
    script = f"sleep 600 & echo $! > {started}.part; mv {started}.part {started}; wait"
    command, names = ["sh", "-c", script], dict(os.environ)
    threading.Thread(target=ring_after, args=(started,), daemon=True).start()
    with (
        pytest.raises(MlgitopsError, match="it took over 60 minutes, and nothing was sent"),
        _limit_time(60),
        stream_program(command, cwd=tmp_path, env=names, own_session=False) as program,
    ):
        list(program.read_lines())
    process = int(started.read_text())
    deadline = time.monotonic() + 60
    while runs(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs(process)


def test_what_ran_before_goes_on_when_the_time_is_over() -> None:
    """Nobody asked it to end: the server from which tests fork commands is such a process."""
    with subprocess.Popen(["sleep", "600"]) as other:
        with pytest.raises(MlgitopsError, match="it took over 60"), _limit_time(60):
            os.kill(os.getpid(), signal.SIGALRM)
        assert runs(other.pid)
        other.kill()


def fail_late() -> None:
    """Let the time be over where a failure is expected."""
    with suppress(MlgitopsError):
        os.kill(os.getpid(), signal.SIGALRM)
        time.sleep(60)


def test_whoever_expects_a_failure_does_not_make_time_for_more() -> None:
    """A validate stage may fail and leave its report, and its time may be over just then."""
    said = "it took over 60 minutes, and nothing was sent"
    with pytest.raises(MlgitopsError, match=said), _limit_time(60):
        fail_late()
