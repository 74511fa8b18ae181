"""Fork a process for each stage, with the libraries imported that it would import itself.

`python server.py SOCKET`, by the pipeline's Python, in the project's root folder, until standard
input ends. `client.py` asks. Before a fork the libraries that the stage's modules name are
imported; nothing of the project is. The fork imports the stage's package, and when that leaves
other variables than those under which the libraries were loaded, it starts Python anew.

Nothing but the standard library may be imported here.
"""

from __future__ import annotations

import ast
import fcntl
import gc
import importlib
import marshal
import os
import runpy
import selectors
import signal
import socket
import struct
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

#: Libraries that may be imported before a fork: they start no threads and open no files then.
LIBRARIES = frozenset(
    ["fairlearn", "numpy", "pandas", "pandera", "scipy", "skops", "sklearn"]  # a stage's cost
)
#: Variables that a shell and DVC set anew for every program, and no library reads.
PASSING = frozenset(["DVC_ROOT", "DVC_STAGE", "OLDPWD", "PWD", "SHLVL", "_"])
DECLINED = -1000  # as client.py reads it
MOST_STREAMS = 253  # as client.py sends them
#: Signals whose being ignored is no setting: an interrupt, which client and server ignore for
#: their stages, and the two that the C library keeps to itself and `posix_spawn` leaves ignored.
_OWN_SIGNALS = (signal.SIGINT, 32, 33)
_READING = 30.0  # seconds until a client has sent its request
_HEADER = struct.Struct("!Q")  # bytes of the request that follows


class Request(NamedTuple):
    """What a client wants to run, and where."""

    arguments: list[str]  # the module, then its own arguments
    folder: str
    umask: int
    variables: dict[str, str]
    streams: dict[int, int]  # file descriptor as the client has it, from 0 on → as it is here
    is_interrupt_ignored: bool  # where the client began
    bounds: tuple[object, ...]  # of its client, as `read_bounds` reads them


