"""`mlgitops deploy`, target local: checked before the switch, and back on any failure."""

from __future__ import annotations

import http.client
import http.server
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
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
from mlgitops.delivery.golden import find_difference, read_golden
from mlgitops.delivery.local import haproxy, slots
from mlgitops.delivery.local.files import ActiveRecord, EnvironmentFiles, SlotRecord
from mlgitops.delivery.local.haproxy import Router
from mlgitops.delivery.local.routing import Routing
from mlgitops.delivery.local.units import choose_launcher
from mlgitops.delivery.loop.observed import Slot
from mlgitops.delivery.processes import find_free_port
from mlgitops.delivery.protocol import is_ready
from mlgitops.errors import MlgitopsError
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


def test_a_server_that_dies_in_its_bake_is_taken_back(
    project: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is given up, nobody asks in vain, the old one serves on, and a deployment ends with 1."""
    LocalTarget(project, quiet()).deploy("staging")
    old = model_digest(project)
    edit(project, "deploy/staging/model.yaml", "sha256: null", "sha256: null\nbake: 3600")
    desired = train_factor(project, 3)
    assert LocalTarget(project, quiet()).deploy("staging", patient=False).baking
    assert predict(port) == 3
    kill(project, "slot-b")
    assert predict(port) == 2
    assert run(["deploy", "staging", "--directory", str(project)]) == 1
    said = capsys.readouterr().err
    assert f"Send port {port} back to demo {old[:12]}" in said
    assert "Switch port" not in said
    assert predict(port) == 2
    assert processes(project) == ["slot-a", "router"]
    _, switched, condemned, returned = read_ledger(project)
    assert (switched.event, switched.commit) == (Event.SWITCHED, desired)
    assert {condemned.event, returned.event} == {Event.CONDEMNED, Event.SWITCHED}


@pytest.mark.parametrize("passed", [0, 3600])
def test_a_request_that_fails_in_the_bake_is_answered_by_the_old_model(
    project: Path, port: int, capsys: pytest.CaptureFixture[str], passed: int
) -> None:
    """It costs nobody an answer, and takes the new model back: exit code 1, with the reason.

    Also where nobody looks before the bake's time has ``passed``.
    """
    begin_bake(project)
    assert predict(port) == 3
    assert predict(port, 13.0) == 26
    let_pass(project, passed)
    assert run(["deploy", "staging", "--no-wait", "--directory", str(project)]) == 1
    assert "it failed users' requests, or its health checks" in capsys.readouterr().err
    assert predict(port) == 2


def let_pass(project: Path, seconds: float) -> ActiveRecord:
    """Let a bake have begun so long before; return what is written down of it then."""
    files = EnvironmentFiles(project, "staging")
    active = read_active(project)
    changed = structs.replace(active, began=active.began - seconds)
    files.write(files.active, changed)
    return changed


def read_active(project: Path) -> ActiveRecord:
    """Read what is written down of the slot that users are sent to."""
    files = EnvironmentFiles(project, "staging")
    active = files.read(files.active, ActiveRecord)
    assert active is not None
    return active


def begin_bake(project: Path) -> None:
    """Have a second model bake for an hour that fails at 13, with the first one behind it."""
    LocalTarget(project, quiet()).deploy("staging")
    edit(project, "deploy/staging/model.yaml", "sha256: null", "sha256: null\nbake: 3600")
    edit(project, "src/demo/serve.py", "UNLUCKY = None", "UNLUCKY = 13.0")
    train_factor(project, 3)
    assert LocalTarget(project, quiet()).deploy("staging", patient=False).baking


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_failure_that_nobody_saw_before_the_bake_was_over_is_one(
    project: Path, port: int, capsys: pytest.CaptureFixture[str], is_killed: bool
) -> None:
    """The server ended, or a run wrote down why it failed and was killed: it is no proven one."""
    begin_bake(project)
    if is_killed:
        kill(project, "slot-b")
    else:
        files, record = EnvironmentFiles(project, "staging"), read_slot(project, Slot.B)
        failed = structs.replace(record, failure="another golden prediction")
        files.write(files.slot_record(Slot.B), failed)
    let_pass(project, 3600)
    assert run(["deploy", "staging", "--no-wait", "--directory", str(project)]) == 1
    said = capsys.readouterr().err
    assert ("the server ended" if is_killed else "another golden prediction") in said
    assert predict(port) == 2
    assert Event.CONDEMNED in {entry.event for entry in read_ledger(project)}


def test_a_bake_that_the_router_did_not_watch_begins_anew(project: Path, port: int) -> None:
    """A router that was started again, as systemd does, has forgotten what failed before."""
    begin_bake(project)
    before = let_pass(project, 3600)
    files = EnvironmentFiles(project, "staging")
    kill(project, "router")
    choose_launcher(files).start("router", files.folder)
    Router(files.folder).wait_until_up()
    assert LocalTarget(project, quiet()).deploy("staging", patient=False).baking
    assert read_active(project).began > before.began + 3599
    assert predict(port) == 3
    assert processes(project) == ["slot-a", "slot-b", "router"]
    let_pass(project, 3600)
    assert not LocalTarget(project, quiet()).deploy("staging", patient=False).baking
    assert processes(project) == ["slot-b", "router"]


def test_a_bake_whose_failures_were_forgotten_begins_anew(project: Path, port: int) -> None:
    """As where a run was cut off in moving users: the router is told again, and counts anew."""
    begin_bake(project)
    before = let_pass(project, 1800)
    Router(EnvironmentFiles(project, "staging").folder).route(Routing(live=Slot.A))
    assert LocalTarget(project, quiet()).deploy("staging", patient=False).baking
    assert predict(port) == 3
    assert read_active(project).began > before.began


def test_a_router_that_does_not_answer_proves_no_bake(
    project: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it counted is not known then, and not forgotten once it answers again."""
    begin_bake(project)
    assert predict(port, 13.0) == 26
    let_pass(project, 3600)
    began = read_active(project).began
    socket = EnvironmentFiles(project, "staging").folder / "haproxy.sock"
    socket.rename(socket.with_suffix(".moved"))
    with monkeypatch.context() as patch:
        patch.setattr(haproxy, "_START_SECONDS", 0)
        with pytest.raises(MlgitopsError, match="router did not start"):
            LocalTarget(project, quiet()).deploy("staging", patient=False)
    assert read_active(project).began == began
    assert not read_active(project).baked
    socket.with_suffix(".moved").rename(socket)
    with pytest.raises(CheckFailedError, match="it failed users' requests"):
        LocalTarget(project, quiet()).deploy("staging", patient=False)
    assert predict(port) == 2


def test_a_bake_ends_with_the_old_server(project: Path, port: int) -> None:
    """Until then both run; after it the new one stands alone."""
    LocalTarget(project, quiet()).deploy("staging")
    edit(project, "deploy/staging/model.yaml", "sha256: null", "sha256: null\nbake: 1")
    train_factor(project, 3)
    outcome = LocalTarget(project, quiet()).deploy("staging")
    assert not outcome.baking
    assert predict(port) == 3
    assert processes(project) == ["slot-b", "router"]


def test_a_canary_answers_its_share_until_the_bake_is_over(project: Path, port: int) -> None:
    """Of many requests some go to the new model, and most to the old one."""
    LocalTarget(project, quiet()).deploy("staging")
    asked = "sha256: null\ncanary: 30\nbake: 3600"
    edit(project, "deploy/staging/model.yaml", "sha256: null", asked)
    train_factor(project, 3)
    assert LocalTarget(project, quiet()).deploy("staging", patient=False).baking
    answers = [predict(port) for _ in range(100)]
    assert set(answers) == {2, 3}
    assert answers.count(2) > answers.count(3)
    assert processes(project) == ["slot-a", "slot-b", "router"]
    assert LocalTarget(project, quiet()).read_status("staging").serving
    kill(project, "slot-a")  # which most users are answered by
    status = LocalTarget(project, quiet()).read_status("staging")
    assert not status.serving
    assert "the server ended" in (status.problem or "")


def test_a_canary_ends_with_all_requests(project: Path, port: int) -> None:
    """Once the bake is over, the new model answers everybody, and the old one is ended."""
    LocalTarget(project, quiet()).deploy("staging")
    edit(project, "deploy/staging/model.yaml", "sha256: null", "sha256: null\ncanary: 1\nbake: 1")
    train_factor(project, 3)
    LocalTarget(project, quiet()).deploy("staging")
    assert {predict(port) for _ in range(20)} == {3}
    assert processes(project) == ["slot-b", "router"]


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


def test_a_reboot_in_the_bake_condemns_nobody(project: Path, port: int) -> None:
    """Users ask while the model loads again: what they do not get then is not its failure."""
    LocalTarget(project, quiet()).deploy("staging")
    edit(project, "deploy/staging/model.yaml", "sha256: null", "sha256: null\nbake: 3600")
    slow = "import time\nfrom pathlib import Path as File\ntime.sleep(2 * File('slow').exists())\n"
    edit(project, "src/demo/serve.py", "BIAS = 0.0", f"BIAS = 0.0\n{slow}")
    train_factor(project, 3)
    assert LocalTarget(project, quiet()).deploy("staging", patient=False).baking
    (
        EnvironmentFiles(project, "staging").bundles / read_slot(project, Slot.B).bundle / "slow"
    ).touch()
    reboot(project)
    done = threading.Event()

    def ask_in_vain() -> None:
        while not done.is_set():
            with suppress(AssertionError, OSError, http.client.HTTPException):
                predict(port)

    client = threading.Thread(target=ask_in_vain)
    client.start()
    try:
        outcome = LocalTarget(project, quiet()).deploy("staging", patient=False)
    finally:
        done.set()
        client.join()
    assert outcome.baking
    assert predict(port) == 3
    assert [entry.event for entry in read_ledger(project)] == [Event.SWITCHED] * 2
    assert not LocalTarget(project, quiet()).deploy("staging", patient=False).changed
    kill(project, "slot-b")  # from the golden prediction on, its failures are its own again
    with pytest.raises(CheckFailedError, match="the server ended"):
        LocalTarget(project, quiet()).deploy("staging", patient=False)
    assert predict(port) == 2


def reboot(project: Path) -> None:
    """End every process of staging, and have its records be of another run of the machine."""
    files = EnvironmentFiles(project, "staging")
    for role in processes(project):
        kill(project, role)
    active = files.read(files.active, ActiveRecord)
    assert active
    files.write(files.active, structs.replace(active, boot="another run of this machine"))
    for slot in Slot:
        record = files.read(files.slot_record(slot), SlotRecord)
        if record:
            rebooted = structs.replace(record, boot="another run of this machine")
            files.write(files.slot_record(slot), rebooted)


@pytest.mark.parametrize("victim", ["slot-a", "router"])
def test_killed_process_is_replaced(project: Path, port: int, victim: str) -> None:
    """After kill -9 of the server or the router, the next deployment serves again."""
    LocalTarget(project, quiet()).deploy("staging")
    kill(project, victim)
    assert not LocalTarget(project, quiet()).read_status("staging").serving
    assert LocalTarget(project, quiet()).deploy("staging").changed
    assert predict(port) == 2
    assert len(processes(project)) == 2


def test_taken_port_changes_nothing(
    project: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that another program holds ends with 2, names the program, and starts nothing."""
    with http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler):
        assert run(["deploy", "staging", "--directory", str(project)]) == 2
    said = capsys.readouterr().err
    assert f"port {port} is taken by process {os.getpid()}" in said
    assert "--port" in said
    assert processes(project) == []


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "1e3"])
def test_impossible_port_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that cannot be is refused with the range."""
    with pytest.raises(SystemExit, match=r"^2$") as caught:
        run(["deploy", "staging", f"--port={value}"])
    assert caught.value.code == 2
    assert "give 1 to 65535" in capsys.readouterr().err


def test_wrong_digest_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When the environment wants another digest than the commit holds, nothing is started."""
    edit(project, "deploy/staging/model.yaml", "sha256: null", f'sha256: "{"0" * 64}"')
    assert run(["deploy", "staging", "--directory", str(project)]) == 2
    assert "the model 000000000000 is wanted" in capsys.readouterr().err
    assert processes(project) == []


def test_model_that_is_not_what_the_commit_says_is_refused(project: Path) -> None:
    """A model.json that does not belong to the model of dvc.lock is found out by hashing."""
    edit(project, "model/model.json", model_digest(project), "1" * 64)
    with pytest.raises(MlgitopsError, match="the model's sha256 is"):
        LocalTarget(project, quiet()).deploy("staging")
    assert list(EnvironmentFiles(project, "staging").bundles.iterdir()) == []


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


def test_damaged_object_is_refused(project: Path) -> None:
    """Bytes that do not have the hash of the lock are never served."""
    for file in (project / ".dvc/cache/files").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(b'{"factor": 9}')
    with pytest.raises(MlgitopsError, match="the model's md5 is"):
        LocalTarget(project, quiet()).deploy("staging")
    assert processes(project) == []


def test_other_port_moves_the_environment(project: Path, port: int) -> None:
    """With another --port the model moves there and the old port is released."""
    LocalTarget(project, quiet()).deploy("staging")
    other = find_free_port()
    assert LocalTarget(project, quiet()).deploy("staging", port=other).changed
    assert predict(other) == 2
    with pytest.raises(OSError, match="refused"):
        predict(port)


def test_all_mistakes_of_the_file_are_named(project: Path) -> None:
    """Every mistake in model.yaml is reported in one go."""
    (project / "deploy/staging/model.yaml").write_text(
        "model: No Name\nrevision: 12\nsha256: abc\nport: 0\nimage: x\n"
    )
    git(project, "commit", "--quiet", "--all", "-m", "Break")
    with pytest.raises(MlgitopsError, match="the desired state cannot be read:") as caught:
        LocalTarget(project, quiet()).deploy("staging")
    for key in ("model", "revision", "sha256", "port", "image"):
        assert f"`{key}`" in str(caught.value)


def test_unknown_environment_is_refused(project: Path) -> None:
    """A name that is no environment is refused, with those that exist where it could be one."""
    for name in ("nowhere", "../../etc", "", "-x", "a/b"):
        with pytest.raises(MlgitopsError, match="staging"):
            LocalTarget(project, quiet()).deploy(name)
    assert not LocalTarget(project, quiet()).stop("nowhere")
    assert not (project / ".mlgitops/deploy").exists()


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        ({"y": [1.0, 2.0]}, None),
        ({"y": [1.0, 2.0 + 1e-9], "z": [0]}, None),
        ({"y": [1, 2]}, None),
        ({"y": [1.0, 2.1]}, "y[1] is 2.1, not 2.0"),
        ({"y": [1.0, None]}, "y[1] is None, not 2.0"),
        ({"y": [1.0, float("nan")]}, "y[1] is nan, not 2.0"),
        ({"y": [1.0]}, "y: 1 values, not 2"),
        ({"x": [1.0, 2.0]}, "y: missing"),
    ],
)
def test_golden_difference(found: dict[str, list[float]], difference: str | None) -> None:
    """An answer is the same only when each value is there and within the tolerance."""
    assert find_difference({"y": [1.0, 2.0]}, found, 1e-6) == difference


MALFORMED = "`request` and a list `outputs` were expected"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", MALFORMED),
        ("{}", MALFORMED),
        ('{"request": {}, "outputs": []}', "nothing would be checked"),
        ('{"request": {}, "outputs": 3}', MALFORMED),
        ('{"request": {}, "outputs": [{"name": "y", "data": []}]}', "nothing would be checked"),
        (
            '{"request": {}, "outputs": [{"name": "y", "data": [1]}], "tolerance": 1}',
            "`tolerance` must be from 0 to ",
        ),
    ],
)
def test_golden_file_that_checks_nothing_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """A golden file that is malformed, empty, or so tolerant that it says nothing is refused."""
    (tmp_path / "golden.json").write_text(text)
    with pytest.raises(MlgitopsError, match=reason):
        read_golden(tmp_path / "golden.json")


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
