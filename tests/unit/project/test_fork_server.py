from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlgitops.dvc.command import project_environment
from mlgitops.project.cost.memory import MemorySampler, find_descendants
from mlgitops.project.fork_server.launch import ForkServer, start_fork_server
from mlgitops.project.fork_server.server import find_libraries, read_bounds, read_imports

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a module sees of itself; `loaded` alone may differ between a fork and a new process.
SHOW = """\
import json, os, signal, sys
import numpy.random
seen = {
    "name": __name__, "package": __package__, "arguments": sys.argv, "path": sys.path,
    "folder": os.getcwd(), "variables": dict(os.environ), "executable": sys.executable,
    "input": sys.stdin.read(), "umask": os.umask(0), "flags": str(sys.flags),
    "interrupt": str(signal.getsignal(signal.SIGINT)), "main": sys.modules["__main__"].__file__,
    "descriptors": len(os.listdir("/proc/self/fd")), "text": TEXT,
    "loaded": sys.modules["demo"].LOADED, "drawn": numpy.random.random(),
}
print(json.dumps(seen))
print("an error", file=sys.stderr)
"""
MODULES = {
    "__init__": "import os, sys\nos.environ.setdefault('OMP_NUM_THREADS', '1')\n"
    "LOADED = 'numpy' in sys.modules\n",
    "show": f"from .text import TEXT\n{SHOW}",
    "text": "TEXT = 'before'\n",
    "end": "import numpy, os, sys\nexec(sys.argv[1])\n",
    "light": "import sys\nprint('light', 'numpy' in sys.modules, sys.argv[1:])\n",
    "heavy": "import numpy, sys\nprint(sys.modules['demo'].LOADED)\n",
    "interrupt": "import signal\nprint(signal.getsignal(signal.SIGINT))\n",
    "wait": "import numpy, pathlib, sys, time\npathlib.Path(sys.argv[1]).touch()\n"
    "time.sleep(600)\n",
    "stays": "import numpy, pathlib, signal, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "pathlib.Path(sys.argv[1]).touch()\ntime.sleep(600)\n",
    "broken": "import numpy\nthis is no Python\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of a few modules, whose environment is the one of these tests."""
    package = tmp_path / "src" / "demo"
    package.mkdir(parents=True)
    for name, text in MODULES.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.fixture
def server(project: Path) -> Iterator[ForkServer]:
    """Return a server that listens in the project, as in a step of a workflow."""
    variables = project_environment(project) | {"INPUT_FETCH-DEPTH": "0"}
    with start_fork_server(project, variables) as running:
        await_server(running)
        yield running


def await_server(server: ForkServer) -> None:
    """Wait until it listens, as DVC's own start gives it the time to."""
    while not find_socket(server).exists():
        time.sleep(0.01)


def find_socket(server: ForkServer) -> Path:
    """Return the path at which it listens."""
    return Path(server.environment["PATH"].partition(os.pathsep)[0]).with_name("socket")


def run_module(
    project: Path, variables: dict[str, str], *words: str, folder: str = "."
) -> subprocess.CompletedProcess[str]:
    """Run `python -m demo.MODULE` through a shell, as DVC does."""
    command = ["sh", "-c", 'python -m "$@"', "sh", *words]
    return subprocess.run(
        command, cwd=project / folder, env=variables, input="typed", capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


def test_a_fork_is_the_process_that_python_would_be(project: Path, server: ForkServer) -> None:
    """A module sees the same of itself and its surroundings, but that libraries are there."""
    plain = run_module(project, without_server(server), "demo.show", "a")
    forked = run_module(project, server.environment, "demo.show", "a")
    expected, shown = json.loads(plain.stdout), json.loads(forked.stdout)
    assert (expected.pop("loaded"), shown.pop("loaded")) == (False, True)
    assert expected.pop("drawn") != shown.pop("drawn")
    assert shown["variables"].pop("PATH") == server.environment["PATH"]
    del expected["variables"]["PATH"]
    assert shown == expected
    assert shown["variables"]["OMP_NUM_THREADS"] == "1"
    assert (forked.returncode, forked.stderr) == (0, "an error\n")


def without_server(server: ForkServer) -> dict[str, str]:
    """Return its variables, but for the folder that leads to it."""
    return {**server.environment, "PATH": server.environment["PATH"].partition(os.pathsep)[2]}


def test_a_safe_path_stays_as_it_is(project: Path) -> None:
    """With PYTHONSAFEPATH the folder is not on the path, and the project's code still is."""
    variables = project_environment(project) | {"PYTHONSAFEPATH": "1"}
    with start_fork_server(project, variables) as server:
        await_server(server)
        plain = run_module(project, without_server(server), "demo.show")
        forked = run_module(project, server.environment, "demo.show")
    assert (forked.returncode, plain.returncode) == (0, 0), forked.stderr
    shown = json.loads(forked.stdout)
    assert (shown["path"], shown["loaded"]) == (json.loads(plain.stdout)["path"], True)


@pytest.mark.parametrize(
    ("setting", "statement"),
    [
        ("ulimit -n 77;", "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"),
        ("trap '' TERM;", "import signal; print(signal.getsignal(signal.SIGTERM))"),
        ("nice -n 1", "print(os.nice(0))"),
        ("trap '' INT;", "import signal; print(signal.getsignal(signal.SIGINT))"),
        (
            "exec 7<src/demo/text.py 3<src/demo/heavy.py 4>/dev/null;",
            "print(os.read(7, 4), os.read(3, 6), sorted(map(int, os.listdir('/proc/self/fd'))))",
        ),
    ],
)
def test_what_a_shell_sets_for_a_stage_holds(
    setting: str, statement: str, project: Path, server: ForkServer
) -> None:
    """A limit, an ignored signal, a priority or an open file is no other one there."""
    printed = [
        subprocess.check_output(
            ["sh", "-c", f'{setting} python -m demo.end "$0"', statement],
            cwd=project, env=variables, text=True, timeout=120,
        )
        for variables in (without_server(server), server.environment)
    ]  # fmt: skip
    assert printed[0] == printed[1]
    assert run_module(project, server.environment, "demo.heavy").stdout == "True\n"


def test_an_edit_between_two_stages_is_seen(project: Path, server: ForkServer) -> None:
    """Nothing of the project is kept from fork to fork, and none draws another's numbers."""
    before = json.loads(run_module(project, server.environment, "demo.show").stdout)
    (project / "src/demo/text.py").write_text("TEXT = 'after'\n", encoding="utf-8")
    after = json.loads(run_module(project, server.environment, "demo.show").stdout)
    assert (before["text"], after["text"]) == ("before", "after")
    assert before["loaded"]
    assert after["loaded"]
    assert before["drawn"] != after["drawn"]


@pytest.mark.parametrize(
    "statement",
    [
        "sys.exit(3)",
        "sys.exit('error: a sentence')",
        "sys.exit()",
        "1 / 0",
        "os._exit(5)",
        "os.kill(os.getpid(), 9)",
        "os.kill(os.getpid(), 15)",
        "os.kill(os.getpid(), 2)",
        "import atexit; atexit.register(print, 'at the end')",
        "import threading, time; threading.Timer(0.2, print, ['from a thread']).start()",
    ],
)
def test_a_stage_ends_as_it_would_alone(statement: str, project: Path, server: ForkServer) -> None:
    """Exit code, signal, and what was printed are those of a process of its own."""
    plain = run_module(project, without_server(server), "demo.end", statement)
    forked = run_module(project, server.environment, "demo.end", statement)
    assert (forked.returncode, forked.stdout) == (plain.returncode, plain.stdout)
    assert forked.stderr.splitlines()[-1:] == plain.stderr.splitlines()[-1:]


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["demo.light", "x"], "light False ['x']\n"),
        (["demo.absent"], ""),
        (["demo.broken"], ""),
        (["this"], None),
    ],
)
def test_what_needs_no_library_starts_by_itself(
    words: list[str], printed: str | None, project: Path, server: ForkServer
) -> None:
    """A light module, one that does not exist, one that cannot be read, one of Python's own."""
    done = run_module(project, server.environment, *words)
    assert (done.returncode == 0) is (printed != "")
    if printed is None:
        assert "Beautiful is better than ugly." in done.stdout
    else:
        assert done.stdout == printed
    if words == ["demo.broken"]:
        assert "SyntaxError" in done.stderr


