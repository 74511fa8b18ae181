"""`mlgitops deploy`, target local: checked before the switch, and back on any failure."""

from __future__ import annotations

import http.client
import http.server
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from git_project import git
from integration.deploy_project import (
    edit,
    head,
    make_deployable,
    model_digest,
    predict,
    train_factor,
)
from integration.setup_project import quiet
from listeners import list_listeners, write_hex
from mini_project import shared_store

from mlgitops.cli import run
from mlgitops.delivery import CheckFailedError, LocalTarget
from mlgitops.delivery.golden import find_difference, read_golden
from mlgitops.delivery.processes import find_free_port, is_running
from mlgitops.delivery.protocol import is_ready
from mlgitops.delivery.state import EnvironmentFiles
from mlgitops.errors import MlgitopsError
from mlgitops.storage import prepare_storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def port() -> int:
    """Return a port that is free."""
    return find_free_port()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a trained and stored model, from which the others are copied."""
    return make_deployable(tmp_path_factory.mktemp("trained") / "project")


@pytest.fixture
def project(
    trained: Path, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Return a project whose staging wants ``port``; what it started is ended afterwards."""
    monkeypatch.setenv("MLGITOPS_ENVIRONMENTS", str(shared_store()))
    made = tmp_path / "project"
    shutil.copytree(trained, made, symlinks=True)
    prepare_storage(made, quiet())
    edit(made, "deploy/staging/model.yaml", "port: 8081", f"port: {port}")
    yield made
    LocalTarget(made, quiet()).stop("staging")


def processes(project: Path) -> list[str]:
    """Return the names of the locks that processes of staging hold."""
    locks = sorted(EnvironmentFiles(project, "staging").servers.glob("*.lock"))
    return [lock.stem for lock in locks if is_running(lock)]


def test_first_deployment_serves(project: Path, port: int) -> None:
    """The model answers at the port that the environment names, and the record says so."""
    outcome = LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 2
    assert (outcome.changed, outcome.previous) == (True, None)
    (entry,) = EnvironmentFiles(project, "staging").read_record()
    assert (entry.seq, entry.sha256, entry.commit) == (1, model_digest(project), head(project))
    assert len(processes(project)) == 2  # one server, one router


def test_only_this_machine_can_ask(project: Path, port: int) -> None:
    """Server and router listen on the loopback address alone, the router at the public port."""
    LocalTarget(project, quiet()).deploy("staging")
    listeners: set[str] = set()
    for lock in EnvironmentFiles(project, "staging").servers.glob("*.lock"):
        listeners |= list_listeners(int(lock.read_text("ascii")))
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
    assert len(EnvironmentFiles(project, "staging").read_record()) == 1


def test_next_model_replaces_the_old_one(project: Path, port: int) -> None:
    """After the switch the new model answers, the old server is gone, the record has both."""
    LocalTarget(project, quiet()).deploy("staging")
    old = model_digest(project)
    train_factor(project, 3)
    outcome = LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 3
    assert outcome.previous == old
    assert len(processes(project)) == 2
    assert [entry.previous for entry in EnvironmentFiles(project, "staging").read_record()] == [
        None,
        old,
    ]


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


def test_a_request_that_comes_late_on_an_old_connection_is_answered(
    project: Path, port: int
) -> None:
    """Who connected before the switch and asks after it still gets an answer."""
    LocalTarget(project, quiet()).deploy("staging")
    train_factor(project, 3)
    state = EnvironmentFiles(project, "staging")
    before = state.read_current()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    client.connect()
    answers: list[float] = []

    def ask() -> None:
        while state.read_current() == before:
            time.sleep(0.01)
        answers.append(predict(port, client))

    thread = threading.Thread(target=ask)
    thread.start()
    LocalTarget(project, quiet()).deploy("staging")
    thread.join()
    assert answers == [2]


