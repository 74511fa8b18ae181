"""Run DVC with a check that its SSH client leaves out: the key of the server.

A program for the Python that has the project's DVC: `python -I program.py ARGUMENTS`. Its
client, sshfs, switches asyncssh's check off unless it is told otherwise (`known_hosts` in
https://github.com/fsspec/sshfs, sshfs/spec.py); here the key must stand in ~/.ssh/known_hosts.
Nothing but the standard library, dvc and sshfs may be imported.
"""

from __future__ import annotations

import sys
from typing import Any


def check_host_keys() -> None:
    """Make the SSH client ask for the server's key, where that client is installed."""
    try:
        from sshfs import SSHFileSystem
    except ImportError:
        return
    make = SSHFileSystem.__init__

    def make_checked(self: Any, host: str, **options: Any) -> None:  # noqa: ANN401 - untyped
        options.setdefault("known_hosts", ())  # asyncssh: those of the user's known_hosts
        make(self, host, **options)

    SSHFileSystem.__init__ = make_checked


def main(arguments: list[str]) -> int:
    """Run one DVC command; return its exit code."""
    check_host_keys()
    from dvc.cli import main as run

    code: int = run(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
