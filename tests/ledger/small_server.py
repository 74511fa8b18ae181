"""A server of a few lines: it listens on a port, and says a number for its model file.

Its arguments are the model file (a nature, a number) and the file that names its port.
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
    with socket.create_server(("127.0.0.1", 0)) as server:
        named = Path(f"{sys.argv[2]}.new")
        named.write_text(str(server.getsockname()[1]), encoding="ascii")
        named.replace(sys.argv[2])
        while True:
            client, _ = server.accept()
            with client:
                client.sendall(f"{number} {42 if nature == 'good' else 41}".encode())


if __name__ == "__main__":
    main()
