"""Models that are switched under an open-loop load: a real router, real servers, kill -9.

Ten switches, five returns from a server whose code begins to fail while it bakes, five from one
that is killed: no request may fail, and none is retried by its sender. `tests` does it with a stub
that answers 200 requests a second; as a program it is done with the flights model and the
generated project's own server, at half of the rate that was measured through the router just
before. Latencies are counted from the moment at which a request was due.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import psutil

from benchmarks import open_loop, serving_speed
from benchmarks.open_loop import OpenLoop
from mlgitops.delivery.local.haproxy import Ports, Router
from mlgitops.delivery.local.routing import Routing
from mlgitops.delivery.loop.observed import Slot
from mlgitops.delivery.processes import find_free_port, wait_until_drained
from mlgitops.delivery.protocol import is_live

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Seconds that anything is waited for, other than the start of a server: a wait without an end
#: would take the whole suite with it.
PATIENCE = 120
#: Answers that are waited for between one step and the next.
_ANSWERS = 20
_MEASURED = 400  # requests
#: Put into a project's scoring, it makes a model whose code works until something is not there.
_FAILURE = """
    if list(Path().glob("*.broken")):
        raise RuntimeError("what this model needs is gone")
"""
_SCORED = '    if not hasattr(estimator, "predict_proba"):\n'


class Program(NamedTuple):
    """What serves a slot: it is called with its port and the slot's name, in its folder.

    In a folder with a file `<slot>.broken` it answers that it failed, if it is one that can.
    """

    words: tuple[str | Path, ...]
    folder: Path
    environment: Mapping[str, str] | None = None  # None: this process's


class Size(NamedTuple):
    """How often each of these happens."""

    switches: int = 10
    returns: int = 5
    kills: int = 5


class Host:
    """One router and up to two servers, each a process of its own.

    ``program`` serves what is switched to, ``failing`` what is to fail while it bakes.
    """

    def __init__(
        self, folder: Path, program: Program | None = None, failing: Program | None = None
    ) -> None:
        self.folder = folder
        self.program = program or Program((sys.executable, open_loop.__file__), folder)
        self.failing = failing or self.program
        self.ports = Ports(public=find_free_port(), slots={slot: find_free_port() for slot in Slot})
        self.router = Router(folder)
        self.router.write_configuration(self.ports, Routing())
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.start_router()

    def start_router(self) -> None:
        """Start HAProxy and wait until it answers."""
        command = [str(word) for word in self.router.list_command()]
        self.processes["router"] = self._run(command, Program((), self.folder), "router")
        self.router.wait_until_up()

    def start(self, slot: Slot, program: Program | None = None) -> None:
        """Start the server of a slot, in place of any that runs there, and wait until it lives."""
        self.end(slot, signal.SIGKILL)
        port, program = self.ports.slots[slot], program or self.program
        command = [*map(str, program.words), str(port), slot.value]
        self.processes[slot] = self._run(command, program, slot.value)
        while not is_live(port):
            if self.processes[slot].poll() is not None:
                log = (self.folder / f"{slot}.log").read_text(errors="replace")
                raise SystemExit(f"the server of slot {slot} does not start:\n{log[-2_000:]}")
            time.sleep(0.02)

    def _run(self, command: list[str], program: Program, name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=program.folder, env=program.environment, stdout=log, stderr=log
            )

    def end(self, name: str, number: int) -> None:
        """Send a signal to a process, if it runs, and wait for its end."""
        process = self.processes.pop(name, None)
        if process:
            process.send_signal(number)
            process.wait()

    def end_all(self) -> None:
        """End whatever runs."""
        for name in list(self.processes):
            self.end(name, signal.SIGKILL)

    def set_broken(self, slot: Slot, *, broken: bool) -> None:
        """Let the failing program fail from now on, or no longer."""
        marker = self.failing.folder / f"{slot}.broken"
        if broken:
            marker.touch()
        else:
            marker.unlink(missing_ok=True)


def poll(is_so: Callable[[], object]) -> None:
    """Return once it is so; fail where it never becomes so."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"not so after {PATIENCE} seconds"
        time.sleep(0.01)


async def switch(host: Host, new: Slot, program: Program | None = None, *, bake: bool) -> None:
    """Start the server of ``new`` and let it answer, the other one behind it while it bakes."""
    await asyncio.to_thread(host.start, new, program)
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


