"""HAProxy before two slots, under an open-loop load: a real router, real servers, kill -9."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest
from listeners import list_listeners, write_hex

from benchmarks.open_loop import HOST, Answer, OpenLoop, ask
from benchmarks.switching import (
    Host,
    Size,
    apply_open_loop,
    judge,
    poll,
    switch,
    wait_for_answers,
)
from mlgitops.delivery.local.haproxy import Ports
from mlgitops.delivery.local.routing import Routing
from mlgitops.delivery.loop.observed import Slot
from mlgitops.delivery.processes import find_free_port
from mlgitops.delivery.protocol import fetch_answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE = 200.0  # requests a second


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Return a router without servers; whatever runs is ended afterwards."""
    host = Host(tmp_path)
    yield host
    host.end_all()


def test_no_request_fails_through_switches_returns_and_kills(host: Host) -> None:
    """200 requests a second, 10 switches, 5 automatic returns, 5 kill -9 of the successor."""
    load = OpenLoop(host.ports.public, RATE)
    asyncio.run(apply_open_loop(host, load, Size(switches=10, returns=5, kills=5)))
    assert load.failures == []
    assert set(load.answers) == {"a", "b"}
    assert len(load.seconds) == load.answers.total()
    assert judge(load)


def test_a_request_that_fails_is_counted(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is deployed: each of them is told so, and the load test fails."""

    async def scene() -> OpenLoop:
        load = OpenLoop(host.ports.public, RATE)
        requests = asyncio.create_task(load.run())
        await wait_for_answers(load, 20)
        load.stop()
        await requests
        return load

    load = asyncio.run(scene())
    assert load.answers.total() == 0
    assert set(load.failures) == {"503 nothing is deployed"}
    assert not judge(load)
    assert f"failed {len(load.failures)}   (required: 0; NOT KEPT)" in capsys.readouterr().out


def test_a_client_that_stays_connected_reaches_the_new_model_at_once(host: Host) -> None:
    """Its next request after the switch is answered by the new server, on the same connection."""

    async def scene() -> list[str]:
        await switch(host, Slot.A, bake=False)
        reader, writer = await asyncio.open_connection(HOST, host.ports.public)
        answers = [(await ask(reader, writer)).body]
        await switch(host, Slot.B, bake=True)
        answers += [(await ask(reader, writer)).body for _ in range(3)]
        writer.close()
        return answers

    assert asyncio.run(scene()) == ["a", "b", "b", "b"]


def test_the_candidate_answers_its_share_and_none_at_share_0(host: Host) -> None:
    """Of 600 requests at 20 percent it gets 60 to 180, by chance all but once in 10^8."""

    async def count(share: int) -> int:
        host.router.route(Routing(live=Slot.A, canary=Slot.B, share=share))
        reader, writer = await asyncio.open_connection(HOST, host.ports.public)
        answers = [(await ask(reader, writer)).body for _ in range(600)]
        writer.close()
        return answers.count("b")

    host.start(Slot.A)
    host.start(Slot.B)
    assert 60 <= asyncio.run(count(20)) <= 180
    assert asyncio.run(count(0)) == 0


def test_a_canary_that_dies_costs_no_request(host: Host) -> None:
    """The live server answers what was drawn for it."""

    async def scene() -> list[Answer]:
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
    assert {answer.status for answer in answers} == {"200"}
    assert {answer.slot for answer in answers[:50]} == {"a", "b"}
    assert {answer.slot for answer in answers[60:]} == {"a"}
    assert host.router.count_downs(Slot.B)


def test_a_server_that_is_well_again_has_failed_all_the_same(host: Host) -> None:
    """Whoever looks once a minute learns that requests failed; a new switch begins anew."""
    for slot in Slot:
        host.start(slot)
    host.router.route(Routing(live=Slot.B, baking=True))
    assert not host.router.count_downs(Slot.B)
    broken = host.folder / "b.broken"
    broken.touch()
    poll(lambda: fetch_answer(host.ports.public, "/", {})[1] == b"a")
    broken.unlink()
    poll(lambda: fetch_answer(host.ports.public, "/", {})[1] == b"b")
    assert host.router.count_downs(Slot.B)
    host.router.route(Routing(live=Slot.B, baking=True))
    assert not host.router.count_downs(Slot.B)


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
