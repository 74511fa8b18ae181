"""The stable public port: forwards each new connection to the server that a file names.

Run as a script, standard library only: `python -I router.py PORT STATE`. The file is
replaced by an atomic rename, so a connection goes to the old server or to the new one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
_CHUNK = 64 * 1024
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until the sender ends, then end the other side too."""
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _forward(state: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        port = int(json.loads(state.read_bytes())["port"])  # noqa: ASYNC240 - 300 bytes
        upstream, downstream = await asyncio.open_connection(HOST, port)
    except (OSError, ValueError, KeyError, TypeError):
        writer.write(_UNAVAILABLE)
        writer.close()
        return
    sending = asyncio.create_task(_copy(reader, downstream))
    await _copy(upstream, writer)  # ends when the server closes its side
    sending.cancel()
    for end in (downstream, writer):
        end.close()


async def serve(port: int, state: Path) -> None:
    """Listen on ``port`` and forward until the process is ended."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _forward(state, reader, writer)

    server = await asyncio.start_server(accept, HOST, port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
