"""The generated project's server, beside its earlier self and a FastAPI with the same quick path.

All serve the same model, in the same environment, on one core's worth of work each; two clients
ask for one row, and for a hundred, over connections that are kept open. The earlier server is taken
from git. A fourth one is ours with a check in its contract that is not compiled, so that pandera
decides every request: what that costs is printed and not judged. A fifth one is ours with a request
log. What is judged is the processor time that a server spends on a request, so that the clients and
a busy machine change nothing; requests a second are printed beside it.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
from cookiecutter.main import cookiecutter

from benchmarks.processes import judge_ratio
from mlgitops.console import Console
from mlgitops.delivery.processes import find_free_port
from mlgitops.environments import STORE_VARIABLE, clean_environment, make_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
#: The last commit whose server asked pandera of every request.
EARLIER = "b0a8badf306f98d59c76c61073153730c9ba1a34"
PACKAGE = "flight_delays"
STAGES = ("ingest", "validate", "split", "train", "evaluate")

#: Times the earlier server's throughput, at least; and a share of FastAPI's.
LEAST_TIMES_EARLIER = 4.0
LEAST_OF_FASTAPI = 0.8
#: Of the throughput without a request log, with one.
LEAST_WITH_LOG = 0.95
#: Many short rounds: all servers meet the same minutes of the machine. More for a few per cent.
CLIENTS, ROUNDS, REQUESTS = 2, 20, {1: 30, 100: 16}
LOG_ROUNDS, LOG_REQUESTS = 60, {1: 50, 100: 30}
PATH = "/v2/models/flight-delays/infer"
_SECONDS = 300.0

_FASTAPI = """
import sys, uuid
from pathlib import Path
from typing import Any
import fastapi, pydantic, uvicorn
from flight_delays.contract import read_schema, select_columns
from flight_delays.estimators import read_columns
from flight_delays.plumbing import paths
from flight_delays.plumbing.storing import read_model, read_trusted_types
from flight_delays.scoring import answer_numbers
from flight_delays.serving.compiled import CompiledContract
from flight_delays.serving.transform import Transform

model = read_model(paths.MODEL, read_trusted_types(paths.TRUSTED_TYPES))
numeric, categorical = read_columns(model)
schema = select_columns(read_schema(paths.CONTRACT), [*numeric, *categorical])
compiled = CompiledContract(schema, numeric, categorical)
transform = Transform(model, numeric, categorical)
app = fastapi.FastAPI()

class Tensor(pydantic.BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any]

class Request(pydantic.BaseModel):
    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None

@app.post("/v2/models/flight-delays/infer")
async def infer(request: Request):
    features = compiled.read({tensor.name: tensor.data for tensor in request.inputs})
    if features is None:
        raise fastapi.HTTPException(400)
    outputs = [
        {"name": name, "shape": [len(values)],
         "datatype": "INT64" if values.dtype.kind == "i" else "FP64", "data": values.tolist()}
        for name, values in answer_numbers(model["estimator"], transform(features)).items()
    ]
    answer_id = request.id or str(uuid.uuid4())
    return {"model_name": "flight-delays", "id": answer_id, "outputs": outputs}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]))
"""


class Server(NamedTuple):
    """A running server."""

    port: int
    process: psutil.Process


class Load(NamedTuple):
    """What a server did with some requests."""

    milliseconds: float  # of the processor, a request
    per_second: float  # requests, by the clock


def main() -> bool:
    """Print all for one row and for a hundred; return whether the requirements hold."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        project, python = make_project(Path(folder))
        earlier = Path(shutil.copytree(project, Path(folder) / "earlier"))
        restore_earlier(earlier / "src" / PACKAGE)
        careful = Path(shutil.copytree(project, Path(folder) / "careful"))
        requests = Path(folder) / "requests"
        add_slow_check(careful / "contract.yaml")
        programs = {
            "ours": (project, ["-m", f"{PACKAGE}.serve", "--port"]),
            "earlier": (earlier, ["-m", f"{PACKAGE}.serve", "--port"]),
            "FastAPI": (project, ["-c", _FASTAPI, "--port"]),
            "careful": (careful, ["-m", f"{PACKAGE}.serve", "--port"]),
            "logging": (project, ["-m", f"{PACKAGE}.serve", "--requests", str(requests), "--port"]),
        }
        servers = {
            name: stack.enter_context(run_server(python, root, words))
            for name, (root, words) in programs.items()
        }
        golden = json.loads((project / "reports" / "golden.json").read_text())
        logging = servers.pop("logging")
        results = [measure(servers, golden["request"], rows) for rows in REQUESTS]
        pair = {"ours": servers["ours"], "logging": logging}
        results += [measure_log(pair, golden["request"], rows, requests) for rows in LOG_REQUESTS]
        return all(results)


def measure(servers: dict[str, Server], golden: dict[str, object], rows: int) -> bool:
    """Ask all servers by turns for ``rows`` rows; return whether the requirements hold."""
    body = make_request(golden, rows)
    answers = {name: fetch_outputs(server.port, body) for name, server in servers.items()}
    assert all(answer == answers["ours"] for answer in answers.values())
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for _ in range(ROUNDS):
        for name, server in servers.items():
            loads[name].append(apply_load(server, body, REQUESTS[rows]))
    print_loads(loads, rows)
    times = {
        name: find_ratio(loads[name], loads["ours"]) for name in ("earlier", "FastAPI", "careful")
    }
    print(f"  {'times slower where pandera decides':<44}{times['careful']:7.2f}")
    quick = judge_ratio("times the earlier server", times["earlier"], LEAST_TIMES_EARLIER)
    return judge_ratio("of FastAPI's throughput", times["FastAPI"], LEAST_OF_FASTAPI) and quick


