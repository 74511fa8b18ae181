"""Real servers for each kind of storage, each on a free port of this machine, with its own root.

S3 and SFTP by rclone, which checks signatures and keys; Google's and Azure's protocols by the
emulators that are published for them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from npm_packages import install_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
ACCESS_KEY, SECRET_KEY = "storage-test-access", "storage-test-secret-0123456789"
#: Every copy of the emulator has this account and key: they are in its documentation,
#: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_PATIENCE = 600.0  # seconds, however slow the machine


class Server(Struct, frozen=True, kw_only=True):
    """A storage that listens: what `.dvc/config` says of it, and what signs a client in."""

    settings: dict[str, str]  # of the remote: url and more
    environment: dict[str, str]
    root: Path | None = None  # where its objects lie on this disk, below `files/md5`
    port: int = 0


def find_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def run_server(words: list[str | Path], port: int, log: Path, **variables: str) -> Iterator[None]:
    """Run a program until the block ends; it must listen on ``port``."""
    with (
        log.open("wb") as out,
        subprocess.Popen(
            words,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **variables},
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait(process, port, log)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # some start another in their place


@contextmanager
def serve_s3(folder: Path) -> Iterator[Server]:
    """Serve the S3 protocol; the request's signature is checked."""
    port = find_port()
    (folder / "bucket").mkdir(parents=True)
    words: list[str | Path] = [BIN / "rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    words += [
        "--auth-key",
        f"{ACCESS_KEY},{SECRET_KEY}",
        "--dir-cache-time",
        "1ms",
        "--poll-interval",
        "0",
        folder,
    ]
    with run_server(words, port, folder.with_suffix(".log"), RCLONE_CONFIG=os.devnull):
        yield Server(
            settings={"url": "s3://bucket/dvc", "endpointurl": f"http://127.0.0.1:{port}"},
            environment={
                "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            root=folder / "bucket" / "dvc",
            port=port,
        )


@contextmanager
def serve_ssh(folder: Path) -> Iterator[Server]:
    """Serve files over SSH to the one key in a home folder, whose known_hosts names the server."""
    port, home = find_port(), folder / "home"
    (home / ".ssh").mkdir(parents=True)
    (folder / "files" / "dvc").mkdir(parents=True)
    keys = {"id_ed25519": home / ".ssh" / "id_ed25519", "host": folder / "host"}
    for file in keys.values():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True, timeout=60
        )
    public = keys["host"].with_suffix(".pub").read_text().split()
    known = f"[127.0.0.1]:{port} {public[0]} {public[1]}\n"
    (home / ".ssh" / "known_hosts").write_text(known)
    words: list[str | Path] = [BIN / "rclone", "serve", "sftp", "--addr", f"127.0.0.1:{port}"]
    words += [
        "--key",
        keys["host"],
        "--user",
        "dvc",
        "--dir-cache-time",
        "1ms",
        "--poll-interval",
        "0",
    ]
    words += ["--authorized-keys", keys["id_ed25519"].with_suffix(".pub"), folder / "files"]
    with run_server(words, port, folder / "log", RCLONE_CONFIG=os.devnull):
        yield Server(
            settings={"url": f"ssh://dvc@127.0.0.1:{port}/dvc"},
            environment={"HOME": str(home)},
            root=folder / "files" / "dvc",
            port=port,
        )


@contextmanager
def serve_gcs(folder: Path) -> Iterator[Server]:
    """Serve Google's protocol from memory; nobody signs in there."""
    port = find_port()
    folder.mkdir(parents=True)
    words: list[str | Path] = [BIN / "gcp-storage-emulator", "start", "--in-memory"]
    words += ["--host", "127.0.0.1", "--port", str(port), "--default-bucket", "bucket"]
    with run_server(words, port, folder / "log"):
        yield Server(
            settings={"url": "gs://bucket/dvc", "endpointurl": f"http://127.0.0.1:{port}"},
            environment={"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"},
            port=port,
        )


@contextmanager
def serve_azure(folder: Path) -> Iterator[Server]:
    """Serve Azure's protocol from memory, to the one account that this emulator is known for."""
    from azure.storage.blob import BlobServiceClient

    port, modules = find_port(), install_packages(Path(__file__).parent / "azurite")
    folder.mkdir(parents=True)
    words: list[str | Path] = [BIN / "node", modules / "azurite" / "dist/src/blob/main.js"]
    words += ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    words += ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{AZURE_ACCOUNT};"
    )
    with run_server(words, port, folder / "log"):
        with BlobServiceClient.from_connection_string(connection) as client:
            client.create_container("bucket").close()
        yield Server(
            settings={"url": "azure://bucket/dvc"},
            environment={"AZURE_STORAGE_CONNECTION_STRING": connection},
            port=port,
        )


SERVERS = {"s3": serve_s3, "ssh": serve_ssh, "gcs": serve_gcs, "azure": serve_azure}


def start(kind: str, folder: Path, stack: ExitStack) -> Server:
    """Start the server of a kind until ``stack`` closes."""
    return stack.enter_context(SERVERS[kind](folder))


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not listen: {log.read_text(errors='replace')[-2000:]}")
