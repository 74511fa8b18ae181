"""What a process listens on, as the kernel says it, and not as the process does."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from pathlib import Path

LISTENING = "0A"  # the state LISTEN in /proc/net/tcp
EVERYWHERE = ".".join("0000")


def list_listeners(process: int) -> set[str]:
    """List the addresses that a process listens on, as the kernel writes them: hex, port last."""
    sockets = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            sockets.add(str(link.readlink()))
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in sockets:
                addresses.add(fields[1])
    return addresses


def write_hex(address: str, port: int) -> str:
    """Write an address as the kernel does: bytes in the machine's order, then the port."""
    number = int.from_bytes(socket.inet_aton(address), sys.byteorder)
    return f"{number:08X}:{port:04X}"
