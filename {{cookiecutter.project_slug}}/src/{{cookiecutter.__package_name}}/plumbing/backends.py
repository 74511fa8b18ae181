"""Clusters that run parcels of tasks: Dask and Ray. Neither is imported before it is asked for."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Seconds in which a scheduler answers and a first worker is there, or another one when all are lost.
_PATIENCE = 120

#: Seconds after which somebody who waits for answers looks whether a node is left.
_PAUSE = 5

#: How often a parcel is sent again because its node was lost.
_RETRIES = 3

#: What a node answers for a parcel: results, or whether a task had begun, and what was said last.
Answer: TypeAlias = "bytes | tuple[bool, str]"

_HERE = "MLGITOPS_COMPUTE=local to run here"


@dataclass(frozen=True)
class Cluster:
    """A cluster that has been reached."""

    slots: int  # parcels that run at the same time
    run: Callable[[bytes, Sequence[bytes]], list[Answer]]  # archive, parcels → answers


def connect_dask(address: str | None) -> Cluster:
    """Reach a scheduler, or start one in this process; its tasks are processes all the same."""
    from distributed import CancelledError, Client, KilledWorker, LocalCluster, wait

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

    def run(archive: bytes, parcels: Sequence[bytes]) -> list[Answer]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            # As the result of a task it is made again when the node that holds it is lost.
            packed = client.submit(bytes, archive, pure=False)
            call = make_call()
            futures = [client.submit(call, packed, parcel, pure=False) for parcel in parcels]

        def is_answered(seconds: float) -> bool:
            with suppress(TimeoutError):
                wait(futures, timeout=seconds)
            states = {future.status for future in futures}
            return "pending" not in states or "error" in states

        try:
            _await_answers(is_answered, lambda: len(client.nthreads()))
            answers: list[Answer] = client.gather(futures)
        except KilledWorker as error:
            raise ClusterError(f"compute: {error}") from None
        except CancelledError:
            raise ClusterError(
                f"compute: the scheduler at {address} was lost while tasks ran: start it and its "
                f"workers, and run the stage again, or set {_HERE}"
            ) from None
        except OSError as error:
            raise ClusterError(
                f"compute: dask gave no answer ({error}); try again, or set {_HERE}"
            ) from None
        return answers

    return Cluster(sum(client.nthreads().values()), run)


def connect_ray(address: str | None) -> Cluster:
    """Reach the cluster of which this machine is a node, or start one of this machine alone.

    The latter joins no cluster that RAY_ADDRESS names, and no other machine can reach it.
    """
    if address is None:  # read when Ray is imported: it listens at 127.0.0.1 instead of everywhere
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray

    # A busy machine takes longer than the half minute after which Ray gives up.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", str(_PATIENCE))
    options: dict[str, Any] = {"address": address or "local"}
    if address is None:
        options |= {"num_cpus": os.cpu_count() or 1, "include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        raise _cannot_reach("ray", address, error) from None

    def run(archive: bytes, parcels: Sequence[bytes]) -> list[Answer]:
        packed = ray.put(archive)
        call = ray.remote(max_retries=_RETRIES)(make_call())
        called = [call.remote(packed, parcel) for parcel in parcels]

        def is_answered(seconds: float) -> bool:
            _, pending = ray.wait(called, num_returns=len(called), timeout=seconds)
            return not pending

        try:
            _await_answers(is_answered, count_processors)
            answers: list[Answer] = ray.get(called)
        except ray.exceptions.RayError as error:
            raise ClusterError(f"compute: {error}") from None
        return answers

    def count_processors() -> int:
        return int(ray.cluster_resources().get("CPU", 0))

    return Cluster(max(1, count_processors()), run)


def make_call() -> Callable[[bytes, bytes], Answer]:
    """Return what a node runs for one parcel.

    It stands within a function so that it is sent by value: a node has none of this project's
    modules.
    """
    module = f"{__package__}.parcel"

    def call(archive: bytes, parcel: bytes) -> bytes | tuple[bool, str]:
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
            has_begun = (folder / "begun").exists()
            return has_begun, f"a task gave no answer on {platform.node()}: {said}"

    return call


def _await_answers(
    is_answered: Callable[[float], bool], count_processors: Callable[[], int]
) -> None:
    """Return when all parcels are answered; raise when the cluster has stayed without a node."""
    patience = _PATIENCE
    while not is_answered(_PAUSE):
        patience = _PATIENCE if count_processors() else patience - _PAUSE
        if patience <= 0:
            raise ClusterError(
                "compute: the cluster has lost all its nodes, and no other one came within "
                f"{_PATIENCE} s: start workers and run the stage again, or set {_HERE}"
            )


def _cannot_reach(backend: str, address: str | None, error: Exception) -> ClusterError:
    reached = address or "a cluster of this machine alone"
    return ClusterError(
        f"compute: {backend} did not answer at {reached} ({error}): start it, correct "
        f"compute.address in params.yaml, or set {_HERE}"
    )
