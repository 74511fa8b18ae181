"""`mlgitops deploy`, target local: checked before the switch, and back on any failure."""

from __future__ import annotations

import http.client
import http.server
import itertools
import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from git_project import git
from integration.deploy_project import (
    ask,
    edit,
    head,
    kill,
    model_digest,
    predict,
    processes,
    read_ledger,
    read_pid,
    read_slot,
    train_factor,
)
from integration.setup_project import quiet
from listeners import list_listeners, write_hex
from msgspec import structs

from mlgitops.cli import run
from mlgitops.delivery import CheckFailedError, LocalTarget
from mlgitops.delivery.local import slots
from mlgitops.delivery.local.files import EnvironmentFiles
from mlgitops.delivery.local.haproxy import Router
from mlgitops.delivery.loop.observed import Slot
from mlgitops.delivery.processes import find_free_port
from mlgitops.delivery.protocol import is_ready
from mlgitops.model.ledger import Event

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(deployable: Path) -> Path:
    """Return a project whose staging wants a free port."""
    return deployable


def test_first_deployment_serves(project: Path, port: int) -> None:
    """The model answers at the port that the environment names, and the record says so."""
    outcome = LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 2
    assert (outcome.changed, outcome.previous) == (True, None)
    (entry,) = read_ledger(project)
    assert (entry.seq, entry.sha256, entry.commit) == (1, model_digest(project), head(project))
    assert entry.forced is False
    assert processes(project) == ["slot-a", "router"]


def test_only_this_machine_can_ask(project: Path, port: int) -> None:
    """Server and router listen on the loopback address alone, the router at the public port."""
    LocalTarget(project, quiet()).deploy("staging")
    listeners: set[str] = set()
    for role in processes(project):
        listeners |= list_listeners(read_pid(project, role))
    assert write_hex("127.0.0.1", port) in listeners
    assert len(listeners) == 2
    loopback, _, _ = write_hex("127.0.0.1", 0).partition(":")
    assert {address.partition(":")[0] for address in listeners} == {loopback}


def test_same_digest_is_a_no_op(project: Path) -> None:
    """Deploying what is in service starts nothing and says so."""
    LocalTarget(project, quiet()).deploy("staging")
    before = processes(project)
    assert not LocalTarget(project, quiet()).deploy("staging").changed
    assert processes(project) == before
    assert len(read_ledger(project)) == 1


def test_next_model_replaces_the_old_one(project: Path, port: int) -> None:
    """After the switch the new model answers, the old server is gone, the record has both."""
    LocalTarget(project, quiet()).deploy("staging")
    old = model_digest(project)
    train_factor(project, 3)
    outcome = LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 3
    assert outcome.previous == old
    assert len(processes(project)) == 2
    assert [entry.previous for entry in read_ledger(project)] == [None, old]


def test_no_request_is_lost_while_switching(project: Path, port: int) -> None:
    """Clients that ask without pause during a switch get an answer of one model or the other."""
    LocalTarget(project, quiet()).deploy("staging")
    train_factor(project, 3)
    answers: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answers.append(predict(port))

    client = threading.Thread(target=ask)
    client.start()
    LocalTarget(project, quiet()).deploy("staging")
    done.set()
    client.join()
    assert set(answers) == {2, 3}
    assert answers == sorted(answers)


def test_a_client_that_stays_connected_reaches_the_new_model(project: Path, port: int) -> None:
    """Its next request on the same connection is answered by the model that is in service then."""
    LocalTarget(project, quiet()).deploy("staging")
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    client.connect()
    socket = client.sock
    train_factor(project, 3)
    LocalTarget(project, quiet()).deploy("staging")
    assert ask(client) == 3
    assert client.sock is socket
    client.close()


def test_another_server_at_the_port_of_a_dead_one_is_not_it(project: Path, port: int) -> None:
    """Whoever got a dead server's port may answer that it is ready: it is not what is deployed."""
    LocalTarget(project, quiet()).deploy("staging")
    record = read_slot(project, Slot.A)
    kill(project, "slot-a")

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", record.port), Ready) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        assert is_ready(port, "demo")
        assert not LocalTarget(project, quiet()).read_status("staging").serving
        assert LocalTarget(project, quiet()).deploy("staging").changed
        other.shutdown()
    assert predict(port) == 2


