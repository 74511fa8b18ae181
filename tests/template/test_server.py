"""The generated project's server: golden answers, and a reason for whatever it refuses."""

from __future__ import annotations

import copy
import hashlib
import http.client
import itertools
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from listeners import EVERYWHERE, list_listeners, write_hex
from mini_project import shared_store
from request_log import split_line
from template.conftest import ROOT

from mlgitops.console import Console
from mlgitops.delivery.processes import find_free_port
from mlgitops.environments import clean_environment, make_environment
from mlgitops.monitoring.counters import parse_counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from template.conftest import Generate

pytestmark = pytest.mark.slow

STAGES = ("ingest", "validate", "split", "train", "evaluate")
Request = dict[str, Any]


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the pipeline and the serving environment of the shipped locks."""
    made = {}
    for name in ("pipeline", "serving"):
        lock = ROOT / "{{cookiecutter.project_slug}}" / "requirements" / f"{name}.txt"
        folder = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLGITOPS_ENVIRONMENTS", str(shared_store()))
            made[name] = make_environment(folder, name, lock, Console(quiet=True))
    return made


@pytest.fixture(scope="module")
def project(
    environments: dict[str, Path], generate: Generate, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a project with a trained model that reads a True/False column too."""
    project = generate(tmp_path_factory.mktemp("served"), task="multiclass")
    add_boolean(project)
    for stage in STAGES:
        run_module(environments["pipeline"], project, stage)
    return project


def add_boolean(project: Path) -> None:
    """Add a column `tagged` of True and False, as CSV writes them, and let the model read it."""
    raw = project / "data" / "raw" / "table.csv"
    header, *rows = raw.read_text("utf-8").splitlines()
    tagged = [f"{row},{bool(at % 3)}" for at, row in enumerate(rows)]
    raw.write_text("\n".join([f"{header},tagged", *tagged, ""]), "utf-8")
    rules = "  tagged:\n    dtype: str\n    isin: ['False', 'True']\n"
    with (project / "contract.yaml").open("a", encoding="utf-8") as contract:
        contract.write(rules)
    params = project / "params.yaml"
    text = params.read_text("utf-8")
    assert text.count("categorical: [sex]") == 1
    params.write_text(text.replace("categorical: [sex]", "categorical: [sex, tagged]"), "utf-8")


