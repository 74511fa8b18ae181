"""An open-loop load: requests leave by the clock, whatever became of those before; none is retried.

`python open_loop.py PORT NAME` is a stub that answers them: 3 ms a request, its name as the
answer, an error to each request while the file `NAME.broken` is there, and a graceful end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from typing import NamedTuple

HOST = "127.0.0.1"
_THINKING = 0.003  # seconds
_PATIENCE = 120.0  # seconds: a request without an answer until then has failed
_SLOT_HEADER = "mlgitops-slot"  # the router's; the stub is also imported where it is not there


class Answer(NamedTuple):
    """What came back for a request."""

    status: str
    slot: str  # that gave the answer, as the router says; empty: no router did
    body: str


class OpenLoop:
    """So many requests a second at a port, each on a connection of its own, until it is ended.

    ``answers`` counts by the slot that answered, ``failures`` holds what each failed one met, and
    ``seconds`` how long each answer took from the moment at which its request was due.
    """

    def __init__(self, port: int, rate: float, *, path: str = "/", body: bytes = b"{}") -> None:
        self.port = port
        self.rate = rate
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.seconds: list[float] = []
        self._path = path
        self._body = body
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Send until :meth:`stop`, then wait for the answers that are still due."""
        clock = asyncio.get_running_loop()
        start, sent, waiting = clock.time(), 0, set()
        while not self._stopped.is_set():
            due = start + sent / self.rate
            await asyncio.sleep(max(0.0, due - clock.time()))
            task = asyncio.create_task(self._ask(due))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
            sent += 1
        await asyncio.gather(*waiting)

    def count(self) -> int:
        """Return how many requests were answered or failed."""
        return self.answers.total() + len(self.failures)

    def stop(self) -> None:
        """Send no more."""
        self._stopped.set()

    async def _ask(self, due: float) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection(HOST, self.port)
                answer = await ask(reader, writer, self._path, self._body, close=True)
                writer.close()
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.failures.append(repr(error))
            return
        if answer.status == "200":
            self.answers[answer.slot] += 1
            self.seconds.append(asyncio.get_running_loop().time() - due)
        else:
            self.failures.append(f"{answer.status} {answer.body[:200]}")


async def ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str = "/",
    body: bytes = b"{}",
    *,
    close: bool = False,
) -> Answer:
    """Send one POST on a connection; return the answer."""
    ending = "Connection: close\r\n" if close else ""
    length = f"Content-Length: {len(body)}\r\n"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n{ending}{length}\r\n".encode())
    await writer.drain()
    await asyncio.sleep(0)  # as most clients do, the body comes by a packet of its own
    writer.write(body)
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): text.strip() for name, _, text in pairs}
    content = await reader.readexactly(int(headers["content-length"]))
    return Answer(first.split()[1], headers.get(_SLOT_HEADER, ""), content.decode())


async def _answer(
    broken: str, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            await asyncio.sleep(_THINKING)
            is_broken = head.startswith(b"POST") and os.path.exists(broken)  # noqa: ASYNC240, PTH110
            status = "500 Broken" if is_broken else "200 OK"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode())
            await writer.drain()
    except (EOFError, OSError):
        pass
    finally:
        writer.close()


async def _serve(port: int, name: str) -> None:
    broken, ended = f"{name}.broken", asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(broken, name, reader, writer)

    async with await asyncio.start_server(accept, HOST, port):
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
