"""HAProxy before two slots, under an open-loop load: a real router, real servers, kill -9."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import open_loop
import pytest
from listeners import list_listeners, write_hex
from open_loop import HOST, OpenLoop, ask

from mlgitops.delivery.local.haproxy import Ports, Router
from mlgitops.delivery.local.routing import Routing
from mlgitops.delivery.loop.observed import Slot
from mlgitops.delivery.processes import find_free_port, wait_until_drained
from mlgitops.delivery.protocol import fetch_answer, is_live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RATE = 200.0  # requests a second
PATIENCE = 120  # seconds: a wait without an end would take the whole suite with it


class Host:
    """One router and up to two servers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = Ports(public=find_free_port(), slots={slot: find_free_port() for slot in Slot})
        self.router = Router(folder)
        self.router.write_configuration(self.ports, Routing())
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.start_router()

    def start_router(self) -> None:
        """Start HAProxy and wait until it answers."""
        log = (self.folder / "router.log").open("ab")
        command = [str(word) for word in self.router.list_command()]
        with log:
            self.processes["router"] = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log
            )
        self.router.wait_until_up()

    def start(self, slot: Slot) -> None:
        """Start the server of a slot, in place of any that runs there, and wait until it lives."""
        self.end(slot, signal.SIGKILL)
        port = self.ports.slots[slot]
        self.processes[slot] = subprocess.Popen(
            [sys.executable, open_loop.__file__, str(port), slot], cwd=self.folder
        )
        while not is_live(port):
            assert self.processes[slot].poll() is None

    def end(self, name: str, number: int) -> None:
        """Send a signal to a process, if it runs, and wait for its end."""
        process = self.processes.pop(name, None)
        if process:
            process.send_signal(number)
            process.wait()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Return a router without servers; whatever runs is ended afterwards."""
    host = Host(tmp_path)
    yield host
    for name in list(host.processes):
        host.end(name, signal.SIGKILL)


def poll(is_so: Callable[[], bool]) -> None:
    """Return once it is so; fail where it never becomes so."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"not so after {PATIENCE} seconds"
        time.sleep(0.01)


async def switch(host: Host, new: Slot, *, bake: bool) -> None:
    """Start the server of ``new`` and let it answer, the other one behind it while it bakes."""
    await asyncio.to_thread(host.start, new)
    host.router.route(Routing(live=new, baking=bake))


async def finish(host: Host, live: Slot) -> None:
    """Let ``live`` answer alone, and end the other server once nobody waits for it."""
    host.router.route(Routing(live=live))
    port = host.ports.slots[live.other]
    assert await asyncio.to_thread(wait_until_drained, port, 60)
    await asyncio.to_thread(host.end, live.other, signal.SIGTERM)


async def wait_for_answers(load: OpenLoop, count: int) -> None:
    """Wait until so many more requests were answered or failed."""
    aim = load.count() + count
    await asyncio.to_thread(poll, lambda: load.count() >= aim)


async def go_through_everything(host: Host, load: OpenLoop) -> None:
    """Ten switches, five returns from a model that answers errors, five from one killed."""
    live = Slot.A
    for _ in range(10):
        await switch(host, live.other, bake=True)
        await wait_for_answers(load, 20)
        live = live.other
        await finish(host, live)
    for disturbance in ["broken"] * 5 + ["killed"] * 5:
        new = live.other
        await switch(host, new, bake=True)
        await wait_for_answers(load, 20)
        if disturbance == "broken":
            (host.folder / f"{new}.broken").touch()
        else:
            host.end(new, signal.SIGKILL)
        await asyncio.to_thread(poll, partial(host.router.is_marked_down, new))
        await wait_for_answers(load, 20)
        await finish(host, live)
        (host.folder / f"{new}.broken").unlink(missing_ok=True)


def test_no_request_fails_through_switches_returns_and_kills(host: Host) -> None:
    """200 requests a second, 10 switches, 5 automatic returns, 5 kill -9 of the successor."""

    async def scene() -> OpenLoop:
        load = OpenLoop(host.ports.public, RATE)
        await switch(host, Slot.A, bake=False)
        requests = asyncio.create_task(load.run())
        await wait_for_answers(load, 20)
        await go_through_everything(host, load)
        load.stop()
        await requests
        return load

    load = asyncio.run(scene())
    assert load.failures == []
    assert set(load.answers) == {"a", "b"}


