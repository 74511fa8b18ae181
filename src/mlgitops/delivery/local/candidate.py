"""A server beside the two slots, that no user ever reaches: started, checked, and ended again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlgitops.delivery.bundle import GOLDEN, SERVING_LOCK
from mlgitops.delivery.golden import check_golden, read_golden
from mlgitops.delivery.local.launching import Detached, write_program
from mlgitops.delivery.local.slots import READY_SECONDS, list_command
from mlgitops.delivery.processes import find_free_port
from mlgitops.delivery.protocol import CheckFailedError, read_tail, wait_until_ready
from mlgitops.environments import locked, make_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.bundle import Bundle
    from mlgitops.delivery.local.files import EnvironmentFiles
    from mlgitops.delivery.loop.observed import ServedModel

_ROLE = "shadow"


@contextmanager
def start_candidate(
    project: Path,
    files: EnvironmentFiles,
    bundle: Bundle,
    served: ServedModel,
    console: Console,
) -> Iterator[int]:
    """Serve ``bundle`` while the block runs; yield the port on this host. One at a time.

    Raises :class:`~mlgitops.delivery.protocol.CheckFailedError` when the server does not get ready,
    or gives another golden prediction.
    """
    environment = make_environment(project, "serving", bundle.folder / SERVING_LOCK, console)
    with locked(files.folder / f"{_ROLE}.turn"):
        end_candidate(files)  # of a command that was killed
        log = files.logs / f"{_ROLE}.log"
        log.unlink(missing_ok=True)
        port = find_free_port()
        command = list_command(environment / "bin" / "python", bundle, served, port)
        write_program(
            files.folder / f"{_ROLE}.sh",
            command,
            cwd=bundle.folder,
            variables={"PYTHONPATH": str(bundle.folder / "src")},
        )
        lock = files.folder / f"{_ROLE}.lock"
        try:
            Detached().start(_ROLE, files.folder)
            with console.step(f"Start {served.sha256[:12]} beside, port {port}"):
                wait_until_ready(port, served.model, lock, log, seconds=READY_SECONDS)
            with console.step("Golden prediction"):
                check_golden(port, served.model, read_golden(bundle.folder / GOLDEN))
            yield port
        except CheckFailedError:
            console.say(f"{served.label} failed; {log} ends:{read_tail(log)}")
            raise
        finally:
            end_candidate(files)


def end_candidate(files: EnvironmentFiles) -> None:
    """End the server, if it runs."""
    Detached().stop(_ROLE, files.folder)
