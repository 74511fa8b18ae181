"""A server of a few lines: it listens on a socket, and says a number for its model file.

Its arguments are the model file (a nature, a number) and the socket.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path


def main() -> None:
    """Serve until killed; a model that cannot be loaded ends at once."""
    nature, number = Path(sys.argv[1]).read_text(encoding="ascii").split()
    if nature == "ends":
        sys.exit(f"model {number} cannot be loaded")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[2])
        server.listen()
        while True:
            client, _ = server.accept()
            with client:
                client.sendall(f"{number} {42 if nature == 'good' else 41}".encode())


if __name__ == "__main__":
    main()
