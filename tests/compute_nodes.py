"""Real clusters of two nodes on this machine, Dask's and Ray's, and a project that uses them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kept_environments import make_locked
from template.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pytest
    from template.conftest import Generate

LOCKS = ROOT / "{{cookiecutter.project_slug}}" / "requirements"

#: Seconds that a busy machine may take for one step.
PATIENCE = 240

#: A module of the project: answers of the model, what it uses, and tasks that wait to be let go.
WORK = """
import hashlib, json, os, sys, time
from pathlib import Path
from .contract import find_text_columns, read_columns
from .explain import measure_importance
from .params import read_params
from .plumbing import paths
from .plumbing.compute import run_tasks
from .plumbing.errors import StageError
from .plumbing.storing import read_model, read_trusted_types
from .plumbing.tables import read_table
from .scoring import predict_parts

def hold(task: int, folder: str) -> int:
    Path(folder, f"{task}-{os.getppid()}").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.05)
    return task * task

def refuse(task: int) -> None:
    raise StageError(f"no {task}")

def main(folder: str) -> None:
    params = read_params(paths.PARAMS)
    table = read_table(paths.TEST, find_text_columns(read_columns(paths.CONTRACT)))
    model = read_model(paths.MODEL, read_trusted_types(paths.TRUSTED_TYPES))
    held = run_tasks(hold, range(3), params.compute, shared=(folder,))
    answers = predict_parts(model, table, params.compute, rows=60).to_csv()
    try:
        run_tasks(refuse, [4], params.compute)
    except StageError as error:
        said = str(error)
    importance = measure_importance(model, table, params)
    digest = hashlib.sha256(answers.encode()).hexdigest()
    Path(folder, "results.json").write_text(json.dumps([held, digest, said, importance]))

if __name__ == "__main__":
    main(sys.argv[1])
"""

#: A module of the project: what is told when all nodes are lost, and then the scheduler, too.
LOST = """
import sys
from pathlib import Path
from .params import read_params
from .plumbing import backends, paths
from .plumbing.compute import run_tasks
from .plumbing.errors import ClusterError
from .work import hold

def main(folder: Path) -> None:
    compute = read_params(paths.PARAMS).compute
    for loss, patience in (("nodes", 1), ("scheduler", 600)):
        backends._PATIENCE = patience
        (folder / f"before_{loss}").touch()
        try:
            run_tasks(hold, range(2), compute, shared=(str(folder),))
        except ClusterError as error:
            (folder / f"{loss}.part").write_text(str(error))
            (folder / f"{loss}.part").rename(folder / f"{loss}.txt")

if __name__ == "__main__":
    main(Path(sys.argv[1]))
"""

#: A program of the project: prints where the cluster listens that is made when none is named.
ALONE = """
from {package}.plumbing.backends import connect_ray

connect_ray(None)
import ray
print(ray.get_runtime_context().gcs_address)
"""


@dataclass(frozen=True)
class Nodes:
    """A cluster that runs: its address, its processes, and how many nodes."""

    backend: str
    address: str
    worker: subprocess.Popen[bytes]  # the node to lose
    last: subprocess.Popen[bytes]  # the one that is left
    scheduler: subprocess.Popen[bytes]
    count: int
    variables: dict[str, str] = field(default_factory=dict)  # by which one may use it


@dataclass(frozen=True)
class Installed:
    """The pipeline's Python, and a folder with the library of a cluster beside it."""

    python: Path
    library: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Return variables for a process that may import the library, and nothing of ours."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "PYTHONPATH": str(self.library), "RAY_USAGE_STATS_ENABLED": "0", **more}


def install_library(python: Path, lock: Path, folder: Path) -> Installed:
    """Install what a lock of a cluster's library pins, beside the pipeline's environment."""
    uv = Path(sys.executable).parent / "uv"
    command: list[str | Path] = [
        uv,
        "--no-config",
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--no-deps",
    ]
    subprocess.run([*command, "--require-hashes", "--target", folder, "-r", lock], check=True)
    return Installed(python, folder)


def wait_until(is_done: Callable[[], object], reason: str) -> None:
    """Wait for something that happens elsewhere; fail after :data:`PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while not is_done():
        assert time.monotonic() < end, reason
        time.sleep(0.1)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it has started, as a machine that loses its power."""
    tree = [process.pid]
    for parent in tree:
        for file in Path(f"/proc/{parent}/task").glob("*/children"):
            tree += [int(child) for child in file.read_text().split()]
    for pid in tree:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait(timeout=PATIENCE)


