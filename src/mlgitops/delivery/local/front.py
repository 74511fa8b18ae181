"""The public port of an environment: its router is started, told who answers, and asked itself."""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING

from mlgitops.delivery.bundle import GOLDEN
from mlgitops.delivery.golden import check_golden, read_golden
from mlgitops.delivery.local.files import RouterRecord, SlotRecord, list_ports
from mlgitops.delivery.local.haproxy import (
    CANARY_HEADER,
    MODEL_HEADER,
    SLOT_HEADER,
    Ports,
    Router,
)
from mlgitops.delivery.local.launching import write_program
from mlgitops.delivery.local.routing import choose_routing
from mlgitops.delivery.loop.observed import Slot
from mlgitops.delivery.processes import (
    HOST,
    find_free_port,
    find_listener,
    is_port_free,
    is_running,
)
from mlgitops.delivery.protocol import CheckFailedError, fetch
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlgitops.delivery.local.files import EnvironmentFiles
    from mlgitops.delivery.local.launching import Launcher
    from mlgitops.delivery.local.routing import Routing
    from mlgitops.delivery.loop.observed import Active

_ROLE = "router"
_CONFIRMATIONS = 3  # answers through the public port that must all be right


class Front:
    """The router of one environment."""

    def __init__(self, files: EnvironmentFiles, launcher: Launcher) -> None:
        self._files = files
        self._launcher = launcher
        self._router = Router(files.folder)

    def check_port(self, port: int) -> None:
        """Refuse a public port that something else holds, before anything is started."""
        record = self._read()
        ours = record is not None and record.public == port and self._is_running()
        if ours or is_port_free(port):
            return
        holder = find_listener(port)
        raise MlgitopsError(
            f"port {port} is taken" + (f" by {holder}" if holder else ""),
            where=f"{HOST}:{port}",
            hint="stop what listens there, or choose another one with --port",
        )

    def is_routed(
        self, active: Active | None, slots: Mapping[Slot, SlotRecord | None], port: int
    ) -> bool:
        """Tell whether the router runs at ``port`` and sends where ``active`` says."""
        record = self._read()
        if active is None or record is None or not self._is_running():
            return active is None
        ports = list_ports(record)
        moved = [slot for slot, server in slots.items() if server and server.port != ports[slot]]
        at_home = record.public == port and not moved
        if not at_home or self._router.read_routing() != choose_routing(active):
            return False
        return self._router.is_at(ports)  # the record was written before they were moved

    def route(
        self, active: Active | None, slots: Mapping[Slot, SlotRecord | None], port: int
    ) -> None:
        """Have the router at ``port`` send where ``active`` says; start it if need be."""
        record, routing = self._read(), choose_routing(active)
        ports = _choose_ports(record, slots, port)
        self._files.write(self._files.router, ports)
        named = Ports(public=port, slots=list_ports(ports))
        self._router.write_configuration(named, routing)
        if record and record.public == port and self._is_running():
            self._router.wait_until_up()
            for slot, number in named.slots.items():
                self._router.move_slot(slot, number)
            self._router.route(routing)
            return
        self._start(port, routing)

    def count_downs(self, slot: Slot) -> int | None:
        """Count how often a slot that bakes failed users' requests, or checks; None: not known."""
        return self._router.count_downs(slot)

    def read_run(self) -> str | None:
        """Return what names this run of the router, which counts; None where it does not answer."""
        return self._router.read_run()

    def confirm(self, slot: Slot, record: SlotRecord) -> None:
        """Ask for the golden prediction through the public port; each answer must be the slot's.

        Raises :class:`CheckFailedError` for another answer, and :class:`MlgitopsError` when the
        router is at fault.
        """
        golden = read_golden(self._files.bundles / record.bundle / GOLDEN)
        router = self._read()
        for _ in range(_CONFIRMATIONS):
            try:
                headers = check_golden(
                    router.public if router else 0,
                    record.served.model,
                    golden,
                    headers={CANARY_HEADER: "yes"},
                )
                _check_origin(headers, slot, record.served.sha256)
            except CheckFailedError as error:
                if self._router.is_up():
                    raise
                raise MlgitopsError(
                    "the router ended while the model was checked through it",
                    where=str(self._files.router_log),
                    hint="run the same command again",
                ) from error

    def read_port(self) -> int:
        """Return the public port that the router was started with; 0 when none was."""
        record = self._read()
        return record.public if record else 0

    def find_problem(self, slot: Slot) -> str | None:
        """Say what is wrong with the router, None where it runs and sends to ``slot``."""
        if not self._is_running():
            return f"the router does not run; its log is {self._files.router_log}"
        routing = self._router.read_routing()
        if routing is None or slot not in {routing.live, routing.canary}:
            return f"the router does not send to slot {slot}"
        return None

    def is_answering(self, slot: Slot, model: str) -> bool:
        """Tell whether the slot's server says through the public port that it is ready."""
        headers = {CANARY_HEADER: "yes"}
        try:
            path = f"/v2/models/{model}/ready"
            status, _, answered = fetch(self.read_port(), path, headers=headers)
        except (OSError, HTTPException):
            return False
        return (status, answered.get(SLOT_HEADER)) == (HTTPStatus.OK, slot)

    def stop(self) -> bool:
        """End the router; return whether it ran."""
        running = self._is_running()
        self._launcher.stop(_ROLE, self._files.folder)
        self._files.router.unlink(missing_ok=True)
        return running

    def _start(self, port: int, routing: Routing) -> None:
        self._launcher.stop(_ROLE, self._files.folder)
        self.check_port(port)
        command = self._router.list_command()
        write_program(self._files.router_program, command, cwd=self._files.folder, variables={})
        self._launcher.start(_ROLE, self._files.folder)
        self._router.wait_until_up()
        self._router.route(routing)

    def _read(self) -> RouterRecord | None:
        return self._files.read(self._files.router, RouterRecord)

    def _is_running(self) -> bool:
        return is_running(self._files.router_lock)


def _choose_ports(
    record: RouterRecord | None, slots: Mapping[Slot, SlotRecord | None], public: int
) -> RouterRecord:
    """Return the ports of the servers that are there; an empty slot keeps the one it had."""
    ports = {slot: server.port for slot, server in slots.items() if server}
    kept = list_ports(record) if record else {}
    for slot in Slot:
        ports.setdefault(slot, kept.get(slot) or find_free_port())
    return RouterRecord(public=public, a=ports[Slot.A], b=ports[Slot.B])


def _check_origin(headers: Mapping[str, str], slot: Slot, sha256: str) -> None:
    """Raise :class:`CheckFailedError` unless the slot, and this very model, gave the answer.

    A server that names no model, as releases from before did, is known by its slot alone.
    """
    answered = headers.get(SLOT_HEADER), headers.get(MODEL_HEADER, sha256)
    if answered != (slot, sha256):
        raise CheckFailedError(
            f"slot {slot} with the model {sha256[:12]} should answer the public port, and slot "
            f"{str(answered[0])[:20]} with {answered[1][:12]} did"
        )