def run_module(environment: Path, project: Path, name: str) -> None:
    """Run a module of the project's package to its end."""
    words = [str(environment / "bin" / "python"), "-m", f"penguins.{name}"]
    env = {**clean_environment(os.environ), "PYTHONPATH": "src"}
    subprocess.run(words, cwd=project, env=env, check=True, capture_output=True)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server, and the port that was asked for."""

    process: subprocess.Popen[bytes]
    port: int


@contextmanager
def run_server(environment: Path, project: Path, *options: str, ends: int = 0) -> Iterator[Server]:
    """Run the project's own server until the block ends; its exit code must be ``ends``."""
    port = find_free_port()
    python = environment / "bin" / "python"
    words = [str(python), "-m", "penguins.serve", "--port", str(port), "--name", "birds", *options]
    env = {**clean_environment(os.environ), "PYTHONPATH": "src"}
    with (project / "server.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=project, env=env, stdout=log, stderr=log)
    try:
        wait_until_ready(process, port, project / "server.log")
        yield Server(process=process, port=port)
    finally:
        process.terminate()
        assert process.wait() == ends


@pytest.fixture(scope="module")
def server(environments: dict[str, Path], project: Path) -> Iterator[Server]:
    """Return a running server, started as the documentation says."""
    with run_server(environments["serving"], project) as server:
        yield server


@pytest.fixture
def port(server: Server) -> int:
    """Return the port of the running server."""
    return server.port


def wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the server answers; fail with its log when it ends."""
    while server.poll() is None:
        try:
            with closing(connect(port)) as connection:
                if send(connection, "GET", "/v2/health/ready")[0] == 200:
                    return
        except OSError:
            time.sleep(0.2)
    pytest.fail(log.read_text("utf-8"))


def connect(port: int) -> http.client.HTTPConnection:
    """Return a connection that is kept open between requests."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=600)


def send(
    connection: http.client.HTTPConnection, method: str, path: str, body: Request | None = None
) -> tuple[int, str]:
    """Return status and text of an answer."""
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    response = connection.getresponse()
    return response.status, response.read().decode()


def ask(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Return status, headers and body of an answer, over a connection of its own."""
    with closing(connect(port)) as connection:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def hash_model(project: Path) -> str:
    """Return the sha256 of the project's model."""
    return hashlib.sha256((project / "model" / "model.skops").read_bytes()).hexdigest()


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    """Return a connection to the server."""
    with closing(connect(port)) as connection:
        yield connection


@pytest.fixture
def golden(project: Path) -> Request:
    """Return the golden request and its answer."""
    content: Request = json.loads((project / "reports" / "golden.json").read_text("utf-8"))
    return content


def test_golden_rows_are_answered_as_in_training(
    connection: http.client.HTTPConnection, golden: Request
) -> None:
    """Another pandas computes the same labels, and the same numbers within the tolerance."""
    status, answer = send(connection, "POST", "/v2/models/birds/infer", golden["request"])
    assert status == 200, answer
    found = {tensor["name"]: tensor["data"] for tensor in json.loads(answer)["outputs"]}
    for tensor in golden["outputs"]:
        if tensor["datatype"] == "BYTES":
            assert found[tensor["name"]] == tensor["data"]
        else:
            assert found[tensor["name"]] == pytest.approx(tensor["data"], abs=golden["tolerance"])


def column(request: Request, name: str) -> Request:
    """Return the tensor of a column."""
    tensor: Request = next(item for item in request["inputs"] if item["name"] == name)
    return tensor


def drop_first(request: Request) -> None:
    """Leave out the first column."""
    del request["inputs"][0]


def repeat_first(request: Request) -> None:
    """Give the first column twice."""
    request["inputs"].append(request["inputs"][0])


def shorten_first(request: Request) -> None:
    """Leave out a value of the first column, and say so in no shape."""
    request["inputs"][0]["data"].pop()


def add_unknown(request: Request) -> None:
    """Add a column that the model does not read."""
    request["inputs"].append({**request["inputs"][0], "name": "surprise"})


def set_value(name: str, value: object) -> Callable[[Request], None]:
    """Return a change of the first row's value in a column."""

    def change(request: Request) -> None:
        column(request, name)["data"][0] = value

    return change


def empty_all(request: Request) -> None:
    """Leave no rows."""
    for tensor in request["inputs"]:
        tensor.update(data=[], shape=[0])


REFUSED = [
    (drop_first, "bill_length_mm: is missing"),
    (repeat_first, "column bill_length_mm is given twice"),
    (shorten_first, "column bill_length_mm: shape [5], and 4 values"),
    (set_value("body_mass_g", [4000, 4100]), "column body_mass_g, row 1: is not one value"),
    (add_unknown, "surprise is not an input"),
    (set_value("body_mass_g", 99.0), "column body_mass_g, row 1"),
    (set_value("body_mass_g", "heavy"), "column body_mass_g, row 1"),
    (set_value("sex", "other"), "column sex, row 1"),
    (set_value("sex", 7), "column sex, row 1"),
    (empty_all, "there are no rows"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_rows_that_break_the_contract_get_400(
    change: Callable[[Request], None],
    reason: str,
    connection: http.client.HTTPConnection,
    golden: Request,
) -> None:
    """The reason names the column, and the connection serves the next request."""
    request = copy.deepcopy(golden["request"])
    change(request)
    for _ in range(3):
        status, answer = send(connection, "POST", "/v2/models/birds/infer", request)
        assert status == 400, answer
        assert reason in json.loads(answer)["error"]
        kept = connection.sock
        assert send(connection, "POST", "/v2/models/birds/infer", golden["request"])[0] == 200
        assert connection.sock is kept


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not JSON"),
        (b'{"inputs": [', "is not JSON"),
        (b'{"inputs": 7}', "Expected `array`, got `int` - at `$.inputs`"),
        (b'{"inputs": [{"name": "sex"}]}', "missing required field `datatype`"),
        (b'{"inputs": [], "output": []}', "unknown field `output`"),
        (b'{"inputs": []}', "there are no rows"),
        (b'{"inputs": [{"name": "sex", "datatype": "FP64", "shape": [1], "data": [NaN]}]}',
         "write null for a missing value"),
    ],
)  # fmt: skip
def test_what_is_no_request_gets_400(body: bytes, reason: str, port: int) -> None:
    """Bad JSON is the sender's mistake, and the reason says where it is."""
    status, headers, answer = ask(port, "POST", "/v2/models/birds/infer", body)
    assert status == 400, answer
    assert reason in json.loads(answer)["error"]
    assert "Traceback" not in answer.decode()
    assert headers["Model-Sha256"]


def test_a_request_that_is_too_large_is_refused(port: int) -> None:
    """The size that is announced is enough: nothing of it is read."""
    with closing(connect(port)) as connection:
        connection.putrequest("POST", "/v2/models/birds/infer")
        connection.putheader("Content-Length", "20000001")
        connection.endheaders()
        assert connection.getresponse().status == 413


def test_every_answer_names_the_model(port: int, project: Path, golden: Request) -> None:
    """The header is the sha256 of the model's file, whatever is asked and however it ends."""
    digest = hash_model(project)
    body = json.dumps(golden["request"]).encode()
    for method, path, sent, expected in [
        ("POST", "/v2/models/birds/infer", body, 200),
        ("POST", "/v2/models/birds/infer", b"", 400),
        ("GET", "/v2/models/birds/infer", None, 405),
        ("GET", "/v2/models/birds", None, 200),
        ("GET", "/v2/health/ready", None, 200),
        ("GET", "/metrics", None, 200),
        ("GET", "/v2/repository/index", None, 404),
    ]:
        status, headers, _ = ask(port, method, path, sent)
        assert (status, headers["Model-Sha256"]) == (expected, digest), path


def test_the_model_describes_itself(
    connection: http.client.HTTPConnection, project: Path, golden: Request
) -> None:
    """Inputs and outputs with their datatypes, those of the golden prediction, and the sha256."""
    status, answer = send(connection, "GET", "/v2/models/birds")
    assert status == 200, answer
    described = json.loads(answer)
    assert (described["name"], described["sha256"]) == ("birds", hash_model(project))
    assert (described["version"], described["versions"]) == (None, [])
    for side, tensors in (("inputs", golden["request"]["inputs"]), ("outputs", golden["outputs"])):
        assert described[side] == [
            {"name": tensor["name"], "datatype": tensor["datatype"], "shape": [-1]}
            for tensor in tensors
        ]


def test_request_and_row_ids_return(
    connection: http.client.HTTPConnection, golden: Request
) -> None:
    """What names a request or its rows comes back with the answers, and is not read."""
    request = {**golden["request"], "id": "request 7"}
    plain = json.loads(send(connection, "POST", "/v2/models/birds/infer", request)[1])
    assert plain["id"] == "request 7"
    names = [f"bird {row}" for row in range(5)]
    tensor = {"name": "id", "datatype": "BYTES", "shape": [5], "data": names}
    request["inputs"] = [*request["inputs"], tensor]
    status, answer = send(connection, "POST", "/v2/models/birds/infer", request)
    assert status == 200, answer
    assert json.loads(answer)["outputs"] == [tensor, *plain["outputs"]]
    rows = [
        {item["name"]: item["data"][at] for item in request["inputs"]} | {"id": at}
        for at in range(3)
    ]
    status, answer = send(connection, "POST", "/v1/models/birds:predict", {"instances": rows})
    assert status == 200, answer
    assert [row["id"] for row in json.loads(answer)["predictions"]] == [0, 1, 2]
    tensor["data"] = [*names[:4], 1.5]
    status, answer = send(connection, "POST", "/v2/models/birds/infer", request)
    assert status == 400
    assert "column id, row 5" in answer


def test_answers_are_explained(connection: http.client.HTTPConnection, golden: Request) -> None:
    """Each input has a contribution for each row, beside the answer and the request's ids.

    They are the log-odds of the predicted species: the largest of three, so above their mean.
    """
    request = {**golden["request"], "id": "why"}
    names = [f"bird {row}" for row in range(5)]
    tensor = {"name": "id", "datatype": "BYTES", "shape": [5], "data": names}
    request["inputs"] = [*request["inputs"], tensor]
    status, answer = send(connection, "POST", "/v2/models/birds/explain", request)
    assert status == 200, answer
    content = json.loads(answer)
    assert content["id"] == "why"
    assert content["parameters"] == {"method": "linear", "scale": "log-odds", "reference_rows": 5}
    outputs = {item["name"]: item["data"] for item in content["outputs"]}
    assert outputs.pop("id") == names
    assert outputs["prediction"] == golden["outputs"][0]["data"]
    inputs = [item["name"] for item in golden["request"]["inputs"]]
    contributions = [outputs[f"contribution_{name}"] for name in inputs]
    assert [name for name in outputs if name.startswith("contribution_")] == [
        f"contribution_{name}" for name in inputs
    ]
    totals = [sum(parts) for parts in zip(outputs["base"], *contributions, strict=True)]
    assert min(totals) > 0
    set_value("body_mass_g", 99.0)(request)
    status, answer = send(connection, "POST", "/v2/models/birds/explain", request)
    assert status == 400
    assert "column body_mass_g, row 1" in answer


def test_outputs_can_be_chosen(connection: http.client.HTTPConnection, golden: Request) -> None:
    """Only the outputs that are asked for return, and an unknown one is refused."""
    request = {**golden["request"], "outputs": [{"name": "score_Gentoo"}]}
    status, answer = send(connection, "POST", "/v2/models/birds/infer", request)
    assert status == 200, answer
    assert [tensor["name"] for tensor in json.loads(answer)["outputs"]] == ["score_Gentoo"]
    request["outputs"] = [{"name": "score_Dodo"}]
    status, answer = send(connection, "POST", "/v2/models/birds/infer", request)
    assert status == 400
    assert "output score_Dodo is none of" in answer


def test_a_missing_value_is_allowed_where_the_contract_allows_it(
    connection: http.client.HTTPConnection, golden: Request
) -> None:
    """A null in a nullable column is filled in as in training."""
    request = copy.deepcopy(golden["request"])
    set_value("sex", None)(request)
    set_value("body_mass_g", None)(request)
    assert send(connection, "POST", "/v2/models/birds/infer", request)[0] == 200


def test_rows_as_objects_are_answered(
    connection: http.client.HTTPConnection, golden: Request
) -> None:
    """The first version of the protocol takes rows as objects."""
    inputs = golden["request"]["inputs"]
    rows = [{tensor["name"]: tensor["data"][at] for tensor in inputs} for at in range(2)]
    status, answer = send(connection, "POST", "/v1/models/birds:predict", {"instances": rows})
    assert status == 200, answer
    labels = [row["prediction"] for row in json.loads(answer)["predictions"]]
    assert labels == golden["outputs"][0]["data"][:2]
    broken = {"instances": [1, 2]}
    assert send(connection, "POST", "/v1/models/birds:predict", broken)[0] == 400


def test_true_means_the_same_in_json_as_in_csv(
    connection: http.client.HTTPConnection, golden: Request
) -> None:
    """JSON's true is answered as the text True is, in either version of the protocol."""
    request = copy.deepcopy(golden["request"])
    texts = column(request, "tagged")["data"]
    assert set(texts) == {"True", "False"}
    status, expected = send(connection, "POST", "/v2/models/birds/infer", request)
    assert status == 200, expected
    values = [text == "True" for text in texts]
    column(request, "tagged").update(datatype="BOOL", data=values)
    status, answer = send(connection, "POST", "/v2/models/birds/infer", request)
    assert status == 200, answer
    assert json.loads(answer)["outputs"] == json.loads(expected)["outputs"]
    answers = []
    for cells in (texts, values):
        column(request, "tagged")["data"] = cells
        rows = [
            {tensor["name"]: tensor["data"][at] for tensor in request["inputs"]}
            for at in range(len(cells))
        ]
        answers.append(send(connection, "POST", "/v1/models/birds:predict", {"instances": rows}))
    assert answers[0] == answers[1]
    assert answers[0][0] == 200, answers


def test_true_is_no_sex(connection: http.client.HTTPConnection, golden: Request) -> None:
    """Where the contract has no text for it, true breaks the contract, and the reason names it."""
    inputs = golden["request"]["inputs"]
    row = {tensor["name"]: tensor["data"][0] for tensor in inputs} | {"sex": True}
    status, answer = send(connection, "POST", "/v1/models/birds:predict", {"instances": [row]})
    assert status == 400, answer
    assert "column sex" in json.loads(answer)["error"]


def test_health_and_metrics_are_there(connection: http.client.HTTPConnection) -> None:
    """Live, ready, model ready, and counters for Prometheus."""
    paths = ("/v2/health/live", "/v2/health/ready", "/v2/models/birds/ready")
    assert [send(connection, "GET", path)[0] for path in paths] == [200, 200, 200]
    status, text = send(connection, "GET", "/metrics")
    assert status == 200
    assert "request_predict_seconds" in text


def test_only_this_machine_can_ask(server: Server) -> None:
    """By default the server listens on the loopback address, and on nothing else."""
    assert list_listeners(server.process.pid) == {write_hex("127.0.0.1", server.port)}


def test_a_flag_opens_the_server(
    environments: dict[str, Path], project: Path, golden: Request, tmp_path: Path
) -> None:
    """`--host 0.0.0.0`, as the Dockerfile has it, is what lets others ask.

    The same server has no reference rows: it answers, and says what it needs to explain.
    """
    alone = tmp_path / "alone"
    shutil.copytree(project, alone)
    (alone / "reports" / "golden.json").unlink()
    body = json.dumps(golden["request"]).encode()
    with run_server(environments["serving"], alone, "--host", EVERYWHERE) as server:
        assert list_listeners(server.process.pid) == {write_hex(EVERYWHERE, server.port)}
        assert ask(server.port, "POST", "/v2/models/birds/infer", body)[0] == 200
        status, _, answer = ask(server.port, "POST", "/v2/models/birds/explain", body)
        assert status == 501, answer
        assert "start the server with --reference" in json.loads(answer)["error"]


def test_a_request_under_way_is_answered_before_the_server_ends(
    environments: dict[str, Path], project: Path, golden: Request
) -> None:
    """Told to end, it takes no new connection, answers what it has begun, and ends with 0."""
    body = json.dumps(golden["request"]).encode()
    head = "POST /v2/models/birds/infer HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    with (
        run_server(environments["serving"], project) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=600) as sender,
    ):
        sender.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        assert sender.recv(1000).startswith(b"HTTP/1.1 100")  # it waits for the body now
        server.process.send_signal(signal.SIGTERM)
        wait_until_refused(server.port)
        sender.sendall(body)
        response = http.client.HTTPResponse(sender)
        response.begin()
        assert response.status == 200
        assert json.loads(response.read())["outputs"][0]["name"] == "prediction"
        assert server.process.wait(600) == 0