def test_server_that_ends_while_the_old_one_finishes_is_no_deployment(
    project: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new server that dies after the switch is a fail, and the old one serves again."""
    LocalTarget(project, quiet()).deploy("staging")
    before = processes(project)
    train_factor(project, 3)
    state = EnvironmentFiles(project, "staging")

    def kill_new(_port: int, _seconds: float) -> bool:
        current = state.read_current()
        assert current is not None
        os.kill(int(state.server_lock(current.server).read_text()), signal.SIGKILL)
        return True

    monkeypatch.setattr("mlgitops.delivery.local.target.wait_until_drained", kill_new)
    with pytest.raises(CheckFailedError, match="while the old one finished"):
        LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 2
    assert processes(project) == before
    assert len(state.read_record()) == 1


def test_another_server_at_the_port_of_a_dead_one_is_not_it(project: Path, port: int) -> None:
    """Whoever got a dead server's port may answer that it is ready: it is not what is deployed."""
    LocalTarget(project, quiet()).deploy("staging")
    state = EnvironmentFiles(project, "staging")
    current = state.read_current()
    assert current is not None
    os.kill(int(state.server_lock(current.server).read_text()), signal.SIGKILL)
    while is_running(state.server_lock(current.server)):
        time.sleep(0.01)

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", current.port), Ready) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        assert is_ready(port, "demo")
        assert not LocalTarget(project, quiet()).read_status("staging").serving
        assert LocalTarget(project, quiet()).deploy("staging").changed
        other.shutdown()
    assert predict(port) == 2


def test_rollback_by_revert_brings_the_very_same_model_back(project: Path, port: int) -> None:
    """Reverting the commit and deploying serves the old digest, as a new entry."""
    LocalTarget(project, quiet()).deploy("staging")
    train_factor(project, 3)
    LocalTarget(project, quiet()).deploy("staging")
    git(project, "revert", "--no-edit", "HEAD")
    LocalTarget(project, quiet()).deploy("staging")
    assert predict(port) == 2
    first, _, third = EnvironmentFiles(project, "staging").read_record()
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
    assert len(EnvironmentFiles(project, "staging").read_record()) == 1


def test_server_that_ends_at_start_keeps_the_old_one(project: Path, port: int) -> None:
    """The end of a broken server's log is shown, and nothing of it keeps running."""
    LocalTarget(project, quiet()).deploy("staging")
    before = processes(project)
    edit(project, "src/demo/serve.py", "BIAS = 0.0", 'raise SystemExit("no weights")')
    with pytest.raises(CheckFailedError, match="no weights"):
        LocalTarget(project, quiet()).deploy("staging")
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


@pytest.mark.parametrize("victim", ["server", "router"])
def test_killed_process_is_replaced(project: Path, port: int, victim: str) -> None:
    """After kill -9 of the server or the router, the next deployment serves again."""
    LocalTarget(project, quiet()).deploy("staging")
    place = EnvironmentFiles(project, "staging")
    locks = [lock for lock in place.servers.glob("*.lock") if "router" in lock.name]
    if victim == "server":
        locks = [lock for lock in place.servers.glob("*.lock") if "router" not in lock.name]
    os.kill(int(locks[0].read_text()), signal.SIGKILL)
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
    assert (outcome.deployed.commit, outcome.deployed.sha256) == (first, digest)
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
    with pytest.raises(MlgitopsError, match="the wanted state cannot be read:") as caught:
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
    """`--status` tells what serves, `--stop` ends it, and `--status` then is 1."""
    folder = ["--directory", str(project)]
    assert run(["deploy", "staging", "--json", *folder]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert run(["deploy", "staging", "--status", "--json", *folder]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["serving"]
    assert (status["sha256"], status["url"]) == (outcome["sha256"], f"http://127.0.0.1:{port}")
    assert run(["deploy", "staging", "--stop", *folder]) == 0
    assert run(["deploy", "staging", "--status", *folder]) == 1
    assert processes(project) == []


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
    record = EnvironmentFiles(project, "staging").read_record()
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
    assert len(EnvironmentFiles(project, "staging").read_record()) == 1
