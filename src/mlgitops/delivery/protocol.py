"""Ask a server of the Open Inference Protocol whether it is ready, and what it predicts.

https://github.com/kserve/open-inference-protocol, version 2, over HTTP on this host.
"""

from __future__ import annotations

import http.client
import json
import time
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from mlgitops.delivery.processes import HOST, is_running
from mlgitops.errors import MlgitopsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_REQUEST_SECONDS = 10.0
_POLL_SECONDS = 0.1
_MAX_ANSWER = 16 * 2**20  # bytes
_TAIL_LINES = 20
_LONGEST_END = 160  # characters of a log's last line
_OK = 200


class CheckFailedError(MlgitopsError):
    """The model was started and is not fit for service: a verdict, so exit code 1."""


def fetch_answer(port: int, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """Send one request on a connection of its own; return status and content."""
    status, content, _ = fetch(port, path, body)
    return status, content


def fetch(
    port: int,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes, dict[str, str]]:
    """Send one request as :func:`fetch_answer` does; return the answer's headers, too."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_REQUEST_SECONDS)
    try:
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Connection": "close", **(headers or {})}
        connection.request("GET" if data is None else "POST", path, body=data, headers=sent)
        response = connection.getresponse()
        received = {name.lower(): text for name, text in response.getheaders()}
        return response.status, response.read(_MAX_ANSWER), received
    finally:
        connection.close()


def is_live(port: int) -> bool:
    """Tell whether a server answers at all."""
    try:
        return fetch_answer(port, "/v2/health/live")[0] == _OK
    except (OSError, http.client.HTTPException):
        return False


def is_ready(port: int, model: str) -> bool:
    """Tell whether the server lives, is ready, and has the model loaded."""
    try:
        return all(
            fetch_answer(port, path)[0] == _OK
            for path in ("/v2/health/live", "/v2/health/ready", f"/v2/models/{model}/ready")
        )
    except (OSError, http.client.HTTPException):
        return False


def wait_until_ready(port: int, model: str, lock: Path, log: Path, *, seconds: float) -> None:
    """Wait for a server that was just started; raises when it ends or takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_ready(port, model):
            return
        if not is_running(lock):
            problem = f"the server ended while it started{describe_end(log)}"
            raise CheckFailedError(problem, where=str(log))
        time.sleep(_POLL_SECONDS)
    problem = f"the server was not ready after {seconds:.0f} s{describe_end(log)}"
    raise CheckFailedError(problem, where=str(log))


def read_tail(log: Path) -> str:
    """Return the last lines of a log, each marked as quoted, for a terminal."""
    return "".join(f"\n{line}" for line in _quote_lines(log))


def describe_end(log: Path) -> str:
    """Return how a log ends, for a reason of one line; nothing where it says nothing."""
    quoted = (line.partition("|")[2] for line in reversed(_quote_lines(log)))
    last = next((line for line in quoted if line.strip()), None)
    return f"; its log ends: {shorten(last, _LONGEST_END, placeholder=' ...')}" if last else ""


def _quote_lines(log: Path) -> list[str]:
    from mlgitops.project.training import quote_line

    if not log.is_file():
        return []
    text = log.read_text(encoding="utf-8", errors="replace")
    return [quote_line(line) for line in text.splitlines()[-_TAIL_LINES:]]