def test_a_stage_that_starts_by_itself_can_be_interrupted(
    project: Path, server: ForkServer
) -> None:
    """Its client ignored interrupts while it asked; the stage must not."""
    plain = run_module(project, without_server(server), "demo.interrupt")
    declined = run_module(project, server.environment, "demo.interrupt")
    assert "default_int_handler" in declined.stdout
    assert declined.stdout.partition(" at ")[0] == plain.stdout.partition(" at ")[0]


def test_what_posix_spawn_leaves_ignored_is_no_setting_of_a_shell() -> None:
    """GNU make starts programs by it: below `make train` each stage would start by itself."""
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    reading, writing = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
    spawned = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions)
    plain = subprocess.Popen(command, stdout=writing)
    try:
        os.read(reading, 1)  # both have begun once both have printed
        os.read(reading, 1)
        assert read_bounds(spawned) == read_bounds(plain.pid)
    finally:
        os.kill(spawned, signal.SIGKILL)
        os.waitpid(spawned, 0)
        plain.kill()
        plain.wait()
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("sent", [b"", b"\0" * 7, b"\0" * 7 + b"\x09" + b"begun"])
def test_a_client_that_is_ended_while_it_asks_ends_nothing_else(
    sent: bytes, project: Path, server: ForkServer
) -> None:
    """The server goes on, and keeps no stream of such a client open."""
    assert run_module(project, server.environment, "demo.heavy").stdout == "True\n"
    before = count_descriptors(server)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(find_socket(server)))
        if sent:
            socket.send_fds(client, [sent], [0, 1, 2])
    assert run_module(project, server.environment, "demo.heavy").stdout == "True\n"
    end = time.monotonic() + 60
    while count_descriptors(server) > before:  # the last client's is closed after its end
        assert time.monotonic() < end
        time.sleep(0.01)


