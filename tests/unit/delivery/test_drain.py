"""When a server has nobody left to answer."""

from __future__ import annotations

import socket

from mlgitops.delivery.processes import wait_until_drained


def test_a_client_that_sends_no_more_still_waits_for_its_answer() -> None:
    """It counts until the server closes its side, too."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            answering, _ = server.accept()
            client.shutdown(socket.SHUT_WR)
            assert answering.recv(1) == b""
            assert not wait_until_drained(port, 0)
            answering.close()
            assert wait_until_drained(port, 5)
