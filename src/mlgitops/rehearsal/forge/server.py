"""The stand-in on a port of this machine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from types import TracebackType

    from mlgitops.rehearsal.forge.application import Forge


class Server:
    """Serves ``forge`` on a free port of this machine while the ``with`` block runs."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge
        self._server = make_server("127.0.0.1", 0, forge, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(WSGIRequestHandler):
    """Keeps the access log off the terminal; the forge remembers its requests."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Drop a line of the access log."""