def count_descriptors(server: ForkServer) -> int:
    """Count what the server has open."""
    return len(list(Path(f"/proc/{server.process}/fd").iterdir()))


def test_python_itself_is_still_python(project: Path, server: ForkServer) -> None:
    """Only `-m MODULE` is the server's: a program in a text or a file starts as ever."""
    command = ["python", "-c", "import sys; print(sys.argv)", "x"]
    printed = subprocess.check_output(command, cwd=project, env=server.environment, text=True)
    assert printed == "['-c', 'x']\n"


def test_other_variables_than_those_of_the_libraries_start_anew(
    project: Path, server: ForkServer
) -> None:
    """A library reads variables when it is loaded, so a fork is for equal ones alone."""
    own = {**server.environment, "OPENBLAS_NUM_THREADS": "1"}
    assert run_module(project, server.environment, "demo.heavy").stdout == "True\n"
    assert run_module(project, own, "demo.heavy").stdout == "False\n"
    # Of another length: Python takes an edit of the same second and size for none.
    (project / "src/demo/__init__.py").write_text(
        MODULES["__init__"].replace("'1'", "'12'"), encoding="utf-8"
    )
    assert run_module(project, server.environment, "demo.heavy").stdout == "False\n"


def test_another_folder_starts_anew(project: Path, server: ForkServer) -> None:
    """Python puts the folder in which it starts on its path."""
    assert run_module(project, server.environment, "demo.heavy", folder="src").stdout == "False\n"


def test_threads_of_a_library_forbid_a_fork(project: Path) -> None:
    """With more threads than one in the server, every stage is a process of its own."""
    environment = project_environment(project) | {"OMP_NUM_THREADS": "3"}
    with start_fork_server(project, environment) as server:
        await_server(server)
        assert run_module(project, server.environment, "demo.heavy").stdout == "False\n"
        assert len(list(Path(f"/proc/{server.process}/task").iterdir())) > 1


def test_without_a_server_stages_run_as_ever(project: Path, server: ForkServer) -> None:
    """A server that is gone costs nothing but what it would have saved."""
    assert server.process is not None
    os.kill(server.process, signal.SIGKILL)
    await_end(server.process)
    assert run_module(project, server.environment, "demo.heavy").stdout == "False\n"


def test_a_project_without_an_environment_has_no_server(tmp_path: Path) -> None:
    """Nothing is started where there is no interpreter of the pipeline's."""
    with start_fork_server(tmp_path, {"PATH": "/usr/bin"}) as server:
        assert server == ForkServer({"PATH": "/usr/bin"})
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()  # nothing that could be started
    with start_fork_server(tmp_path, {"PATH": "/usr/bin"}) as server:
        assert server.process is None


