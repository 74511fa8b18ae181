"""Answers in one piece: head and body leave together, as uvicorn alone does not send them.

A server that is killed between the two has told the router that it answers: the request can be
sent to no other server any more, and whoever asked gets half an answer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .front import ARRIVED


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol, over a transport that sends what belongs together at once."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's or uvloop's
        """Begin to serve a connection."""
        super().connection_made(_Gathering(transport))

    def on_message_complete(self) -> None:
        """Note when a request has arrived: it may wait long until the loop comes to it."""
        self.scope["state"][ARRIVED] = time.perf_counter()
        super().on_message_complete()


class _Gathering:
    """A transport whose writes of one turn of the loop are one write."""

    def __init__(self, transport: Any) -> None:  # noqa: ANN401 - as above
        self._transport = transport
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send this, with what else is written before the loop's next turn."""
        if not self._pieces:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pieces.append(data)

    def close(self) -> None:
        """Send what was written, and close the connection."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces:
            self._transport.write(b"".join(pieces))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport has
        return getattr(self._transport, name)
