"""An HTTP proxy on this machine that answers some requests itself, as a server that fails."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OWN = {"connection", "transfer-encoding", "content-length", "expect"}


class FaultProxy(ThreadingHTTPServer):
    """Passes requests on to ``upstream``, a port, unless `fault` names another answer."""

    daemon_threads = True

    def __init__(self, upstream: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.port: int = self.server_address[1]
        #: (method, path) → the status to answer with, nothing being passed on; None: pass it on.
        self.fault: Callable[[str, str], int | None] = pass_on


def pass_on(_method: str, _path: str) -> None:
    """Answer nothing in the server's place."""


@contextmanager
def run_proxy(upstream: int) -> Iterator[FaultProxy]:
    """Run such a proxy on a free port until the block ends."""
    with FaultProxy(upstream) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultProxy

    def answer(self) -> None:
        body = self._read_body()
        status = self.server.fault(self.command, self.path)
        if status is not None:
            self._send(status, {}, b"")
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OWN}
        link = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=600)
        link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            link.putheader(name, value)
        link.endheaders(body)
        reply = link.getresponse()
        self._send(reply.status, dict(reply.getheaders()), reply.read())
        link.close()

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        length = headers.get("Content-Length", str(len(body)))  # of a HEAD, what it would be
        for name, value in headers.items():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - its names

    def log_message(self, *_arguments: Any) -> None:  # noqa: ANN401 - its own
        """Say nothing."""
