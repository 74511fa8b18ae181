"""What brings an environment back by itself: units of systemd, or two lines for cron.

A timer runs the deployment every minute, which starts again whatever ended; a server that fails
asks for that at once. The units are a person's own (`systemctl --user`), so that no step needs
root, and go on after they signed out where lingering is on.
https://www.freedesktop.org/software/systemd/man/systemd.service.html
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.delivery.local.files import EnvironmentFiles, InstallRecord
from mlgitops.delivery.local.launching import Detached, Launcher
from mlgitops.delivery.processes import is_running, stop_process
from mlgitops.errors import MlgitopsError
from mlgitops.process import run_program
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence

_START_SECONDS = 30.0
_POLL_SECONDS = 0.02
_SECONDS = 60.0  # that systemctl has for its answer

# Holds the role's lock on descriptor 9, which its program inherits: whoever looks sees it run.
_RUN = """\
#!/bin/sh
# Written by mlgitops: runs one role, router, slot-a or slot-b, while it holds the role's lock.
cd {folder} || exit 1
exec 9>>"$1.lock"
flock --nonblock 9 || exit 75
echo "$$" > "$1.lock"
exec sh "$1.sh" >> "logs/$1.log" 2>&1
"""
_ROUTER = """\
[Unit]
Description=Public port of {title}

[Service]
ExecStart=/bin/sh {run} router
Restart=always
RestartSec=1
{environment}
[Install]
WantedBy=default.target
"""
_SERVER = """\
[Unit]
Description=Server in slot %i of {title}
OnFailure={name}.service

[Service]
ExecStart=/bin/sh {run} slot-%i
TimeoutStopSec=20
{environment}"""
_RECONCILE = """\
[Unit]
Description=Bring {title} to what git wants

[Service]
Type=oneshot
ExecStart={command}
# The processes that it starts without systemd must not end with it.
KillMode=process
# A token, which no server gets.
EnvironmentFile=-{variables}
{environment}"""
_TIMER = """\
[Unit]
Description=Bring {title} to what git wants, every minute

[Timer]
OnStartupSec=5s
OnUnitInactiveSec=60s
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


class Systemd:
    """Starts and ends the roles of one environment as units of a person's own systemd."""

    def __init__(self, name: str) -> None:
        self._name = name

    def start(self, role: str, folder: Path) -> None:
        """Start the role's unit, and wait until its process holds the role's lock."""
        unit, lock = name_unit(self._name, role), folder / f"{role}.lock"
        _systemctl("start", unit)
        end = time.monotonic() + _START_SECONDS
        while not is_running(lock) and time.monotonic() < end:
            if _systemctl("is-active", unit, check=False) == "failed":
                return
            time.sleep(_POLL_SECONDS)

    def stop(self, role: str, folder: Path) -> None:
        """Stop the role's unit, and a process that was started before there was one."""
        _systemctl("stop", name_unit(self._name, role), check=False)
        stop_process(folder / f"{role}.lock")


def choose_launcher(files: EnvironmentFiles) -> Launcher:
    """Return what starts the processes: systemd where its units were installed."""
    record = files.read(files.install, InstallRecord)
    return Systemd(record.units) if record and record.units else Detached()


def install(project: Path, files: EnvironmentFiles, port: int | None) -> str:
    """Have the environment brought back by itself from now on; return what a person must know.

    Nothing that runs is touched: the next deployment takes it over.
    """
    name = name_units(project, files.environment)
    command = list_command(project, files.environment, port)
    if not has_systemd():
        files.write(files.install, InstallRecord())
        return _explain_cron(command, files)
    for unit, text in render_units(name, project, files, command).items():
        replace_file(_units_folder() / unit, text.encode())
    write_runner(files)
    files.write(files.install, InstallRecord(units=name))
    _systemctl("daemon-reload")
    _systemctl("enable", name_unit(name, "router"))
    _systemctl("enable", "--now", f"{name}.timer")
    return (
        f"{files.environment}: the timer {name}.timer looks after it every minute\n"
        "so that it goes on after you signed out, and after a reboot: "
        "`loginctl enable-linger`\n"
        f"a token for issues and pull requests belongs into {files.variables}, as "
        "GITHUB_TOKEN=... and GITHUB_REPOSITORY=OWNER/NAME"
    )


