"""What `python` is while a fork server runs: hand `-m MODULE` to it, start Python for the rest.

`python -I -S client.py SOCKET ARGUMENTS`. It ends as the stage ends: with its exit code, or by its
signal. Whatever the server declines, or cannot be asked, is run by Python itself. Nothing but the
standard library may be imported, and little of that: it starts once a stage.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from marshal import dumps
from typing import NoReturn

#: What the server answers in place of an exit code: the stage must start by itself.
DECLINED = -1000
#: File descriptors that one message of the kernel can carry.
MOST_STREAMS = 253


def main(address: str, arguments: list[str]) -> NoReturn:
    """Run Python with ``arguments`` through the server at ``address``; end as it ends."""
    code = ask(address, arguments) if arguments[:1] == ["-m"] and arguments[1:] else DECLINED
    if code == DECLINED:
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - the same program
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):  # nobody can handle those
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def ask(address: str, arguments: list[str]) -> int:
    """Return the stage's exit code, the negative of the signal that ended it, or DECLINED."""
    streams = list_inherited()
    is_ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # as `nohup` and `&` may have it
    state = (os.getcwd(), _read_umask(), dict(os.environ), streams, is_ignored)  # noqa: PTH109
    request = dumps((arguments[1:], *state))
    with socket.socket(socket.AF_UNIX) as connection:
        # An interrupt of the terminal reaches the stage too, and it is for the stage to end.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            connection.connect(address)
            socket.send_fds(connection, [struct.pack("!Q", len(request))], streams)
            connection.sendall(request)
        except OSError:  # a server that has not all of a request starts nothing
            code = DECLINED
        else:
            code = _await_end(connection)
    if code == DECLINED:
        signal.signal(signal.SIGINT, before)  # else it would be ignored by the stage
    return code


def _await_end(connection: socket.socket) -> int:
    """Return what the server answers once the stage has ended; exit when it ends before."""
    try:
        answer = connection.recv(4, socket.MSG_WAITALL)
    except OSError:
        answer = b""
    if len(answer) < 4:  # noqa: PLR2004 - the bytes of a number
        sys.exit("error: the process that runs the stages ended before this stage did")
    code: int = struct.unpack("!i", answer)[0]
    return code


def list_inherited() -> list[int]:
    """List the file descriptors that a program started here would have, the first three first."""
    present = sorted(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - no pathlib
    return [number for number in present if _is_inherited(number)][:MOST_STREAMS]


def _is_inherited(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:  # of the folder that was listed
        return False


def _read_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
