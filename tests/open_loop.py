"""An open-loop load: requests leave by the clock, whatever became of those before; none is retried.

`python open_loop.py PORT NAME` is the stub that answers them: 3 ms a request, its name as the
answer, an error to each request while the file `NAME.broken` is there, and a graceful end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter

HOST = "127.0.0.1"
_THINKING = 0.003  # seconds
_PATIENCE = 120.0  # seconds: a request without an answer until then has failed


class OpenLoop:
    """So many requests a second at a port, each on a connection of its own, until it is ended.

    ``answers`` counts by the body of the answer; ``failures`` holds what each failed one met.
    """

    def __init__(self, port: int, rate: float) -> None:
        self.port = port
        self.rate = rate
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Send until :meth:`stop`, then wait for the answers that are still due."""
        clock = asyncio.get_running_loop()
        start, sent, due = clock.time(), 0, set()
        while not self._stopped.is_set():
            await asyncio.sleep(max(0.0, start + sent / self.rate - clock.time()))
            task = asyncio.create_task(self._ask())
            due.add(task)
            task.add_done_callback(due.discard)
            sent += 1
        await asyncio.gather(*due)

    def count(self) -> int:
        """Return how many requests were answered or failed."""
        return self.answers.total() + len(self.failures)

    def stop(self) -> None:
        """Send no more."""
        self._stopped.set()

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection(HOST, self.port)
                status, body = await ask(reader, writer, close=True)
                writer.close()
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.failures.append(repr(error))
            return
        if status == "200":
            self.answers[body] += 1
        else:
            self.failures.append(f"{status} {body}")


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, close: bool = False
) -> tuple[str, str]:
    """Send one POST on a connection; return the status and the body."""
    ending = "Connection: close\r\n" if close else ""
    writer.write(f"POST / HTTP/1.1\r\nHost: x\r\n{ending}Content-Length: 2\r\n\r\n".encode())
    await writer.drain()
    await asyncio.sleep(0)  # as most clients do, the body comes by a packet of its own
    writer.write(b"{}")
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length:")[2].splitlines()[0])
    return head.split()[1], (await reader.readexactly(length)).decode()


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