#: Where Linux's struct tcp_info counts the segments with data that came.
_DATA_SEGMENTS = 152


def test_an_answer_comes_in_one_piece(server: Server, golden: Request) -> None:
    """A server that is killed has sent all of an answer or nothing, so that another can be asked.

    Half an answer would end the router's right to ask again: the head says that it is there.
    """
    body = json.dumps(golden["request"]).encode()
    head = f"POST /v2/models/birds/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=600) as sender:
        for answers in range(1, 4):  # on a connection that stays open
            sender.sendall(head.encode() + body)
            response = http.client.HTTPResponse(sender)
            response.begin()
            assert response.status == 200
            assert json.loads(response.read())["outputs"][0]["name"] == "prediction"
            facts = sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            assert (
                int.from_bytes(facts[_DATA_SEGMENTS : _DATA_SEGMENTS + 4], sys.byteorder) == answers
            )


def wait_until_refused(port: int) -> None:
    """Return when nobody listens any more."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=600).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/repository/models/birds/unload"),
        ("POST", "/v2/repository/models/birds/load"),
        ("POST", "/v2/repository/models/birds/unload/"),
        ("POST", "/v2//repository/models/birds/unload"),
        ("POST", "/v2%2Frepository/models/birds/unload"),
        ("POST", "/v2/models/%2E%2E/repository/models/birds/unload"),
        ("POST", "//v2/repository/models/birds/unload"),
        ("GET", "/v2/repository/index"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
    ],
)
def test_nobody_can_load_or_unload_a_model(
    method: str, path: str, connection: http.client.HTTPConnection, golden: Request
) -> None:
    """KServe's repository routes are not there, however they are written; the model stays."""
    assert send(connection, method, path) == (404, '{"error":"nothing is served here"}')
    assert send(connection, "GET", "/v2/models/birds/ready")[0] == 200
    assert send(connection, "POST", "/v2/models/birds/infer", golden["request"])[0] == 200