class Server:
    """Listens, imports, forks, and tells each client how its stage ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._bounds = read_bounds(os.getpid())
        self._stages: dict[int, socket.socket] = {}  # process id → who waits for it
        self._selector = selectors.DefaultSelector()
        self._woken, self._waking = os.pipe()
        os.set_blocking(self._waking, False)

    def run(self) -> Request | None:
        """Serve until standard input ends; returns a request in the fork that is to run it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the stages to end
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waking, warn_on_full_buffer=False)
        for source in (self._listener.fileno(), self._woken, sys.stdin.fileno()):
            self._selector.register(source, selectors.EVENT_READ)
        is_open = True
        while is_open or self._stages:
            for key, _ in self._selector.select():
                if key.fd == self._woken:
                    os.read(self._woken, 4096)
                    self._report_ends()
                elif key.fd == sys.stdin.fileno():
                    is_open = False
                    self._selector.unregister(key.fd)
                elif key.fd != self._listener.fileno():
                    self._end_stage(key.fd)
                elif request := self._start_stage():
                    return request
        return None

    def _start_stage(self) -> Request | None:
        """Fork for the next client; returns its request in the fork."""
        connection, _ = self._listener.accept()
        try:
            request = read_request(connection)
        except (OSError, ValueError, EOFError, TypeError):  # as of a client that was ended
            answer(connection, DECLINED)
            return None
        if request.bounds != self._bounds or not prepare(request):
            answer(connection, DECLINED)
            process = None
        else:
            process = os.fork()
        if process == 0:
            self._leave(connection)
            return request
        for stream in request.streams.values():
            os.close(stream)
        if process is not None:
            self._stages[process] = connection
            self._selector.register(connection, selectors.EVENT_READ)
        return None

    def _report_ends(self) -> None:
        """Tell the clients of all stages that ended."""
        for process in list(self._stages):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                connection = self._stages.pop(process)
                with suppress(KeyError):  # its client is gone
                    self._selector.unregister(connection)
                answer(connection, os.waitstatus_to_exitcode(status))

    def _end_stage(self, descriptor: int) -> None:
        """End the stage whose client is gone."""
        for process, connection in self._stages.items():
            if connection.fileno() == descriptor:
                self._selector.unregister(connection)
                os.kill(process, signal.SIGTERM)
                return

    def _leave(self, connection: socket.socket) -> None:
        """Give up, in a fork, everything that is the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._selector.close()
        for other in (self._listener, connection, *self._stages.values()):
            other.close()
        os.close(self._woken)
        os.close(self._waking)


def read_request(connection: socket.socket) -> Request:
    """Return what a client has sent; raises OSError, ValueError, EOFError or TypeError.

    The streams are then open; when it raises, they are closed.
    """
    connection.settimeout(_READING)
    header, streams, _, _ = socket.recv_fds(connection, _HEADER.size, MOST_STREAMS)
    with ExitStack() as received:
        for stream in streams:
            received.callback(os.close, stream)
        if len(header) < _HEADER.size:
            raise EOFError
        content = read_bytes(connection, *_HEADER.unpack(header))
        sent = marshal.loads(content)  # noqa: S302 - of our own client
        arguments, folder, umask, variables, numbers, is_ignored = sent
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        bounds = read_bounds(struct.unpack("3i", credentials)[0])
        numbered = dict(zip(numbers, streams, strict=True))
        received.pop_all()
    return Request(arguments, folder, umask, variables, numbered, is_ignored, bounds)


def read_bytes(connection: socket.socket, size: int) -> bytes:
    """Read exactly ``size`` bytes; raises EOFError where the client sends fewer."""
    content = bytearray()
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise EOFError
        content += part
    return bytes(content)


def read_bounds(process: int) -> tuple[object, ...]:
    """Read what a shell may have set for a process, as by `ulimit`, `nice`, `taskset` or `trap`.

    Its resource limits, priority, processors, and ignored signals. Raises OSError when it has
    ended.
    """
    folder = Path(f"/proc/{process}")
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text("utf-8").splitlines()
    )
    ignored = int(status["SigIgn"], 16) & ~sum(1 << number - 1 for number in _OWN_SIGNALS)
    priority = os.getpriority(os.PRIO_PROCESS, process)
    limits = (folder / "limits").read_text("utf-8")
    return limits, priority, status["Cpus_allowed"].strip(), ignored


def answer(connection: socket.socket, code: int) -> None:
    """Send a client its answer, if it is still there."""
    with suppress(OSError), connection:
        connection.sendall(struct.pack("!i", code))


def prepare(request: Request) -> bool:
    """Import what the stage would import; tell whether a fork can stand for a new process."""
    if request.folder != os.getcwd():  # noqa: PTH109 - as text
        return False
    wanted = find_libraries(request.arguments[0])
    for name in sorted(wanted):
        with suppress(Exception):  # the stage itself will say it
            importlib.import_module(name)
    gc.freeze()
    # A fork has one thread alone, whatever the others held.
    return bool(wanted) and len(list(Path("/proc/self/task").iterdir())) == 1


def find_libraries(module: str) -> set[str]:
    """Find the modules of LIBRARIES that a module of the project imports, itself or by others.

    Its text is read, and nothing run. What only a function imports counts: most stages call it.
    """
    libraries, waiting, seen = set[str](), [module], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        file = find_file(name)
        if file is not None:
            waiting += [name.rpartition(".")[0], *read_imports(name, file)]
        elif name.partition(".")[0] in LIBRARIES:
            libraries.add(name)
    return libraries


def find_file(module: str) -> Path | None:
    """Find the file of a module of the project, not that of a library."""
    folders = [Path(), *map(Path, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))]
    paths = [folder.joinpath(*module.split(".")) for folder in folders if module]
    files = [file for path in paths for file in (path / "__init__.py", path.with_suffix(".py"))]
    return next((file for file in files if file.is_file()), None)


def read_imports(module: str, file: Path) -> list[str]:
    """Read which modules the text of one imports; a name that is no module may be among them."""
    try:
        waiting: list[ast.AST] = [ast.parse(file.read_bytes())]
    except (OSError, SyntaxError, ValueError):
        return []  # the stage itself will say it
    package = module if file.stem == "__init__" else module.rpartition(".")[0]
    names: list[str] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            waiting += ast.iter_child_nodes(node)
    return names


def run_stage(request: Request, loaded: dict[str, str]) -> None:
    """Be the stage: run its module as `python -m` does; ``loaded``: the libraries' variables."""
    module, *arguments = request.arguments
    place_streams(request.streams)
    if request.is_interrupt_ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(request.umask)
    os.environ.clear()
    os.environ.update(request.variables)
    sys.argv = ["-m", *arguments]
    importlib.invalidate_caches()
    if "." in module:
        importlib.import_module(module.partition(".")[0])
    if read_variables() != loaded:
        command = [sys.executable, "-m", *request.arguments]
        os.execve(sys.executable, command, request.variables)  # noqa: S606 - this same Python
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # else all stages draw the same numbers
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def place_streams(streams: dict[int, int]) -> None:
    """Give every descriptor the number that it has at the client, and no other one.

    They are moved out of each other's way first: one's number may be another's there.
    """
    lowest = max(streams, default=2) + 1
    for number, stream in streams.items():
        moved = fcntl.fcntl(stream, fcntl.F_DUPFD, lowest)
        os.close(stream)
        streams[number] = moved
    for number, moved in streams.items():
        os.dup2(moved, number)
        os.close(moved)


def read_variables() -> dict[str, str]:
    """Return the variables that a library may have read when it was loaded.

    A shell may drop those whose name it cannot write, such as `INPUT_FETCH-DEPTH` of a workflow.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name not in PASSING and name.isidentifier()
    }


def main(address: str) -> None:
    """Serve; in a fork, run the stage."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # with more of them no fork would be sound
    loaded = read_variables()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        request = Server(listener).run()
    if request is not None:
        run_stage(request, loaded)


if __name__ == "__main__":
    if not sys.flags.safe_path:  # else PYTHONSAFEPATH put neither folder there
        sys.path[0] = os.getcwd()  # noqa: PTH109 - as `python -m` has it, not this file's folder
    main(sys.argv[1])