def await_end(process: int) -> None:
    """Wait until a process is gone, or a zombie; a minute is far more than it takes."""
    end = time.monotonic() + 60
    while Path(f"/proc/{process}/stat").exists():
        if Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z":
            return
        assert time.monotonic() < end
        time.sleep(0.01)


def start_waiting(
    project: Path, server: ForkServer, module: str = "demo.wait"
) -> subprocess.Popen[str]:
    """Start a stage that lasts, and return its client once the stage runs."""
    sign = project / "runs"
    words = ["python", "-m", module, str(sign)]
    client = subprocess.Popen(
        words, cwd=project, env=server.environment, stderr=subprocess.PIPE, text=True
    )
    while not sign.exists():
        time.sleep(0.01)
    return client


def test_a_stage_ends_with_its_client(project: Path, server: ForkServer) -> None:
    """Whoever ends what DVC started ends the stage, and the server goes on."""
    assert server.process is not None
    client = start_waiting(project, server)
    (stage,) = find_descendants(server.process)
    client.terminate()
    client.communicate(timeout=60)
    assert client.returncode == -signal.SIGTERM
    await_end(stage)
    assert run_module(project, server.environment, "demo.heavy").stdout == "True\n"


def test_no_stage_outlives_the_block(project: Path) -> None:
    """One that takes no notice of a signal to end, whose client was killed, writes no more."""
    with start_fork_server(project, project_environment(project)) as server:
        await_server(server)
        assert server.process is not None
        client = start_waiting(project, server, "demo.stays")
        (stage,) = find_descendants(server.process)
        with client:  # its pipe, which the stage holds open
            client.kill()
            client.wait(timeout=60)
        assert Path(f"/proc/{stage}").exists()
    await_end(stage)


def test_a_client_whose_server_dies_says_so(project: Path, server: ForkServer) -> None:
    """Nobody knows how the stage ended, so it has failed."""
    assert server.process is not None
    client = start_waiting(project, server)
    (stage,) = find_descendants(server.process)
    os.kill(server.process, signal.SIGKILL)
    os.kill(stage, signal.SIGKILL)
    _, said = client.communicate(timeout=60)
    assert client.returncode == 1
    assert said == "error: the process that runs the stages ended before this stage did\n"


def test_the_server_ends_with_the_block(project: Path) -> None:
    """Its process and its folder are gone afterwards."""
    with start_fork_server(project, project_environment(project)) as server:
        await_server(server)
        folder = Path(server.environment["PATH"].partition(os.pathsep)[0])
    assert server.process is not None
    assert not Path(f"/proc/{server.process}").exists()
    assert not folder.parent.exists()


def test_memory_of_a_fork_is_counted(project: Path, server: ForkServer) -> None:
    """The stage is no descendant of DVC then, and counts all the same."""
    with MemorySampler(os.getpid(), server.process) as memory:
        statement = "x = bytearray(200_000_000); import time; time.sleep(1)"
        assert run_module(project, server.environment, "demo.end", statement).returncode == 0
        peak = memory.take()
    assert peak is not None
    assert peak > 200_000_000


def test_imports_are_read_from_the_text(project: Path) -> None:
    """Relative names, functions and other modules count; imports for types alone do not."""
    text = """\
        from __future__ import annotations
        import typing
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import pandas
        if typing.TYPE_CHECKING:
            import scipy
        else:
            from sklearn import metrics
        def measure():
            from skops.io import loads
        from . import text
        from .deep.inner import VALUE
        from demo.other import NAME
    """
    package = project / "src/demo"
    (package / "many.py").write_text(textwrap.dedent(text), encoding="utf-8")
    (package / "deep").mkdir()
    (package / "deep/__init__.py").write_text("import fairlearn\n", encoding="utf-8")
    (package / "deep/inner.py").write_text("from ..show import seen\nVALUE = 1\n", encoding="utf-8")
    (package / "other.py").write_text("from sklearn.pipeline import Pipeline\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("PYTHONPATH", "src")
        libraries = find_libraries("demo.many")
    assert read_imports("demo.deep.inner", package / "deep/inner.py") == [
        "demo.show", "demo.show.seen",
    ]  # fmt: skip
    assert {"sklearn", "sklearn.metrics", "skops.io", "fairlearn", "numpy.random"} <= libraries
    assert {"sklearn.pipeline"} <= libraries
    assert not {name for name in libraries if name.startswith(("pandas", "scipy", "demo"))}
