"""Clusters that run parcels of tasks: Dask and Ray. Neither is imported before it is asked for."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import StageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Seconds in which a scheduler answers and a first worker is there.
_PATIENCE = 120

#: How often a parcel is sent again because its node was lost.
_RETRIES = 3


@dataclass(frozen=True)
class Cluster:
    """A cluster that has been reached."""

    slots: int  # parcels that run at the same time
    run: Callable[[bytes, Sequence[bytes]], list[bytes | str]]  # archive, parcels → answers


def connect_dask(address: str | None) -> Cluster:
    """Reach a scheduler, or start one in this process; its tasks are processes all the same."""
    from distributed import Client, KilledWorker, LocalCluster

    try:
        if address is None:
            threads = os.cpu_count() or 1
            here = LocalCluster(
                n_workers=1,
                threads_per_worker=threads,
                processes=False,
                dashboard_address=None,
                silence_logs="ERROR",
            )
            client = Client(here)
        else:
            client = Client(address, timeout=_PATIENCE)
        client.wait_for_workers(1, timeout=_PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise _cannot_reach("dask", address, error) from None

    def run(archive: bytes, parcels: Sequence[bytes]) -> list[bytes | str]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            # As the result of a task it is made again when the node that holds it is lost.
            packed = client.submit(bytes, archive, pure=False)
            call = make_call()
            futures = [client.submit(call, packed, parcel, pure=False) for parcel in parcels]
            try:
                answers: list[bytes | str] = client.gather(futures)
            except KilledWorker as error:
                raise StageError(f"compute: {error}") from None
        return answers

    return Cluster(sum(client.nthreads().values()), run)


def connect_ray(address: str | None) -> Cluster:
    """Reach the cluster of which this machine is a node, or start one of this machine alone."""
    import ray

    # A busy machine takes longer than the half minute after which Ray gives up.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", str(_PATIENCE))
    options: dict[str, Any] = {} if address is None else {"address": address}
    if address is None:
        options = {"num_cpus": os.cpu_count() or 1, "include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        raise _cannot_reach("ray", address, error) from None

    def run(archive: bytes, parcels: Sequence[bytes]) -> list[bytes | str]:
        packed = ray.put(archive)
        call = ray.remote(max_retries=_RETRIES)(make_call())
        try:
            answers: list[bytes | str] = ray.get([call.remote(packed, part) for part in parcels])
        except ray.exceptions.RayError as error:
            raise StageError(f"compute: {error}") from None
        return answers

    return Cluster(max(1, int(ray.cluster_resources().get("CPU", 1))), run)


def make_call() -> Callable[[bytes, bytes], bytes | str]:
    """Return what a node runs for one parcel.

    It stands within a function so that it is sent by value: a node has none of this project's
    modules. It answers a text when the process there gave no answer.
    """
    module = f"{__package__}.parcel"

    def call(archive: bytes, parcel: bytes) -> bytes | str:
        import os
        import platform
        import subprocess
        import sys
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "archive.zip").write_bytes(archive)
            (folder / "parcel.joblib").write_bytes(parcel)
            environment = {
                **os.environ,
                "PYTHONPATH": str(folder / "archive.zip"),
                "OMP_NUM_THREADS": "1",  # as here; more of them beside others stand still
            }
            command = [sys.executable, "-m", module, name]
            done = subprocess.run(  # noqa: S603 - this interpreter
                command, env=environment, cwd=folder, capture_output=True, text=True, check=False
            )
            if (folder / "answer.joblib").is_file():
                return (folder / "answer.joblib").read_bytes()
            said = done.stderr.strip()[-2000:] or f"it ended with {done.returncode}"
            return f"a task gave no answer on {platform.node()}: {said}"

    return call


def _cannot_reach(backend: str, address: str | None, error: Exception) -> StageError:
    reached = address or "a cluster of this machine alone"
    return StageError(
        f"compute: {backend} did not answer at {reached} ({error}): start it, correct "
        "compute.address in params.yaml, or set MLGITOPS_COMPUTE=local to run here"
    )