def test_a_token_is_asked_for_where_one_is_set(
    environments: dict[str, Path], project: Path, tmp_path: Path, golden: Request
) -> None:
    """Each token of the file may ask and describe; anybody may see the health.

    The same server was told which model and version it serves, and says both.
    """
    first, second = "0123456789abcdef0123", "fedcba9876543210fedc"
    (tmp_path / "tokens").write_text(f"{first}\n{second}\n", "ascii")
    digest = hash_model(project)
    options = ("--token-file", str(tmp_path / "tokens"), "--sha256", digest, "--version", "v1.2.0")
    body = json.dumps(golden["request"]).encode()
    with run_server(environments["serving"], project, *options) as server:
        for text in (f"Bearer {first}", f"bearer {second}"):
            path = "/v2/models/birds/infer"
            assert ask(server.port, "POST", path, body, Authorization=text)[0] == 200
        _, headers, answer = ask(
            server.port, "GET", "/v2/models/birds", Authorization=f"Bearer {first}"
        )
        described = json.loads(answer)
        assert (headers["Model-Sha256"], headers["Model-Version"]) == (digest, "v1.2.0")
        assert (described["version"], described["versions"]) == ("v1.2.0", ["v1.2.0"])
        refused = ["", f"Bearer {first}x", f"Bearer {first[:-1]}", f"Basic {first}", "Bearer "]
        for path in ("/v2/models/birds/infer", "/v1/models/birds:predict", "/v2/repository/index"):
            for text in refused:
                status, headers, _ = ask(server.port, "POST", path, body, Authorization=text)
                assert (status, headers["WWW-Authenticate"]) == (401, "Bearer"), (path, text)
        for path in ("/metrics", "/v2/models/birds", "/v2"):
            assert ask(server.port, "GET", path)[0] == 401, path
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/birds/ready"):
            assert ask(server.port, "GET", path)[0] == 200, path


