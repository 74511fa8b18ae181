"""What brings an environment back by itself: units of systemd, lines for cron, logs that rotate."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest
from integration.setup_project import quiet

from mlgitops.delivery import LocalTarget
from mlgitops.delivery.local.files import EnvironmentFiles, InstallRecord
from mlgitops.delivery.local.launching import Detached, write_program
from mlgitops.delivery.local.logs import rotate_logs
from mlgitops.delivery.local.units import (
    Systemd,
    choose_launcher,
    list_command,
    name_units,
    render_units,
    write_runner,
)
from mlgitops.delivery.processes import is_running, stop_process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["churn", "a folder: 50% & $HOME's"])
def files(tmp_path: Path, request: pytest.FixtureRequest) -> EnvironmentFiles:
    """Return the files of an environment, in a folder of a plain name and of an odd one."""
    return EnvironmentFiles(tmp_path / request.param, "staging")


def test_the_units_are_ones_that_systemd_takes(files: EnvironmentFiles, tmp_path: Path) -> None:
    """Router, servers, timer and what it runs; systemd's own check finds nothing in them."""
    project = files.folder.parents[2]
    name = name_units(project, "staging")
    units = render_units(name, project, files, list_command(project, "staging", 8081))
    assert sorted(units) == [
        f"{name}-router.service",
        f"{name}-server@.service",
        f"{name}.service",
        f"{name}.timer",
    ]
    assert all("\n\n\n" not in text and "TOKEN" not in text for text in units.values())
    assert "--port" in units[f"{name}.service"]
    with_token = [unit for unit, text in units.items() if "EnvironmentFile=" in text]
    assert with_token == [f"{name}.service"], "a server or the router would get the token, too"
    folder = tmp_path / "units"
    folder.mkdir()
    for unit, text in units.items():
        (folder / unit).write_text(text)
    checker = shutil.which("systemd-analyze")
    if checker:  # with no systemd there is nobody who would read them
        # Of a short name: the machine's own units put sockets there, whose paths must be short.
        with tempfile.TemporaryDirectory() as runtime:
            words = [checker, "verify", "--user", "--man=no"]
            done = subprocess.run(
                [*words, *sorted(str(folder / unit) for unit in units)],
                env={**os.environ, "XDG_RUNTIME_DIR": runtime, "HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_s_process_holds_the_lock_by_which_it_is_known(files: EnvironmentFiles) -> None:
    """The runner writes down its id and becomes the program, which appends to its log."""
    write_runner(files)
    program = [sys.executable, "-c", "import sys; print('begun', flush=True); sys.stdin.read()"]
    write_program(files.folder / "slot-a.sh", program, cwd=files.folder, variables={"X": "$HOME"})
    files.logs.joinpath("slot-a.log").write_text("before\n")
    lock = files.folder / "slot-a.lock"
    words = ["sh", str(files.runner), "slot-a"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True) as process:
        while "begun" not in files.logs.joinpath("slot-a.log").read_text():
            assert process.poll() is None
        assert is_running(lock)
        assert int(lock.read_text()) == process.pid
        assert subprocess.run(words, check=False, timeout=60).returncode == 75  # one at a time
        stop_process(lock)
        process.wait()
    assert files.logs.joinpath("slot-a.log").read_text() == "before\nbegun\n"


def test_without_systemd_cron_looks_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lines: every minute, and at the start of the machine; what starts a process stays."""
    monkeypatch.setenv("PATH", str(tmp_path))
    target, files = (
        LocalTarget(tmp_path / "100% churn", quiet()),
        EnvironmentFiles(tmp_path / "100% churn", "staging"),
    )
    first, reboot, minutely = target.install("staging", 8081).splitlines()
    assert "crontab -e" in first
    command = reboot.removeprefix("@reboot ")
    assert minutely == f"* * * * * {command}"
    assert "deploy staging --no-wait --directory" in command
    assert "100\\% churn" in command
    assert "--port 8081" in command
    assert isinstance(choose_launcher(files), Detached)
    assert files.read(files.install, InstallRecord) == InstallRecord()
    target.stop("staging")
    assert not files.install.exists()


def test_installed_units_start_the_processes(files: EnvironmentFiles) -> None:
    """Once they are there, and until then not."""
    assert isinstance(choose_launcher(files), Detached)
    files.write(files.install, InstallRecord(units="mlgitops-0123-staging"))
    assert isinstance(choose_launcher(files), Systemd)


def test_two_projects_of_a_machine_share_no_unit(tmp_path: Path) -> None:
    """Nor do two environments of a project."""
    names = {name_units(tmp_path / path, env) for path in "ab" for env in ("staging", "local")}
    assert len(names) == 4


def test_logs_rotate_while_their_writer_goes_on(tmp_path: Path) -> None:
    """What was written is put aside, the newest as 1, and five at most are kept."""
    log = tmp_path / "slot-a.log"
    with log.open("a") as writer:
        for number in range(8):
            writer.write(f"{number}" * 100)
            writer.flush()
            rotate_logs(tmp_path, largest=50)
        writer.write("end")
    assert log.read_text() == "end"
    kept = [(tmp_path / f"slot-a.log.{number}").read_text()[0] for number in range(1, 6)]
    assert kept == ["7", "6", "5", "4", "3"]
    assert not (tmp_path / "slot-a.log.6").exists()
    rotate_logs(tmp_path, largest=50)
    assert log.read_text() == "end"