async def go_through_everything(host: Host, load: OpenLoop, size: Size) -> None:
    """Switch; return from models that answer errors; return from servers that are killed."""
    live = Slot.A
    for number in range(size.switches):
        await switch(host, live.other, bake=True)
        await wait_for_answers(load, _ANSWERS)
        live = live.other
        await finish(host, live)
        _say(f"switch {number + 1}", load)
    for number in range(size.returns + size.kills):
        new = live.other
        if number < size.returns:
            await switch(host, new, host.failing, bake=True)
            await wait_for_answers(load, _ANSWERS)
            host.set_broken(new, broken=True)
        else:
            await switch(host, new, bake=True)
            await wait_for_answers(load, _ANSWERS)
            host.end(new, signal.SIGKILL)
        await asyncio.to_thread(poll, partial(host.router.count_downs, new))
        await wait_for_answers(load, _ANSWERS)
        await finish(host, live)
        host.set_broken(new, broken=False)
        _say(f"return {number + 1}", load)


def _say(step: str, load: OpenLoop) -> None:
    print(f"  {step:<10} {load.count():7} requests, {len(load.failures)} failed", flush=True)


async def apply_open_loop(host: Host, load: OpenLoop, size: Size) -> None:
    """Send requests all the time that the models of a host are switched."""
    if Slot.A not in host.processes:
        await switch(host, Slot.A, bake=False)
    requests = asyncio.create_task(load.run())
    await wait_for_answers(load, _ANSWERS)
    await go_through_everything(host, load, size)
    load.stop()
    await requests


def judge(load: OpenLoop) -> bool:
    """Print what became of the requests; return whether none of them failed."""
    median, late = 1000 * np.quantile(load.seconds or [float("nan")], [0.5, 0.99])
    by_slot = ", ".join(f"{slot}: {count}" for slot, count in sorted(load.answers.items()))
    print(f"  answered {load.answers.total()} ({by_slot}), {load.rate:.0f} a second")
    print(f"  median {median:.1f} ms, 99 of 100 within {late:.1f} ms of the moment they were due")
    print(f"  failed {len(load.failures)}   (required: 0{'; NOT KEPT' if load.failures else ''})")
    for failure in load.failures[:10]:
        print(f"    {failure}")
    return not load.failures and load.answers.total() > 0


def make_failing(project: Path, folder: Path) -> Path:
    """Return a copy of a project whose model fails as soon as a file `*.broken` is there."""
    failing = Path(shutil.copytree(project, folder))
    scoring = failing / "src" / serving_speed.PACKAGE / "scoring.py"
    text = scoring.read_text("utf-8")
    assert text.count(_SCORED) == 1
    scoring.write_text(text.replace(_SCORED, _FAILURE + _SCORED), "utf-8")
    return failing


def main(size: Size | None = None) -> bool:
    """Do it with the real model; return whether no request failed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project, python = serving_speed.make_project(folder)
        command = f"exec {python} -m {serving_speed.PACKAGE}.serve --port $0 --version $1"
        programs = [
            Program(("sh", "-c", command), root, serving_speed.environ())
            for root in (project, make_failing(project, folder / "failing"))
        ]
        golden = json.loads((project / "reports" / "golden.json").read_text())
        (folder / "host").mkdir()
        host = Host(folder / "host", *programs)
        try:
            return measure(host, serving_speed.make_request(golden["request"], 1), size or Size())
        finally:
            host.end_all()


def measure(host: Host, body: bytes, size: Size) -> bool:
    """Measure the rate of one server behind the router; go through everything at half of it."""
    asyncio.run(switch(host, Slot.A, bake=False))
    server = serving_speed.Server(host.ports.public, psutil.Process(host.processes[Slot.A].pid))
    serving_speed.apply_load(server, body, _MEASURED // 4)  # the first ones are slower
    rate = serving_speed.apply_load(server, body, _MEASURED).per_second
    print(f"one row a request: {rate:.0f} a second through the router; half of it from now on")
    load = OpenLoop(host.ports.public, rate / 2, path=serving_speed.PATH, body=body)
    asyncio.run(apply_open_loop(host, load, size))
    return judge(load)


def parse_size(arguments: list[str] | None = None) -> Size:
    """Return how often each of these is to happen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.switching", description=__doc__)
    for name, usual in Size()._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    return Size(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(not main(parse_size()))