def measure_log(
    servers: dict[str, Server], golden: dict[str, object], rows: int, folder: Path
) -> bool:
    """Ask by turns the server that logs in ``folder``, and the one that does not."""
    body, before = make_request(golden, rows), count_rows(folder)
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for number in range(LOG_ROUNDS):
        for name in sorted(servers, reverse=number % 2 > 0):
            loads[name].append(apply_load(servers[name], body, LOG_REQUESTS[rows]))
    print_loads(loads, rows)
    assert count_rows(folder) - before == LOG_ROUNDS * LOG_REQUESTS[rows] * rows
    share = find_ratio(loads["ours"], loads["logging"])
    return judge_ratio("of the throughput without a request log", share, LEAST_WITH_LOG)


def print_loads(loads: dict[str, list[Load]], rows: int) -> None:
    """Print the medians of each server's rounds."""
    print(f"{rows} row{'s' * (rows > 1)} a request, {CLIENTS} clients, one worker")
    for name, done in loads.items():
        cpu, speed = (statistics.median(values) for values in zip(*done, strict=True))
        print(f"  {name:<10}{speed:7.1f} requests a second{cpu:7.2f} ms of the processor each")


def find_ratio(loads: list[Load], others: list[Load]) -> float:
    """Return how many times the processor time of the others these took.

    Of all rounds together: it is counted in steps of 10 ms, which are much of a short one.
    """
    return sum(load.milliseconds for load in loads) / sum(load.milliseconds for load in others)


def count_rows(folder: Path) -> int:
    """Return how many rows a request log holds, in the files that are open."""
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    answers = [json.loads(line)["answer"] for line in lines]
    return sum(len(answer) if isinstance(answer, list) else 1 for answer in answers)


def make_project(folder: Path) -> tuple[Path, Path]:
    """Return a trained project, and the Python of its serving environment."""
    project = Path(
        cookiecutter(
            str(ROOT), no_input=True, extra_context={"task": "binary"}, output_dir=str(folder)
        )
    )
    os.environ.setdefault(STORE_VARIABLE, str(ROOT / ".venv" / "environments"))
    pythons = {
        name: make_environment(
            project, name, project / "requirements" / f"{name}.txt", Console(quiet=True)
        )
        / "bin"
        / "python"
        for name in ("pipeline", "serving")
    }
    for stage in STAGES:
        words = [str(pythons["pipeline"]), "-m", f"{PACKAGE}.{stage}"]
        subprocess.run(words, cwd=project, env=environ(), check=True, stdout=subprocess.DEVNULL)
    return project, pythons["serving"]


def restore_earlier(package: Path) -> None:
    """Put the modules of the earlier commit in the place of today's."""
    source = "{{cookiecutter.project_slug}}/src/{{cookiecutter.__package_name}}/"
    listed = git("ls-tree", "-r", "--name-only", EARLIER, source)
    shutil.rmtree(package / "serving")
    for path in listed.splitlines():
        name = path.removeprefix(source)
        if name != "__init__.py":  # the only one with the answers of the person in it
            (package / name).write_text(git("show", f"{EARLIER}:{path}"))


def add_slow_check(contract: Path) -> None:
    """Give a column a check that every row keeps and that only pandera reads."""
    head, name, rules = contract.read_text("utf-8").partition("\n  carrier:")
    assert name
    check = "    str_length: {min_value: 1, max_value: 100}\n"
    contract.write_text(head + name + rules.replace("\n", f"\n{check}", 1), "utf-8")


def git(*words: str) -> str:
    """Return what git prints; the earlier commit must be in the clone."""
    return subprocess.check_output(["git", *words], cwd=ROOT, text=True)


def environ() -> dict[str, str]:
    """Return the environment of a project's own programs."""
    return {**clean_environment(), "PYTHONPATH": "src"}


@contextmanager
def run_server(python: Path, project: Path, words: list[str]) -> Iterator[Server]:
    """Start a server of a project, wait until it answers, and end it after the block."""
    port = find_free_port()
    command = [str(python), *words, str(port)]
    log = project / f"{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=project, env=environ(), stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + _SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
                    connection.request("GET", "/")
                    connection.getresponse().read()
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise SystemExit(f"the server does not start:\n{log.read_text()[-2_000:]}")
        yield Server(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def make_request(golden: dict[str, object], rows: int) -> bytes:
    """Return the golden request with so many rows, its own repeated."""
    request = json.loads(json.dumps(golden))
    for tensor in request["inputs"]:
        repeated = tensor["data"] * -(-rows // len(tensor["data"]))
        tensor.update(shape=[rows], data=repeated[:rows])
    return json.dumps(request).encode()


def fetch_outputs(port: int, body: bytes) -> dict[str, list[object]]:
    """Return name → values that a server answers."""
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        answer = json.loads(ask(connection, body))
    return {tensor["name"]: tensor["data"] for tensor in answer["outputs"]}


def ask(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    """Return the body of an answer, which must be 200."""
    connection.request("POST", PATH, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    if response.status != http.client.OK:
        raise SystemExit(f"{response.status}: {content.decode()[:500]}")
    return content


def apply_load(server: Server, body: bytes, requests: int) -> Load:
    """Send so many requests from all clients together, and return what they cost the server."""

    def run_client() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
            for _ in range(requests // CLIENTS):
                ask(connection, body)

    clients = [threading.Thread(target=run_client) for _ in range(CLIENTS)]
    used, started = sum(server.process.cpu_times()[:2]), time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.perf_counter() - started
    used = sum(server.process.cpu_times()[:2]) - used
    return Load(1000 * used / requests, requests / seconds)


if __name__ == "__main__":
    sys.exit(not main())