#: Starts the server with each list of options; prints the errors with which it ends.
REFUSALS = """
import json, sys
from penguins import serve
from penguins.plumbing.errors import StageError, run_stage
for options in json.loads(sys.argv[1]):
    try:
        run_stage(lambda: serve.main(options))
    except SystemExit as end:
        print(end.code, file=sys.stderr)
"""


def test_what_cannot_be_served_safely_is_refused(
    environments: dict[str, Path], project: Path, tmp_path: Path
) -> None:
    """Another model than the named one, and tokens that can be guessed: nothing is served."""
    (tmp_path / "short").write_text("0123456789abcdef\nsecret\n", "ascii")
    (tmp_path / "empty").write_text("\n", "ascii")
    broken = {"name": "sex", "datatype": "BYTES", "shape": [1], "data": [[]]}
    (tmp_path / "rows.json").write_text(json.dumps({"request": {"inputs": [broken]}}), "ascii")
    refusals = {
        ("--sha256", "0" * 64): f"model.skops has sha256 {hash_model(project)}, and {'0' * 64} is",
        ("--sha256", "abc"): "'abc' is no sha256",
        ("--version", "a\nb"): "is no version, such as v1.2.0",
        ("--token-file", str(tmp_path / "short")): "token 2 is shorter than 16 characters",
        ("--token-file", str(tmp_path / "empty")): "there is no token",
        ("--token-file", str(tmp_path / "none")): "the tokens cannot be read",
        ("--reference", str(tmp_path / "rows.json")): "these are no reference rows: column sex",
    }
    python = environments["serving"] / "bin" / "python"
    env = {**clean_environment(os.environ), "PYTHONPATH": "src"}
    words = [str(python), "-c", REFUSALS, json.dumps([[*options] for options in refusals])]
    done = subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, check=True)
    position = 0
    for reason in refusals.values():  # in this order
        position = done.stderr.find(reason, position)
        assert position >= 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_quick_way_is_the_careful_one(
    environments: dict[str, Path], project: Path, request: pytest.FixtureRequest
) -> None:
    """What the compiled contract accepts pandera accepts, and answers are the pipeline's, exactly.

    Explanations are what they claim for each kind of model: parts of a sum, or replacements.
    For each task; the bundled rows, of which some miss values, all take the quick way.
    """
    program = request.path.parent / "serving_properties.py"
    bundled = ROOT / "{{cookiecutter.project_slug}}" / "data" / "bundled"
    seed = "1" if os.environ.get("CI") else str(time.time_ns() % 2**32)
    python = environments["serving"] / "bin" / "python"
    words = [str(python), str(program), str(bundled), seed]
    env = {**clean_environment(os.environ), "PYTHONPATH": "src"}
    done = subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    counted = json.loads(done.stdout)
    assert counted["accepted"] > 250
    assert counted["left to pandera"] > 300
    assert counted["numbers as categories"] == 400
    explained = [counted[f"{name}: explained"] for name in ("linear", "trees", "permutation")]
    assert explained == [120, 360, 150]
    for task in ("binary", "multiclass", "regression"):
        assert counted[f"{task}: rows"] == 800
        assert counted[f"{task}: answers"] == 1602 * (2 if task == "binary" else 1)


