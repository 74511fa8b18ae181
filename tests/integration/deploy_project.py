"""A project with a server of a few lines: a real process that speaks the protocol over HTTP.

The generated project's own server is tested once, in test_deploy_generated.py; here it is the
switching that is tested, so the server only has to be quick to start and easy to break.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from git_project import commit, git, write_files
from integration.setup_project import make_project, quiet

from mlgitops.delivery.ledger import Ledger
from mlgitops.delivery.local.files import EnvironmentFiles, SlotRecord
from mlgitops.delivery.processes import is_running
from mlgitops.project.toolkit import toolkit_root
from mlgitops.project.training import run_pipeline
from mlgitops.storage import publish_objects

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.delivery.loop.observed import Slot
    from mlgitops.model.ledger import LedgerEntry

PIPELINE = """\
stages:
  train:
    cmd: python3 -m demo.train
    deps: [src/demo/train.py]
    params: [factor]
    outs:
      - model/model.skops
      - model/model.json: {cache: false}
      - reports/golden.json: {cache: false}
"""

TRAIN = """\
import hashlib
import json
from pathlib import Path

factor = float(Path("params.yaml").read_text().split(":")[1])
model = json.dumps({"factor": factor}).encode()
for folder in ("model", "reports"):
    Path(folder).mkdir(exist_ok=True)
Path("model/model.skops").write_bytes(model)
Path("model/model.json").write_text(json.dumps({"sha256": hashlib.sha256(model).hexdigest()}))
inputs = [{"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]
outputs = [{"name": "y", "shape": [2], "datatype": "FP64", "data": [factor, 2 * factor]}]
golden = {"request": {"inputs": inputs}, "outputs": outputs, "tolerance": 1e-6}
Path("reports/golden.json").write_text(json.dumps(golden))
"""

SERVE = """\
import argparse
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BIAS = 0.0
UNLUCKY = None  # an input that this version has no answer to

parser = argparse.ArgumentParser()
for option in ("--model", "--port", "--name", "--requests"):
    parser.add_argument(option)
args = parser.parse_args()
if args.requests:
    Path(args.requests).mkdir(exist_ok=True)
    (Path(args.requests) / args.port).touch()
model = Path(args.model).read_bytes()
factor, digest = json.loads(model)["factor"], hashlib.sha256(model).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Model-Sha256", digest)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"ready": True})

    def do_POST(self):
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"][0]["data"]
        if UNLUCKY in data:
            self.send_error(500)
            return
        data = [factor * value + BIAS for value in data]
        self.answer({"outputs": [{"name": "y", "shape": [2], "datatype": "FP64", "data": data}]})


ThreadingHTTPServer(("127.0.0.1", int(args.port)), Handler).serve_forever()
"""

#: Any package: the lock only has to be one that installs.
LOCKED_PACKAGE = "iniconfig"


def make_deployable(folder: Path) -> Path:
    """Write, train, publish and commit a project that has an environment `staging`."""
    make_project(folder)
    wanted = "model: demo\nrevision: null\nsha256: null\nport: 8081\n"
    files = {
        "dvc.yaml": PIPELINE,
        "src/demo/train.py": TRAIN,
        "src/demo/serve.py": SERVE,
        "requirements/serving.txt": read_pin(LOCKED_PACKAGE),
        "deploy/staging/model.yaml": wanted,
    }
    write_files(folder, files)
    train_factor(folder, 2)
    return folder


def read_pin(package: str) -> str:
    """Return the lines of one package, with its hashes, from our own lock."""
    lines = (toolkit_root() / "requirements/dev.txt").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{package}=="))
    pin = [lines[start]]
    for line in lines[start + 1 :]:
        if not line.startswith("    --hash"):
            break
        pin.append(line)
    return "\n".join(pin).removesuffix("\\").rstrip() + "\n"


def train_factor(project: Path, factor: int) -> str:
    """Train another model, publish and commit it; return the sha of the commit."""
    (project / "params.yaml").write_text(f"factor: {factor}\n")
    run_pipeline(project, quiet())
    publish_objects(project, quiet())
    return commit(project, f"Train with {factor}")


def edit(project: Path, name: str, old: str, new: str) -> str:
    """Replace text in a file and commit it."""
    text = (project / name).read_text()
    assert old in text
    (project / name).write_text(text.replace(old, new))
    return commit(project, f"Edit {name}")


def model_digest(project: Path) -> str:
    """Return the sha256 of the model in the work tree."""
    return hashlib.sha256((project / "model/model.skops").read_bytes()).hexdigest()


def head(project: Path) -> str:
    """Return the sha of HEAD."""
    return git(project, "rev-parse", "HEAD")


def predict(port: int, value: float = 1.0) -> float:
    """Ask for the prediction of a value; that of 1.0 is the factor of the model in service."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    try:
        return ask(connection, value)
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, value: float = 1.0) -> float:
    """Ask as :func:`predict` does, on a connection that stays open."""
    tensor: dict[str, Any] = {"name": "x", "shape": [1], "datatype": "FP64", "data": [value]}
    connection.request("POST", "/v2/models/demo/infer", body=json.dumps({"inputs": [tensor]}))
    response = connection.getresponse()
    assert response.status == 200, response.status
    return float(json.loads(response.read())["outputs"][0]["data"][0])


def read_slot(project: Path, slot: Slot) -> SlotRecord:
    """Return the record of a slot of staging, which must hold a server."""
    files = EnvironmentFiles(project, "staging")
    record = files.read(files.slot_record(slot), SlotRecord)
    assert record is not None
    return record


def processes(project: Path) -> list[str]:
    """Return the roles of staging whose processes run: `router`, `slot-a`, `slot-b`."""
    locks = sorted(EnvironmentFiles(project, "staging").folder.glob("*-*.lock"))
    locks.append(EnvironmentFiles(project, "staging").router_lock)
    return [lock.stem for lock in locks if is_running(lock)]


def read_pid(project: Path, role: str) -> int:
    """Return the process id of a role of staging."""
    folder = EnvironmentFiles(project, "staging").folder
    return int((folder / f"{role}.lock").read_text(encoding="ascii"))


def kill(project: Path, role: str) -> None:
    """End the process of a role by kill -9, and wait until it is gone."""
    os.kill(read_pid(project, role), signal.SIGKILL)
    while role in processes(project):
        time.sleep(0.01)


def read_ledger(project: Path, environment: str = "staging") -> tuple[LedgerEntry, ...]:
    """Return what the ledger of the project says of an environment."""
    return Ledger(project, "").read(environment)