def uninstall(files: EnvironmentFiles) -> None:
    """Take the units away, if there are any, so that nothing starts the environment again."""
    record = files.read(files.install, InstallRecord)
    if record and record.units:
        _systemctl("disable", "--now", f"{record.units}.timer", check=False)
        _systemctl("disable", name_unit(record.units, "router"), check=False)
        for file in _units_folder().glob(f"{record.units}*"):
            file.unlink()
        _systemctl("daemon-reload", check=False)
    files.install.unlink(missing_ok=True)


def render_units(
    name: str, project: Path, files: EnvironmentFiles, command: Sequence[str]
) -> dict[str, str]:
    """Return the units' files, name → text."""
    values = {
        "name": name,
        "title": f"{_escape(project.name)}, {files.environment}",
        "run": _quote(str(files.runner)),
        "command": " ".join(_quote(word) for word in command),
        "environment": _render_environment(),
        "variables": _escape(str(files.variables)),
    }
    return {
        f"{name}-router.service": _ROUTER.format(**values),
        f"{name}-server@.service": _SERVER.format(**values),
        f"{name}.service": _RECONCILE.format(**values),
        f"{name}.timer": _TIMER.format(**values),
    }


def write_runner(files: EnvironmentFiles) -> None:
    """Write the script by which a unit runs a role."""
    files.logs.mkdir(parents=True, exist_ok=True)
    text = _RUN.format(folder=shlex.quote(str(files.folder)))
    replace_file(files.runner, text.encode())


def list_command(project: Path, environment: str, port: int | None) -> list[str]:
    """Return the command that a timer runs."""
    command = [sys.executable, "-m", "mlgitops", "deploy", environment, "--no-wait"]
    return [*command, "--directory", str(project), *(["--port", str(port)] if port else [])]


def name_units(project: Path, environment: str) -> str:
    """Return what the names of the units begin with: no two projects of a machine share it."""
    digest = hashlib.sha256(str(project).encode()).hexdigest()[:8]
    return f"mlgitops-{digest}-{environment}"


def name_unit(name: str, role: str) -> str:
    """Return the unit of a role.

    >>> name_unit("mlgitops-0123-staging", "slot-a")
    'mlgitops-0123-staging-server@a.service'
    """
    slot = role.removeprefix("slot-")
    return f"{name}-{role}.service" if slot == role else f"{name}-server@{slot}.service"


def has_systemd() -> bool:
    """Tell whether this person's systemd can be asked."""
    try:
        done = subprocess.run(
            ["systemctl", "--user", "show-environment"],
            check=False,
            capture_output=True,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _explain_cron(command: Sequence[str], files: EnvironmentFiles) -> str:
    line = f"{shlex.join(command)} >>{shlex.quote(str(files.logs / 'reconcile.log'))} 2>&1"
    line = line.replace("%", "\\%")  # which cron takes for a new line
    return (
        "there is no systemd that could be asked, so add these lines with `crontab -e`:\n"
        f"@reboot {line}\n"
        f"* * * * * {line}"
    )


def _render_environment() -> str:
    kept = {
        name: os.environ[name] for name in ("PATH", "MLGITOPS_ENVIRONMENTS") if name in os.environ
    }
    return "".join(f"Environment={_quote(f'{name}={value}')}\n" for name, value in kept.items())


def _quote(word: str) -> str:
    """Quote one word of a unit's line: no specifier, no variable."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_escape(escaped)}"'


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _units_folder() -> Path:
    configuration = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(configuration) / "systemd" / "user"


def _systemctl(*words: str, check: bool = True) -> str:
    """Ask this person's systemd; raises :class:`MlgitopsError` when it refuses."""
    try:
        return run_program(["systemctl", "--user", *words], timeout=_SECONDS).strip()
    except MlgitopsError as error:
        if check:
            raise
        return error.what.splitlines()[-1].strip() if error.what else ""