@contextmanager
def run_beside(
    installed: Installed, words: Sequence[str | Path], folder: Path, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program beside the test, and end it with all that it has started."""
    with (folder / "nodes.log").open("ab") as log:
        command: list[str | Path] = [installed.python, *words]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=installed.environment(**variables),
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                end_tree(process)


def train_project(installed: Installed, project: Path) -> None:
    """Run the stages that the work needs, in one process."""
    package = next((project / "src").glob("*/params.py")).parent.name
    modules = [f"{package}.{name}" for name in ("ingest", "validate", "split", "train")]
    lines = [f"import {module}; {module}.main()" for module in modules]
    environment = installed.environment(PYTHONPATH="src")
    command: list[str | Path] = [installed.python, "-c", "; ".join(lines)]
    subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)


@contextmanager
def start_dask(installed: Installed, folder: Path) -> Iterator[Nodes]:
    """Run a scheduler and two workers of one thread, none of which knows the project."""
    file = folder / "scheduler.json"
    with ExitStack() as running:

        def start(program: str, *words: str) -> subprocess.Popen[bytes]:
            command = ["-m", f"distributed.cli.dask_{program}", "--scheduler-file", str(file)]
            process = run_beside(installed, [*command, "--no-dashboard", *words], folder)
            return running.enter_context(process)

        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0")
        wait_until(file.exists, "the scheduler did not start")
        options = ("--nthreads", "1", "--no-nanny")
        first, last = (start("worker", *options) for _ in range(2))
        address = json.loads(file.read_text())["address"]
        yield Nodes("dask", address, first, last, scheduler, count=2)


@contextmanager
def start_ray(installed: Installed, folder: Path) -> Iterator[Nodes]:
    """Run a head and a second node, of one processor each; neither knows the project."""
    port = find_free_port()
    address = f"127.0.0.1:{port}"
    variables = {
        "RAY_raylet_start_wait_time_s": str(PATIENCE),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "HOME": str(folder),
    }
    # Paths of its sockets must be short.
    with tempfile.TemporaryDirectory(prefix="ray") as place, ExitStack() as running:

        def start(*words: str) -> subprocess.Popen[bytes]:
            options = ("--num-cpus", "1", "--object-store-memory", str(2**27), "--block")
            command = ["-m", "ray.scripts.scripts", "start", *words, *options]
            process = run_beside(installed, command, folder, **variables)
            return running.enter_context(process)

        head = ("--head", "--port", str(port), "--include-dashboard", "false", "--temp-dir", place)
        first = start(*head)
        wait_until(partial(is_answered, port), "the head did not start")
        node = start("--address", address)
        yield Nodes("ray", address, node, first, first, count=2, variables=variables)


def find_free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_answered(port: int) -> bool:
    """Tell whether something listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def compare_with_here(installed: Installed, project: Path, nodes: Nodes, folder: Path) -> None:
    """Run the work here, then on the nodes, of which one is lost in the middle: equal results."""
    package = next((project / "src").glob("*/params.py")).parent
    (package / "work.py").write_text(WORK)
    here = run_work(installed, project, folder / "here", None)
    there = run_work(installed, project, folder / "there", nodes)
    assert there == here
    assert here[0] == [0, 1, 4]
    assert here[2] == "no 4"


def lose_all(installed: Installed, project: Path, nodes: Nodes, folder: Path) -> tuple[str, str]:
    """Lose the last node while tasks run, then the scheduler; return what is told of each."""
    folder.mkdir()
    package = next((project / "src").glob("*/params.py")).parent
    (package / "lost.py").write_text(LOST)
    words: list[str | Path] = ["-m", f"{package.name}.lost", folder]
    variables = {"PYTHONPATH": f"{installed.library}:src", **nodes.variables}
    with run_beside(installed, words, project, **variables) as process:

        def await_file(name: str) -> str:
            path = folder / name
            wait_until(lambda: path.exists() or process.poll() is not None, f"{name}: too slow")
            assert path.exists(), (project / "nodes.log").read_text("utf-8")
            return path.read_text("utf-8")

        wait_until(lambda: process.poll() is not None or list_held(folder), "no task began")
        end_tree(nodes.last)
        of_nodes = await_file("nodes.txt")
        await_file("before_scheduler")
        end_tree(nodes.scheduler)
        return of_nodes, await_file("scheduler.txt")


def make_alone(installed: Installed, project: Path, nodes: Nodes) -> str:
    """Return the address of the cluster that is made beside one that RAY_ADDRESS names."""
    package = next((project / "src").glob("*/params.py")).parent.name
    variables = {"PYTHONPATH": f"{installed.library}:src", "RAY_ADDRESS": nodes.address}
    done = subprocess.run(
        [installed.python, "-c", ALONE.format(package=package)],
        cwd=project,
        env=installed.environment(**variables),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def make_project(
    backend: str, generate: Generate, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Installed, Path]:
    """Return a trained project, and the pipeline's Python with the library of a cluster."""
    python = make_locked("pipeline", LOCKS / "pipeline.txt", tmp_path_factory) / "bin" / "python"
    installed = install_library(python, LOCKS / f"compute-{backend}.txt", folder / backend)
    project = generate(folder, task="multiclass")
    train_project(installed, project)
    return installed, project


def run_work(installed: Installed, project: Path, folder: Path, nodes: Nodes | None) -> list[Any]:
    """Run the work and return its results; one of the nodes, if there are any, is killed."""
    folder.mkdir()
    params = project / "params.yaml"
    text = params.read_text("utf-8").partition("\ncompute:")[0]
    if nodes is None:
        (folder / "go").touch()
    else:
        text += f"\ncompute: {{backend: {nodes.backend}, address: '{nodes.address}'}}\n"
    params.write_text(text, "utf-8")
    package = next((project / "src").glob("*/params.py")).parent.name
    path = f"{installed.library}:src"
    words: list[str | Path] = ["-m", f"{package}.work", folder]
    variables = {"PYTHONPATH": path, **(nodes.variables if nodes else {})}
    with run_beside(installed, words, project, **variables) as process:
        log = project / "nodes.log"
        if nodes is not None:
            wait_until(lambda: process.poll() or len(list_held(folder)) == nodes.count, "too slow")
            assert process.poll() is None, log.read_text("utf-8")
            end_tree(nodes.worker)
            (folder / "go").touch()
        assert process.wait(timeout=PATIENCE) == 0, log.read_text("utf-8")
    held = list_held(folder)
    is_lost = len(set(held)) > len({task for task, _ in held})
    assert is_lost is (nodes is not None), held  # the lost node's task was begun a second time
    results: list[Any] = json.loads((folder / "results.json").read_text("utf-8"))
    return results


def list_held(folder: Path) -> list[tuple[str, str]]:
    """Return task and worker of each task that has begun."""
    names = (path.name.split("-") for path in folder.glob("*-*"))
    return [(task, worker) for task, worker in names]
