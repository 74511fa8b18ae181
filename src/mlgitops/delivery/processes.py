"""Processes that outlive the command: started detached, known by a lock that they hold.

The lock on a file is inherited by the process and ends with it, however it ends; so a
crash is seen at once, and a process id that another program got since is never signalled.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HOST = "127.0.0.1"
_TERM_SECONDS = 15.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.02
_ESTABLISHED, _CLOSE_WAIT, _LISTENING = "01", "08", "0A"  # in /proc/net/tcp, see proc(5)
# The shell starts the program in the background and ends at once. The program then has no
# parent here that would have to wait for it, so it leaves no zombie process when it ends. The
# shell also writes the process id, which is on disk even if mlgitops is killed right after.
_DETACH = 'log=$1; lock=$2; shift 2; "$@" >>"$log" 2>&1 </dev/null & echo "$!" >"$lock"'


def start_detached(
    command: Sequence[str | Path],
    *,
    lock: Path,
    log: Path,
    cwd: Path,
    env: Mapping[str, str],
) -> int:
    """Start ``command`` in a session of its own, holding ``lock``; return its process id."""
    for path in (lock, log):
        path.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MlgitopsError("a process is still running here", where=str(lock)) from error
        words = ["sh", "-c", _DETACH, "sh", str(log), str(lock), *(str(word) for word in command)]
        subprocess.run(
            words,
            cwd=cwd,
            env=env,
            check=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[file.fileno()],
        )
    return _read_pid(lock)


def is_running(lock: Path) -> bool:
    """Tell whether the process that was started with ``lock`` still lives."""
    try:
        with lock.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def stop_process(lock: Path) -> None:
    """End the process that holds ``lock``: asked first, killed after fifteen seconds."""
    for number, seconds in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        if not is_running(lock):
            break
        with suppress(ProcessLookupError, ValueError):
            os.killpg(os.getpgid(_read_pid(lock)), number)
        _wait_for_end(lock, seconds)
    lock.unlink(missing_ok=True)


def wait_until_drained(port: int, seconds: float) -> bool:
    """Wait until no client is connected to ``port``; False when one still is after ``seconds``.

    A connection counts from the moment the kernel takes it, so one that the server has not
    seen yet counts too, and so does a client that sends no more and waits for its answer.
    Where /proc does not say, nobody is connected.
    """
    end = time.monotonic() + seconds
    while any(any(_read_sockets(port, state)) for state in (_ESTABLISHED, _CLOSE_WAIT)):
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def find_free_port() -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_port_free(port: int) -> bool:
    """Tell whether a server could listen on ``port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def find_listener(port: int) -> str | None:
    """Find what listens on ``port``, as "process 123 (name)"; None where /proc does not say."""
    sockets = {f"socket:[{inode}]" for inode in _read_sockets(port, _LISTENING)}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it ended meanwhile, or it is another person's
            if str(link.readlink()) in sockets:
                process = link.parent.parent
                return f"process {process.name} ({(process / 'comm').read_text().strip()})"
    return None


def _read_sockets(port: int, state: str) -> Iterator[str]:
    """Yield the inode of each socket of this machine that has ``port`` and is in ``state``."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == state and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _read_pid(lock: Path) -> int:
    return int(lock.read_text(encoding="ascii"))


def _wait_for_end(lock: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while is_running(lock) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