def test_a_taken_port_is_said(server: Server, environments: dict[str, Path], project: Path) -> None:
    """A second server on the same port ends with a sentence, not with a traceback."""
    python = environments["serving"] / "bin" / "python"
    words = [str(python), "-m", "penguins.serve", "--port", str(server.port)]
    env = {**clean_environment(os.environ), "PYTHONPATH": "src"}
    done = subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"error: cannot listen on 127.0.0.1, port {server.port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_container_comes_into_service_only_with_the_answers_of_training(
    environments: dict[str, Path], project: Path, port: int, tmp_path: Path
) -> None:
    """The startup probe passes on the golden prediction, and on no other; nor on no answer."""
    (tmp_path / "reports").mkdir()
    golden = json.loads((project / "reports" / "golden.json").read_text("utf-8"))

    def probe(port: int) -> str:
        (tmp_path / "reports" / "golden.json").write_text(json.dumps(golden), "utf-8")
        python, address = environments["serving"] / "bin" / "python", f"http://127.0.0.1:{port}"
        words = [str(python), "-m", "penguins.plumbing.admission", "golden"]
        env = {**clean_environment(os.environ), "PYTHONPATH": str(project / "src")}
        done = subprocess.run(
            [*words, f"{address}/v2/models/birds"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert bool(done.stderr) == bool(done.returncode)
        return done.stderr

    assert probe(port) == ""
    assert "got no usable answer" in probe(find_free_port())
    scores = next(x for x in golden["outputs"] if x["datatype"] == "FP64")
    scores["data"][-1] += 0.01
    assert f"the golden prediction differs: {scores['name']}" in probe(port)
    scores["data"].pop()
    assert "the golden prediction differs" in probe(port)
    golden["outputs"] = []
    assert "asks for nothing" in probe(port)


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the log of a server."""
    return tmp_path_factory.mktemp("logged") / "requests"


@pytest.fixture(scope="module")
def logging_server(
    environments: dict[str, Path], project: Path, requests: Path
) -> Iterator[Server]:
    """Return a running server that logs its requests, one column hashed and one left out."""
    settings = requests.parent / "monitor.yaml"
    text = (project / "monitor.yaml").read_text("utf-8")
    assert text.count("columns: {}") == 1
    settings.write_text(text.replace("columns: {}", "columns: {sex: hash, tagged: drop}"), "utf-8")
    options = ("--requests", str(requests), "--monitor", str(settings))
    with run_server(environments["serving"], project, *options) as server:
        yield server


def read_log(requests: Path) -> list[Request]:
    """Return every row and refusal of a log, in the order of each file."""
    parts = [path.read_bytes() for path in sorted(requests.glob("*.jsonl"))]
    lines = b"".join(parts).splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in lines)
    return [record for line in lines for record in split_line(json.loads(line))]


def read_counts(port: int) -> dict[str, float]:
    """Return name and labels, but for the model's → what the server counted so far."""
    text = ask(port, "GET", "/metrics")[2].decode()
    counts = {}
    for line in text.splitlines():
        if line.startswith("mlgitops_"):
            name, _, count = line.rpartition(" ")
            counts[re.sub('model_sha256="[0-9a-f]{64}",?', "", name)] = float(count)
    return counts


def take_rows(request: Request, rows: int) -> Request:
    """Return a copy of a request with so many rows: its first ones, again where it has fewer."""
    taken = copy.deepcopy(request)
    for tensor in taken["inputs"]:
        tensor.update(shape=[rows], data=(tensor["data"] * rows)[:rows])
    return taken


def list_refused(request: Request) -> list[tuple[bytes, str, str | None, int | None]]:
    """Return requests that are refused: body, kind of reason, column, rows."""
    wrong, unknown = copy.deepcopy(request), copy.deepcopy(request)
    set_value("body_mass_g", 99.0)(wrong)
    add_unknown(unknown)
    many: Request = {"instances": [{}] * 100_001}
    cases: list[tuple[Request | bytes, str, str | None, int | None]] = [
        (b"{", "json", None, None),
        (b'{"inputs": 7}', "protocol", None, None),
        ({**request, "outputs": [{"name": "x"}]}, "protocol", None, 2),
        (unknown, "column", None, 2),
        (wrong, "contract", "body_mass_g", 2),
        (many, "too_large", None, None),
    ]
    return [
        (body if isinstance(body, bytes) else json.dumps(body).encode(), reason, column, rows)
        for body, reason, column, rows in cases
    ]


def test_answers_and_refusals_are_logged_and_counted(
    logging_server: Server, requests: Path, golden: Request, project: Path
) -> None:
    """A line for each row and each refusal, without a value that is not to be kept.

    The golden prediction is a check, and not traffic: it is not logged. Prometheus reads the
    same numbers.
    """
    port = logging_server.port
    path = "/v2/models/birds/infer"
    assert ask(port, "POST", path, json.dumps(golden["request"]).encode())[0] == 200
    request = take_rows(golden["request"], 2)
    answers = []
    for number in range(3):
        status, _, content = ask(
            port, "POST", path, json.dumps({**request, "id": f"request {number}"}).encode()
        )
        assert status == 200, content
        answers.append({item["name"]: item["data"] for item in json.loads(content)["outputs"]})
    refused = list_refused(request)
    for body, reason, *_ in refused:
        address = path.replace("/v2", "/v1").replace("/infer", ":predict")
        status = ask(port, "POST", address if reason == "too_large" else path, body)[0]
        assert status == 400, reason
    assert ask(port, "POST", "/v2/models/birds/explain", b"{")[0] == 400
    records = read_log(requests)
    assert {record["model"] for record in records} == {hash_model(project)}
    rows = [record for record in records if "answer" in record]
    assert [row["id"] for row in rows] == [f"request {n}/{at}" for n in range(3) for at in (0, 1)]
    for row, number in zip(rows, (0, 0, 1, 1, 2, 2), strict=True):
        at = int(row["id"][-1])
        assert row["answer"] == answers[number]["prediction"][at]
        scores = {name: values[at] for name, values in answers[number].items()}
        assert row["score"] == {
            name.removeprefix("score_"): score
            for name, score in scores.items()
            if name.startswith("score_")
        }
        inputs = {item["name"]: item["data"][at] for item in request["inputs"]}
        del inputs["tagged"]
        assert row["inputs"].pop("sex") != inputs.pop("sex")
        assert row["inputs"] == inputs
    logged = [
        (record["refused"], record["column"], record["rows"])
        for record in records
        if "refused" in record
    ]
    assert logged == [tuple(rest) for _, *rest in refused]
    counts = read_counts(port)
    for reason in ("json", "protocol", "column", "contract", "scoring", "too_large"):
        expected = [kind for kind, *_ in logged].count(reason)
        assert counts[f'mlgitops_refusals_total{{reason="{reason}"}}'] == expected
    assert counts["mlgitops_rows_total{}"] == counts["mlgitops_score_count{}"] == 6
    assert counts["mlgitops_log_records_total{}"] == len(records)
    assert counts["mlgitops_log_bytes_total{}"] == sum(
        item.stat().st_size for item in requests.glob("*.jsonl")
    )
    assert counts['mlgitops_requests_total{route="infer",status="200"}'] == 4
    assert counts['mlgitops_requests_total{route="infer",status="400"}'] == 5
    assert counts['mlgitops_requests_total{route="explain",status="400"}'] == 1
    assert counts["mlgitops_request_seconds_count{}"] == 10
    said = parse_counters(ask(port, "GET", "/metrics")[2])
    failed = sum(count for name, count in counts.items() if name.endswith('status="400"}'))
    assert (said.rows, said.requests["400"]) == (6, failed)
    assert said.dropped == {"full": 0, "disk": 0, "unwritable": 0}
    assert said.started is not None
    assert 0 < (said.find_seconds(0.5) or 0) <= (said.find_seconds(0.99) or 0)
    assert (said.memory or 0) > 1e7
    predicted = [name for name in counts if name.startswith("mlgitops_predictions_total")]
    assert sum(counts[name] for name in predicted) == 6


def test_a_full_disk_stops_no_answer(
    logging_server: Server, requests: Path, golden: Request
) -> None:
    """The kernel refuses what goes beyond the size: dropped and counted, and every row answered.

    The limit is RLIMIT_FSIZE of the running server, taken away again.
    """
    port, process = logging_server.port, logging_server.process.pid
    body = json.dumps(take_rows(golden["request"], 3)).encode()

    def ask_for(times: int) -> None:
        for _ in range(times):
            assert ask(port, "POST", "/v2/models/birds/infer", body)[0] == 200

    before = read_counts(port)
    dropped, logged = 'mlgitops_log_dropped_total{reason="disk"}', "mlgitops_log_records_total{}"
    ask_for(1)
    size = sum(item.stat().st_size for item in requests.glob("*.jsonl"))
    free = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size + 200, free[1]))
    ask_for(5)
    full = read_counts(port)
    assert (full[logged] - before[logged], full[dropped]) == (3, 15)
    resource.prlimit(process, resource.RLIMIT_FSIZE, free)
    ask_for(2)
    after = read_counts(port)
    assert (after[logged] - before[logged], after[dropped]) == (9, 15)
    assert len(read_log(requests)) == after[logged]


