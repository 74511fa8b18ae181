"""A real MLflow server on this machine, with its database and artifacts in a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests
from storage_servers import find_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DEADLINE = 300.0  # seconds: the first start makes the tables of its database


@contextmanager
def serve_mlflow(python: Path, folder: Path) -> Iterator[str]:
    """Serve from ``folder`` with the MLflow of ``python``; yield its address."""
    port = find_port()
    words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    variables = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    variables["PATH"] = f"{python.parent}:{variables['PATH']}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(python), *words],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(process, address, folder / "log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end and process.poll() is None:
        try:
            if requests.get(f"{address}/health", timeout=10).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise RuntimeError(log.read_text(errors="replace"))
