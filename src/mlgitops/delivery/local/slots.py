"""The servers of an environment, one in each slot: started, looked at, checked and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from mlgitops.delivery.bundle import GOLDEN, MODEL, SERVING_LOCK, find_package
from mlgitops.delivery.golden import check_golden, read_golden
from mlgitops.delivery.local.files import SlotRecord, read_boot
from mlgitops.delivery.local.launching import write_program
from mlgitops.delivery.local.logs import rotate
from mlgitops.delivery.loop.observed import Server, ServerState
from mlgitops.delivery.processes import (
    find_free_port,
    is_port_free,
    is_running,
    wait_until_drained,
)
from mlgitops.delivery.protocol import CheckFailedError, describe_end, is_ready, wait_until_ready
from mlgitops.environments import make_environment

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.delivery.bundle import Bundle
    from mlgitops.delivery.local.files import EnvironmentFiles
    from mlgitops.delivery.local.launching import Launcher
    from mlgitops.delivery.loop.observed import ServedModel, Slot

READY_SECONDS = 90.0
_DRAIN_SECONDS = 10.0  # for requests on their way


class Slots:
    """The two slots of one environment."""

    def __init__(
        self, project: Path, files: EnvironmentFiles, launcher: Launcher, console: Console
    ) -> None:
        self._project = project
        self._files = files
        self._launcher = launcher
        self._console = console

    def read(self, slot: Slot) -> SlotRecord | None:
        """Return the record of a slot, None when it is empty."""
        return self._files.read(self._files.slot_record(slot), SlotRecord)

    def observe(self, slot: Slot) -> Server | None:
        """Return what a slot holds; None for what nobody can blame, which is ended.

        That is a server whose start or end was cut off, one of an earlier run of the machine, and
        one whose port somebody else took before it.
        """
        record, running = self.read(slot), self.is_running(slot)
        if record is None or not record.started or record.boot != read_boot():
            if running:
                self._launcher.stop(f"slot-{slot}", self._files.folder)
            return None
        state, reason = ServerState.DEAD, record.failure
        if reason is None and not running:
            if self._is_overtaken(record):
                return None
            reason = self._describe_end(slot)
        if reason is None:
            ready = is_ready(record.port, record.served.model)
            state = ServerState.READY if ready else ServerState.STARTING
        return Server(
            served=record.served,
            state=state,
            verified=record.verified,
            restarts=record.restarts,
            reason=reason,
        )

    def is_running(self, slot: Slot) -> bool:
        """Tell whether the process of a slot lives."""
        return is_running(self._files.slot_lock(slot))

    def find_problem(self, slot: Slot) -> str | None:
        """Say what is wrong with the server of a slot, None where it runs and is ready."""
        record = self.read(slot)
        if record is None or record.boot != read_boot():
            return f"the server of slot {slot} was not started since this machine was"
        if not self.is_running(slot):
            return self._describe_end(slot)
        if not is_ready(record.port, record.served.model):
            return f"the server runs and is not ready; its log is {self._files.slot_log(slot)}"
        return record.failure

    def end(self, slot: Slot) -> bool:
        """End the server of a slot at once, and leave it empty; return whether it ran."""
        running = self.is_running(slot)
        self._files.slot_record(slot).unlink(missing_ok=True)
        self._launcher.stop(f"slot-{slot}", self._files.folder)
        return running

    def start(self, slot: Slot, bundle: Bundle, served: ServedModel, restarts: int) -> SlotRecord:
        """Start a server of ``bundle`` at a port of its own, in the place of what was there."""
        files = self._files
        lock = bundle.folder / SERVING_LOCK
        environment = make_environment(self._project, "serving", lock, self._console)
        self._launcher.stop(f"slot-{slot}", files.folder)
        rotate(files.slot_log(slot))
        record = SlotRecord(
            served=served,
            bundle=bundle.name,
            port=find_free_port(),
            boot=read_boot(),
            restarts=restarts,
        )
        files.write(files.slot_record(slot), record)
        python = environment / "bin" / "python"
        command = list_command(python, bundle, served, record.port, requests=files.requests)
        variables = {"PYTHONPATH": str(bundle.folder / "src")}
        program = files.slot_program(slot)
        write_program(program, command, cwd=bundle.folder, variables=variables)
        self._launcher.start(f"slot-{slot}", files.folder)
        return self._change(slot, record, started=True)

    def wait(self, slot: Slot) -> None:
        """Wait until the server is ready; one that ends, or takes too long, is dead."""
        record = self._require(slot)
        with self._console.step(f"Start {record.served.sha256[:12]} beside, port {record.port}"):
            try:
                wait_until_ready(
                    record.port,
                    record.served.model,
                    self._files.slot_lock(slot),
                    self._files.slot_log(slot),
                    seconds=READY_SECONDS,
                )
            except CheckFailedError as error:
                if self.is_running(slot) or not self._is_overtaken(record):
                    self._give_up(slot, error.what)

    def check(self, slot: Slot) -> bool:
        """Ask the server for the golden prediction; without the right answer it is dead.

        Return whether it was right; that counts once :meth:`mark_verified` wrote it down.
        """
        record = self._require(slot)
        with self._console.step("Golden prediction"):
            try:
                self.check_golden(record, record.port)
            except CheckFailedError as error:
                self._give_up(slot, error.what)
                return False
        return True

    def mark_verified(self, slot: Slot) -> None:
        """Write down that the server gave the golden prediction."""
        self._change(slot, self._require(slot), verified=True)

    def check_golden(self, record: SlotRecord, port: int) -> None:
        """Ask for the golden prediction of a server at ``port``, which may be the public one."""
        golden = read_golden(self._files.bundles / record.bundle / GOLDEN)
        check_golden(port, record.served.model, golden)

    def fail(self, slot: Slot, reason: str) -> None:
        """Count the server as dead from now on, whether or not it still runs.

        ``reason`` becomes one line: a server may have answered with several.
        """
        self._change(slot, self._require(slot), failure=" ".join(reason.split()))

    def _is_overtaken(self, record: SlotRecord) -> bool:
        """Tell whether a server that ended never had its port, for somebody else listens there."""
        return not record.verified and not is_port_free(record.port)

    def _give_up(self, slot: Slot, reason: str) -> None:
        """Count a server as dead that answers nobody yet, and end it."""
        self.fail(slot, reason)
        self._launcher.stop(f"slot-{slot}", self._files.folder)

    def stop(self, slot: Slot) -> None:
        """Let the server answer who still waits, end it, and leave the slot empty.

        The record goes first: killed in between, nobody takes the end for the model's fault.
        """
        record = self.read(slot)
        if record and self.is_running(slot):
            with self._console.step("Let the old server finish"):
                wait_until_drained(record.port, _DRAIN_SECONDS)
        self.end(slot)

    def _change(self, slot: Slot, record: SlotRecord, **fields: object) -> SlotRecord:
        changed = structs.replace(record, **fields)
        self._files.write(self._files.slot_record(slot), changed)
        return changed

    def _require(self, slot: Slot) -> SlotRecord:
        record = self.read(slot)
        assert record is not None  # noqa: S101 - decided on a server that is there
        return record

    def _describe_end(self, slot: Slot) -> str:
        return f"the server ended{describe_end(self._files.slot_log(slot))}"


def list_command(
    python: Path,
    bundle: Bundle,
    served: ServedModel,
    port: int,
    *,
    requests: Path | None = None,
) -> list[str | Path]:
    """Return the command of the project's own server, which logs its requests in a folder."""
    package = find_package(bundle)
    command: list[str | Path] = [python, "-m", f"{package}.serve"]
    command += ["--model", MODEL, "--port", str(port), "--name", served.model]
    source = (bundle.folder / "src" / package / "serve.py").read_text(encoding="utf-8")
    # A release from before these options came is served as well: its model is verified here.
    for option, word in (
        ("--sha256", served.sha256),
        ("--version", served.version),
        ("--requests", requests),
    ):
        if word and f'"{option}"' in source:
            command += [option, word]
    return command
