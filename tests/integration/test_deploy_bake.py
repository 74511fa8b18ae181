"""The bake of a deployment: who fails in it is taken back, and what proves nothing begins anew."""

from __future__ import annotations

import http.client
import http.server
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from integration.deploy_project import (
    edit,
    kill,
    model_digest,
    predict,
    processes,
    read_ledger,
    read_slot,
    train_factor,
)
from integration.setup_project import quiet
from msgspec import structs

from mlgitops.cli import run
from mlgitops.delivery import CheckFailedError, LocalTarget
from mlgitops.delivery.local import haproxy
from mlgitops.delivery.local.files import ActiveRecord, EnvironmentFiles, SlotRecord
from mlgitops.delivery.local.haproxy import Router
from mlgitops.delivery.local.routing import Routing
from mlgitops.delivery.local.units import choose_launcher
from mlgitops.delivery.loop.observed import Slot
from mlgitops.errors import MlgitopsError
from mlgitops.model.ledger import Event

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(deployable: Path) -> Path:
    """Return a project whose staging wants a free port."""
    return deployable


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