def test_who_takes_the_port_of_a_server_condemns_nobody(
    project: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that was free when it was chosen may be another's when the server wants it."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        ports = itertools.chain([other.server_port], iter(find_free_port, None))
        monkeypatch.setattr(slots, "find_free_port", lambda: next(ports))
        LocalTarget(project, quiet()).deploy("staging")
        assert read_slot(project, Slot.A).port != other.server_port
        other.shutdown()
    assert predict(port) == 2
    assert [entry.event for entry in read_ledger(project)] == [Event.SWITCHED]


def test_a_router_that_asks_at_another_port_is_told(project: Path, port: int) -> None:
    """As one is left by a run that was killed when it had written the new port down."""
    LocalTarget(project, quiet()).deploy("staging")
    Router(EnvironmentFiles(project, "staging").folder).move_slot(Slot.A, find_free_port())
    assert LocalTarget(project, quiet()).deploy("staging").changed
    assert predict(port) == 2


def test_rollback_by_revert_brings_the_very_same_model_back(project: Path, port: int) -> None:
    """Reverting the commit and deploying serves the old digest, as a new entry."""
    LocalTarget(project, quiet()).deploy("staging")
    train_factor(project, 3)
    LocalTarget(project, quiet()).deploy("staging")
    git(project, "revert", "--no-edit", "HEAD")
    LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 2
    first, _, third = read_ledger(project)
    assert (third.seq, third.sha256) == (3, first.sha256)


def test_failed_golden_check_keeps_the_old_server(project: Path, port: int) -> None:
    """A server that computes something else is a fail, exit code 1, and the old one serves."""
    LocalTarget(project, quiet()).deploy("staging")
    before = processes(project)
    edit(project, "src/demo/serve.py", "BIAS = 0.0", "BIAS = 0.5")
    with pytest.raises(CheckFailedError, match="golden prediction differs"):
        LocalTarget(project, quiet()).deploy("staging")
    assert run(["deploy", "staging", "--directory", str(project)]) == 1
    assert predict(port) == 2
    assert processes(project) == before
    events = [entry.event for entry in read_ledger(project)]
    assert events == [Event.SWITCHED, Event.CONDEMNED]


def test_server_that_ends_at_start_keeps_the_old_one(
    project: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last lines of its log are shown whole, one is in the ledger, and nothing of it runs."""
    LocalTarget(project, quiet()).deploy("staging")
    before = processes(project)
    ends = 'print(*[number * "x" for number in range(400, 404)], sep="\\n", flush=True)'
    edit(project, "src/demo/serve.py", "BIAS = 0.0", f'{ends}\nraise SystemExit("no weights")')
    assert run(["deploy", "staging", "--directory", str(project)]) == 1
    said = capsys.readouterr().err
    for line in (*(number * "x" for number in range(400, 404)), "no weights"):
        assert said.splitlines().count(f"    | {line}") == 1
    reason = "the server ended while it started; its log ends: no weights"
    assert read_ledger(project)[-1].reason == reason
    assert f"{reason}\n" in said
    assert predict(port) == 2
    assert processes(project) == before


def test_failed_first_deployment_leaves_nothing(project: Path, port: int) -> None:
    """When there was nothing before, a failure leaves no process and no state."""
    edit(project, "src/demo/serve.py", "BIAS = 0.0", "BIAS = 0.5")
    with pytest.raises(CheckFailedError, match="golden prediction"):
        LocalTarget(project, quiet()).deploy("staging")
    assert processes(project) == []
    assert not LocalTarget(project, quiet()).read_status("staging").serving
    with pytest.raises(OSError, match="refused"):
        predict(port)


def test_a_model_that_was_not_to_blame_is_asked_for_anew(
    project: Path, port: int, tmp_path: Path
) -> None:
    """The only release failed for want of something: any change of its file asks for it again."""
    needed = tmp_path / "disk"
    check = f"if not Path({str(needed)!r}).exists():\n    raise SystemExit('no disk')"
    edit(project, "src/demo/serve.py", "BIAS = 0.0", f"BIAS = 0.0\n{check}")
    for _ in range(2):
        with pytest.raises(CheckFailedError, match="no disk\nnothing serves"):
            LocalTarget(project, quiet()).deploy("staging")
        needed.touch()  # is not tried again all the same
    edit(project, "deploy/staging/model.yaml", "model: demo", "# the disk is back\nmodel: demo")
    LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 2


def test_after_a_reboot_the_same_model_is_started_again(project: Path, port: int) -> None:
    """What ended with the machine is not the model's fault: nothing is condemned, nothing new."""
    LocalTarget(project, quiet()).deploy("staging")
    files = EnvironmentFiles(project, "staging")
    record = structs.replace(read_slot(project, Slot.A), boot="another run of this machine")
    kill(project, "slot-a")
    files.write(files.slot_record(Slot.A), record)
    assert "since this machine was" in (
        LocalTarget(project, quiet()).read_status("staging").problem or ""
    )
    LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 2
    assert read_slot(project, Slot.A).restarts == 0
    assert len(read_ledger(project)) == 1


@pytest.mark.parametrize("victim", ["slot-a", "router"])
def test_killed_process_is_replaced(project: Path, port: int, victim: str) -> None:
    """After kill -9 of the server or the router, the next deployment serves again."""
    LocalTarget(project, quiet()).deploy("staging")
    kill(project, victim)
    assert not LocalTarget(project, quiet()).read_status("staging").serving
    assert LocalTarget(project, quiet()).deploy("staging").changed
    assert predict(port) == 2
    assert len(processes(project)) == 2


def test_pinned_revision_is_deployed(project: Path, port: int) -> None:
    """With `revision` set, that commit's model serves, whatever the newest one is."""
    first, digest = head(project), model_digest(project)
    train_factor(project, 3)
    edit(project, "deploy/staging/model.yaml", "revision: null", f'revision: "{first}"')
    edit(project, "deploy/staging/model.yaml", "sha256: null", f'sha256: "{digest}"')
    outcome = LocalTarget(project, quiet()).deploy("staging")
    assert (outcome.deployed.revision, outcome.deployed.sha256) == (first, digest)
    assert predict(port) == 2


def test_model_comes_from_the_storage_when_the_cache_is_empty(project: Path, port: int) -> None:
    """Without a cache the model is fetched by its digest from the storage branch."""
    for file in (project / ".dvc/cache/files").rglob("*"):
        if file.is_file():
            file.unlink()
    LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 2


def test_other_port_moves_the_environment(project: Path, port: int) -> None:
    """With another --port the model moves there and the old port is released."""
    LocalTarget(project, quiet()).deploy("staging")
    other = find_free_port()
    assert LocalTarget(project, quiet()).deploy("staging", port=other).changed
    assert predict(other) == 2
    with pytest.raises(OSError, match="refused"):
        predict(port)


def test_status_and_stop(project: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """`--status` tells what serves, `--stop` ends it and says so in the ledger, for good."""
    folder = ["--directory", str(project)]
    assert run(["deploy", "staging", "--json", *folder]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert run(["deploy", "staging", "--status", "--json", *folder]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["serving"]
    assert (status["sha256"], status["url"]) == (outcome["sha256"], f"http://127.0.0.1:{port}")
    requests = EnvironmentFiles(project, "staging").requests
    assert status["requests"] == str(requests)
    server = str(read_slot(project, Slot.A).port)
    assert [path.name for path in requests.iterdir()] == [server]  # which logs there
    assert run(["deploy", "staging", "--status", *folder]) == 0
    assert f"its requests are logged in {requests}" in capsys.readouterr().out
    assert run(["deploy", "staging", "--stop", *folder]) == 0
    assert run(["deploy", "staging", "--status", *folder]) == 1
    assert requests.is_dir()  # what production saw outlives its servers
    assert processes(project) == []
    assert run(["deploy", "staging", "--stop", *folder]) == 0  # nothing runs, nothing is added
    switched, stopped = read_ledger(project)
    assert (switched.event, stopped.event) == (Event.SWITCHED, Event.STOPPED)
    assert stopped.previous == stopped.sha256 == switched.sha256
    capsys.readouterr()
    assert run(["audit", "staging", *folder]) == 2
    said = capsys.readouterr().err
    assert f"and it was stopped at {stopped.at} by {stopped.actor}" in said
    assert run(["history", *folder]) == 0
    assert "in service: nothing" in capsys.readouterr().out
    assert run(["deploy", "staging", *folder]) == 0
    assert [entry.event for entry in read_ledger(project)][2:] == [Event.SWITCHED]


def test_a_stop_that_was_killed_is_written_down(
    project: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the next deployment; and a record that was damaged keeps nobody from stopping."""
    LocalTarget(project, quiet()).deploy("staging")
    files = EnvironmentFiles(project, "staging")
    kill(project, "router")
    kill(project, "slot-a")
    files.slot_record(Slot.A).unlink()
    files.active.replace(files.stopped)  # as a stop does once all is ended
    LocalTarget(project, quiet()).deploy("staging")
    events = [entry.event for entry in read_ledger(project)]
    assert events == [Event.SWITCHED, Event.STOPPED, Event.SWITCHED]
    assert not files.stopped.exists()
    files.active.write_text("{")  # damaged: the way out that the message names must be open
    assert run(["deploy", "staging", "--directory", str(project)]) == 2
    assert "--stop" in capsys.readouterr().err
    assert LocalTarget(project, quiet()).stop("staging")
    assert read_ledger(project)[-1].event is Event.STOPPED  # else it served on, for an audit
    LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 2


@pytest.mark.slow
def test_killed_at_any_moment_a_complete_model_serves(project: Path, port: int) -> None:
    """Deployments are killed at moments spread over their run: the old or the new model serves."""
    LocalTarget(project, quiet()).deploy("staging")
    train_factor(project, 3)
    command = [sys.executable, "-m", "mlgitops", "deploy", "staging", "--directory", str(project)]
    factor = 3
    for step in range(16):
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as work:
            time.sleep(0.08 * step)
            work.kill()
        assert predict(port) in (2, 3)
        if step % 4 == 3:  # let one through, then go for the other model
            LocalTarget(project, quiet()).deploy("staging")
            assert predict(port) == factor
            assert len(processes(project)) == 2
            factor = 5 - factor
            git(project, "revert", "--no-edit", "HEAD")
    record = read_ledger(project)
    assert [entry.seq for entry in record] == list(range(1, len(record) + 1))
    for before, after in itertools.pairwise(record):
        assert after.previous == before.sha256


def test_deployments_at_once_end_with_the_newest(project: Path, port: int) -> None:
    """Several deployments started together leave one server, of the newest commit."""
    train_factor(project, 3)
    work = [
        threading.Thread(target=LocalTarget(project, quiet()).deploy, args=("staging",))
        for _ in range(3)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert predict(port) == 3
    assert len(processes(project)) == 2
    assert len(read_ledger(project)) == 1
