"""How the processes of an environment are started and ended: detached here, or by systemd.

Either way a process is known by the lock that it holds (`processes`), so whoever looks need not
know who started it.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Protocol

from mlgitops.delivery.processes import start_detached, stop_process
from mlgitops.environments import clean_environment
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_OF_A_JOB = ("ACTIONS_", "GITHUB_", "GIT_CONFIG_", "RUNNER_")


class Launcher(Protocol):
    """Starts the script of a role, `router`, `slot-a` or `slot-b`, and ends what holds its lock."""

    def start(self, role: str, folder: Path) -> None:
        """Run the role's script in ``folder`` until it is ended; it appends to the role's log."""

    def stop(self, role: str, folder: Path) -> None:
        """End the role's process, asked first, then killed."""


class Detached:
    """Starts processes of their own session, which outlive the command and not the machine."""

    def start(self, role: str, folder: Path) -> None:
        """Run the role's script, which inherits its lock."""
        start_detached(
            ["sh", folder / f"{role}.sh"],
            lock=folder / f"{role}.lock",
            log=folder / "logs" / f"{role}.log",
            cwd=folder,
            env=_drop_job_variables(clean_environment()),
        )

    def stop(self, role: str, folder: Path) -> None:
        """End the process that holds the role's lock."""
        stop_process(folder / f"{role}.lock")


def _drop_job_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what a workflow's job hands to its own steps.

    That is its token, and RUNNER_TRACKING_ID, by which the runner ends what a job leaves behind:
    https://github.com/actions/runner/blob/main/src/Runner.Worker/JobExtension.cs
    """
    return {
        name: value
        for name, value in environ.items()
        if name != "GH_TOKEN" and not name.startswith(_OF_A_JOB)
    }


def write_program(
    path: Path, command: Sequence[str | Path], *, cwd: Path, variables: Mapping[str, str]
) -> None:
    """Write the script of a role, which becomes ``command``."""
    lines = ["#!/bin/sh", "# Written by mlgitops: edits are lost at the next deployment."]
    lines.append(f"cd {shlex.quote(str(cwd))} || exit 1")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    lines.append(f"exec {shlex.join(str(word) for word in command)}")
    replace_file(path, "".join(f"{line}\n" for line in lines).encode())