def test_a_client_that_stays_connected_reaches_the_new_model_at_once(host: Host) -> None:
    """Its next request after the switch is answered by the new server, on the same connection."""

    async def scene() -> list[str]:
        await switch(host, Slot.A, bake=False)
        reader, writer = await asyncio.open_connection(HOST, host.ports.public)
        answers = [(await ask(reader, writer))[1]]
        await switch(host, Slot.B, bake=True)
        answers += [(await ask(reader, writer))[1] for _ in range(3)]
        writer.close()
        return answers

    assert asyncio.run(scene()) == ["a", "b", "b", "b"]


def test_the_candidate_answers_its_share_and_none_at_share_0(host: Host) -> None:
    """Of 600 requests at 20 percent it gets 60 to 180, by chance all but once in 10^8."""

    async def count(share: int) -> int:
        host.router.route(Routing(live=Slot.A, canary=Slot.B, share=share))
        reader, writer = await asyncio.open_connection(HOST, host.ports.public)
        answers = [(await ask(reader, writer))[1] for _ in range(600)]
        writer.close()
        return answers.count("b")

    host.start(Slot.A)
    host.start(Slot.B)
    assert 60 <= asyncio.run(count(20)) <= 180
    assert asyncio.run(count(0)) == 0


def test_a_canary_that_dies_costs_no_request(host: Host) -> None:
    """The live server answers what was drawn for it."""

    async def scene() -> list[tuple[str, str]]:
        reader, writer = await asyncio.open_connection(HOST, host.ports.public)
        answers = []
        for number in range(200):
            if number == 50:
                host.end(Slot.B, signal.SIGKILL)
            answers.append(await ask(reader, writer))
        writer.close()
        return answers

    host.start(Slot.A)
    host.start(Slot.B)
    host.router.route(Routing(live=Slot.A, canary=Slot.B, share=50))
    answers = asyncio.run(scene())
    assert {status for status, _ in answers} == {"200"}
    assert {name for _, name in answers[:50]} == {"a", "b"}
    assert {name for _, name in answers[60:]} == {"a"}
    assert host.router.is_marked_down(Slot.B)


def test_a_server_that_is_well_again_has_failed_all_the_same(host: Host) -> None:
    """Whoever looks once a minute learns that requests failed; a new switch begins anew."""
    for slot in Slot:
        host.start(slot)
    host.router.route(Routing(live=Slot.B, baking=True))
    assert not host.router.is_marked_down(Slot.B)
    broken = host.folder / "b.broken"
    broken.touch()
    poll(lambda: fetch_answer(host.ports.public, "/", {})[1] == b"a")
    broken.unlink()
    poll(lambda: fetch_answer(host.ports.public, "/", {})[1] == b"b")
    assert host.router.is_marked_down(Slot.B)
    host.router.route(Routing(live=Slot.B, baking=True))
    assert not host.router.is_marked_down(Slot.B)


def test_a_router_that_starts_again_answers_as_before(host: Host) -> None:
    """After kill -9 it reads from its file which slot is live."""
    routing = Routing(live=Slot.B, canary=Slot.A, share=10)
    host.router.route(routing)
    host.end("router", signal.SIGKILL)
    assert host.router.read_routing() is None
    host.start_router()
    assert host.router.read_routing() == routing


def test_a_slot_is_asked_at_the_port_that_its_server_has_now(host: Host) -> None:
    """A server that starts again elsewhere is reached without a new router."""
    host.ports = Ports(public=host.ports.public, slots={slot: find_free_port() for slot in Slot})
    for slot in Slot:
        assert not host.router.is_at(host.ports.slots)
        host.router.move_slot(slot, host.ports.slots[slot])
        host.start(slot)
        host.router.route(Routing(live=slot))
        assert fetch_answer(host.ports.public, "/")[1].decode() == slot
    assert host.router.is_at(host.ports.slots)


def test_nobody_shares_the_public_port(host: Host) -> None:
    """A process that asks the kernel for a part of its connections does not get it."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            stranger.bind((HOST, host.ports.public))


def test_nothing_deployed_is_answered_with_503(host: Host) -> None:
    """And nobody but this machine can ask."""
    assert fetch_answer(host.ports.public, "/")[0] == 503
    listeners = list_listeners(host.processes["router"].pid)
    assert listeners == {write_hex("127.0.0.1", host.ports.public)}


def test_each_answer_is_logged_with_the_slot_that_gave_it(host: Host) -> None:
    """So that whoever was answered by the old model during a bake can be told so."""
    host.start(Slot.B)
    host.router.route(Routing(live=Slot.B))
    fetch_answer(host.ports.public, "/v2/models/churn")
    log = host.folder / "router.log"
    end = time.monotonic() + 60  # the router writes its line after the client has the answer
    while " GET /v2/models/churn 200 " not in log.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    (line,) = (line for line in log.read_text().splitlines() if " GET /v2/models/churn " in line)
    assert " 200 " in line
    assert " slot=b " in line