def test_a_kill_loses_no_row_that_was_answered(
    environments: dict[str, Path], project: Path, golden: Request, tmp_path: Path
) -> None:
    """Clients ask without pause when the server is killed; each answered id is logged once.

    The line of 100 rows is several pages, so that a kill can come in the middle of one write.
    """
    templates = {rows: take_rows(golden["request"], rows) for rows in (1, 100)}
    answered: list[str] = []
    enough = threading.Event()

    def run_client(port: int, client: int) -> None:
        with (
            closing(connect(port)) as connection,
            suppress(OSError, http.client.HTTPException),
        ):
            for number in itertools.count():
                rows = (1, 100)[number % 2]
                names = [f"{client}-{number}-{row}" for row in range(rows)]
                ids = {"name": "id", "datatype": "BYTES", "shape": [rows], "data": names}
                request = {"inputs": [*templates[rows]["inputs"], ids]}
                status, content = send(connection, "POST", "/v2/models/birds/infer", request)
                assert status == 200, content
                answered.extend(names)
                if len(answered) > 20_000:
                    enough.set()

    log = tmp_path / "requests"
    with run_server(
        environments["serving"], project, "--requests", str(log), ends=-signal.SIGKILL
    ) as server:
        clients = [
            threading.Thread(target=run_client, args=(server.port, number)) for number in range(4)
        ]
        for client in clients:
            client.start()
        assert enough.wait(600)
        server.process.kill()
        for client in clients:
            client.join()
    (path,) = log.iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
    assert len(lines) - len(whole) <= 1  # only the last may be torn, and nobody has its answer
    ids = [record["id"] for line in whole for record in split_line(line)]
    assert len({*ids}) == len(ids)
    assert {*answered} <= {*ids}
    assert len(ids) <= len(answered) + 100 * len(clients)


#: Two requests of one packet, each of which takes 0.2 s of the loop: prints how long they took.
WAITING = """
import asyncio, socket, time, uvicorn
from penguins.serving.front import Front
from penguins.serving.writing import WholeAnswers

async def answer(body):
    time.sleep(0.2)
    return body

async def main():
    seconds = []
    front = Front(None, {("POST", "/"): answer}, {}, (), lambda *noted: seconds.append(noted[2]))
    config = uvicorn.Config(front, http=WholeAnswers, lifespan="off", log_level="error")
    server, listener = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(2 * b"POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 1\\r\\n\\r\\nx")
    for _ in range(2):
        await reader.readuntil(b"\\r\\n\\r\\n")
        await reader.readexactly(1)
    writer.close()
    server.should_exit = True
    await serving
    print(*seconds)

asyncio.run(main())
"""


def test_waiting_for_its_turn_counts(environments: dict[str, Path], project: Path) -> None:
    """Whoever asks a busy server waits from the arrival of the request, not from its turn."""
    python = environments["serving"] / "bin" / "python"
    env = {**clean_environment(os.environ), "PYTHONPATH": "src"}
    words = [str(python), "-c", WAITING]
    done = subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, check=True)
    first, second = map(float, done.stdout.split())
    assert first >= 0.2
    assert second >= 0.4


def test_settings_that_are_wrong_start_no_server(
    environments: dict[str, Path], project: Path, tmp_path: Path
) -> None:
    """A column that is no input may be a mistyped one, which would be logged in full."""
    (tmp_path / "monitor.yaml").write_text("requests: {columns: {sexx: drop}}", "utf-8")
    words = ["-m", "penguins.serve", "--port", "0", "--requests", str(tmp_path / "log")]
    python = environments["serving"] / "bin" / "python"
    env = {**clean_environment(os.environ), "PYTHONPATH": "src"}
    reasons = {
        "monitor.yaml": "column sexx is not an input; those are",
        "montior.yaml": "montior.yaml: there is no such file, which says what is logged",
    }
    for name, reason in reasons.items():
        command = [str(python), *words, "--monitor", str(tmp_path / name)]
        done = subprocess.run(
            command, cwd=project, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
